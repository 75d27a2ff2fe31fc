"""What a stream's timestamps and its pace are worth, judged by this machine's clock.

Nothing here reads a clock: `now` is the time at which the samples had been pulled.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import TimeArray

FOREIGN_S = 1.0
"""A timestamp this far before the last one, or ahead of the clock, is of another clock."""
_AHEAD_S = 0.02  # worth a word; less is the error of the offset between two machines
_WINDOW_S = 10.0  # over which the least delay is taken
_DRIFT = 500e-6  # the clocks of computers and devices differ by less, in s per s
_DEAD_S = 0.002  # changes of the least delay up to here are noise
PAUSE_S = 0.5
"""After silence of this length the pace is measured anew, once the rush that follows is over."""
_RUSH_S = 1.0
_MARK_S, _SPAN = 0.25, 16  # the pace is taken over 4 s, every 0.25 s
_OFF = 0.05
_PROOF = 4  # measurements in a row: a stall of the sender makes one or two wrong


class Timeline:
    """Puts timestamps on this machine's clock, in order and never ahead of it.

    Good timestamps pass unchanged. The others (of another epoch, hours away, no numbers) are
    replaced by the time of arrival. A sender whose clock drifts against ours by up to 500 ppm is
    followed by the least delay from timestamp to arrival: it is the same for every 10 s unless the
    clocks drift, whereas a delay that grows by more than 5 ms at once is a real one, and stays.

    Parameters
    ----------
    pace : float
        Samples per second of the clock.
    now : float
        When the stream was opened: no sample can be much older.
    """

    def __init__(self, pace: float, now: float) -> None:
        self._pace = pace
        self._opened = now
        self._newest = float("-inf")
        self._stamp = float("nan")  # the last good one
        self._shift = 0.0
        self._until = now + _WINDOW_S
        self._least = float("inf")
        self._last = self._base = float("nan")  # least delay of the window before; the undrifted
        self._told: set[str] = set()

    def place(self, stamps: TimeArray, now: float) -> tuple[TimeArray, list[str]]:
        """Return the time of each sample, and in words what was wrong for the first time."""
        if not len(stamps):
            return stamps, []
        oldest = max(self._opened, self._newest) - FOREIGN_S
        arrival = now - np.arange(len(stamps) - 1, -1, -1) / self._pace
        times = stamps + self._shift
        ahead = float(np.max(times[np.isfinite(times)], initial=now)) - now
        foreign = ~((times >= oldest) & (times <= now + FOREIGN_S))  # also true for NaN
        if 0.0 < ahead <= FOREIGN_S:
            self._shift -= ahead
            times -= ahead
        said = self._judge(stamps, foreign, ahead, now)
        times = np.where(foreign, arrival, times)
        first = min(self._newest, now)
        times = np.maximum.accumulate(np.clip(times, first, now))
        self._newest = float(times[-1])
        if not foreign.any():
            self._follow(now - float(times[-1]), now)
        return times, said

    def _judge(
        self, stamps: TimeArray, foreign: npt.NDArray[np.bool_], ahead: float, now: float
    ) -> list[str]:
        said: dict[str, str] = {}
        good = stamps[~foreign]
        if len(good):
            steps = np.diff(good, prepend=self._stamp)
            self._stamp = float(good[-1])
            back = float(np.nanmin(steps, initial=0.0))
            if back < -1e-6:
                said["back"] = f"step back by {-1000 * back:.1f} ms: they are kept in order"
            if np.any(steps == 0.0):
                said["twice"] = "repeat: samples are told apart by their order"
        if len(good) < len(stamps):
            off = stamps[foreign][0] - now
            said["foreign"] = f"are {off:+.0f} s off this machine's clock: the arrival is used"
        elif ahead > _AHEAD_S:
            said["ahead"] = f"ran {1000 * ahead:.0f} ms ahead of this machine's clock: set back"
        new = [text for kind, text in said.items() if kind not in self._told]
        self._told |= set(said)
        return new

    def _follow(self, delay: float, now: float) -> None:
        """Correct the drift of the sender's clock."""
        self._least = min(self._least, delay)
        if now < self._until:
            return
        least, window = self._least, now - self._until + _WINDOW_S
        self._least, self._until = float("inf"), now + _WINDOW_S
        if not abs(least - self._last) <= _DRIFT * window:  # also at first
            self._base = least if np.isnan(self._last) else self._base + least - self._last
        elif abs(least - self._base) > _DEAD_S:
            self._shift += least - self._base
            least = self._base
        self._last = least


class PaceMeter:
    """Measures how many samples a second arrive, and says when that is not what it should be.

    Parameters
    ----------
    pace : float
        What it should be: rate x speed.
    now : float
    """

    def __init__(self, pace: float, now: float) -> None:
        self.pace = pace
        self._marks: deque[tuple[float, int]] = deque(maxlen=_SPAN + 1)  # time, samples until then
        self._total = 0
        self._heard = now
        self._begin = now + _RUSH_S
        self._doubts = 0
        self._is_off = False

    def add(self, n: int, now: float) -> float | None:
        """Take the number of samples that arrived by `now`.

        Returns
        -------
        float or None
            The pace in Hz, when it has gone off by more than 5 % or come right again.
        """
        if not n:
            return None
        self._total += n
        if now - self._heard > PAUSE_S:
            self._begin = now + _RUSH_S
            self._marks.clear()
        self._heard = now
        if now < self._begin or (self._marks and now < self._marks[-1][0] + _MARK_S):
            return None
        self._marks.append((now, self._total))
        if len(self._marks) <= _SPAN:
            return None
        (since, before), (until, after) = self._marks[0], self._marks[-1]
        measured = (after - before) / (until - since)
        is_off = abs(measured / self.pace - 1) > _OFF
        self._doubts = self._doubts + 1 if is_off != self._is_off else 0
        if self._doubts < _PROOF:
            return None
        self._is_off, self._doubts = is_off, 0
        return measured

    @property
    def is_off(self) -> bool:
        """Whether the pace was last found wrong."""
        return self._is_off
