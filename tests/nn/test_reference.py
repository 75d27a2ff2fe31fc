"""The backend runs the network as it is, one step at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from signals import tiny_contract

from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ModelContract, NetworkSpec
from semgfin_rt.nn.backend import require_backend
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.reference import TorchBackend, choose_device

CPU = torch.device("cpu")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network(tiny_contract())


def windows(n=3):
    return np.random.default_rng(0).standard_normal((n, 200, 3)).astype(np.float32)


def test_two_steps_are_the_network(network):
    contract = tiny_contract().model_copy(
        update={"feature_mean": (0.5, -2.0), "feature_std": (3.0, 0.1)}
    )
    backend = TorchBackend(network, contract, CPU)
    feature_map = backend.imitate(windows())
    with torch.inference_mode():
        standardised = network.imitate(torch.from_numpy(windows()))
        expected = network(torch.from_numpy(windows())).log_softmax(-1)
    log_probabilities = backend.classify(feature_map)
    assert log_probabilities.shape == (3, 2, 3)
    np.testing.assert_allclose(log_probabilities, expected, atol=1e-6)
    np.testing.assert_allclose(np.exp(log_probabilities).sum(-1), 1, rtol=1e-6)
    features = backend.features(feature_map)
    assert features.shape == (3, 2, 2, 3)
    np.testing.assert_allclose(
        features[:, :, 1], standardised[:, :, 1, :, 0] * 0.1 - 2.0, rtol=1e-5, atol=1e-6
    )


def test_features_are_those_of_the_channels_alone():
    derivations = ("channel", "difference", "average")
    spec = NetworkSpec(patch=20, hidden=8, derivations=derivations)
    changes = {"ring": (0, 1, 2), "rotation": 1, "network": spec}
    contract = ModelContract.model_validate(tiny_contract().model_dump() | changes)
    backend = TorchBackend(Network(contract), contract, CPU)
    feature_map = backend.imitate(windows())
    assert feature_map.shape == (3, 2, 2, 9, 1)
    features = backend.features(feature_map)
    np.testing.assert_array_equal(features, feature_map[:, :, :, :3, 0])  # statistics are 0 and 1


def test_it_runs_in_eval_mode(network):
    """The published evaluation never left train mode: dropout, and statistics of the batch."""
    network.train()
    backend = TorchBackend(network, tiny_contract(), CPU)
    assert not any(module.training for module in network.modules())
    first = backend.classify(backend.imitate(windows()))
    np.testing.assert_array_equal(backend.classify(backend.imitate(windows())), first)
    alone = backend.classify(backend.imitate(windows()[:1]))
    np.testing.assert_allclose(alone, first[:1], atol=1e-6)


def test_one_shape_is_bit_identical_whatever_the_memory(network):
    backend = TorchBackend(network, tiny_contract(), CPU)
    x = windows(1)
    wide = np.zeros((1, 200, 6), dtype=np.float32)
    wide[:, :, ::2] = x
    np.testing.assert_array_equal(
        backend.classify(backend.imitate(wide[:, :, ::2])), backend.classify(backend.imitate(x))
    )


@pytest.mark.parametrize("n_samples", [200, 400])
def test_windows_of_a_strided_view(network, n_samples):
    """They are read-only, and of one window torch would take over the memory itself."""
    backend = TorchBackend(network, tiny_contract(), CPU)
    stretch = np.ones((n_samples, 3), dtype=np.float32)
    view = Windowing(200, 200).view(stretch)
    assert backend.classify(backend.imitate(view)).shape == (n_samples // 200, 2, 3)


def test_device():
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(OptionError, match="device 'tpu' is not known: choose auto, cpu or cuda"):
        choose_device("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_device():
    for refuse in (choose_device, require_backend):
        with pytest.raises(OptionError, match="no CUDA device was found"):
            refuse("cuda")


def test_an_unknown_backend():
    with pytest.raises(OptionError, match="'tpu' is not known: choose auto, onnx, torch, cuda"):
        require_backend("tpu")
