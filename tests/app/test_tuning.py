"""Fine-tuning in a process of its own: what it finds, and what is left of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from person import calibration, feed, follow, noisy_contract
from signals import tiny_checkpoint

from semgfin_rt.app.comparison import Comparison
from semgfin_rt.app.tuning import Tuning, require_place
from semgfin_rt.contracts import Recording
from semgfin_rt.dsp.windows import Windowing, window_table
from semgfin_rt.errors import CheckpointError, TrainingError
from semgfin_rt.nn.checkpoint import load_checkpoint, save_checkpoint
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.nn.network import Network
from semgfin_rt.train.options import FinetuneOptions

QUICK = FinetuneOptions(shorten=0.02)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A checkpoint of random weights behind closed-form features."""
    folder = tmp_path_factory.mktemp("base") / "M"
    torch.manual_seed(0)
    contract = noisy_contract()
    spec = contract.network.model_copy(update={"imitator": "closed_form"})
    contract = contract.model_copy(update={"network": spec})
    save_checkpoint(folder, Network(contract), contract, "# random weights, for a test\n")
    return folder


@pytest.fixture(scope="module")
def recording() -> Recording:
    """A session of two movements, three repetitions."""
    session = calibration(repetitions=3)
    feed(session, follow(session.timetable()))
    return session.recording()


def finished(tuning: Tuning) -> Tuning:
    deadline = time.monotonic() + 200  # a busy core loads torch, at a low priority
    while tuning.wait(0.2) == "running":
        assert time.monotonic() < deadline
    return tuning


@pytest.fixture(scope="module")
def tuned(base, recording, tmp_path_factory) -> Iterator[Tuning]:
    """A fine-tuning that has ended, in a folder of its own."""
    with Tuning(base, recording, tmp_path_factory.mktemp("tuned") / "mine", QUICK) as tuning:
        assert tuning.state == "ready"
        tuning.start()
        assert tuning.poll() == "running"
        yield finished(tuning)


def test_it_compares_before_after_and_lda_on_the_held_out_repetition(tuned, recording, base):
    assert tuned.state == "done", tuned.failure
    found = tuned.comparison
    contract = load_contract(base)
    table = window_table(recording, Windowing(contract.window, contract.hop), (0,))
    held = table.steady[:, 0] & (table.repetitions[:, 0] == 3)
    assert (found.held_out, found.windows) == (3, int(held.sum()))
    assert found.before < 0.8  # random weights
    assert found.lda > 0.9
    assert found.after > 0.9
    assert 0 < found.seconds < 120
    assert (tuned.progress.stage, tuned.progress.step) == ("LDA", tuned.progress.steps)


def test_the_result_lies_in_a_temporary_folder_and_can_be_tried(tuned, recording):
    assert not tuned.out.exists()
    assert tuned.checkpoint.parent.parent == tuned.out.parent
    _, contract = load_checkpoint(tuned.checkpoint)
    last = contract.history[-1]
    assert (last.command, last.dataset, last.subjects) == ("finetune", "session", (4,))
    assert (last.repetitions, last.held_out) == ((1, 2, 3), (3,))


def test_what_is_worse_is_not_kept(tuned):
    better = tuned.comparison
    tuned.comparison = replace(better, before=better.after + 0.01)
    try:
        with pytest.raises(TrainingError, match=r"nothing was kept: go on with .*M, or record"):
            tuned.keep()
    finally:
        tuned.comparison = better
    assert (tuned.state, tuned.out.exists()) == ("done", False)


def test_what_is_no_checkpoint_is_not_replaced(tuned):
    tuned.out.mkdir()
    (tuned.out / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"mine exists and is not a checkpoint: choose"):
        tuned.keep()
    assert (tuned.out / "notes.txt").read_text() == "mine"
    assert (tuned.state, tuned.checkpoint.is_dir()) == ("done", True)
    (tuned.out / "notes.txt").unlink()
    tuned.out.rmdir()


def test_a_kept_result_takes_the_place_of_an_older_checkpoint(tuned, base):
    tiny_checkpoint(tuned.out)
    assert tuned.keep() == tuned.out == tuned.checkpoint
    assert tuned.state == "kept"
    assert load_contract(tuned.out).history[-1].dataset == "session"
    assert [path.name for path in tuned.out.parent.iterdir()] == ["mine"]
    assert load_contract(base).history == ()
    with pytest.raises(TrainingError, match=r"no result to keep \(kept\)"):
        tuned.keep()
    tuned.close()
    assert tuned.out.exists()


def test_a_cancelled_one_leaves_nothing(base, recording, tmp_path):
    tuning = Tuning(base, recording, tmp_path / "deep" / "mine", QUICK)
    tuning.start()
    child = psutil.Process(tuning.pid)
    while child.nice() != os.nice(0) + 10:  # which is its first deed
        assert tuning.wait(0.02) == "running"
    tuning.cancel()
    assert tuning.state == "cancelled"
    assert not child.is_running()
    assert list((tmp_path / "deep").iterdir()) == []
    assert tuning.poll() == "cancelled"
    tuning.close()


def test_a_killed_one_has_failed(base, recording, tmp_path):
    with Tuning(base, recording, tmp_path / "mine", QUICK) as tuning:
        tuning.start()
        os.kill(tuning.pid, signal.SIGKILL)
        assert finished(tuning).state == "failed"
        assert "ended unexpectedly" in tuning.failure
        with pytest.raises(TrainingError, match="failed"):
            tuning.keep()
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_does_not_fit_is_one_sentence(base, recording, tmp_path):
    wrong = replace(recording, spec=replace(recording.spec, unit="count"))
    with Tuning(base, wrong, tmp_path / "mine", QUICK) as tuning:
        tuning.start()
        assert finished(tuning).state == "failed"
        assert "is in count and the checkpoint was trained on V" in tuning.failure
        assert tuning.comparison is None


def test_a_place_that_is_something_else_is_refused_before_anything_is_done(
    base, recording, tmp_path
):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="is not a checkpoint: choose another folder"):
        Tuning(base, recording, tmp_path).start()
    with pytest.raises(CheckpointError, match="cannot be written"):
        require_place(tmp_path / "notes.txt" / "mine")
    require_place(tmp_path / "deep" / "er")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


# ------------------------------------------------------------------------- the comparison
@pytest.mark.parametrize(
    ("before", "after", "lda", "worse", "words"),
    [
        (0.5, 0.75, 0.75, False, ""),
        (0.5, 0.75, None, False, ""),
        (0.5, np.float32(0.7), 0.7, False, ""),  # the same windows, but for rounding
        (0.5, 0.75, 0.751, False, "75.0 % of the held-out repetition and an LDA on 75.1 %"),
        (0.75, 0.75, 0.5, False, "75.0 % of the held-out repetition and was on 75.0 % as it was"),
        (0.751, 0.75, 0.5, True, "was on 75.1 % as it was"),
        (None, 0.75, 0.5, False, "cannot be compared"),
        (0.5, None, 0.5, False, "cannot be compared"),
    ],
)
def test_what_a_calibration_promises(before, after, lda, worse, words):
    found = Comparison(before, after, lda, 3, 1000, 1.0)
    assert found.is_worse is worse
    assert words in found.shortfall
    assert bool(found.shortfall) is bool(words)
