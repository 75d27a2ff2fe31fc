"""The newest samples are the tail of all that came, whatever the blocks were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semgfin_rt.dsp.ring import RingBuffer

blocks = st.lists(st.integers(0, 40), max_size=12)


def counting(n):
    return np.column_stack([np.arange(n), -np.arange(n)]).astype(np.float32)


@settings(max_examples=200, deadline=None)
@given(capacity=st.integers(1, 17), sizes=blocks, before=blocks)
def test_newest_is_the_tail_of_everything(capacity, sizes, before):
    ring = RingBuffer(capacity, 2)
    for size in before:  # a stream that ended in a gap
        ring.extend(np.full((size, 2), 7, dtype=np.float32))
    ring.clear()
    everything = counting(sum(sizes))
    at = 0
    for size in sizes:
        ring.extend(everything[at : at + size])
        at += size
        assert ring.written == at
        for n in range(min(at, capacity) + 1):
            np.testing.assert_array_equal(ring.newest(n), everything[at - n : at])


def test_newest_is_a_view_in_one_piece():
    ring = RingBuffer(5, 2)
    for sample in counting(13):
        ring.extend(sample[None])
        window = ring.newest(min(5, ring.written))
        assert window.flags.c_contiguous
        assert np.shares_memory(window, ring._rows)


def test_more_than_there_is():
    ring = RingBuffer(5, 2)
    ring.extend(counting(3))
    with pytest.raises(IndexError, match="4 samples asked for, 3 written"):
        ring.newest(4)
    ring.extend(counting(9))
    with pytest.raises(IndexError, match="6 samples asked for"):
        ring.newest(6)
    ring.clear()
    with pytest.raises(IndexError):
        ring.newest(1)
