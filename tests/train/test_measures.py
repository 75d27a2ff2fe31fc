"""Figures of decisions whose right answers are known by hand or by a naive loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from signals import counting_recording, tiny_contract

from semgfin_rt.contracts import NO_LABEL
from semgfin_rt.model_contract import ClassLabel
from semgfin_rt.scoring import accuracy, balanced_accuracy, summarise, tally
from semgfin_rt.train.measures import (
    TestWindows,
    calibrate,
    calibration_error,
    measure,
    reject_thresholds,
)
from semgfin_rt.train.results import MEASURES

CONTRACT = tiny_contract(horizons_ms=(0,))  # hop 10 ms, rest, fist, point
MOVES = tuple(ClassLabel(id=i, name=n) for i, n in ((1, "fist"), (2, "point")))


def course(*runs, at=0):
    """Windows one hop apart, of runs (label, n_windows), from window number `at` on."""
    present = np.repeat([label for label, _ in runs], [n for _, n in runs]).astype(np.int16)
    newest = 199 + 20 * (at + np.arange(len(present)))
    steady = np.ones((len(present), 1), dtype=bool)
    real = TestWindows.build(counting_recording(3000), CONTRACT, [2])
    return replace(real, newest=newest, truth=present[:, None], steady=steady, present=present)


def joined(*parts):
    names = ("newest", "truth", "steady", "present")
    return replace(parts[0], **{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})


def values(windows, decided, contract=CONTRACT):
    output = np.asarray(decided, dtype=np.int16).reshape(len(windows.newest), -1)
    figures, _ = measure(windows, output, contract, subject=1, seed=0, method="fin")
    return {(f.measure, f.horizon_ms): f.value for f in figures}


def at_first(windows, decided, contract=CONTRACT):
    return {name: v for (name, ms), v in values(windows, decided, contract).items() if ms == 0}


# ----------------------------------------------------------------------------- accuracies
def real_case(breaks=(9000, 37_000)):
    """Labels of 0.2 to 2.5 s, of which the model knows some, in blocks of a repetition."""
    rng = np.random.default_rng(0)
    labels = np.repeat(rng.permutation(40) % 4, rng.integers(400, 5000, 40))
    repetitions = np.array([1, 2, 2, 1, 2])[np.arange(len(labels)) * 5 // len(labels)]
    recording = replace(
        counting_recording(len(labels), breaks),
        labels=labels.astype(np.int16),
        repetitions=repetitions.astype(np.int16),
    )
    contract = tiny_contract(horizons_ms=(0, 50, 300))
    windows = TestWindows.build(recording, contract, [2])
    lucky = rng.random(windows.truth.shape) < 0.7
    decided = np.where(lucky, windows.truth, rng.choice([0, 1, 2, NO_LABEL], windows.truth.shape))
    return recording, contract, windows, decided.astype(np.int16)


def test_accuracies_are_those_of_scoring_at_every_horizon():
    _, contract, windows, decided = real_case()
    found = values(windows, decided, contract)
    counts = tally(windows.truth, decided, windows.steady, windows.present, contract.class_ids)
    expected = summarise(counts, contract.horizons_ms)
    for h, ms in enumerate(contract.horizons_ms):
        assert found["accuracy", ms] == expected["accuracy_by_horizon"][str(ms)]
        assert found["accuracy_steady", ms] == expected["accuracy_steady_by_horizon"][str(ms)]
        assert found["balanced_accuracy", ms] == balanced_accuracy(counts.confusion[h])
    assert found["majority", 0] == expected["majority"]
    assert found["accuracy", 0] == accuracy(counts.confusion[0]) < 0.9


@pytest.mark.parametrize("breaks", [(), (9000, 9900, 37_000)])
def test_transitions_against_a_naive_loop_over_samples(breaks):
    recording, contract, windows, decided = real_case(breaks)
    changes = set()
    for start, stop in recording.stretches:
        # seen where there are windows before and after
        for i in range(start + contract.window, stop):
            tested = {int(recording.repetitions[j]) for j in (i - 1, i - contract.window)} == {2}
            if tested and recording.labels[i] != recording.labels[i - 1]:
                changes.add((start, i))
    near = []
    for newest in windows.newest:
        (mine,) = (start for start, stop in recording.stretches if start <= newest < stop)
        near.append(any(start == mine and -600 <= newest - c < 600 for start, c in changes))
    found = values(windows, decided, contract)
    for h, ms in enumerate(contract.horizons_ms):
        known = np.isin(windows.truth[:, h], contract.class_ids)
        right = (decided[:, h] == windows.truth[:, h])[known]
        close = np.array(near)[known]
        assert 0.2 < close.mean() < 0.8
        assert found["accuracy_transition", ms] == pytest.approx(right[close].mean(), abs=0.003)
        if ms == 0:
            share = close[~right].mean()
            assert found["transition_errors", 0] == pytest.approx(share, abs=0.003)


def test_transition_windows_lie_within_300_ms_of_the_change():
    windows = course((0, 100), (1, 100))
    for wrong_from, wrong_to, expected in (
        (100, 130, 0.5),  # all after the change
        (70, 100, 0.5),  # all before
        (130, 200, 1.0),  # later than 300 ms
        (0, 70, 1.0),
    ):
        decided = windows.present.copy()
        decided[wrong_from:wrong_to] = 2
        found = at_first(windows, decided)
        assert found["accuracy_transition"] == expected
        assert found["transition_errors"] == (1.0 if expected == 0.5 else 0.0)


def test_no_transition_and_no_error():
    windows = course((0, 50))
    found = at_first(windows, windows.present)
    assert found["accuracy"] == 1.0
    assert found["accuracy_transition"] is None
    assert found["transition_errors"] is None


def test_a_break_is_no_transition():
    windows = joined(course((0, 50)), course((1, 50), at=70))
    found = at_first(windows, windows.present)
    assert found["accuracy_transition"] is None
    assert found["onset_delay_ms"] is None
    assert found["onsets_missed"] is None


def test_neither_transition_nor_grace_reaches_across_a_break():
    windows = joined(course((1, 100), (0, 1)), course((0, 50), at=103))
    decided = windows.present.copy()
    decided[105:110] = 1  # wrong 30 ms after the break, far from any change of its own stretch
    found = at_first(windows, decided)
    assert found["accuracy_transition"] == 1.0
    assert found["transition_errors"] == 0.0
    assert found["false_activations_per_min"] == pytest.approx(60 / 0.5)


# --------------------------------------------------------------------------------- onsets
def test_onset_delay_to_the_first_of_five_equal_correct_decisions():
    windows = course((0, 100), (1, 100), (0, 100), (2, 100))
    decided = windows.present.copy()
    decided[100:112] = 0
    decided[103:107] = 1  # four in a row are not enough
    decided[300:320] = 1  # equal, and not correct
    found = at_first(windows, decided)
    # change midway between windows 99 and 100: 5 ms before the 100th
    assert found["onset_delay_ms"] == pytest.approx(np.median([125, 205]))
    assert found["onsets_missed"] == 0.0


def test_changes_between_movements_are_onsets_and_changes_to_rest_are_not():
    windows = course((1, 50), (2, 50), (0, 50))
    decided = windows.present.copy()
    decided[50:60] = 1
    decided[100:140] = 1
    assert at_first(windows, decided)["onset_delay_ms"] == pytest.approx(105)


def test_missed_onsets():
    windows = course((0, 50), (1, 50), (2, 50), (1, 3), (0, 50))
    decided = windows.present.copy()
    decided[50:96] = 0  # right at the end, but four times only
    found = at_first(windows, decided)
    assert found["onsets_missed"] == 0.5  # a label of 30 ms cannot be found and does not count
    assert found["onset_delay_ms"] == pytest.approx(5)
    decided[50:150] = 0
    found = at_first(windows, decided)
    assert found["onsets_missed"] == 1.0
    assert found["onset_delay_ms"] is None


def test_five_in_a_row_do_not_reach_across_a_break():
    windows = joined(course((0, 50), (1, 20)), course((1, 20), at=200))
    decided = windows.present.copy()
    decided[50:67] = 0
    found = at_first(windows, decided)
    assert found["onsets_missed"] == 1.0


# ---------------------------------------------------------------------- false activations
def test_false_activations_a_minute_of_rest():
    windows = course((0, 600), (1, 100), (0, 630))
    decided = windows.present.copy()
    decided[100:150] = 1  # one
    decided[200:205] = 1
    decided[205:210] = 2  # one: from movement to movement is none
    decided[300:305] = NO_LABEL
    decided[305:310] = 2  # one: rejected is no movement
    decided[700:720] = 1  # grace: the movement has ended less than 300 ms ago
    decided[725:735] = 1  # so too, though it goes on after the grace
    decided[730:733] = 0  # and back within it, just outside
    found = at_first(windows, decided)
    # 12 s of rest outside the grace; 3 events, and window 733
    assert found["false_activations_per_min"] == pytest.approx(4 * 60 / 12)


def test_a_movement_decided_on_in_time_is_no_false_activation():
    windows = course((0, 100), (1, 100), (0, 100))
    assert at_first(windows, windows.present)["false_activations_per_min"] == 0.0


def test_false_activations_of_a_model_without_rest_are_not_defined():
    contract = CONTRACT.model_copy(update={"classes": MOVES})
    windows = course((0, 100), (1, 100))
    found = at_first(windows, np.ones(200), contract)
    assert found["false_activations_per_min"] is None
    assert found["accuracy"] == 1.0  # scored on the movement alone
    assert found["onset_delay_ms"] == pytest.approx(5)


def test_the_first_window_after_a_break_is_no_activation():
    windows = joined(course((0, 50)), course((0, 50), at=90))
    decided = windows.present.copy()
    decided[50:60] = 1
    assert at_first(windows, decided)["false_activations_per_min"] == 0.0


def test_without_a_present_decision_there_is_no_delay():
    windows = course((0, 100), (1, 100))
    contract = tiny_contract(horizons_ms=(50,))
    found = values(windows, windows.present, contract)
    assert not {"onset_delay_ms", "false_activations_per_min"} & {name for name, _ in found}
    assert found["accuracy", 50] == 1.0


# ----------------------------------------------------------------------------- confidence
def probabilities(rng, windows, n_classes=3):
    raw = rng.random((*windows.truth.shape, n_classes)) ** 3
    return (raw / raw.sum(axis=-1, keepdims=True)).astype(np.float32)


def test_probabilities_decide_and_bring_a_detail():
    windows = course((0, 300), (1, 300), (2, 300))
    output = probabilities(np.random.default_rng(0), windows)
    output[7] = np.nan  # a window that holds damage
    figures, detail = measure(
        windows, output, CONTRACT, subject=3, seed=2, method="lda", condition="1 repetition"
    )
    assert {(f.subject, f.seed, f.method, f.condition) for f in figures} == {
        (3, 2, "lda", "1 repetition")
    }
    assert {f.measure for f in figures} <= set(MEASURES)
    found = {f.measure: f.value for f in figures}
    best = output[:, 0].argmax(axis=-1)
    best[7] = -1
    assert found["accuracy"] == pytest.approx(np.mean(best == windows.present))
    confusion = np.array(detail.confusion)
    assert confusion.shape == (3, 4)
    assert confusion[:, 3].tolist() == [1, 0, 0]
    assert confusion.sum() == 900
    assert detail.classes == ["rest", "fist", "point"]
    assert sum(n for *_, n in detail.calibration) == 899
    assert set(detail.thresholds) == {"rest", "fist", "point"}
    assert set(detail.thresholds["rest"]) == {"0.01", "0.05", "0.1", "0.2"}


def test_the_confusion_counts_steady_windows_alone():
    _, contract, windows, decided = real_case()
    _, detail = measure(windows, decided, contract, subject=1, seed=0, method="lda")
    known = np.isin(windows.truth[:, 0], contract.class_ids)
    assert np.sum(detail.confusion) == (windows.steady[:, 0] & known).sum() < known.sum()


def test_labels_bring_no_calibration():
    windows = course((0, 10))
    figures, detail = measure(
        windows, windows.truth, CONTRACT, subject=1, seed=0, method="persistence"
    )
    assert detail.calibration == []
    assert detail.thresholds == {}
    assert "calibration_error" not in {f.measure for f in figures}


def test_calibration_error_against_a_naive_loop():
    rng = np.random.default_rng(1)
    confidence = rng.random(1000).astype(np.float32)
    confidence[:2] = 1.0, 0.0
    right = rng.random(1000) < confidence**2
    bins = calibrate(confidence, right)
    expected = 0.0
    for k in range(10):
        inside = (confidence >= k / 10) & ((confidence < (k + 1) / 10) | (k == 9))
        assert bins[k][2] == inside.sum()
        expected += abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
    assert calibration_error(bins) == pytest.approx(expected, abs=1e-6)
    assert calibration_error(bins) > 0.1


def test_empty_bins():
    bins = calibrate(np.array([0.95, 0.97], np.float32), np.array([True, False]))
    assert bins[0] == (0.05, 0.0, 0)
    assert bins[9] == (pytest.approx(0.96), 0.5, 2)
    assert calibration_error(bins) == pytest.approx(0.46)
    assert calibration_error(calibrate(np.empty(0, np.float32), np.empty(0, bool))) is None


def test_thresholds_reject_the_share_they_are_named_for():
    rng = np.random.default_rng(0)
    decided = rng.choice([0, 1], 4000).astype(np.int16)
    confidence = rng.random(4000).astype(np.float32) * np.where(decided == 1, 0.5, 1.0)
    found = reject_thresholds(confidence.astype(np.float32), decided, CONTRACT)
    assert set(found) == {"rest", "fist"}  # point is never decided on
    for label, name in ((0, "rest"), (1, "fist")):
        for rate, threshold in found[name].items():
            below = np.mean(confidence[decided == label] < threshold)
            assert below == pytest.approx(float(rate), abs=0.002)


def test_nothing_to_score():
    nothing = course((0, 0))
    figures, detail = measure(
        nothing, np.empty((0, 1, 3), np.float32), CONTRACT, subject=1, seed=0, method="fin"
    )
    assert detail is None
    assert {f.value for f in figures} == {None}
    unknown = course((9, 20))
    assert at_first(unknown, np.zeros(20))["accuracy"] is None
