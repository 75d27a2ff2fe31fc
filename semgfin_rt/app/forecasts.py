"""Features that were forecast, against the closed form once that future is there.

The forecast of a decision at sample s speaks of the window that ends `horizon` samples later. The
closed form of that window is known if it is the newest of a snapshot, as every third or so is; a
decision that was never made, or a closed form that never came, is one pair less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semgfin_rt.app.imitation import (
    PAIR_S,
    FeatureComparison,
    RollingError,
    RollingR2,
    compare_features,
)
from semgfin_rt.contracts import Decision, FloatArray
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.train.r2 import Values


@dataclass(frozen=True, eq=False)
class ForecastScore:
    """How the features of one horizon were forecast in the last 30 s; NaN where not known.

    Attributes
    ----------
    horizon_ms : int
    r2 : (n_features,) float64
        Of the forecast, pooled over channels.
    persistence : (n_features,) float64
        Of the present estimate of the same decision, taken for the forecast.
    """

    horizon_ms: int
    r2: Values
    persistence: Values

    @property
    def skill(self) -> Values:
        """R² above that of persistence, (n_features,)."""
        return self.r2 - self.persistence


class Forecasts:
    """Keeps what was forecast until it can be checked.

    Parameters
    ----------
    contract : ModelContract
        With the horizons that the decisions have.

    Attributes
    ----------
    horizons_ms : tuple of int
        Those beyond the present.
    comparisons : dict of int to FeatureComparison
        For each of them a window that was forecast and has come, a new one each `PAIR_S`.
    """

    def __init__(self, contract: ModelContract) -> None:
        self._shape = (len(contract.horizons), len(contract.features), len(contract.channels))
        self._horizons = contract.horizons
        self._present = contract.present
        self._places = [i for i, ahead in enumerate(contract.horizons) if ahead]
        self.horizons_ms = tuple(contract.horizons_ms[i] for i in self._places)
        self._contract, self._pair_span = contract, PAIR_S * contract.rate
        self._newest, self._due = -1, 0.0
        self._made: dict[int, FloatArray] = {}
        self.comparisons: dict[int, FeatureComparison] = {}
        self._errors = {ms: RollingError(contract.rate) for ms in self.horizons_ms}
        shape = (len(self._places), *self._shape[1:])
        self._r2, self._persistence = RollingR2(shape), RollingR2(shape)

    def take(self, decisions: Sequence[Decision], closed_form: FloatArray | None) -> None:
        """Take the decisions of a snapshot, and the closed form of the newest one's window."""
        for decision in decisions:
            self._keep(decision)
        wanted = bool(decisions) and bool(self._places) and self._newest >= self._due
        if closed_form is None or closed_form.shape != self._shape[1:] or not wanted:
            return
        made = [self._made.get(self._newest - self._horizons[i]) for i in self._places]
        if all(features is None for features in made):
            return
        self._due = self._newest + self._pair_span
        for ms, i, features in zip(self.horizons_ms, self._places, made, strict=True):
            if features is not None:
                compared = compare_features(self._contract, features[i], closed_form)
                self.comparisons[ms] = compared
                self._errors[ms].add(self._newest, compared)
        pairs = list(zip(made, self._places, strict=True))
        self._r2.add(self._stacked([None if m is None else m[i] for m, i in pairs]), closed_form)
        present = self._present
        if present is not None:
            self._persistence.add(
                self._stacked([None if m is None else m[present] for m in made]), closed_form
            )

    def error(self, horizon_ms: int) -> npt.NDArray[np.float32] | None:
        """Return how far off a horizon was, over the last second; see `RollingError`."""
        return self._errors[horizon_ms].error

    def scores(self) -> tuple[ForecastScore, ...]:
        """Return the score of each horizon beyond the present."""
        rows = zip(self.horizons_ms, self._r2.pooled(), self._persistence.pooled(), strict=True)
        return tuple(ForecastScore(*row) for row in rows)

    def _keep(self, decision: Decision) -> None:
        """Remember a forecast, and let go what no later decision will ask for."""
        sample = decision.sample
        # So large a hole is a break: what was forecast before it never came.
        if sample < self._newest:
            self._clear()
        elif sample - self._newest >= self._contract.window:
            self._made.clear()
        self._newest = sample
        if decision.features.shape == self._shape:  # or another checkpoint decides
            self._made[sample] = decision.features
        oldest = sample - max(self._horizons)
        while self._made and (first := next(iter(self._made))) < oldest:
            del self._made[first]

    def _stacked(self, estimates: list[FloatArray | None]) -> FloatArray:
        """(n_horizons, n_features, n_channels), NaN where there is none."""
        missing = np.full(self._shape[1:], np.nan, np.float32)
        return np.stack([missing if e is None else e for e in estimates])

    def _clear(self) -> None:
        self._newest, self._due = -1, 0.0
        self._made.clear()
        self.comparisons.clear()
        self._errors = {ms: RollingError(self._contract.rate) for ms in self.horizons_ms}
        shape = (len(self._places), *self._shape[1:])
        self._r2, self._persistence = RollingR2(shape), RollingR2(shape)
