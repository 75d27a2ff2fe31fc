"""Chunks are cut at losses and keep their indices, with a counter and without."""

from __future__ import annotations

import numpy as np

from semgfin_rt.contracts import SignalSpec
from semgfin_rt.lsl import COUNTER_SPAN, StreamDescription
from semgfin_rt.sources.inlet import Pulled
from semgfin_rt.sources.sequence import Sequencer

SPEC = SignalSpec(("a",), 1000.0, "V")


def pulled(counts, times=None) -> Pulled:
    counts = np.asarray(counts, np.float64)
    samples = counts[:, None].astype(np.float32)
    return Pulled(samples, counts / 1000 if times is None else times, counts)


def take_all(sequence, limit=None):
    chunks = []
    while len(sequence):
        chunks.append(sequence.take(limit))
    return [(c.first, len(c.samples), c.lost) for c in chunks]


def counted() -> Sequencer:
    return Sequencer(StreamDescription(SPEC, counter=True))


def test_losses_are_counted_at_once_and_alone():
    sequence = counted()
    sequence.put(pulled([5, 6, 7, 9, 10, 20]))
    assert take_all(sequence) == [(0, 3, 0), (4, 2, 1), (15, 1, 9)]
    sequence.put(pulled([21, 22, 25]))
    assert take_all(sequence, 1) == [(16, 1, 0), (17, 1, 0), (20, 1, 2)]


def test_counter_that_wraps_stands_still_or_is_no_number_loses_nothing():
    sequence = counted()
    sequence.put(pulled([COUNTER_SPAN - 2, COUNTER_SPAN - 1, 0, 1, np.nan, 3, 3, 4, 100, 2, 3]))
    assert [lost for _, _, lost in take_all(sequence)] == [0, 95]


def test_break_is_counted_by_a_counter_that_goes_on():
    sequence = counted()
    sequence.put(pulled([0, 1, 2]))
    take_all(sequence)
    assert sequence.put_after_break(pulled([512, 513]), 0.5) == (509, True)
    assert take_all(sequence) == [(512, 2, 509)]
    # Nothing was lost, and the signal is cut all the same: other samples may have been filtered.
    assert sequence.put_after_break(pulled([514]), 0.5) == (0, True)
    assert take_all(sequence) == [(514, 1, 1)]


def test_break_is_estimated_where_the_counter_began_again_or_is_missing():
    sequence = counted()
    sequence.put(pulled([7000, 7001]))
    take_all(sequence)
    assert sequence.put_after_break(pulled([0, 1, 3]), 0.5) == (499, False)
    assert take_all(sequence) == [(501, 2, 499), (504, 1, 1)]
    sequence = Sequencer(StreamDescription(SPEC))
    sequence.put(Pulled(np.zeros((2, 1), np.float32), np.array([1.0, 1.001]), None))
    take_all(sequence)
    again = Pulled(np.zeros((2, 1), np.float32), np.array([1.501, 1.502]), None)
    assert sequence.put_after_break(again, 0.5) == (499, False)
    assert take_all(sequence) == [(501, 2, 499)]
