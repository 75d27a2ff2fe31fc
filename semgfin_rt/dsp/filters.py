"""Causal filters whose state is explicit, so that chunking never changes a sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

from semgfin_rt.contracts import FloatArray
from semgfin_rt.errors import OptionError

Sos = tuple[tuple[float, float, float, float, float, float], ...]
_BLOCK = 1 << 15  # samples filtered at a time, so that a long recording needs no float64 copy


def design_filter(
    rate: float,
    band: tuple[float, float] | None = (20.0, 450.0),
    *,
    order: int = 4,
    notch: float | None = None,
) -> Sos:
    """Butterworth band-pass, with an optional notch for the mains.

    Parameters
    ----------
    rate : float
        Sampling rate in Hz.
    band : (float, float) or None
        Edges in Hz, the upper one lowered to 0.9 of the Nyquist frequency; None: no band-pass.
    order : int
        Of the Butterworth prototype.
    notch : float or None
        Mains frequency in Hz (50 or 60), filtered with a quality factor of 30.

    Returns
    -------
    tuple of 6-tuples
        Second-order sections, as `scipy.signal.sosfilt` takes them.

    Raises
    ------
    OptionError
        When band or notch do not lie below the Nyquist frequency.
    """
    sections = np.empty((0, 6))
    if band is not None:
        low, high = band[0], min(band[1], 0.9 * rate / 2)
        if not 0 < low < high:
            raise OptionError(
                f"a {low:g}-{high:g} Hz band does not exist at {rate:g} Hz: lower the lower edge."
            )
        sections = signal.butter(order, (low, high), "bandpass", fs=rate, output="sos")
    if notch is not None:
        if not 0 < notch < rate / 2:
            raise OptionError(
                f"a notch at {notch:g} Hz does not exist at {rate:g} Hz: give 50 or 60, or none."
            )
        b, a = signal.iirnotch(notch, 30.0, fs=rate)
        sections = np.vstack([sections, signal.tf2sos(b, a)])
    return tuple(tuple(float(v) for v in row) for row in sections)  # type: ignore[misc]


@dataclass
class CausalFilter:
    """Second-order sections applied sample by sample, the state kept between calls.

    The state starts as if the first sample had been there for ever: an electrode offset makes no
    transient. A sample that is not finite counts as 0, so that it does not stay in the state.

    Parameters
    ----------
    sos : sequence of 6-tuples
        Empty: the signal passes unchanged.
    """

    sos: Sequence[Sequence[float]]
    _state: npt.NDArray[np.float64] | None = None

    def reset(self) -> None:
        """Forget the past; the next sample is a first one."""
        self._state = None

    def afresh(self, samples: FloatArray, rows: Iterable[int]) -> FloatArray:
        """Filter as `__call__` does, but let each of these rows, in order, be a first sample."""
        filtered = np.empty_like(samples)
        start = 0
        for stop in rows:
            filtered[start:stop] = self(samples[start:stop])
            self.reset()
            start = stop
        filtered[start:] = self(samples[start:])
        return filtered

    def __call__(self, samples: FloatArray) -> FloatArray:
        """Filter `samples`, (n_samples, n_channels) float32, after those of the last call."""
        if not np.isfinite(samples).all():
            samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        if not len(self.sos) or not len(samples):
            return samples
        sos = np.asarray(self.sos, dtype=np.float64)
        if self._state is None:
            # (n_sections, 2, 1) x (n_channels,): the steady state of a constant input
            self._state = signal.sosfilt_zi(sos)[:, :, None] * samples[0].astype(np.float64)
        filtered = np.empty(samples.shape, dtype=np.float32)
        for start in range(0, len(samples), _BLOCK):
            block = slice(start, start + _BLOCK)
            filtered[block], self._state = signal.sosfilt(
                sos, samples[block], axis=0, zi=self._state
            )
        return filtered
