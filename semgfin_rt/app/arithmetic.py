"""What a decision takes of arithmetic alone: the floor below which no program gets on a machine."""

from __future__ import annotations

import time

import torch

from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.reference import one_thread

_SQUARE = 512  # of the matrix product that measures the processor
_PRODUCTS = 20


def floor_times_real_time(contract: ModelContract, backend: str) -> float | None:
    """How many times faster than real time the FIN's arithmetic alone would allow to decide.

    That is at the speed of a large matrix product on one thread, which is measured (0.1 s).

    Parameters
    ----------
    contract : ModelContract
    backend : str
        Name of what decides.

    Returns
    -------
    float or None
        None where no FIN or no CPU decides.
    """
    if contract.network.imitator != "fin" or not backend.endswith("cpu"):
        return None
    return contract.hop / contract.rate * _operations_per_s() / operations(contract)


def operations(contract: ModelContract) -> int:
    """Count the multiplications and additions of the FIN of one window: what all else is small by.

    Of the last of bidirectional layers one direction is read, unless states are pooled; the other
    need not be computed.

    Parameters
    ----------
    contract : ModelContract
    """
    spec = contract.network
    signals = len(contract.channels) * len(spec.derivations)
    if "difference" in spec.derivations:
        signals += len(contract.ring) - len(contract.channels)
    steps = contract.window // spec.patch
    inputs = 1 if spec.patch == 1 else spec.hidden
    directions = 2 if spec.bidirectional else 1
    layers = 0
    for layer in range(spec.layers):
        is_last = layer == spec.layers - 1
        read = 1 if is_last and not spec.pooled else directions
        layers += read * 4 * spec.hidden * (inputs + spec.hidden)
        inputs = directions * spec.hidden
    embed = 0 if spec.patch == 1 else spec.patch * spec.hidden
    return 2 * signals * spec.trunks * steps * (embed + layers)


def _operations_per_s() -> float:
    with one_thread():
        one = torch.ones(_SQUARE, _SQUARE)
        torch.mm(one, one)
        began = time.perf_counter()
        for _ in range(_PRODUCTS):
            torch.mm(one, one)
        took = time.perf_counter() - began
    return float(2 * _PRODUCTS * _SQUARE**3 / took)
