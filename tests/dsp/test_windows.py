"""One index arithmetic, offline and streaming, and labels against a naive loop."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from signals import counting_recording

from semgfin_rt.contracts import NO_LABEL
from semgfin_rt.dsp.windows import Windowing, window_table

lengths = st.builds(
    lambda window, hop: Windowing(window, min(window, hop)), st.integers(1, 30), st.integers(1, 30)
)
HORIZONS = (0, 30, 90)


@settings(max_examples=200, deadline=None)
@given(windowing=lengths, n=st.integers(0, 200))
@example(windowing=Windowing(600, 20), n=599)
@example(windowing=Windowing(600, 20), n=600)
def test_count_is_the_expected_decisions(windowing, n):
    starts = range(0, n - windowing.window + 1, windowing.hop)
    assert windowing.count(n) == len(starts)


@settings(max_examples=200, deadline=None)
@given(windowing=lengths, n=st.integers(0, 200))
def test_samples_to_next_completes_just_one_more(windowing, n):
    more = windowing.samples_to_next(n)
    assert more >= 1
    assert windowing.count(n + more) == windowing.count(n) + 1
    assert windowing.count(n + more - 1) == windowing.count(n)


@settings(max_examples=100, deadline=None)
@given(windowing=lengths, n=st.integers(0, 100))
def test_view_equals_copies(windowing, n):
    stretch = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    view = windowing.view(stretch)
    assert view.shape == (windowing.count(n), windowing.window, 2)
    for i, window in enumerate(view):
        start = i * windowing.hop
        np.testing.assert_array_equal(window, stretch[start : start + windowing.window])


def test_view_copies_nothing():
    stretch = np.zeros((5000, 2), dtype=np.float32)
    view = Windowing(600, 20).view(stretch)
    assert np.shares_memory(view, stretch)
    assert not view.flags.writeable


def naive_rows(recording, windowing, horizons):
    """Windows of a recording, by a loop over every sample."""
    samples = range(len(recording.samples))
    rows = []
    for start, stop in recording.stretches:
        for first in range(start, stop - windowing.window + 1, windowing.hop):
            newest = first + windowing.window - 1
            labels, steady, repetitions = [], [], []
            for ahead in horizons:
                target = newest + ahead
                inside = target in samples and target < stop
                labels.append(int(recording.labels[target]) if inside else NO_LABEL)
                repetitions.append(int(recording.repetitions[target]) if inside else NO_LABEL)
                span = slice(first, target + 1)
                kinds = set(zip(recording.labels[span], recording.repetitions[span], strict=True))
                steady.append(inside and len(kinds) == 1)
            rows.append((newest, labels, steady, repetitions, int(recording.repetitions[first])))
    return rows


@pytest.mark.parametrize("breaks", [(), (730,), (100, 150, 1600)])
@pytest.mark.parametrize("windowing", [Windowing(200, 20), Windowing(60, 60), Windowing(33, 7)])
def test_labels_at_horizons_against_a_naive_loop(breaks, windowing):
    recording = counting_recording(2200, breaks)
    table = window_table(recording, windowing, HORIZONS)
    found = [
        (int(n), lab.tolist(), st.tolist(), rep.tolist(), int(first))
        for n, lab, st, rep, first in zip(
            table.newest,
            table.labels,
            table.steady,
            table.repetitions,
            table.first_repetitions,
            strict=True,
        )
    ]
    assert found == naive_rows(recording, windowing, HORIZONS)
    assert table.labels.dtype == table.repetitions.dtype == np.int16


def test_no_window_and_no_target_reaches_across_a_break():
    recording = counting_recording(1000, breaks=(430,))
    table = window_table(recording, Windowing(100, 10), (0, 50))
    crosses = (table.newest >= 430) & (table.newest - 99 < 430)
    assert len(table)
    assert not crosses.any()
    late = (table.newest < 430) & (table.newest + 50 >= 430)
    assert late.any()
    assert (table.labels[late, 1] == NO_LABEL).all()
    assert not table.steady[late, 1].any()


def test_a_new_repetition_of_the_same_label_is_not_steady():
    recording = counting_recording(400)  # all rest
    repetitions = recording.repetitions
    repetitions[200:] = 2
    table = window_table(recording, Windowing(100, 10), (0,))
    across = (table.newest >= 200) & (table.newest - 99 < 200)
    assert across.any()
    np.testing.assert_array_equal(table.steady[:, 0], ~across)


def test_a_stretch_shorter_than_a_window_has_none():
    table = window_table(counting_recording(50), Windowing(100, 10), (0, 50))
    assert len(table) == 0
    assert table.labels.shape == table.steady.shape == table.repetitions.shape == (0, 2)


def test_select_keeps_rows_together():
    table = window_table(counting_recording(900), Windowing(100, 10), HORIZONS)
    mask = np.arange(len(table)) % 3 == 1
    chosen = table.select(mask)
    for name in ("newest", "labels", "steady", "repetitions", "first_repetitions"):
        np.testing.assert_array_equal(getattr(chosen, name), getattr(table, name)[mask])


def test_neither_lengths_nor_tables_can_be_changed():
    windowing = Windowing(100, 10)
    table = window_table(counting_recording(200), windowing, (0,))
    for data, name in ((windowing, "hop"), (table, "newest")):
        with pytest.raises(FrozenInstanceError):
            setattr(data, name, 1)


def test_tables_are_told_apart_by_identity():
    # compared by value, arrays would answer with arrays
    table = window_table(counting_recording(200), Windowing(100, 10), (0,))
    assert table == table  # noqa: PLR0124
    assert table != table.select(np.ones(len(table), bool))
