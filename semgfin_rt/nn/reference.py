"""The reference: the network as torch runs it, and how far another backend is from it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from semgfin_rt.contracts import FloatArray
from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.agreement import (
    TIMES_OWN_ROUNDING,
    TOLERANCE,
    Answers,
    Difference,
    answer,
    difference,
    trials,
)
from semgfin_rt.nn.backend import Backend
from semgfin_rt.nn.network import Network

_CPU = torch.device("cpu")


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


def expected_answers(network: Network, contract: ModelContract) -> Answers:
    """Return what a backend of `network` has to answer to the trials."""
    return answer(TorchBackend(copy.deepcopy(network), contract, _CPU), trials(contract))


def compare(
    backend: Backend, network: Network, contract: ModelContract, expected: Answers | None = None
) -> Difference:
    """Compare a backend of `network` with the reference, one and seven windows at a time.

    Parameters
    ----------
    backend : Backend
    network : Network
    contract : ModelContract
    expected : list, optional
        `expected_answers` of this network, where they are known.
    """
    windows = trials(contract)
    expected = expected_answers(network, contract) if expected is None else expected
    found = difference(expected, answer(backend, windows), contract)
    if found.log_probabilities <= TOLERANCE:
        return found
    exact = TorchBackend(copy.deepcopy(network).double(), contract, _CPU)
    truth = answer(exact, [batch.astype(np.float64) for batch in windows])
    own = difference(expected, truth, contract).log_probabilities
    return replace(found, allowed=max(TOLERANCE, TIMES_OWN_ROUNDING * own))


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
