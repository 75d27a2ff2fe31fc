"""Samples that were pulled become chunks: each sample gets its index, each loss cuts."""

from __future__ import annotations

import numpy as np

from semgfin_rt.contracts import Chunk, FloatArray, TimeArray
from semgfin_rt.lsl import StreamDescription
from semgfin_rt.sources.gaps import CounterGaps, GapFinder
from semgfin_rt.sources.inlet import Pulled


class Sequencer:
    """Keeps what was pulled until it is taken, and counts.

    Parameters
    ----------
    said : StreamDescription
        With a counter the losses are counted by it, otherwise judged by the timestamps.
    """

    def __init__(self, said: StreamDescription) -> None:
        self._pace = said.spec.rate * said.speed  # samples a second of the clock
        self.gaps: CounterGaps | GapFinder = (
            CounterGaps() if said.counter else GapFinder(self._pace)
        )
        self._samples: FloatArray = np.empty((0, len(said.spec.channels)), np.float32)
        self._times: TimeArray = np.empty(0)
        self._lost = np.empty(0, np.int64)  # of each sample: how many are missing before it
        self._cut = False
        self._next = 0

    def __len__(self) -> int:
        """How many samples wait to be taken."""
        return len(self._times)

    def put(self, pulled: Pulled) -> None:
        """Add samples, once all before them are taken."""
        marks = pulled.times if pulled.counts is None else pulled.counts
        found = map(self.gaps.lost_before, marks.tolist())
        self._lost = np.fromiter(found, np.int64, len(marks))
        self._samples, self._times = pulled.samples, pulled.times

    def put_after_break(self, pulled: Pulled, silent_s: float) -> tuple[int, bool]:
        """Add the first samples of a new connection: nothing reaches across to those before.

        Parameters
        ----------
        pulled : Pulled
            At least one sample.
        silent_s : float
            From the last sample before to the first of these.

        Returns
        -------
        lost : int
        exact : bool
            Counted by the counter; otherwise estimated by the clock.
        """
        estimate = max(1, round(silent_s * self._pace) - 1)
        gaps = self.gaps
        exact = (
            isinstance(gaps, CounterGaps)
            and pulled.counts is not None
            # Twice the estimate and a second more: what stood in buffers, and a clock that is off.
            and gaps.goes_on(pulled.counts[0], 2 * estimate + round(self._pace))
        )
        if not exact:  # a counter that began again, or none
            self.gaps = CounterGaps() if isinstance(gaps, CounterGaps) else GapFinder(self._pace)
        self.put(pulled)
        if not exact:
            self._lost[0] = estimate
        self._cut = True
        return int(self._lost[0]), exact

    def take(self, limit: int | None) -> Chunk:
        """Return the samples up to the next loss, at most `limit`; maybe none."""
        lost = self._lost[:limit]
        later = np.flatnonzero(lost[1:])
        stop = int(later[0]) + 1 if len(later) else len(lost)
        missing = int(lost[0]) if stop else 0
        samples, times = self._samples[:stop], self._times[:stop]
        self._samples, self._times = self._samples[stop:], self._times[stop:]
        self._lost = self._lost[stop:]
        first = self._next + missing
        self._next = first + stop
        cut, self._cut = (self._cut, False) if stop else (False, self._cut)
        # A break without a loss, so says the counter, cuts too: as the stretches of a recording do.
        return Chunk(samples, first, times, missing or int(cut))
