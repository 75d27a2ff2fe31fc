"""How many samples a stream has lost, judged by its timestamps.

A step between two timestamps proves nothing: a sender that pushes 100 samples every 50 ms stamps
them all at once, and a player that was held up pushes the rest in a rush. What a loss leaves
behind is a deficit that stays: the clock has gone on for longer than the samples account for, and
no burst makes up for it.
"""

from __future__ import annotations

GAP_S = 0.020
"""A deficit of at most this is jitter."""
SETTLE_S = 0.3
"""A deficit that has not fallen for so long, by the stream's own clock, is a loss."""
_FOLLOW = 0.1  # a sender may be so slow: one that sleeps 50 ms between bursts is 2 to 8 % late


class GapFinder:
    """Finds losses, sample by sample, so that it does not matter how the samples come in.

    The deficit is ``rate x time - samples``, above the least that was seen so far: there a burst
    had just ended, and everything sent had arrived. That least value rises by 10 % of the samples,
    so that neither the drift of a clock nor a sender that is a little slow adds up to a loss. So
    a gap is found from 50 ms on, and lone samples that are lost are not. A loss is known, and
    placed, `SETTLE_S` after it happened: windows in between reach across.

    Parameters
    ----------
    rate : float
        Samples per second of the clock.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._slack = GAP_S * rate
        self._first = self._newest = float("nan")
        self._count = 0
        self._floor = 0.0
        self._since: float | None = None  # since when there is a deficit that does not fall
        self._before = self._least = 0.0  # the floor when it began, the least value since

    def lost_before(self, time: float) -> int:
        """Take the timestamp of the next sample, in s; return how many are lost before it."""
        if not self._count:
            self._first = self._newest = time
        self._newest = now = max(self._newest, time)  # a clock that steps back stands still
        level = (now - self._first) * self._rate - self._count
        self._count += 1
        self._floor = min(self._floor + _FOLLOW, level)
        if level - self._floor <= self._slack:
            self._since = None
        elif self._since is None:
            self._before, self._least, self._since = self._floor, level, now
        elif level < self._least - self._slack:  # still making up for it
            self._least, self._since = level, now
        else:
            self._least = min(self._least, level)
            if now - self._since >= SETTLE_S:
                self._floor, self._since = self._least, None
                return round(self._least - self._before)
        return 0
