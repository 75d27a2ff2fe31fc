"""How well features are imitated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import FloatArray

Values = npt.NDArray[np.float64]


@dataclass(eq=False)
class R2:
    """R² = 1 - SS_res / SS_tot, summed up batch by batch, for each horizon, feature, channel."""

    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        self._n = np.zeros((self.shape[0], 1, 1))
        self._sums = np.zeros((3, *self.shape))  # of squared residuals, targets, squared targets
        self._clamped = np.zeros(self.shape[:2])

    def add(self, estimate: FloatArray, target: FloatArray, valid: npt.NDArray[np.bool_]) -> None:
        """Take estimates and targets (n, n_horizons, n_features, n_channels), valid (n, n_h)."""
        mask = valid[:, :, None, None]
        wide = np.where(mask, target, 0).astype(np.float64)
        squared = np.where(mask, (estimate - wide) ** 2, 0)
        self._n[:, 0, 0] += valid.sum(axis=0)
        self._sums[0] += squared.sum(axis=0)
        self._sums[1] += wide.sum(axis=0)
        self._sums[2] += (wide**2).sum(axis=0)
        spread = ((wide - wide.mean(axis=3, keepdims=True)) ** 2).sum(axis=3)
        with np.errstate(invalid="ignore", divide="ignore"):
            each = 1 - squared.sum(axis=3) / spread  # (n, n_horizons, n_features)
        # channels that are all alike have no R²: it counts as 0
        self._clamped += np.where(spread > 0, np.clip(each, 0, 1), 0).sum(axis=0)

    def pooled(self) -> Values:
        """Over all windows and channels, (n_horizons, n_features)."""
        residual, total, squares = self._sums.sum(axis=3)
        n = self._n[:, :, 0] * self.shape[2]
        with np.errstate(invalid="ignore", divide="ignore"):
            pooled: Values = 1 - residual / (squares - total**2 / n)
        return pooled

    def channel_median(self) -> Values:
        """Median over channels of each channel's own R², (n_horizons, n_features)."""
        residual, total, squares = self._sums
        with np.errstate(invalid="ignore", divide="ignore"):
            each = 1 - residual / (squares - total**2 / self._n)
        median: Values = np.median(each, axis=2)
        return median

    def clamped(self) -> Values:
        """Mean over windows of R² over the channels of one window, clamped to 0-1.

        The kind of figure that was published (arXiv 2405.19356), for comparison alone: it hides
        whatever is worse than the mean. (n_horizons, n_features).
        """
        with np.errstate(invalid="ignore"):
            mean: Values = self._clamped / self._n[:, :, 0]
        return mean
