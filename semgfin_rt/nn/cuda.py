"""Decides on a CUDA device with one launch: copy in, all FINs, classifiers, copy out.

The whole decision on one window is recorded once as a CUDA graph, with pinned buffers on either
side, and replayed for every window. The LSTM steps are a kernel of our own where Triton is there,
and single operations of torch otherwise, thousands of which are still one launch.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from semgfin_rt.contracts import FloatArray
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.fin import FeatureImitator
from semgfin_rt.nn.graph import Decide
from semgfin_rt.nn.grouped import GroupedImitator, Recurrence, steps
from semgfin_rt.nn.network import Network

_WARM_UPS = 3


def fastest_steps() -> Recurrence:
    """Take Triton's kernel, or torch's operations where there is no Triton (as on Windows)."""
    try:
        from semgfin_rt.nn import triton_steps
    except ImportError:
        return steps
    return triton_steps.steps


class CudaGraphBackend:
    """The network with its FINs side by side, as a CUDA graph of one window.

    Parameters
    ----------
    network : Network
        With a FIN.
    contract : ModelContract
    recurrence : callable, optional
        Runs the LSTM steps; the fastest by default.

    Raises
    ------
    RuntimeError
        When it cannot be built here.
    """

    name = "cuda graph"

    def __init__(
        self, network: Network, contract: ModelContract, recurrence: Recurrence | None = None
    ) -> None:
        network = copy.deepcopy(network)
        assert isinstance(network.imitator, FeatureImitator)
        grouped = GroupedImitator(network.imitator, recurrence or fastest_steps())
        network.imitator = grouped  # type: ignore[assignment]  # it stands in for the other
        self._decide = Decide(network, contract).eval().cuda()
        shape = 1, contract.window, len(contract.channels)
        self._window = torch.zeros(shape, pin_memory=True)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            with torch.cuda.stream(side):  # what is made at first use must not be recorded
                for _ in range(_WARM_UPS):
                    found = self._run(self._window)
            side.synchronize()
            self._found = tuple(torch.empty(f.shape, pin_memory=True) for f in found)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                for there, here in zip(self._run(self._window), self._found, strict=True):
                    here.copy_(there, non_blocking=True)

    def _run(self, windows: Tensor) -> tuple[Tensor, ...]:
        features, log_probabilities = self._decide(windows.to("cuda", non_blocking=True))
        return features, log_probabilities

    @torch.inference_mode()
    def imitate(self, windows: FloatArray) -> tuple[FloatArray, ...]:
        """Run all of the network: features and log-probabilities of windows."""
        if len(windows) == 1:
            self._window.numpy()[:] = windows
            self._graph.replay()
            torch.cuda.current_stream().synchronize()
            return tuple(found.numpy().copy() for found in self._found)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            found = self._run(torch.from_numpy(np.ascontiguousarray(windows)))
            return tuple(f.cpu().numpy() for f in found)

    def features(self, feature_map: tuple[FloatArray, ...]) -> FloatArray:
        """Features in their own units, (n_windows, n_horizons, n_features, n_channels)."""
        return feature_map[0]

    def classify(self, feature_map: tuple[FloatArray, ...]) -> FloatArray:
        """Log-probabilities, (n_windows, n_horizons, n_classes)."""
        return feature_map[1]
