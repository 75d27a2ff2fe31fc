"""The dry run: it counts the windows and steps that a run then has, and refuses what it would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from subjects import SMOKE, TUNE, options, quiet, small_subject

from semgfin_rt.errors import ContractMismatchError, OptionError, SemgfinError, TrainingError
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.recordings.synthetic import write_subject
from semgfin_rt.train.estimate import Part, estimate_finetune, estimate_fit
from semgfin_rt.train.estimate_protocol import estimate_protocol, shared_seconds
from semgfin_rt.train.finetune import finetune
from semgfin_rt.train.fit import fit
from semgfin_rt.train.protocols.options import ProtocolOptions

BOTH = (1, 2)


def steps(parts: tuple[Part, ...], name: str) -> int:
    """Steps of a part, out of its words."""
    (size,) = (part.size for part in parts if part.name == name)
    return int(size.split()[0])


def test_windows_and_steps_are_those_of_fit(base):
    found = estimate_fit([small_subject(n) for n in BOTH], SMOKE, quiet)
    (record,) = load_contract(base).history
    assert f"{record.windows} training windows of repetitions 1, 3, 4, 6," in found.notes[0]
    assert steps(found.parts, "FIN") == record.steps["FIN"]
    both = record.steps["classifier"] + record.steps["all repetitions"]
    assert steps(found.parts, "classifier") == both
    assert all(part.seconds > 0 for part in found.parts)
    assert found.seconds == pytest.approx(sum(part.seconds for part in found.parts))
    assert 50e6 < found.n_bytes < 4e9


def test_windows_and_steps_are_those_of_finetune(base, tmp_path):
    person = small_subject(3)
    found = estimate_finetune(load_contract(base), [person], TUNE, quiet)
    record = finetune(base, [person], tmp_path / "T", TUNE, quiet).history[-1]
    assert f"{record.windows} training windows" in found.notes[0]
    assert steps(found.parts, "classifier") == sum(record.steps.values())
    assert "FIN" not in {part.name for part in found.parts}


def test_what_is_not_trained_takes_no_time():
    names = {
        kind: {p.name for p in estimate_fit([small_subject()], options(**changes), quiet).parts}
        for kind, changes in {
            "cnn": {"classifier": "cnn"},
            "computed": {"imitator": "closed_form"},
            "one": {"repetitions": (1,)},
        }.items()
    }
    assert names["cnn"] == {"read and filter", "FIN", "classifier", "joint"}
    assert "FIN" not in names["computed"]
    assert "classifier" not in names["one"]  # nothing is held out: the linear heads alone


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"repetitions": (1, 2)}, OptionError),
        ({"repetitions": (9,)}, OptionError),
        ({"horizons_ms": (0, 55)}, OptionError),
        ({"derivations": ("average",)}, OptionError),
        ({"window_ms": 2000}, TrainingError),
        ({"device": "tpu"}, OptionError),
    ],
)
def test_it_refuses_what_fit_refuses_in_the_same_words(tmp_path, changes, error):
    chosen = options(**changes)
    with pytest.raises(error) as told:
        estimate_fit([small_subject()], chosen, quiet)
    with pytest.raises(error) as refused:
        fit([small_subject()], tmp_path / "M", chosen, quiet)
    assert str(told.value) == str(refused.value)


def test_recordings_that_do_not_fit(base):
    one = small_subject(1)
    other = replace(one, spec=replace(one.spec, rate=2000.0))
    with pytest.raises(ContractMismatchError, match="2000 Hz"):
        estimate_fit([one, other], SMOKE, quiet)
    with pytest.raises(ContractMismatchError, match="2000 Hz"):
        estimate_finetune(load_contract(base), [other], TUNE, quiet)
    with pytest.raises(TrainingError, match="no recording"):
        estimate_fit([], SMOKE, quiet)


def test_a_class_that_only_a_later_recording_shows_counts():
    first = small_subject(1)
    labels = np.where(first.labels == 3, 2, first.labels).astype(np.int16)
    few, all_ = replace(first, labels=labels), small_subject(2)
    found = estimate_fit([few, all_], SMOKE, quiet)
    alone = estimate_fit([all_], SMOKE, quiet)
    windows = [int(e.notes[0].split()[0]) for e in (found, alone)]
    assert windows[0] >= 2 * windows[1]


def test_several_devices_share_fin_pretraining():
    """Their number is taken at its word: the machine that runs it may be another."""
    one, many = (estimate_fit([small_subject()], options(devices=n), quiet) for n in (1, 64))
    seconds = [next(p.seconds for p in e.parts if p.name == "FIN") for e in (one, many)]
    assert seconds[1] < seconds[0]


# ------------------------------------------------------------------------------- protocols
@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    for subject in BOTH:
        write_subject(folder, subject, 1, movements=2, movement_s=1.0, rest_s=1.0, n_channels=4)
    return folder


def test_the_published_grid_takes_weeks_and_is_estimated_in_seconds(people):
    chosen = ProtocolOptions(workers=2)
    found = estimate_protocol("paper", people, chosen, quiet)
    assert "15 checkpoints are trained, then 23 tasks scored, 2 at a time" in found.notes[0]
    sizes = {part.name: part.size for part in found.parts}
    assert sizes["checkpoints: FIN"].startswith("10 x at most")
    assert sizes["checkpoints: joint"].startswith("15 x at most")
    assert {"tasks: fin", "tasks: closed_form", "tasks: random_weights", "tasks: controls"} <= set(
        sizes
    )
    assert found.seconds > 3600
    assert not (people / "bases").exists()


def test_more_workers_are_faster_and_take_more_memory(people):
    fit_options = options(window_ms=100, horizons_ms=(0,))
    one, two = (
        estimate_protocol("within", people, ProtocolOptions(fit=fit_options, workers=n), quiet)
        for n in BOTH
    )
    assert two.n_bytes > 1.3 * one.n_bytes
    assert len(one.parts) == len(two.parts)


def test_workers_take_one_part_after_the_other():
    assert shared_seconds([3.0, 1.0, 1.0, 1.0], 1) == pytest.approx(6.0)
    assert shared_seconds([3.0, 1.0, 1.0, 1.0], 2) == pytest.approx(3.0)
    assert shared_seconds([1.0, 1.0, 1.0, 3.0], 2) == pytest.approx(4.0)
    assert shared_seconds([3.0], 8) == pytest.approx(3.0)


def test_a_protocol_that_cannot_be_run_is_refused(people):
    with pytest.raises(SemgfinError, match="two or more"):
        estimate_protocol("loso", people, ProtocolOptions(subjects=(1,)), quiet)
