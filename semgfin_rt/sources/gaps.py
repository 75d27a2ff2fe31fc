"""How many samples a stream has lost: counted by its counter, or judged by its timestamps.

With a counter channel there is nothing to judge. Without one, a step between two timestamps
proves nothing: a sender that pushes 100 samples every 50 ms stamps them all at once, and one that
was held up pushes the rest in a rush. What a loss leaves behind is a deficit that stays: the clock
has gone on for longer than the samples account for, and no burst makes up for it.
"""

from __future__ import annotations

import math

from semgfin_rt.lsl import COUNTER_SPAN

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


class CounterGaps:
    """Counts losses by the counter channel, at once and to the sample.

    A value that is no number, or that steps back (the sender began again, or repeated a sample),
    counts no loss.
    """

    def __init__(self) -> None:
        self._expected: int | None = None

    def lost_before(self, count: float) -> int:
        """Take the counter of the next sample; return how many are lost before it."""
        if not math.isfinite(count):
            count = self._expected or 0
        value = int(count) % COUNTER_SPAN
        lost = 0 if self._expected is None else (value - self._expected) % COUNTER_SPAN
        self._expected = (value + 1) % COUNTER_SPAN
        return lost if lost < COUNTER_SPAN // 2 else 0

    def goes_on(self, count: float, at_most: int) -> bool:
        """Whether `count` follows the last, with no more than `at_most` samples in between."""
        if self._expected is None or not math.isfinite(count):
            return False
        return (int(count) - self._expected) % COUNTER_SPAN <= at_most
