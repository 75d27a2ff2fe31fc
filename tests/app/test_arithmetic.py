"""What a decision takes of arithmetic."""

from __future__ import annotations

from signals import tiny_contract

from semgfin_rt.app.arithmetic import floor_times_real_time, operations
from semgfin_rt.app.bench import Signal, untrained
from semgfin_rt.nn.network import Network


def test_operations_are_those_of_the_weights():
    """Each weight of patch and LSTM is used once a step and signal, but for the biases.

    The published network does not read the forward direction of its last layer.
    """
    for contract in (untrained("realtime", Signal()), untrained("paper", Signal(horizons=1))):
        network = Network(contract)
        weights = sum(
            p.numel()
            for fin in network.imitator.fins
            for name, p in (*fin.embed.named_parameters(), *fin.lstm.named_parameters())
            if "weight" in name and not (fin.lstm.bidirectional and name.endswith("_l2"))
        )
        steps = contract.window // contract.network.patch
        assert operations(contract) == 2 * len(network.derive) * steps * weights


def test_a_floor_is_known_where_a_fin_decides_on_a_cpu():
    contract = tiny_contract()
    assert floor_times_real_time(contract, "onnx cpu") > 0
    assert floor_times_real_time(contract, "torch cuda") is None
    network = contract.network.model_copy(update={"imitator": "closed_form"})
    formulas = contract.model_copy(update={"network": network})
    assert floor_times_real_time(formulas, "torch cpu") is None
