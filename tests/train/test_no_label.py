"""Signal of which nobody says what it shows, as in recordings of this program, is not learnt."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from subjects import SMOKE, TUNE, quiet, small_subject

from semgfin_rt.contracts import NO_LABEL
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.errors import TrainingError
from semgfin_rt.train import dataset
from semgfin_rt.train.finetune import finetune
from semgfin_rt.train.fit import fit
from semgfin_rt.train.preparation import training_repetitions

BEFORE = 100
"""Samples before the first prompt."""


def unprompted_first():
    """A small subject, its first samples without a prompt; label gone in one rest as well."""
    recording = small_subject(1)
    labels, repetitions = recording.labels.copy(), recording.repetitions.copy()
    labels[:BEFORE] = repetitions[:BEFORE] = NO_LABEL
    labels[np.flatnonzero(labels == 0)[:100]] = NO_LABEL  # inside repetition 1
    return replace(recording, labels=labels, repetitions=repetitions)


def test_no_label_is_no_class_and_no_repetition(tmp_path, base):
    recording = unprompted_first()
    assert training_repetitions([recording], None) == (1, 3, 4, 6)
    contract = fit([recording], tmp_path / "m", SMOKE, quiet)
    assert contract.class_ids == (0, 1, 2, 3)
    assert contract.history[0].repetitions == (1, 3, 4, 6)
    tuned = finetune(base, [replace(recording, subject=3)], tmp_path / "t", TUNE, quiet)
    assert tuned.class_ids == (0, 1, 2, 3)
    assert [c.id for c in dataset.class_set([recording], (1,), rest=False)] == [1, 2, 3]


def test_no_label_is_no_movement_to_the_rest_gate():
    recording = small_subject(1)
    shown = replace(recording, labels=np.where(recording.labels > 0, NO_LABEL, 0).astype(np.int16))
    scaler = dataset.fit_scaler([recording], (1,))
    threshold = partial(dataset.rest_threshold, repetitions=(1,), windowing=Windowing(100, 10))
    assert threshold([recording], scalers=[scaler]) is not None
    assert threshold([shown], scalers=[scaler]) is None  # there is rest alone


def test_a_recording_without_any_label(tmp_path):
    bare = small_subject(2)
    nothing = np.full_like(bare.labels, NO_LABEL)
    bare = replace(bare, labels=nothing, repetitions=nothing)
    with pytest.raises(TrainingError, match="small subject 2 says nowhere which movement"):
        fit([small_subject(1), bare], tmp_path / "m", SMOKE, quiet)
    assert not list(tmp_path.iterdir())
