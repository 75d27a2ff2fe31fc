"""Shared memory: what is handed out is what was written, what came too late is counted."""

from __future__ import annotations

import multiprocessing as mp
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import tiny_contract

from semgfin_rt.contracts import NO_LABEL, Chunk, Decision, Movement, State
from semgfin_rt.engine.board import KEEP_S, Board, SharedRing

CONTRACT = tiny_contract()
N_ROWS, N_COLUMNS = 60_000, 2000


@settings(max_examples=200, deadline=None)
@given(
    capacity=st.integers(1, 17),
    turns=st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=12),
)
def test_every_row_is_read_once_or_counted(capacity, turns):
    ring = SharedRing(capacity, 2, np.float32)
    written = handed = 0
    for size, look in turns:
        index = np.arange(written, written + size)
        ring.write(np.column_stack([index, -index]).astype(np.float32))
        written += size
        assert ring.written == written
        if look:
            unread = written - ring.read
            first, rows = ring.take(written)
            expected = np.arange(written - min(unread, capacity), written)
            assert first == written - len(expected)
            np.testing.assert_array_equal(rows, np.column_stack([expected, -expected]))
            handed += len(rows)
            assert handed + ring.overrun == ring.read == written


def test_rows_that_came_later_wait():
    ring = SharedRing(8, 1, np.float64)
    ring.write(np.arange(5.0)[:, None])
    assert ring.take(3)[1].ravel().tolist() == [0, 1, 2]
    ring.write(np.arange(5.0, 12.0)[:, None])
    first, rows = ring.take(5)  # 3 was overwritten by 11
    assert (first, rows.ravel().tolist(), ring.overrun) == (4, [4], 1)


def hammer(ring: SharedRing) -> None:
    """Write rows that are their own index all over, without a pause."""
    at = 0
    while at < N_ROWS:
        n = 1 + at % 7
        ring.write(np.repeat(np.arange(at, at + n, dtype=np.float32)[:, None], N_COLUMNS, axis=1))
        at += n


def test_no_row_is_torn_while_another_process_hammers():
    ring = SharedRing(16, N_COLUMNS, np.float32)
    writer = mp.get_context("spawn").Process(target=hammer, args=(ring,))
    writer.start()
    handed = 0
    while ring.written < N_ROWS:
        first, rows = ring.take(ring.written)
        index = np.arange(first, first + len(rows), dtype=np.float32)
        assert (rows == index[:, None]).all()
        handed += len(rows)
    writer.join()
    assert writer.exitcode == 0
    assert handed + ring.overrun == ring.read
    assert handed > 0
    assert ring.overrun > 0


# ------------------------------------------------------------------------------- the board
def chunk(first: int, n: int, lost: int = 0) -> Chunk:
    samples = np.arange(first, first + n, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    return Chunk(samples, first, np.zeros(n), lost)


def decision(sample: int, n_features: int = 2, horizons_ms=(0, 50)) -> Decision:
    rng = np.random.default_rng(sample)
    movements = tuple(
        Movement(ms, label, rng.random(), rng.random(3, np.float32), state)
        for ms, label, state in zip(
            horizons_ms, (2, NO_LABEL), (State.HOLD, State.REJECT), strict=False
        )
    )
    shape = (len(movements), n_features, 3)
    return Decision(sample, rng.random(), movements, rng.random(shape, np.float32), rng.random())


def same(a: Decision, b: Decision) -> None:
    assert (a.sample, a.time) == (b.sample, b.time)
    assert a.age_ms == pytest.approx(b.age_ms, abs=0, nan_ok=True)
    for m, n in zip(a.movements, b.movements, strict=True):
        assert (m.horizon_ms, m.label, m.confidence, m.state) == (
            n.horizon_ms,
            n.label,
            n.confidence,
            n.state,
        )
        assert m.probabilities.dtype == np.float32
        np.testing.assert_array_equal(m.probabilities, n.probabilities)
    assert a.features.dtype == np.float32
    np.testing.assert_array_equal(a.features, b.features)


def test_decisions_are_handed_on_to_the_bit():
    board = Board(CONTRACT)
    # another checkpoint may take over, with other features
    put = [decision(199), decision(219), decision(239, n_features=5)]
    put[1] = replace(put[1], age_ms=float("nan"))
    board.put(chunk(0, 240), put[:2])
    board.put(chunk(240, 0), put[2:])
    for a, b in zip(put, board.take_decisions(3), strict=True):
        same(a, b)
    assert board.take_decisions(3) == ()


def test_chosen_horizons():
    board = Board(CONTRACT, (50,))
    board.put(chunk(0, 200), [decision(199, horizons_ms=(50,))])
    (found,) = board.take_decisions(1)
    same(found, decision(199, horizons_ms=(50,)))


def test_lost_samples_are_nan():
    board = Board(CONTRACT)
    board.put(chunk(0, 10), ())
    board.put(chunk(13, 5, lost=3), ())
    first, signal = board.signal.take(18)
    expected = np.r_[np.arange(10.0), [np.nan] * 3, np.arange(13.0, 18.0)]
    assert (first, signal.dtype) == (0, np.float32)
    np.testing.assert_array_equal(signal, np.column_stack([expected] * 3))


def test_a_day_that_is_missing_costs_no_memory():
    board = Board(CONTRACT)
    day = 24 * 3600 * 2000
    board.put(chunk(0, 10), ())
    board.put(chunk(day, 10, lost=day - 10), ())
    first, signal = board.signal.take(board.signal.written)
    assert len(signal) == KEEP_S * CONTRACT.rate
    assert first + len(signal) == day + 10
    assert np.isnan(signal[:-10]).all()
    np.testing.assert_array_equal(signal[-10:], chunk(day, 10).samples)
