"""The CUDA graph, where there is a device; its parts are tested without one in `test_grouped`."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from semgfin_rt.app.bench import Signal, untrained
from semgfin_rt.nn.choosing import choose_backend
from semgfin_rt.nn.cuda import CudaGraphBackend, fastest_steps
from semgfin_rt.nn.grouped import steps
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.reference import TorchBackend, compare

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
SIGNAL = Signal(channels=4, classes=3, horizons=2, window_ms=20, ring=4)


def network(preset):
    torch.manual_seed(0)
    contract = untrained(preset, SIGNAL)
    return Network(contract), contract


@pytest.mark.parametrize("recurrence", [fastest_steps(), steps])
@pytest.mark.parametrize("preset", ["realtime", "paper"])
def test_it_agrees_with_torch_on_the_cpu(preset, recurrence):
    made, contract = network(preset)
    difference = compare(CudaGraphBackend(made, contract, recurrence), made, contract)
    assert difference.agrees, str(difference)


@pytest.mark.parametrize("preset", ["realtime", "paper"])
def test_torch_agrees_too(preset):
    made, contract = network(preset)
    weight = next(p for p in made.classifiers.parameters() if p.ndim > 1)
    torch.nn.init.normal_(weight)  # so large that TF32 would show
    backend = TorchBackend(copy.deepcopy(made), contract, torch.device("cuda"))
    difference = compare(backend, made, contract)
    assert difference.agrees, str(difference)


@pytest.mark.parametrize("preset", ["realtime", "paper"])
def test_a_window_gives_the_same_bits_every_time(preset):
    backend = CudaGraphBackend(*network(preset))
    rng = np.random.default_rng(0)
    one, other = (rng.standard_normal((1, 40, 4)).astype(np.float32) for _ in range(2))
    first = backend.imitate(one)
    between = backend.imitate(other)
    again = backend.imitate(one)
    for a, b, c in zip(first, between, again, strict=True):
        assert a.tobytes() == c.tobytes() != b.tobytes()


def test_what_the_kernel_cannot_run_is_left_to_torch():
    _, contract = network("realtime")
    spec = contract.network.model_copy(update={"hidden": 24})
    contract = contract.model_copy(update={"network": spec})
    choice = choose_backend(Network(contract), contract, "cuda")
    assert choice.backend.name == "torch cuda"
    assert "24 units" in choice.notes[0]
