"""Signal quality per channel: samples that cannot be signal, and windows that cannot be EMG.

`QualityMonitor.mark` looks at raw samples, causally and with explicit state, so that chunks never
change a mark; `QualityMonitor.judge` looks at one filtered window. The bounds are so wide that
ordinary recordings, raw ADC counts among them, stay inside: below 0.1 % of the windows of each
person in 3DC's training recordings trip one.

What cannot be told from signal: up to `FLAT_MS` of one ordinary value, one or two samples at an
end of the range, and a spike of less than `JUMP` standard deviations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import FloatArray

Fault: TypeAlias = Literal["not finite", "clipped", "flat", "mains", "drift"]
Mask: TypeAlias = npt.NDArray[np.bool_]

FLAT_MS = 20.0
"""A value that stays for so long is no signal: ADC counts repeat for up to 6 ms."""
RAIL_RUN = 3
"""So many equal samples in a row at an end of the signal's range are clipped."""
RAIL_RANGE = 8.0
"""In training standard deviations: less is no range whose ends would mean anything."""
JUMP = 200.0
"""In training standard deviations: no signal gets so far from its last value in one sample.

The worst artefact in 3DC's training recordings jumps by 158."""
SETTLE_MS = 200.0
"""After a jump, a signal that goes on moving for so long has a new baseline."""
MAINS_BAD, MAINS_WARN = 0.97, 0.7
"""Share of a window's power at 50 or 60 Hz and harmonics; 0.97 is 5.7 times the rest's RMS."""
LOUD_MAINS, LOUD_LEVEL = 0.8, float(np.log(8))
"""This share is enough where the window is so loud, as log RMS in training standard deviations."""
MAINS_TOP = 350.0
"""Highest harmonic looked at, in Hz."""
MAINS_MIN_MS = 100.0
"""Shorter windows cannot tell mains from EMG: it takes five periods."""
DRIFT_S = 3.0
"""Over how long the level is averaged; before that there is none."""
DRIFT_BAD = (float(np.log(1 / 200)), float(np.log(30)))
DRIFT_WARN = (float(np.log(1 / 50)), float(np.log(10)))
"""Lowest and highest log ratio of the level to that of the training signal."""

NOT_FINITE, CLIPPED = -1.0, -2.0
"""Marks of samples. 0 is good; a positive mark is a flat one: for how many samples."""


@dataclass(frozen=True, eq=False)
class Quality:
    """The numbers behind the lights, of one window; arrays are (n_channels,).

    Attributes
    ----------
    rms : float32
        Of the filtered window, in the unit of the signal.
    flat_ms : float32
        Longest stretch of one value that ends in the window; 0 below `FLAT_MS`.
    clipped, not_finite : int64
        Samples in the window beyond or at the end of the range; NaN or infinite ones.
    mains_share : float32
        Share of the filtered window's power at mains and harmonics (0 to 1); 0 in a window too
        short to tell.
    mains_hz : float32
        Which mains, 50 or 60: the one with the larger share.
    drift : float32
        Mean over `DRIFT_S` of the log of the RMS in training standard deviations; NaN before.
    level : float32
        The same of this window alone.
    gap : bool
        The window lies right after a loss, no more than its own length away.
    """

    rms: FloatArray
    flat_ms: FloatArray
    clipped: npt.NDArray[np.int64]
    not_finite: npt.NDArray[np.int64]
    mains_share: FloatArray
    mains_hz: FloatArray
    drift: FloatArray
    level: FloatArray
    gap: bool

    @cached_property
    def bad(self) -> Mask:
        """Channels for which the window cannot be trusted."""
        found = iter(self._found().values())
        bad = next(found)
        for mask in found:
            bad = bad | mask
        return bad

    @property
    def warn(self) -> Mask:
        """Channels that deserve a look though the window is trusted."""
        odd = (self.mains_share >= MAINS_WARN) | _outside(self.drift, DRIFT_WARN) | self.gap
        return odd & ~self.bad

    @property
    def faults(self) -> tuple[tuple[int, Fault], ...]:
        """Channel index and first fault of every bad channel, ascending."""
        if not self.bad.any():  # as nearly always
            return ()
        found: dict[int, Fault] = {}
        for fault, mask in self._found().items():
            for channel in np.flatnonzero(mask).tolist():
                found.setdefault(channel, fault)
        return tuple(sorted(found.items()))

    def _found(self) -> dict[Fault, Mask]:
        """Faults in the order in which one hides another."""
        # The slow mean says that it lasts, the window that it has not ended.
        drifted = _outside(self.drift, DRIFT_BAD) & _outside(self.level, DRIFT_BAD)
        return {
            "not finite": self.not_finite > 0,
            "clipped": self.clipped > 0,
            "flat": self.flat_ms > 0,
            "mains": _hums(self.mains_share, self.level),
            "drift": drifted,
        }


class QualityMonitor:
    """Marks samples and judges windows of one signal; see the module.

    Parameters
    ----------
    rate : float
        In Hz.
    window, hop : int
        In samples.
    scale_std : sequence of float
        Of each channel of the filtered training signal.
    """

    def __init__(self, rate: float, window: int, hop: int, scale_std: tuple[float, ...]) -> None:
        self.rate = rate
        self._std = np.asarray(scale_std, np.float32)
        self._limit, self._range = JUMP * self._std, RAIL_RANGE * self._std
        self._flat_run = max(RAIL_RUN + 1, round(FLAT_MS * rate / 1000))
        self._settled = round(SETTLE_MS * rate / 1000)
        self._tones, self._n_50 = _mains_basis(rate, window)
        self._drift_windows = max(1, round(DRIFT_S * rate / hop))
        self.reset()

    def reset(self) -> None:
        """Forget all samples and windows."""
        unknown = np.full(len(self._std), np.nan, np.float32)
        self._last = self._reference = self._low = self._high = unknown
        self._run = np.zeros(len(self._std), np.int64)
        self._settling = self._run
        self._judged = self._run
        self._drift = np.zeros(len(self._std))

    # ------------------------------------------------------------------------- samples
    def mark(self, samples: FloatArray) -> FloatArray:
        """Mark raw samples, (n_samples, n_channels), that cannot be signal.

        Returns
        -------
        (n_samples, n_channels) float32
            0, `NOT_FINITE`, `CLIPPED`, or for how many samples the value has stayed.
        """
        marks = np.zeros(samples.shape, np.float32)
        if not len(samples):
            return marks
        with np.errstate(over="ignore", invalid="ignore"):  # infinite, or near the end of float32
            finite = np.isfinite(samples)
            same = samples == np.vstack([self._last, samples[:-1]])
            jumps = np.abs(samples - np.vstack([self._reference, samples[:-1]])) > self._limit
            ordinary = bool(finite.all() and not jumps.any())
            if ordinary and not same.any():  # as nearly all of a stream in V: nothing to look into
                self._low = np.fmin(self._low, samples.min(axis=0))
                self._high = np.fmax(self._high, samples.max(axis=0))
                self._run = np.ones_like(self._run)
                self._follow(samples[-1])
                return marks
            run = self._runs(same)
            flat = run >= self._flat_run
            if ordinary:
                beyond = np.zeros_like(finite)
                self._follow(samples[-1], flat[-1])
            else:
                beyond = self._beyond(samples, finite, flat)
            known = np.where(finite & ~beyond, samples, np.float32(np.nan))
            low = np.fmin.accumulate(np.vstack([self._low, known]))[1:]
            high = np.fmax.accumulate(np.vstack([self._high, known]))[1:]
            at_end = (samples >= high) | (samples <= low)
            railed = (run >= RAIL_RUN) & at_end & (high - low > self._range)
        self._low, self._high, self._run = low[-1], high[-1], run[-1]
        self._last = samples[-1].copy()
        np.copyto(marks, run, where=flat, casting="same_kind")
        marks[railed | beyond] = CLIPPED
        marks[~finite] = NOT_FINITE
        return marks

    def _runs(self, same: Mask) -> npt.NDArray[np.int64]:
        """How many samples in a row, this one included, have had this value."""
        number = np.arange(1, len(same) + 1)[:, None]
        changed = np.maximum.accumulate(np.where(same, 0, number))
        return np.where(changed, number - changed + 1, number + self._run)

    def _follow(self, sample: FloatArray, flat: Mask | None = None) -> None:
        """Take a good sample for the newest. After a flat one every level will do."""
        self._last = sample.copy()
        self._reference = self._last if flat is None else np.where(flat, np.float32(np.nan), sample)
        self._settling = np.zeros_like(self._settling)

    def _beyond(self, samples: FloatArray, finite: Mask, flat: Mask) -> Mask:
        """Tell samples too far from the last good one, until they have settled where they are."""
        beyond = np.zeros(samples.shape, np.bool_)
        last = self._last
        for i, row in enumerate(samples):
            out = finite[i] & (np.abs(row - self._reference) > self._limit)
            moving = out & ~flat[i] & (np.abs(row - last) <= self._limit)
            settling = np.where(moving, self._settling + 1, 0)
            out &= settling < self._settled
            self._settling = np.where(out, settling, 0)
            reference = np.where(finite[i] & ~out, row, self._reference)
            self._reference = np.where(flat[i], np.float32(np.nan), reference)
            beyond[i], last = out, row
        return beyond

    # ------------------------------------------------------------------------- windows
    def judge(self, window: FloatArray, marks: FloatArray, *, gap: bool = False) -> Quality:
        """Judge one window; each is given once, in the order of time.

        Parameters
        ----------
        window : (n_samples, n_channels) float32
            Filtered and z-scored with training statistics.
        marks : (n_samples, n_channels) float32
            Of the same samples.
        gap : bool
            Whether it lies right after a loss.
        """
        n_samples, n_channels = window.shape
        power = np.einsum("nc,nc->c", window, window)
        share_50, share_60 = self._mains(window, power)
        share = np.maximum(share_50, share_60)
        rms = np.sqrt(power / n_samples)
        level = np.log(np.maximum(rms, np.float32(1e-6)))
        flat_ms = np.zeros(n_channels, np.float32)
        clipped = not_finite = np.zeros(n_channels, np.int64)
        counts = ~_hums(share, level)  # what is no EMG says nothing about its level
        if marks.any():
            flat_ms = np.maximum(marks.max(axis=0), 0) * np.float32(1000 / self.rate)
            clipped = (marks == CLIPPED).sum(axis=0)
            not_finite = (marks == NOT_FINITE).sum(axis=0)
            counts = counts & ~marks.any(axis=0)
        return Quality(
            rms * self._std,
            flat_ms,
            clipped,
            not_finite,
            share,
            np.where(share_60 > share_50, np.float32(60), np.float32(50)),
            self._slow(level, counts),
            level,
            gap,
        )

    def _mains(self, window: FloatArray, power: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the shares of power, without the mean's, at 50 and 60 Hz and their harmonics."""
        if not len(self._tones):
            return np.zeros_like(power), np.zeros_like(power)
        squares = (self._tones @ window) ** 2
        # A window without power, as one that was flat, is no hum.
        rest = np.maximum(power - squares[0], np.float32(1e-6))
        return squares[1 : self._n_50].sum(axis=0) / rest, squares[self._n_50 :].sum(axis=0) / rest

    def _slow(self, level: FloatArray, counts: Mask) -> FloatArray:
        """Mean of the level over `DRIFT_S`; NaN in channels that have not had so many windows."""
        self._judged = self._judged + counts
        # A plain mean of the first windows, an exponential one from then on.
        weight = counts / np.maximum(np.minimum(self._judged, self._drift_windows), 1)
        self._drift = self._drift + weight * (level - self._drift)
        known = self._judged >= self._drift_windows
        return np.where(known, self._drift, np.nan).astype(np.float32)


def usable(samples: FloatArray, marks: FloatArray) -> FloatArray:
    """Return `samples` for the filter, with 0 where they are marked."""
    return np.where(marks, np.float32(0), samples)


def recoveries(marks: FloatArray | Mask, *, after_bad: bool = False) -> list[int]:
    """Rows of `marks` at which all channels are good again: there the filter starts afresh.

    Nothing of a bad stretch then stays in its state: what follows is decided as after a start.

    Parameters
    ----------
    marks : (n_samples, n_channels) float32 or bool
    after_bad : bool
        Whether the row before the first was bad.
    """
    bad: Mask = (marks != 0).any(axis=1)
    before = np.r_[after_bad, bad[:-1]]
    rows: list[int] = np.flatnonzero(before & ~bad).tolist()
    return rows


def _mains_basis(rate: float, window: int) -> tuple[FloatArray, int]:
    """Orthonormal rows: the constant, then tones of 50 Hz, then of 60 Hz; where those begin."""
    if window < MAINS_MIN_MS * rate / 1000:
        return np.empty((0, window), np.float32), 0
    time = np.arange(window)[:, None] / rate
    rows = [np.full((1, window), window**-0.5)]
    for mains in (50.0, 60.0):
        harmonics = np.arange(mains, MAINS_TOP + 1, mains)
        turns = 2 * np.pi * time * harmonics[harmonics < 0.95 * rate / 2]
        columns = np.hstack([np.ones((window, 1)), np.cos(turns), np.sin(turns)])
        rows.append(np.linalg.qr(columns)[0].T[1:])  # at right angles to the constant
    return np.vstack(rows).astype(np.float32), 1 + len(rows[1])


def _hums(share: FloatArray, level: FloatArray) -> Mask:
    return (share >= MAINS_BAD) | ((share >= LOUD_MAINS) & (level >= LOUD_LEVEL))


def _outside(values: FloatArray, bounds: tuple[float, float]) -> Mask:
    return (values < bounds[0]) | (values > bounds[1])
