"""The backend that runs a graph of ours with ONNX Runtime; loads no torch."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from semgfin_rt.contracts import FloatArray

OPSET = 18
INPUT, OUTPUTS = "windows", ("features", "log_probabilities")
FAILURES: tuple[type[Exception], ...] = (
    RuntimeError,  # of torch and its exporter
    *(e for e in vars(ort).values() if isinstance(e, type) and issubclass(e, Exception)),
)
"""What is raised where a graph cannot be built or run."""


class OnnxBackend:
    """The whole network in one graph, on one CPU thread.

    Parameters
    ----------
    graph : bytes
        A serialised model of our own making; see `graph.onnx_model`.
    """

    name = "onnx cpu"

    def __init__(self, graph: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        providers = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(graph, options, providers=providers)

    def imitate(self, windows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Run all of the network: features and log-probabilities of windows."""
        return tuple(self._session.run(OUTPUTS, {INPUT: np.ascontiguousarray(windows)}))

    def features(self, feature_map: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Features in their own units, (n_windows, n_horizons, n_features, n_channels)."""
        return feature_map[0]

    def classify(self, feature_map: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Log-probabilities, (n_windows, n_horizons, n_classes)."""
        return feature_map[1]
