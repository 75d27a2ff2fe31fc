"""What a training must get right beside running: rates, timetables, bases, damage, devices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from subjects import SMOKE, TUNE, quiet, small_subject, weights

from semgfin_rt.dsp.windows import Windowing, window_table
from semgfin_rt.errors import CheckpointError
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.recordings.db2 import spread_repetitions
from semgfin_rt.train.finetune import finetune
from semgfin_rt.train.fit import fit
from semgfin_rt.train.options import FitOptions


def options(**changes: object) -> FitOptions:
    return FitOptions.model_validate(SMOKE.model_dump() | changes)


@pytest.mark.parametrize("rate", [1259.0, 2148.0])
def test_rates_whose_hop_is_no_whole_number_of_ms(tmp_path, rate):
    recording = small_subject()
    recording = replace(recording, spec=replace(recording.spec, rate=rate))
    contract = fit([recording], tmp_path / "m", options(horizons_ms=(0, 50)), quiet)
    assert contract.window % contract.hop == 0
    assert contract.window / rate == pytest.approx(0.1, abs=0.005)
    assert contract.horizons[1] / rate == pytest.approx(0.05, abs=0.005)
    load_checkpoint(tmp_path / "m")


def test_repetitions_in_a_row_as_in_db2_hold_their_onsets():
    """Rest between two repetitions must not leave each repetition without its onset."""
    labels = np.tile(np.repeat([0, 7], [600, 1000]), 6).astype(np.int16)
    own = np.repeat(np.arange(1, 7), 1600).astype(np.int16)
    repetitions = spread_repetitions(labels, np.where(labels, own, 0).astype(np.int16))
    recording = replace(
        small_subject(),
        samples=np.zeros((len(labels), 3), np.float32),
        labels=labels,
        repetitions=repetitions,
    )
    table = window_table(recording, Windowing(100, 10), (0, 50))
    inside = (table.first_repetitions == 2) & (table.repetitions == 2).all(axis=1)
    onset = inside & (table.labels[:, 0] == 0) & (table.labels[:, 1] == 7)
    offset = inside & (table.labels[:, 0] == 7) & (table.labels[:, 1] == 0)
    assert onset.sum() == offset.sum() == 5


def test_damaged_samples_are_left_out_of_training(tmp_path):
    clean = small_subject()
    samples = clean.samples.copy()
    samples[300:310] = np.nan
    contract = fit([replace(clean, samples=samples)], tmp_path / "m", SMOKE, quiet)
    whole = fit([clean], tmp_path / "whole", SMOKE, quiet)
    assert contract.history[0].windows < whole.history[0].windows
    assert all(torch.isfinite(t).all() for t in weights(tmp_path / "m").values())


def test_a_place_that_cannot_be_written_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    stages = []
    with pytest.raises(CheckpointError, match="cannot be written"):
        fit([small_subject()], tmp_path / "file" / "m", SMOKE, lambda *a: stages.append(a))
    assert not stages


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_fit_and_finetune_on_cuda(tmp_path):
    fit([small_subject(1)], tmp_path / "base", options(device="cuda"), quiet)
    tune = TUNE.model_copy(update={"device": "cuda"})
    finetune(tmp_path / "base", [small_subject(2)], tmp_path / "m", tune, quiet)
    load_checkpoint(tmp_path / "m")
