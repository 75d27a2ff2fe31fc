"""The timetable against a naive loop, and what it must not have seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from signals import counting_recording, tiny_contract

from semgfin_rt.contracts import NO_LABEL
from semgfin_rt.train.schedule import Schedule, persistence

CONTRACT = tiny_contract(horizons_ms=(0, 100, 300))  # hops of 20 samples at 2 kHz


def labelled(*runs, repetitions=None, breaks=()):
    """Build a recording of runs (label, n_hops)."""
    labels = np.repeat([label for label, _ in runs], [20 * n for _, n in runs]).astype(np.int16)
    base = counting_recording(len(labels), breaks)
    reps = np.ones_like(labels) if repetitions is None else repetitions.astype(np.int16)
    return replace(base, labels=labels, repetitions=reps)


FIRST = 9  # whole hops in the first window, of 200 samples


def newest_of(recording):
    return np.arange(20 * FIRST, len(recording.labels), 20)


def test_persistence_repeats():
    assert persistence(np.array([1, 2], np.int16), 3).tolist() == [[1, 1, 1], [2, 2, 2]]


def test_a_fixed_timetable_is_learnt():
    recording = labelled(*[(label, 40) for label in (0, 1, 2) * 4])
    schedule = Schedule.fit([recording], [1], CONTRACT)
    newest = newest_of(recording)
    present = recording.labels[newest]
    found = schedule.forecast(present, newest)
    for h, ahead in enumerate(CONTRACT.horizons):
        inside = newest + ahead < len(recording.labels)
        assert (found[inside, h] == recording.labels[newest[inside] + ahead]).all()


def test_the_most_frequent_label_counts_by_elapsed_time():
    # after 30 hops of fist comes point twice and rest once
    recording = labelled((1, 30), (2, 50), (1, 30), (2, 50), (1, 30), (0, 50))
    schedule = Schedule.fit([recording], [1], CONTRACT)
    fist = np.full(60, 1, np.int16)
    found = np.concatenate([np.ones((FIRST, 3)), schedule.forecast(fist, 20 * np.arange(60))])
    assert found[:20, 1].tolist() == [1] * 20  # 100 ms are 10 hops
    assert found[20:30, 1].tolist() == [2] * 10
    assert found[30:, 1].tolist() == [1] * 39  # never seen to last so long: the present label
    assert found[:, 0].tolist() == [1] * 69


@pytest.mark.parametrize("breaks", [(), (1210, 1300, 2875)])
def test_against_a_naive_loop(breaks):
    rng = np.random.default_rng(3)
    runs = [(int(rng.integers(0, 3)), int(rng.integers(3, 30))) for _ in range(60)]
    n = 20 * sum(length for _, length in runs)
    recording = labelled(*runs, repetitions=1 + np.arange(n) // 3000, breaks=breaks)
    allowed = {1, 3, 4}
    votes = {}
    for start, stop in recording.stretches:
        since = 0
        for i in range(start, stop):
            same = i > start and (recording.labels[i], recording.repetitions[i]) == (
                recording.labels[i - 1],
                recording.repetitions[i - 1],
            )
            since = since + 1 if same else 0
            if since % 20 or recording.repetitions[i] not in allowed:
                continue
            for h, ahead in enumerate(CONTRACT.horizons):
                if i + ahead < stop and recording.repetitions[i + ahead] in allowed:
                    key = (int(recording.labels[i]), since // 20, h)
                    votes.setdefault(key, Counter())[int(recording.labels[i + ahead])] += 1
    table = Schedule.fit([recording], sorted(allowed), CONTRACT).table
    assert len(votes) > 100
    for (label, since, h), counter in votes.items():
        assert counter[int(table[label, since, h])] == max(counter.values())
    assert (table != NO_LABEL).sum() == len(votes)


def test_test_repetitions_are_not_looked_at():
    half = np.repeat([1, 2], 1000)
    one = labelled((1, 25), (0, 25), (1, 25), (2, 25), repetitions=half)
    other = labelled((1, 25), (0, 25), (2, 25), (0, 25), repetitions=half)
    tables = [Schedule.fit([r], [1], CONTRACT).table for r in (one, other)]
    np.testing.assert_array_equal(*tables)
    assert 2 not in tables[0]


def test_elapsed_time_begins_anew_after_a_break():
    recording = labelled((1, 30), (2, 30))
    schedule = Schedule.fit([recording], [1], CONTRACT)
    fist = np.full(40, 1, np.int16)
    newest = 20 * np.arange(40)
    newest[25:] += 20
    found = schedule.forecast(fist, newest)[:, 1].tolist()
    assert found == [1] * 11 + [2] * 10 + [1] * 4 + [1] * 11 + [2] * 4


def test_unknown_labels_and_rejected_decisions_persist():
    schedule = Schedule.fit([labelled((1, 30), (2, 30))], [1], CONTRACT)
    odd = np.array([NO_LABEL, 7], np.int16)
    assert schedule.forecast(odd, np.array([0, 20])).tolist() == [[NO_LABEL] * 3, [7] * 3]
    assert schedule.forecast(odd[:0], np.empty(0, np.int64)).shape == (0, 3)


def test_nothing_to_learn_from_is_persistence():
    schedule = Schedule.fit([labelled((1, 30))], [9], CONTRACT)
    assert schedule.forecast(np.array([1], np.int16), np.array([0])).tolist() == [[1, 1, 1]]
