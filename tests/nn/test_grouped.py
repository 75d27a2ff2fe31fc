"""The FINs side by side give what they give one after the other."""

from __future__ import annotations

import pytest
import torch

from semgfin_rt.app.bench import Signal, untrained
from semgfin_rt.nn.grouped import GroupedImitator, steps
from semgfin_rt.nn.network import Network

SIGNAL = Signal(channels=4, classes=3, horizons=2, window_ms=20, ring=4)


@pytest.mark.parametrize("n_windows", [1, 3])
@pytest.mark.parametrize("changes", [{}, {"layers": 2}, {"bidirectional": True, "layers": 2}])
@pytest.mark.parametrize("copies", [1, 4])
@pytest.mark.parametrize("preset", ["realtime", "paper"])
def test_side_by_side_is_one_after_the_other(preset, copies, changes, n_windows):
    torch.manual_seed(0)
    contract = untrained(preset, SIGNAL)
    spec = contract.network.model_copy(
        update={"copies": copies, "derivations": ("channel",)} | changes
    )
    imitator = Network(contract.model_copy(update={"network": spec})).eval().imitator
    windows = torch.randn(n_windows, contract.window, SIGNAL.channels)
    with torch.inference_mode():
        expected = imitator(windows)
        found = GroupedImitator(imitator)(windows)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("backwards", [False, True])
def test_steps_are_those_of_an_lstm(backwards):
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(3, 8, bidirectional=True, batch_first=True)
    name = "l0" + "_reverse" * backwards
    inputs, states, *biases = (
        getattr(lstm, f"{kind}_{name}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    signal = torch.randn(2, 5, 3)
    with torch.inference_mode():
        expected = lstm(signal)[0].unflatten(2, (2, 8))[:, :, int(backwards)]
        gates = signal @ inputs.T + sum(biases)
        found = steps(gates[None, :, :, None], states.T[None, None], int(backwards))
    torch.testing.assert_close(found[0, :, :, 0], expected, rtol=0, atol=1e-6)
