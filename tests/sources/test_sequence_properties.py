"""Whatever is lost, in whatever pieces it comes: every sample keeps its number."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from semgfin_rt.contracts import SignalSpec
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.engine.ledger import Ledger
from semgfin_rt.lsl import COUNTER_SPAN, StreamDescription
from semgfin_rt.sources.inlet import Pulled
from semgfin_rt.sources.sequence import Sequencer

RATE = 2000.0
SAID = StreamDescription(SignalSpec(("a",), RATE, "V"), counter=True)
WINDOWING = Windowing(60, 7)


def pulled(index, begin):
    """Samples whose value is their number, as a stream with a counter delivers them."""
    counts = ((begin + index) % COUNTER_SPAN).astype(np.float64)
    return Pulled(index[:, None].astype(np.float32), index / RATE, counts)


@settings(max_examples=150, deadline=None)
@given(
    pulls=st.lists(
        st.tuples(st.integers(0, 90), st.sampled_from([0, 0, 0, 1, 5, 3000]), st.booleans()),
        min_size=1,
        max_size=25,
    ),
    begin=st.sampled_from([0, 12_345, COUNTER_SPAN - 40]),
    limit=st.none() | st.integers(1, 50),
)
def test_counted_samples_keep_their_numbers(pulls, begin, limit):
    sequence, ledger = Sequencer(SAID), Ledger(WINDOWING)
    at = came = lost = windows = stretch = 0
    for n, missing, reconnected in pulls:
        after_gap = came and n and (missing or reconnected)
        at += missing if came and n else 0
        lost += missing if came and n else 0
        if after_gap:
            windows, stretch = windows + WINDOWING.count(stretch), 0
        part = pulled(at + np.arange(n), begin)
        if reconnected and came and n:
            told, exact = sequence.put_after_break(part, missing / RATE)
            assert exact
            assert told == missing
        else:
            sequence.put(part)
        at, came, stretch = at + n, came + n, stretch + n
        while len(sequence):
            chunk = sequence.take(limit)
            assert chunk.samples[:, 0].tolist() == list(
                range(chunk.first, chunk.first + len(chunk.samples))
            )
            ledger.take(chunk)
    health = ledger.health(0)
    assert (health.received, health.lost) == (came, lost)
    assert health.expected == windows + WINDOWING.count(stretch)
