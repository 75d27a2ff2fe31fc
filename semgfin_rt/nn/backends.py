"""What runs a network on one window at a time: fixed shapes, nothing but NumPy at the edges."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from semgfin_rt.contracts import FloatArray
from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.network import Network


class Backend(Protocol):
    """Runs FIN and classifiers in two steps, so that each can be timed."""

    name: str

    def imitate(self, windows: FloatArray) -> Any:
        """FIN of windows (n_windows, n_samples, n_channels): an opaque feature map."""

    def features(self, feature_map: Any) -> FloatArray:
        """Features in their own units, (n_windows, n_horizons, n_features, n_channels)."""

    def classify(self, feature_map: Any) -> FloatArray:
        """Log-probabilities, (n_windows, n_horizons, n_classes)."""


class TorchBackend:
    """The network as it is, in eval mode, on a CPU thread or a CUDA device.

    Parameters
    ----------
    network : Network
    contract : ModelContract
    device : torch.device
    """

    def __init__(self, network: Network, contract: ModelContract, device: torch.device) -> None:
        self.name = f"torch {device.type}"
        self._device = device
        self._network = network.eval().to(device)
        mean = torch.tensor(contract.feature_mean)[:, None]  # (n_features, 1)
        self._n_channels = len(contract.channels)
        self._mean, self._std = mean, torch.tensor(contract.feature_std)[:, None]

    @torch.inference_mode()
    def imitate(self, windows: FloatArray) -> Tensor:
        """FIN of windows, kept on the device."""
        samples = torch.from_numpy(np.require(windows, requirements=["C", "W"])).to(self._device)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # of no effect on a CPU
            return self._network.imitate(samples)

    @torch.inference_mode()
    def features(self, feature_map: Tensor) -> FloatArray:
        """Give the first ("real") of the k outputs of the channels, in the features' units."""
        channels = feature_map[..., : self._n_channels, 0].cpu()
        physical: FloatArray = (channels * self._std + self._mean).numpy()
        return physical

    @torch.inference_mode()
    def classify(self, feature_map: Tensor) -> FloatArray:
        """Log-probabilities of every horizon."""
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            logits = self._network.classify(feature_map)
        log_probabilities: FloatArray = logits.log_softmax(dim=-1).cpu().numpy()
        return log_probabilities


def choose_device(device: str) -> torch.device:
    """Turn auto, cpu or cuda into a device.

    Raises
    ------
    OptionError
        When CUDA is asked for and there is none, or `device` is another word.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise OptionError(f"device '{device}' is not known: choose auto, cpu or cuda.")
    if device == "cuda" and not torch.cuda.is_available():
        raise OptionError("no CUDA device was found: choose `--device cpu` or `--device auto`.")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one CPU thread, and then as many as before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
