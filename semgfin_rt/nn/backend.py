"""What runs a network on one window at a time, and which kinds there are; loads no torch.

Fixed shapes, and nothing but NumPy at the edges.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from semgfin_rt.contracts import FloatArray
from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ModelContract

BACKENDS = ("auto", "onnx", "torch", "cuda")
ASKED_AS = {"onnx cpu": "onnx", "cuda graph": "cuda", "torch cuda": "cuda", "torch cpu": "torch"}
_FEWEST, _MOST = 4, 60  # decisions that are timed, the first half of them to warm up
_ENOUGH_MS = 1000.0


class Backend(Protocol):
    """Runs FIN and classifiers in two steps, so that each can be timed."""

    name: str

    def imitate(self, windows: FloatArray) -> Any:
        """FIN of windows (n_windows, n_samples, n_channels): an opaque feature map."""

    def features(self, feature_map: Any) -> FloatArray:
        """Features in their own units, (n_windows, n_horizons, n_features, n_channels)."""

    def classify(self, feature_map: Any) -> FloatArray:
        """Log-probabilities, (n_windows, n_horizons, n_classes)."""


@dataclass(frozen=True, eq=False)
class Choice:
    """The backend that decides.

    Attributes
    ----------
    backend : Backend
        Warm.
    median_ms : dict
        Of one decision, by the name of each backend that was tried.
    notes : tuple of str
        Why one was passed over, a sentence each.
    """

    backend: Backend
    median_ms: dict[str, float]
    notes: tuple[str, ...] = ()


def require_backend(wanted: str) -> None:
    """Refuse a backend that is not known or not there, before anything is loaded.

    Raises
    ------
    OptionError
        One sentence on which can be had.
    """
    if wanted not in BACKENDS:
        raise OptionError(f"backend '{wanted}' is not known: choose {', '.join(BACKENDS)}.")
    if wanted == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise OptionError("no CUDA device was found: choose `--backend auto`, onnx or torch.")


def time_decision(backend: Backend, window: FloatArray) -> float:
    """Time one decision on a window (1, n_samples, n_channels), in ms."""
    began = time.perf_counter()
    feature_map = backend.imitate(window)
    backend.features(feature_map)
    backend.classify(feature_map)
    return 1000 * (time.perf_counter() - began)


def median_ms(backend: Backend, contract: ModelContract, every_s: float = 0.0) -> float:
    """Return how long one decision takes once the backend is warm, which it then is.

    Back to back, or one every `every_s`, with sleep in between.
    """
    window = np.zeros((1, contract.window, len(contract.channels)), dtype=np.float32)
    times: list[float] = []
    due = time.perf_counter()
    while len(times) < _MOST and (len(times) < _FEWEST or sum(times) < _ENOUGH_MS):
        due += every_s
        time.sleep(max(0.0, due - time.perf_counter()))
        times.append(time_decision(backend, window))
    return float(np.median(times[len(times) // 2 :]))
