"""How far the features that the network imitates can be trusted, while it runs.

A snapshot brings the closed form of one window, that of its newest decision; the FIN's estimate of
the same window stands beside it. Windows that follow within a tenth of a second share most of
their samples, so R² takes a pair each tenth of a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semgfin_rt.app.lights import Level
from semgfin_rt.contracts import Decision, FloatArray
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.train.r2 import R2, Values

WARN_FROM, BAD_FROM = 0.5, 1.0
"""Imitation error, in training standard deviations, at which a light changes.

An error of e standard deviations leaves 1 - e² of the variance of training explained: three
quarters at 0.5; nothing at 1, where the mean of the training data would have been as good a guess.
Over a second, the demo checkpoint stays below 0.5 in all its features on signal as in training,
and passes 1 in some when the gain is another, a channel is off, or noise comes in place of EMG.
"""
ERROR_S = 1.0
"""The error behind a light is the root mean square over so long: it does not flicker."""
PAIR_S = 0.1
"""From one pair to the next."""
BATCH = 10
"""Pairs that are taken into the sums at once: each by itself would cost five times as much."""
PART, PARTS = 10, 3
"""Batches after which another sum begins, and how many sums there are: 30 s in all."""


def level(error: float) -> Level:
    """Return the light of an imitation error in training standard deviations."""
    if not error < BAD_FROM:  # what is not a number deserves no trust
        return "bad"
    return "warn" if error >= WARN_FROM else "good"


@dataclass(frozen=True, eq=False)
class FeatureComparison:
    """Imitated and computed features of one window, in training standard deviations.

    Attributes
    ----------
    estimate, closed_form : (n_features, n_channels) float32
    """

    estimate: FloatArray
    closed_form: FloatArray


def compare_features(
    contract: ModelContract, estimate: FloatArray, closed_form: FloatArray
) -> FeatureComparison:
    """Standardise both with the training statistics; inputs are (n_features, n_channels)."""
    mean = np.array(contract.feature_mean, np.float32)[:, None]
    std = np.array(contract.feature_std, np.float32)[:, None]
    return FeatureComparison((estimate - mean) / std, (closed_form - mean) / std)


class RollingError:
    """Root mean square error over the channels and the last `ERROR_S`, for each feature.

    Parameters
    ----------
    rate : float
        In Hz.
    """

    def __init__(self, rate: float) -> None:
        self._span = ERROR_S * rate
        self._squares: deque[tuple[int, npt.NDArray[np.float32]]] = deque()

    def add(self, sample: int, comparison: FeatureComparison) -> None:
        """Take the features of the window that ends with `sample`."""
        difference = comparison.estimate - comparison.closed_form
        self._squares.append((sample, np.mean(difference**2, axis=1)))
        while self._squares[0][0] <= sample - self._span:
            self._squares.popleft()

    @property
    def error(self) -> npt.NDArray[np.float32] | None:
        """(n_features,) in training standard deviations; None before the first window."""
        if not self._squares:
            return None
        mean: npt.NDArray[np.float32] = np.mean([square for _, square in self._squares], axis=0)
        return np.sqrt(mean)


class RollingR2:
    """R² as in training, pooled over channels, of the last 20 to 30 s.

    Of three sums that begin 10 s apart the oldest is read; at 30 s it makes room for a new one.

    Parameters
    ----------
    shape : (n_horizons, n_features, n_channels)
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self._sums: deque[R2] = deque([R2(shape)], maxlen=PARTS)
        self._batch: list[tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]] = []
        self._batches = 0
        self._pooled: Values | None = None

    def add(self, estimate: FloatArray, target: FloatArray) -> None:
        """Take one pair; a horizon with a value that is not finite is left out.

        Parameters
        ----------
        estimate : (n_horizons, n_features, n_channels) float32
        target : (n_features, n_channels) float32
            What came true.
        """
        valid = np.asarray((np.isfinite(estimate) & np.isfinite(target)).all(axis=(1, 2)))
        self._batch.append((estimate, target[None], valid))
        if len(self._batch) < BATCH:
            return
        estimates, targets, valids = (np.stack(part) for part in zip(*self._batch, strict=True))
        self._batch.clear()
        self._pooled = None
        for r2 in self._sums:
            r2.add(estimates, targets, valids)
        self._batches += 1
        if self._batches % PART == 0:
            self._sums.append(R2(self._shape))

    def pooled(self) -> Values:
        """Return (n_horizons, n_features); NaN where there is nothing to take one of."""
        if self._pooled is None:
            r2 = self._sums[0].pooled()
            self._pooled = np.where(np.isfinite(r2), r2, np.nan)
        return self._pooled


class Imitation:
    """Error and R² of the FIN on the present window; nothing without a horizon of 0 ms.

    Parameters
    ----------
    contract : ModelContract
        With the horizons that the decisions have.

    Attributes
    ----------
    comparison : FeatureComparison or None
        Of the newest window whose closed form was computed.
    """

    def __init__(self, contract: ModelContract) -> None:
        self.comparison: FeatureComparison | None = None
        self._shape = (len(contract.features), len(contract.channels))
        self._contract, self._present = contract, contract.present
        self._pair_span = PAIR_S * contract.rate
        self._newest, self._due = -1, 0.0
        self._error = RollingError(contract.rate)
        self._r2 = RollingR2((1, *self._shape))

    def take(self, decisions: Sequence[Decision], closed_form: FloatArray | None) -> None:
        """Take the decisions of a snapshot, and the closed form of the newest one's window."""
        if not decisions or closed_form is None or self._present is None:
            return
        sample, estimate = decisions[-1].sample, decisions[-1].features[self._present]
        if estimate.shape != self._shape or closed_form.shape != self._shape:
            return  # another checkpoint decides
        if sample < self._newest:  # another stream
            self._clear()
        self._newest = sample
        self.comparison = compare_features(self._contract, estimate, closed_form)
        self._error.add(sample, self.comparison)
        if sample >= self._due:
            self._due = sample + self._pair_span
            self._r2.add(estimate[None], closed_form)

    @property
    def error(self) -> npt.NDArray[np.float32] | None:
        """See `RollingError`."""
        return self._error.error

    @property
    def levels(self) -> tuple[Level, ...]:
        """The light of each feature; none before the first window."""
        error = self.error
        return () if error is None else tuple(level(e) for e in error.tolist())

    @property
    def r2(self) -> Values:
        """(n_features,) of the last 30 s; NaN where it is not known."""
        r2: Values = self._r2.pooled()[0]
        return r2

    def _clear(self) -> None:
        self._newest, self._due = -1, 0.0
        self._error = RollingError(self._contract.rate)
        self._r2 = RollingR2((1, *self._shape))
