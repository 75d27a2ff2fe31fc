"""How far a backend may be from torch on the CPU, which is the reference; loads no torch."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import FloatArray
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.backend import Backend

TOLERANCE = 1e-5
TIMES_OWN_ROUNDING = 10

# features and log-probabilities of each of the trials
Answers: TypeAlias = list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]


@dataclass(frozen=True)
class Difference:
    """Largest differences from the reference on fixed random windows.

    They are absolute, but relative where values exceed 1: a feature's is divided by its magnitude
    or its standard deviation in training, a log-probability's by the largest magnitude among the
    classes.

    Attributes
    ----------
    features, log_probabilities : float
    allowed : float
        Of the log-probabilities. Those of a head whose large weights cancel are not as exact as
        1e-5 in float32, in torch neither: they may differ by ten times what torch itself differs
        from float64.
    """

    features: float
    log_probabilities: float
    allowed: float

    @property
    def largest(self) -> float:
        """The larger of both."""
        return max(self.features, self.log_probabilities)

    @property
    def agrees(self) -> bool:
        """Whether both are small enough; NaN is not."""
        return self.features <= TOLERANCE and self.log_probabilities <= self.allowed

    def __str__(self) -> str:
        """Half a sentence for the user."""
        return (
            f"differs from the checkpoint by {self.features:.1e} in the features "
            f"(at most {TOLERANCE:.0e}) and {self.log_probabilities:.1e} in the log-probabilities "
            f"(at most {self.allowed:.0e})"
        )


def difference(
    expected: Answers, found: Answers, contract: ModelContract, allowed: float = TOLERANCE
) -> Difference:
    """Compare a backend's answers with those of the reference."""
    std = np.asarray(contract.feature_std)[:, None]
    features, log_probabilities = _distances(expected, found, std)
    return Difference(features, log_probabilities, allowed)


def trials(contract: ModelContract) -> list[FloatArray]:
    """Return random windows, one and seven at a time, of standard deviation 1, 0.01 and 30."""
    random = np.random.default_rng(0)
    shape = contract.window, len(contract.channels)
    return [
        (deviation * random.standard_normal((n_windows, *shape))).astype(np.float32)
        for n_windows, deviation in itertools.product((1, 7), (1.0, 0.01, 30.0))
    ]


def answer(backend: Backend, windows: list[npt.NDArray[Any]]) -> Answers:
    """Run a backend on each of the windows."""
    maps = [backend.imitate(batch) for batch in windows]
    return [(backend.features(one), backend.classify(one)) for one in maps]


def _distances(expected: Answers, found: Answers, std: npt.NDArray[Any]) -> list[float]:
    """Largest of features and of log-probabilities, on the scale that `Difference` describes."""
    distances = []
    for one, other in zip(expected, found, strict=True):
        features, log_probabilities = (np.abs(values) for values in one)
        scales = np.maximum(features, std), log_probabilities.max(axis=-1, keepdims=True)
        with np.errstate(invalid="ignore"):  # a broken model's infinities become NaN
            distances.append(
                [
                    np.max(np.abs(a - b) / np.maximum(scale, 1.0))
                    for a, b, scale in zip(one, other, scales, strict=True)
                ]
            )
    return [float(value) for value in np.max(distances, axis=0)]
