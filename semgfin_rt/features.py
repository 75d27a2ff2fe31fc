"""Closed-form sEMG features: one definition, for NumPy arrays and torch tensors alike.

A feature is a function of one window of one channel, z-scored with training statistics. The four
of the paper are RMS, VAR, SSI and ENT; the others are the time-domain set of Hudgins et al. (1993,
IEEE Trans. Biomed. Eng. 40:82) with logarithms, and the mean frequency.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from semgfin_rt.errors import OptionError

PAPER_FEATURES = ("rms", "var", "ssi", "ent")
RICH_FEATURES = ("log_rms", "log_ent", "log_mav", "log_wl", "zc", "ssc", "mnf", "ent")
"""The set called rich8 in the documentation."""

THRESHOLD = 0.01
"""ZC and SSC ignore changes below 1 % of the training standard deviation."""
_FLOOR = 1e-6  # of the argument of a logarithm: a flat line stays finite

Array = Any  # numpy.ndarray or torch.Tensor: both have the operations used here


class _Windows:
    """Windows (..., n_samples, n_channels) and what several features share of them."""

    def __init__(self, x: Array) -> None:
        self.x = x
        self.n = x.shape[-2]
        if isinstance(x, np.ndarray):
            self.xp: Any = np
        else:
            import torch

            self.xp = torch

    @cached_property
    def mean_square(self) -> Array:
        return (self.x * self.x).mean(-2)

    @cached_property
    def rms(self) -> Array:
        return self.xp.sqrt(self.mean_square)

    @cached_property
    def mav(self) -> Array:
        return self.xp.abs(self.x).mean(-2)

    @cached_property
    def step(self) -> Array:
        return self.x[..., 1:, :] - self.x[..., :-1, :]

    @cached_property
    def wl(self) -> Array:
        return self.xp.abs(self.step).sum(-2)

    @cached_property
    def entropy_deficit(self) -> Array:
        """Distance of ENT from ln n, without the difference of two nearly equal numbers.

        With p = softmax(x): ln n - H(p) = sum(p x) - ln mean(exp x), here with x shifted by its
        maximum, which leaves p as it is.
        """
        largest = self.x.max(-2) if self.xp is np else self.x.max(-2).values
        shifted = self.x - largest[..., None, :]
        weight = self.xp.exp(shifted)
        total = weight.sum(-2)
        return (weight * shifted).sum(-2) / total - self.xp.log(total / self.n)

    def log(self, value: Array) -> Array:
        return self.xp.log(self.xp.clip(value, _FLOOR, None))

    def zero_crossings(self) -> Array:
        """Count sign changes whose step exceeds the threshold."""
        opposite = self.x[..., 1:, :] * self.x[..., :-1, :] < 0
        return self._count(opposite & (self.xp.abs(self.step) > THRESHOLD))

    def slope_sign_changes(self) -> Array:
        """Count turning points at which one of the two slopes exceeds the threshold."""
        before, after = self.step[..., :-1, :], self.step[..., 1:, :]
        large = (self.xp.abs(before) > THRESHOLD) | (self.xp.abs(after) > THRESHOLD)
        return self._count((before * after < 0) & large)

    def _count(self, flags: Array) -> Array:
        return flags.sum(-2, dtype=self.x.dtype)

    def mean_frequency(self) -> Array:
        """Centroid of the power spectrum, as a fraction of the sampling rate (0 to 0.5)."""
        swapped = self.xp.swapaxes(self.x, -1, -2)
        spectrum = self.xp.fft.rfft(swapped)
        power = spectrum.real**2 + spectrum.imag**2  # (..., n_channels, n_frequencies)
        frequency = self.xp.arange(power.shape[-1], dtype=power.dtype) / self.n
        if self.xp is not np:
            frequency = frequency.to(power.device)
        mean = (power * frequency).sum(-1) / self.xp.clip(power.sum(-1), _FLOOR, None)
        return mean.astype(self.x.dtype) if self.xp is np else mean.to(self.x.dtype)


_DEFINITIONS: dict[str, Callable[[_Windows], Array]] = {
    "rms": lambda w: w.rms,
    "var": lambda w: w.mean_square - w.x.mean(-2) ** 2,
    "ssi": lambda w: w.mean_square * w.n,
    "ent": lambda w: math.log(w.n) - w.entropy_deficit,
    "mav": lambda w: w.mav,
    "wl": lambda w: w.wl,
    "zc": lambda w: w.zero_crossings(),
    "ssc": lambda w: w.slope_sign_changes(),
    "mnf": lambda w: w.mean_frequency(),
    "log_rms": lambda w: w.log(w.rms),
    "log_ent": lambda w: w.log(w.entropy_deficit),
    "log_mav": lambda w: w.log(w.mav),
    "log_wl": lambda w: w.log(w.wl),
}
FEATURES = tuple(_DEFINITIONS)
"""Every feature that can be computed and imitated.

rms, mav : root mean square, mean absolute value. var : variance (ddof 0). ssi : simple square
integral, ``sum x²``. ent : Shannon entropy in nats of softmax(x) over the samples, at most ln n.
wl : waveform length, ``sum |x[i+1] - x[i]|``. zc, ssc : zero crossings and slope sign changes, with
`THRESHOLD`. mnf : mean frequency, as a fraction of the sampling rate. log_rms, log_mav, log_wl :
natural logarithms. log_ent : log(ln n - ent).
"""


def closed_form(windows: Array, names: Sequence[str]) -> Array:
    """Compute features of windows.

    Parameters
    ----------
    windows : (..., n_samples, n_channels) array or tensor
        Z-scored per channel with training statistics.
    names : sequence of str
        Among `FEATURES`.

    Returns
    -------
    (..., n_features, n_channels) array or tensor
        Of the type and precision of `windows`.

    Raises
    ------
    OptionError
        For a name that is not a feature.
    """
    unknown = [name for name in names if name not in _DEFINITIONS]
    if unknown:
        raise OptionError(
            f"'{unknown[0]}' is not a feature: choose among {', '.join(_DEFINITIONS)}."
        )
    shared = _Windows(windows)
    return shared.xp.stack([_DEFINITIONS[name](shared) for name in names], -2)
