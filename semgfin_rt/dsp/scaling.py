"""Per-channel z-scoring with the statistics of the training data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import FloatArray
from semgfin_rt.errors import TrainingError

_BLOCK = 1 << 12  # samples at a time: they stay in the cache, and no long float64 copy is made


@dataclass(frozen=True)
class Scaler:
    """(x - mean) / std for each channel, never with statistics of the data it is applied to."""

    mean: Sequence[float]
    std: Sequence[float]

    @classmethod
    def fit(cls, parts: Iterable[FloatArray], channels: Sequence[str]) -> Scaler:
        """Statistics over all `parts`, each (n_samples, n_channels).

        Raises
        ------
        TrainingError
            When a channel is constant or not finite.
        """
        count = 0
        origin: npt.NDArray[np.float64] | None = None
        total = np.zeros(len(channels))
        squares = np.zeros(len(channels))
        with np.errstate(invalid="ignore"):  # infinity minus infinity; refused below
            for part in parts:
                for start in range(0, len(part), _BLOCK):
                    block = part[start : start + _BLOCK].astype(np.float64)
                    if origin is None:  # about a sample of each channel, or offsets drown it
                        origin = block[0].copy()
                    block -= origin
                    count += len(block)
                    total += np.einsum("nc->c", block)
                    squares += np.einsum("nc,nc->c", block, block)
            shift = total / max(count, 1)
            std = np.sqrt(np.maximum(squares / max(count, 1) - shift**2, 0.0))
        mean = shift if origin is None else origin + shift
        for name, value in zip(channels, std, strict=True):
            if not np.isfinite(value) or value == 0:
                raise TrainingError(
                    f"channel '{name}' has standard deviation {value:g} in the training data: "
                    "leave out the recording in which it is flat or not finite."
                )
        return cls(tuple(mean.tolist()), tuple(std.tolist()))

    def __call__(self, samples: FloatArray) -> FloatArray:
        """Scale `samples`, (n_samples, n_channels) float32."""
        mean = np.asarray(self.mean, dtype=np.float32)
        std = np.asarray(self.std, dtype=np.float32)
        scaled = np.empty_like(samples)
        for start in range(0, len(samples), _BLOCK):
            block = slice(start, start + _BLOCK)
            np.subtract(samples[block], mean, out=scaled[block])
            scaled[block] /= std
        return scaled
