"""What came, what is missing, and how many decisions there should be."""

from __future__ import annotations

import numpy as np

from semgfin_rt.contracts import Chunk
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.engine.snapshot import Health


class Ledger:
    """The counters of a run.

    Parameters
    ----------
    windowing : Windowing
        Of the checkpoint: how many windows a stretch of signal has.

    Attributes
    ----------
    received, lost, not_finite : int
        Samples.
    decisions, late, stale : int
        Published ones; see `Health`.
    next : int
        Index that follows the newest sample.
    age_ms : float
        Age of the newest sample when something was last published.
    """

    def __init__(self, windowing: Windowing) -> None:
        self.received = self.lost = self.not_finite = 0
        self.decisions = self.late = self.stale = 0
        self.next = 0
        self.age_ms = float("nan")
        self._windowing = windowing
        self._before = self._stretch = 0  # decisions of earlier stretches, samples of this one

    def take(self, chunk: Chunk) -> int:
        """Count a chunk that is not empty; return how many samples are missing before it."""
        if chunk.lost:
            self._before += self._windowing.count(self._stretch)
            self._stretch = 0
        missing = chunk.first - self.next  # not `chunk.lost`: see RecordingSource
        n = len(chunk.samples)
        self.lost += missing
        self.next = chunk.first + n
        self.received += n
        self._stretch += n
        self.not_finite += n - int(np.isfinite(chunk.samples).all(axis=1).sum())
        return missing

    def publish(self, age_ms: float, hop_ms: float) -> None:
        """Count a decision on a window."""
        self.decisions += 1
        self.late += age_ms > hop_ms
        self.age_ms = age_ms

    def publish_stale(self, age_ms: float) -> None:
        """Count one for want of signal."""
        self.stale += 1
        self.age_ms = age_ms

    def health(self, skipped: int) -> Health:
        """Return the counters, without latencies."""
        return Health(
            self.received,
            self.lost,
            self.decisions,
            self._before + self._windowing.count(self._stretch),
            skipped,
            self.late,
            self.age_ms,
            {},
            self.not_finite,
            self.stale,
        )
