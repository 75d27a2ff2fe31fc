"""A guided session without a stream: signal in, prompts, verdicts, and a labelled recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from person import LATE_S, calibration, feed, follow, noisy_contract

from semgfin_rt.app.calibration import Calibration, Plan
from semgfin_rt.app.prompted import SyntheticPerson, require_unknown
from semgfin_rt.app.prompts import Timing, Trial
from semgfin_rt.contracts import REST
from semgfin_rt.errors import ContractMismatchError, OptionError, RecordingError
from semgfin_rt.model_contract import ModelContract, TrainingRecord
from semgfin_rt.nn.checkpoint_folder import load_contract

DEMO = Path(__file__).parents[2] / "models" / "demo"


def learnt(dataset: str, subject: int, repetitions: tuple[int, ...]) -> ModelContract:
    """A contract of a checkpoint that has learnt these repetitions."""
    record = TrainingRecord(
        command="finetune",
        dataset=dataset,
        subjects=(subject,),
        repetitions=repetitions,
        held_out=(),
        data_sha256="",
        windows=1,
        seed=0,
        steps={},
        seconds=1.0,
        chosen={},
        versions={},
        date="2026-01-01",
    )
    return noisy_contract().model_copy(update={"history": (record,)})


# ------------------------------------------------------------------------- what is recorded
def test_a_session_becomes_a_recording_labelled_by_the_prompts():
    session = calibration()
    timetable = session.timetable()
    signal = follow(timetable)
    verdicts = feed(session, signal)
    assert session.over
    assert [v.trial for v in verdicts] == timetable.trials
    assert all(v.ok and not v.redo for v in verdicts)
    recording = session.recording()
    start, stop = timetable.slot(0).first, timetable.slot(3).stop
    assert np.array_equal(recording.samples, signal[start:stop])
    assert (recording.dataset, recording.subject, recording.breaks) == ("session", 4, ())
    assert recording.spec == session.contract.spec
    assert recording.classes == {0: "rest", 1: "fist", 2: "point"}
    assert recording.test_repetitions == frozenset()
    for k, trial in enumerate(timetable.trials):
        slot = timetable.slot(k)
        part = slice(slot.first - start, slot.stop - start)
        assert set(recording.repetitions[part]) == {trial.repetition}
        worked = np.flatnonzero(recording.labels[part] == trial.movement)
        late = LATE_S * timetable.rate
        assert worked[0] == pytest.approx(slot.on + late - slot.first, abs=60)
        assert worked[-1] == pytest.approx(slot.off + late - slot.first, abs=60)
        assert np.ptp(worked) == len(worked) - 1
        assert set(recording.labels[part]) == {REST, trial.movement}


@pytest.mark.parametrize("size", [7, 20, 499, 10**6])
def test_the_size_of_chunks_changes_nothing(size):
    session, other = calibration(), calibration()
    signal = follow(session.timetable())
    feed(session, signal, size=size, first=31)
    feed(other, signal)
    one, two = session.recording(), other.recording()
    assert np.array_equal(one.samples, two.samples)
    assert np.array_equal(one.labels, two.labels)
    assert np.array_equal(one.repetitions, two.repetitions)


def test_the_prompt_follows_the_signal_from_its_first_sample_on():
    session = calibration()
    assert (session.prompt.movement, session.prompt.next, session.prompt.left_s) == (REST, 1, 1.0)
    signal = follow(session.timetable())
    session.take(signal[:1000], 70_000)
    assert session.prompt.left_s == 0.5
    session.take(signal[1000:2000], 71_000)
    assert (session.prompt.movement, session.prompt.next, session.prompt.left_s) == (1, 2, 1.5)
    assert session.take(signal[:0], 72_000) == ()


def test_refined_labels_agree_better_with_the_truth_of_a_synthetic_person():
    contract = load_contract(DEMO)
    plan = Plan((1, 2, 6, 13), 2, Timing(3.0, 2.0))
    session = Calibration(contract, plan, 99, "synthetic")
    timetable = session.timetable()
    truth = SyntheticPerson(99, seed=1).perform(session, 0)
    feed(session, truth.samples, size=2000)
    recording = session.recording()
    prompted = np.zeros(len(truth.labels), np.int16)
    for k, trial in enumerate(timetable.trials):
        slot = timetable.slot(k)
        prompted[slot.on : slot.off] = trial.movement
    part = slice(timetable.slot(0).first, timetable.slot(7).stop)
    as_prompted = np.mean(prompted[part] == truth.labels[part])
    refined = np.mean(recording.labels == truth.labels[part])
    assert as_prompted < 0.9
    assert refined > 0.94


# -------------------------------------------------------------------------- bad trials
def test_lost_samples_make_a_trial_be_prompted_again_at_the_end():
    session = calibration()
    timetable = session.timetable()
    lost = timetable.slot(1).on + 400
    verdicts = feed(session, follow(timetable), drop=lambda at: at == lost)
    assert [v.ok for v in verdicts] == [True, False, True, True]
    assert verdicts[1].problem == "100 samples were lost or not finite"
    assert verdicts[1].redo
    assert not session.over
    assert session.prompt.trial == Trial(2, 1, attempt=2)
    assert (session.prompt.number, session.prompt.total) == (5, 5)
    again = follow(session.timetable(), seed=1)  # the last half of the rest is still there
    half = 1000
    verdicts = feed(session, again[half:], first=timetable.slot(3).stop)
    assert [(v.trial.attempt, v.ok) for v in verdicts] == [(2, True)]
    assert session.over
    assert session.redone == 1
    recording = session.recording()
    length = timetable.slot(0).stop - timetable.slot(0).first
    assert recording.breaks == (length,)  # where the bad trial was; the redone one follows
    assert recording.repetitions[[0, length, 2 * length, 3 * length]].tolist() == [1, 2, 2, 1]
    assert np.isfinite(recording.samples).all()


def test_samples_that_a_snapshot_marks_as_lost_count_as_lost():
    session = calibration()
    signal = follow(session.timetable())
    signal[session.timetable().slot(0).on + 5] = np.nan
    assert feed(session, signal)[0].problem == "1 samples were lost or not finite"


def test_a_redo_at_once_comes_next():
    session = calibration(at_once=True)
    timetable = session.timetable()
    verdicts = feed(session, follow(timetable, lazy=(0,))[: timetable.slot(0).stop])
    assert "rose by" in verdicts[0].problem
    assert session.prompt.next == 1
    assert session.prompt.trial == Trial(1, 1, attempt=2)
    assert [t.movement for t in session.timetable().trials] == [1, 2, 1, 2]


def test_after_two_redos_the_session_goes_on_with_a_note():
    session = calibration(at_once=True)
    for expected in (True, True, False):
        timetable = session.timetable()
        (verdict,) = feed(session, follow(timetable, lazy=(0,))[: timetable.slot(0).stop])
        assert verdict.redo is expected
        session.resume()
    feed(session, follow(session.timetable()))
    assert session.over
    assert session.redone == 2
    (note,) = session.notes
    assert note.startswith("fist, repetition 1, is left out after 3 attempts: the signal rose by")
    recording = session.recording()
    assert recording.notes == (note,)
    assert set(recording.labels[recording.repetitions == 1]) == {REST, 2}
    assert set(recording.labels[recording.repetitions == 2]) == {REST, 1, 2}


def test_a_repetition_without_a_good_trial_cannot_be_learnt_from():
    session = calibration(redos=0)
    feed(session, follow(session.timetable(), lazy=(2, 3)))
    assert session.over
    with pytest.raises(RecordingError, match=r"no trial of repetition 2 can .* after 1 attempts"):
        session.recording()


def test_a_trial_is_redone_when_somebody_asks_for_it_and_the_last_good_attempt_counts():
    session = calibration()
    timetable = session.timetable()
    signal = follow(timetable)
    shown = timetable.slot(0).on + 500
    session.take(signal[:shown], 0)
    session.redo(session.prompt.trial)
    assert (session.prompt.movement, session.prompt.next) == (1, 1)
    assert session.timetable().trials[1] == Trial(1, 1, attempt=2)
    session.take(signal[shown : timetable.slot(0).stop], shown)
    session.resume()
    again = follow(session.timetable(), seed=5)
    feed(session, again)
    assert session.over
    recording = session.recording()
    slot = session.timetable().slot(0)
    assert np.array_equal(
        recording.samples[: slot.stop - slot.first], again[slot.first : slot.stop]
    )


def test_a_session_that_is_over_goes_on_for_a_redo():
    session = calibration()
    feed(session, follow(session.timetable()))
    before = session.recording()
    session.redo(Trial(2, 2))
    assert not session.over
    assert session.timetable().trials == [Trial(2, 2, attempt=2)]
    feed(session, follow(session.timetable(), seed=7), first=10**6)
    assert session.over
    after = session.recording()
    assert len(after.samples) == len(before.samples)
    assert after.breaks == (before.samples.shape[0] * 3 // 4,)
    assert not np.array_equal(after.samples, before.samples)


def test_another_connection_prompts_again_what_was_not_judged():
    session = calibration()
    timetable = session.timetable()
    cut = timetable.slot(1).on + 10
    feed(session, follow(timetable)[:cut])
    session.resume()
    assert session.timetable().trials == timetable.trials[1:]
    assert (session.prompt.movement, session.prompt.next, session.prompt.number) == (REST, 2, 2)
    verdicts = feed(session, follow(session.timetable()))  # its indices begin at 0 again
    assert len(verdicts) == 3
    assert session.over
    assert session.redone == 0
    length = timetable.slot(0).stop - timetable.slot(0).first
    assert session.recording().breaks == (length,)


# --------------------------------------------------------------------------- who it is
def test_a_second_calibration_of_a_person_has_numbers_of_its_own():
    contract = learnt("session", 4, (1, 2, 3))
    session = calibration(contract)
    assert {t.repetition for t in session.timetable().trials} == {4, 5}
    assert session.held_out == 5
    assert {t.repetition for t in calibration().timetable().trials} == {1, 2}


def test_a_synthetic_person_is_one_that_the_checkpoint_does_not_know():
    require_unknown(learnt("synthetic", 4, (1,)), 5)
    with pytest.raises(ContractMismatchError, match="synthetic subject 4: choose another"):
        require_unknown(learnt("synthetic", 4, (1,)), 4)


def test_a_synthetic_person_refuses_what_it_cannot_do():
    with pytest.raises(ContractMismatchError, match="emg1"):
        SyntheticPerson(9).perform(calibration(), 0)
    contract = noisy_contract()
    other = contract.classes[2].model_copy(update={"id": 44})
    stranger = contract.model_copy(update={"classes": (*contract.classes[:2], other)})
    with pytest.raises(OptionError, match="does not know movement 44"):
        SyntheticPerson(9).perform(calibration(stranger), 0)


def test_two_takes_of_a_synthetic_person_differ_and_one_take_is_always_the_same():
    contract = load_contract(DEMO)
    session = Calibration(contract, Plan((1, 2), 2, Timing(1.0, 1.0)), 99, "synthetic")
    person = SyntheticPerson(99)
    one, same, other = (person.perform(session, take) for take in (0, 0, 1))
    assert np.array_equal(one.samples, same.samples)
    assert not np.array_equal(one.samples, other.samples)
    assert not np.array_equal(one.samples, replace(person, seed=1).perform(session, 0).samples)
