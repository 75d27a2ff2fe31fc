"""Where the milliseconds go: the last durations of every stage, in fixed memory."""

from __future__ import annotations

import time

import numpy as np

from semgfin_rt.engine.snapshot import Percentiles

STAGES = ("acquire", "filter", "fin", "cnn", "policy", "publish", "compute", "end_to_end")
LAST_60_S = 6000
"""Decisions of 60 s at a hop of 10 ms."""
WHOLE_RUN = 200_000
"""Decisions of half an hour: a headless run is judged as a whole, a longer one by its end."""


class LatencyMeter:
    """A ring of durations for each stage; `mark` is the pipeline's stopwatch.

    Parameters
    ----------
    capacity : int
        Durations kept for each stage.
    """

    def __init__(self, capacity: int = LAST_60_S) -> None:
        # filled: the system gives the memory now, and a long run does not seem to grow
        self._rings = {stage: np.full(capacity, np.nan, np.float32) for stage in STAGES}
        self._counts = dict.fromkeys(STAGES, 0)
        self._started = self._last = self._filtering = 0.0

    def add(self, stage: str, ms: float) -> None:
        """Take one duration, in ms."""
        ring = self._rings[stage]
        ring[self._counts[stage] % len(ring)] = ms
        self._counts[stage] += 1

    def mark(self, stage: str) -> None:
        """Note that `stage` of the pipeline has ended now, or ``"start"`` that work begins.

        `compute` is the time from the start of a window to the end of its policy, and that of
        the filter before it.
        """
        now = 1000 * time.perf_counter()
        if stage == "start":
            self._started = self._last = now
            return
        self.add(stage, now - self._last)
        if stage == "filter":
            self._filtering = now - self._last
        elif stage == "policy":
            self.add("compute", now - self._started + self._filtering)
        self._last = now

    def percentiles(self) -> dict[str, Percentiles]:
        """Return the percentiles of every stage that has come up."""
        return {
            stage: Percentiles(*np.percentile(ring[: self._counts[stage]], (50, 95, 99)).tolist())
            for stage, ring in self._rings.items()
            if self._counts[stage]
        }
