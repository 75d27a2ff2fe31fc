"""The figures against naive loops, and a running replay against offline counting."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from signals import counting_recording, tiny_contract

from semgfin_rt.contracts import NO_LABEL, Decision, Movement, State, TruthEvent
from semgfin_rt.dsp.windows import Windowing, window_table
from semgfin_rt.model_contract import ClassLabel
from semgfin_rt.scoring import (
    Course,
    Onset,
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


def test_a_jump_is_a_break_and_a_change_of_speed_is_nothing():
    """Seek at 2410 to a sample of the same label: no window that saw both sides is scored."""
    contract, recording = tiny_contract(), counting_recording(6000)
    decisions, _ = decide(contract, recording)
    events = truth_events(recording)
    told = [
        *(e for e in events if e.sample < 2410),
        TruthEvent(2410, 1, 2, contiguous=True, speed=0.0),  # paused there, then sought
        TruthEvent(2410, 1, 2, contiguous=False, speed=1.0),
        *(e for e in events if e.sample > 2410),
    ]
    seen = replay(contract, decisions, told, size=7).tally
    broken = replace(recording, breaks=(2410,))
    score = RunningScore(contract)
    score.update(decisions, truth_events(broken))
    assert_equal(seen, score.tally)
    hurried = [*events[:3], TruthEvent(1100, 2, 1, speed=4.0), *events[3:]]
    assert_equal(
        replay(contract, decisions, hurried, size=7).tally,
        replay(contract, decisions, events, size=7).tally,
    )


def test_decisions_without_any_truth_are_not_kept():
    contract, recording = tiny_contract(), counting_recording(20_000)
    decisions, _ = decide(contract, recording)
    score = RunningScore(contract)
    for decision in decisions:
        assert score.update([decision], []) is None
    assert len(score._pending) * contract.hop < 1.2 * contract.rate


def test_what_was_scored_is_handed_out():
    contract, recording = tiny_contract(), counting_recording(3000, (1210,))
    decisions, _ = decide(contract, recording)
    scored = RunningScore(contract).update(decisions, truth_events(recording))
    table = window_table(recording, Windowing(contract.window, contract.hop), contract.horizons)
    np.testing.assert_array_equal(scored.newest, table.newest)
    np.testing.assert_array_equal(scored.truth, table.labels)
    np.testing.assert_array_equal(scored.target, table.newest[:, None] + contract.horizons)
    assert scored.decided.tolist() == [[m.label for m in d.movements] for d in decisions]


# ---------------------------------------------------------------------------------- in time
# By hand, as figures of an evaluation: see train/test_measures.py.
def random_course(seed, hop=20):
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(0, 4, 300), rng.integers(1, 60, 300)).astype(np.int16)
    gaps = (rng.random(len(truth)) < 0.01) * rng.integers(3, 50, len(truth))
    newest = 199 + hop * (np.arange(len(truth)) + np.cumsum(gaps))
    noise = rng.integers(-1, 4, len(truth))
    decided = np.where(rng.random(len(truth)) < 0.8, np.roll(truth, 8), noise)
    return newest, truth, decided.astype(np.int16)


def naive_onsets(newest, truth, decided, hop=20, hop_ms=10):
    found, n = [], len(truth)
    for i in range(1, n):
        if newest[i] - newest[i - 1] != hop or truth[i] == truth[i - 1] or truth[i] not in (1, 2):
            continue
        stop = i
        while stop < n and truth[stop] == truth[i] and newest[stop] - newest[i] == hop * (stop - i):
            stop += 1
        rights = [all(decided[k : k + 5] == truth[i]) for k in range(i, stop - 4)]
        if rights:
            delay = (rights.index(True) + 0.5) * hop_ms if any(rights) else None
            found.append(Onset(newest[i], delay))
    return found


def naive_false_activations(newest, truth, decided, hop=20, hop_ms=10):
    """Count with a clock that each window reads anew."""
    events = windows = 0
    for i in range(len(truth)):
        if truth[i] != 0:
            continue
        k = i
        while k > 0 and newest[k] - newest[k - 1] == hop and truth[k - 1] == 0:
            k -= 1
        ended = k > 0 and newest[k] - newest[k - 1] == hop  # by a movement, or by a break
        if ended and (i - k + 0.5) * hop_ms <= 300:
            continue
        windows += 1
        before = i > 0 and newest[i] - newest[i - 1] == hop and decided[i - 1] in (0, NO_LABEL)
        events += before and decided[i] not in (0, NO_LABEL)
    return events / (windows * hop_ms / 60_000)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [1, 13, 10_000])
def test_a_course_in_pieces_against_naive_loops(seed, size):
    rows = random_course(seed)
    course, onsets = Course(tiny_contract()), []
    for start in range(0, len(rows[0]), size):
        onsets += course.push(*(row[start : start + size] for row in rows))
    onsets += course.end()
    assert onsets == naive_onsets(*rows)
    assert len({o.delay_ms for o in onsets}) > 5
    assert None in {o.delay_ms for o in onsets}
    assert course.false_activations == pytest.approx(naive_false_activations(*rows))
    assert course.false_activations > 0


def test_a_course_of_nothing():
    course = Course(tiny_contract())
    nothing = np.empty(0, np.int64)
    assert course.push(nothing, nothing.astype(np.int16), nothing.astype(np.int16)) == []
    assert course.end() == []
    assert course.false_activations is None


def test_truth_at():
    score = RunningScore(tiny_contract())
    score.update([], [TruthEvent(100, 1, 1), TruthEvent(200, 2, 1)])
    assert [score.truth_at(s) for s in (99, 100, 199, 200)] == [NO_LABEL, 1, 1, 2]
    score.update([], [TruthEvent(300, NO_LABEL, NO_LABEL, end=True)])
    assert [score.truth_at(s) for s in (299, 300)] == [2, NO_LABEL]


def test_truth_before_any_marker_is_not_known():
    assert RunningScore(tiny_contract()).truth_at(5) == NO_LABEL
