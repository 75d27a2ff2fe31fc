"""A checkpoint on test windows: its probabilities, and how well it imitates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import FloatArray
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.backend import Backend
from semgfin_rt.train.r2 import R2
from semgfin_rt.train.test_windows import BATCH, IndexArray, TestWindows, features_of


def feature_maps(
    contract: ModelContract, backend: Backend, windows: TestWindows
) -> Iterator[tuple[slice, Any]]:
    """Run the FIN: which windows, and the backend's opaque feature map of them."""
    for start in range(0, len(windows), BATCH):
        rows = slice(start, start + BATCH)
        yield rows, backend.imitate(windows.windows(rows, contract.window))


def probabilities(
    contract: ModelContract, backends: Sequence[Backend], windows: TestWindows
) -> list[FloatArray]:
    """Run the first backend's FIN once, and the classifiers of all.

    Returns
    -------
    list of (n_windows, n_horizons, n_classes) float32
        Probabilities in the contract's order; NaN of a window with a sample that is not finite.
    """
    shape = (*windows.truth.shape, len(contract.classes))
    results = [np.empty(shape, dtype=np.float32) for _ in backends]
    for rows, feature_map in feature_maps(contract, backends[0], windows):
        for result, backend in zip(results, backends, strict=True):
            result[rows] = np.exp(backend.classify(feature_map))
    return results


@dataclass(eq=False)
class Imitation:
    """How well the FIN imitates on test windows, beside today's features as the forecast.

    Parameters
    ----------
    contract : ModelContract
    windows : TestWindows
    fin, persistence : R2
        To which the windows are added.
    """

    contract: ModelContract
    windows: TestWindows
    fin: R2
    persistence: R2

    def __post_init__(self) -> None:
        contract, windows = self.contract, self.windows
        # Every target is the present of a later window: each feature is computed once.
        target = windows.newest[:, None] + np.array([0, *contract.horizons])
        scored = np.isin(windows.truth, np.array(contract.class_ids))
        reachable = np.where(np.insert(scored, 0, True, axis=1), target, windows.newest[:, None])
        looked_at, row_of = np.unique(reachable, return_inverse=True)
        self._values = features_of(
            windows.signal, windows.scaler, looked_at, contract.window, contract.features
        )
        self._row_of: IndexArray = row_of.reshape(target.shape)
        whole = np.isfinite(self._values[:, 0, 0])  # a window that holds NaN has no features
        whole_target = whole[self._row_of]
        self._valid: npt.NDArray[np.bool_] = scored & whole_target[:, 1:] & whole_target[:, :1]

    def add(self, rows: slice, features: FloatArray) -> None:
        """Take imitated features of the windows `rows` in their own units.

        (n_windows, n_horizons, n_features, n_channels)
        """
        later, now = self._values[self._row_of[rows, 1:]], self._values[self._row_of[rows, :1]]
        self.fin.add(features, later, self._valid[rows])
        self.persistence.add(np.broadcast_to(now, later.shape), later, self._valid[rows])
