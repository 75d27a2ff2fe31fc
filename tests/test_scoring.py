"""The figures against naive loops, and a running replay against offline counting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from signals import counting_recording, tiny_contract

from semgfin_rt.contracts import NO_LABEL, Decision, Movement, State, TruthEvent
from semgfin_rt.dsp.windows import Windowing, window_table
from semgfin_rt.model_contract import ClassLabel
from semgfin_rt.scoring import (
    RunningScore,
    accuracy,
    balanced_accuracy,
    empty_tally,
    majority,
    summarise,
    tally,
)
from semgfin_rt.sources.recording import truth_events

N_CLASSES = 3
BREAKS = (1210, 1300, 2875)


def random_case(seed=0, n=400, ids=(0, 1, 2)):
    rng = np.random.default_rng(seed)
    truth = rng.choice([*ids, NO_LABEL, 9], size=(n, 2)).astype(np.int16)
    decided = np.where(rng.random((n, 2)) < 0.5, truth, rng.choice([*ids, NO_LABEL], size=(n, 2)))
    return truth, decided.astype(np.int16), rng.random((n, 2)) < 0.6, truth[:, 0].copy()


def naive_tally(truth, decided, steady, present, ids):
    n, n_horizons = truth.shape
    result = empty_tally(n_horizons, len(ids))
    for i, h in itertools.product(range(n), range(n_horizons)):
        if truth[i, h] not in ids:
            continue
        row = ids.index(truth[i, h])
        column = ids.index(decided[i, h]) if decided[i, h] in ids else len(ids)
        result.confusion[h, row, column] += 1
        if steady[i, h]:
            result.confusion_steady[h, row, column] += 1
        result.persistence[h] += decided[i, 0] == truth[i, h]
        result.truth_persistence[h] += present[i] == truth[i, h]
    return result


def assert_equal(one, other):
    for name in ("confusion", "confusion_steady", "persistence", "truth_persistence"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("ids", [(0, 1, 2), (1, 2), (7, 2, 0)])
def test_tally_against_a_naive_loop(ids):
    case = random_case(ids=ids)
    assert_equal(tally(*case, ids), naive_tally(*case, list(ids)))


def test_tallies_of_parts_add_up():
    case = random_case()
    parts = [tally(*(a[part] for a in case), (0, 1, 2)) for part in (slice(150), slice(150, None))]
    assert_equal(parts[0] + parts[1], tally(*case, (0, 1, 2)))
    nothing = tally(*(a[:0] for a in case), (0, 1, 2))
    assert nothing.scored == 0
    assert_equal(parts[0] + nothing, parts[0])


def test_figures_of_a_matrix():
    confusion = np.array([[6, 2, 0], [1, 0, 1]])  # two classes and the rejected
    assert accuracy(confusion) == 0.6
    assert balanced_accuracy(confusion) == pytest.approx((6 / 8 + 0) / 2)
    assert majority(confusion) == 0.8
    empty = np.zeros((2, 3), dtype=np.int64)
    assert accuracy(empty) is balanced_accuracy(empty) is majority(empty) is None


def test_balanced_accuracy_is_over_the_classes_that_occur():
    assert balanced_accuracy(np.array([[4, 0, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0]])) == 0.75


def test_a_rejected_decision_is_a_wrong_one():
    truth = np.array([[1], [1]], dtype=np.int16)
    decided = np.array([[1], [NO_LABEL]], dtype=np.int16)
    counts = tally(truth, decided, np.ones((2, 1), bool), truth[:, 0], (0, 1))
    assert accuracy(counts.confusion[0]) == 0.5
    assert counts.confusion[0, 1].tolist() == [0, 1, 1]


def test_rest_is_not_scored_for_a_model_without_rest():
    truth = np.array([[0], [0], [1], [2]], dtype=np.int16)
    decided = np.array([[1], [NO_LABEL], [1], [1]], dtype=np.int16)
    counts = tally(truth, decided, np.ones((4, 1), bool), truth[:, 0], (1, 2))
    assert counts.scored == 2
    assert accuracy(counts.confusion[0]) == 0.5


def test_persistence_repeats_the_present():
    truth = np.array([[1, 1], [1, 2], [2, 2], [2, NO_LABEL]], dtype=np.int16)
    decided = np.array([[1, 2], [2, 2], [2, 2], [2, 2]], dtype=np.int16)
    steady = np.zeros((4, 2), bool)
    figures = summarise(tally(truth, decided, steady, truth[:, 0], (1, 2)), (0, 50))
    assert figures["accuracy_by_horizon"] == {"0": 0.75, "50": pytest.approx(2 / 3)}
    # decided now 1, 2, 2 against the truth in 50 ms 1, 2, 2; the present truth is 1, 1, 2
    assert figures["persistence_by_horizon"] == {"0": 0.75, "50": 1.0}
    assert figures["truth_persistence_by_horizon"] == {"0": 1.0, "50": pytest.approx(2 / 3)}
    assert figures["accuracy_steady"] is None
    assert figures["scored"] == 4


# ------------------------------------------------------------------------ a running replay
def decide(contract, recording, seed=2):
    """A decision for every window of `recording`, as a pipeline gives them, by hand."""
    rng = np.random.default_rng(seed)
    table = window_table(recording, Windowing(contract.window, contract.hop), contract.horizons)
    decided = np.where(
        rng.random(table.labels.shape) < 0.6,
        table.labels,
        rng.choice([*contract.class_ids, NO_LABEL], size=table.labels.shape),
    ).astype(np.int16)
    decisions = [
        Decision(
            int(newest),
            newest / contract.rate,
            tuple(
                Movement(ms, int(label), 0.5, np.zeros(N_CLASSES, np.float32), State.VALID)
                for ms, label in zip(contract.horizons_ms, row, strict=True)
            ),
            np.zeros((2, 2, 3), dtype=np.float32),
        )
        for newest, row in zip(table.newest, decided, strict=True)
    ]
    present = recording.labels[table.newest]
    return decisions, tally(table.labels, decided, table.steady, present, contract.class_ids)


def replay(contract, decisions, events, *, size, late=0):
    """Feed decisions in pieces, and each event once its sample is `late` samples old."""
    score = RunningScore(contract)
    waiting = list(events)
    for start in range(0, len(decisions), size):
        piece = decisions[start : start + size]
        now = piece[-1].sample - late
        due = [e for e in waiting if e.sample <= now and not e.end]
        waiting = waiting[len(due) :]
        score.update(piece, due)
    score.update([], waiting)
    return score


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("breaks", [(), BREAKS])
def test_a_replay_in_pieces_equals_the_offline_tally(size, breaks):
    contract, recording = tiny_contract(), counting_recording(9000, breaks)
    decisions, offline = decide(contract, recording)
    score = replay(contract, decisions, truth_events(recording), size=size)
    assert offline.scored > 300
    assert_equal(score.tally, offline)
    assert score.summary() == summarise(offline, contract.horizons_ms)


@pytest.mark.parametrize("late", [400, 1900])
def test_late_markers_change_nothing(late):
    contract, recording = tiny_contract(), counting_recording(9000, BREAKS)
    decisions, offline = decide(contract, recording)
    score = replay(contract, decisions, truth_events(recording), size=3, late=late)
    assert_equal(score.tally, offline)


def test_a_replay_without_rest_class_equals_the_offline_tally():
    recording = counting_recording(9000, BREAKS)
    contract = tiny_contract().model_copy(
        update={"classes": (ClassLabel(id=1, name="fist"), ClassLabel(id=2, name="point"))}
    )
    decisions, offline = decide(contract, recording)
    score = replay(contract, decisions, truth_events(recording), size=7)
    assert_equal(score.tally, offline)
    moving = np.isin(recording.labels[[d.sample for d in decisions]], (1, 2))
    assert score.tally.scored == moving.sum()


def test_scoring_goes_on_before_the_end_and_forgets_old_truth():
    contract, recording = tiny_contract(), counting_recording(40_000)
    decisions, _ = decide(contract, recording)
    score = RunningScore(contract)
    events = truth_events(recording)[:-1]
    kept = 0
    for start in range(0, len(decisions), 50):
        piece = decisions[start : start + 50]
        due = [e for e in events if e.sample <= piece[-1].sample]
        events = events[len(due) :]
        score.update(piece, due)
        kept = max(kept, len(score._events))
    assert score.tally.scored > 0.9 * len(decisions)
    assert kept < 10  # of 80


def test_the_end_leaves_targets_behind_it_unscored():
    contract, recording = tiny_contract(), counting_recording(3000)
    decisions, _ = decide(contract, recording)
    score = replay(contract, decisions, truth_events(recording), size=9)
    scored = score.tally.confusion.sum(axis=(1, 2))
    assert scored.tolist() == [len(decisions), len(decisions) - 5]  # 50 ms are 5 hops


def test_truth_at():
    score = RunningScore(tiny_contract())
    score.update([], [TruthEvent(100, 1, 1), TruthEvent(200, 2, 1)])
    assert [score.truth_at(s) for s in (99, 100, 199, 200)] == [NO_LABEL, 1, 1, 2]
    score.update([], [TruthEvent(300, NO_LABEL, NO_LABEL, end=True)])
    assert [score.truth_at(s) for s in (299, 300)] == [2, NO_LABEL]


def test_truth_before_any_marker_is_not_known():
    assert RunningScore(tiny_contract()).truth_at(5) == NO_LABEL
