"""Weights and contract to files, and back with every check."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from semgfin_rt.errors import CheckpointError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint_folder import (
    CARD,
    CONTRACT,
    WEIGHTS,
    is_replaceable,
    load_contract,
    put_in_place,
    read_weights,
)
from semgfin_rt.nn.network import Network


def save_checkpoint(folder: Path, network: Network, contract: ModelContract, card: str) -> None:
    """Write a checkpoint, whole or not at all; an older one at `folder` is replaced.

    Raises
    ------
    CheckpointError
        When `folder` exists and is not a checkpoint, or cannot be written.
    """
    if folder.exists() and not is_replaceable(folder):
        raise CheckpointError(
            f"{folder} exists and is not a checkpoint: choose another folder for the result."
        )
    state = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".checkpoint-") as temporary:
            fresh = Path(temporary) / "new"
            fresh.mkdir()
            (fresh / WEIGHTS).write_bytes(save(state))
            (fresh / CONTRACT).write_text(contract.model_dump_json(indent=1) + "\n")
            (fresh / CARD).write_text(card)
            put_in_place(fresh, folder)
    except OSError as error:
        raise CheckpointError(
            f"{folder} cannot be written ({error.strerror}): choose a folder that can."
        ) from error


def load_checkpoint(folder: Path) -> tuple[Network, ModelContract]:
    """Read and check a checkpoint.

    Returns
    -------
    Network
        In eval mode, on the CPU.
    ModelContract

    Raises
    ------
    CheckpointError
        When anything is missing, too large, not safetensors, of other names or shapes than the
        contract asks for, or not finite.
    """
    contract = load_contract(folder)
    path = folder / WEIGHTS
    advice = "train the checkpoint again or get a whole copy."
    data = read_weights(folder)
    try:
        state = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path} is not a safetensors file ({error}): {advice}") from error
    if (least := _least_tensors(contract)) > len(state):  # before as many modules are made
        raise CheckpointError(
            f"{path} holds {len(state)} tensors and the contract asks for more than {least}: "
            f"{advice}"
        )
    try:
        with torch.device("meta"):  # shapes alone: a contract for a giant costs no memory
            expected = Network(contract).state_dict()
    except (ValueError, ArithmeticError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder / CONTRACT} asks for a network that cannot be ({_first_line(error)}): "
            f"{advice}"
        ) from error
    if different := set(state) ^ set(expected):
        name = min(different)
        word = "lacks" if name in expected else "has an unexpected"
        raise CheckpointError(f"{path} {word} tensor '{name}': {advice}")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape or tensor.dtype != expected[name].dtype:
            raise CheckpointError(
                f"{path} holds '{name}' as {tensor.dtype} {tuple(tensor.shape)} and the contract "
                f"asks for {expected[name].dtype} {tuple(expected[name].shape)}: {advice}"
            )
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path} holds '{name}' with NaN or infinity: {advice}")
    network = Network(contract).eval()
    network.load_state_dict(state)
    return network, contract


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _least_tensors(contract: ModelContract) -> int:
    """Tensors that a network has at least: one a horizon, one a layer of each of its LSTMs."""
    network = contract.network
    lstms = network.trunks * network.copies if network.imitator == "fin" else 0
    return len(contract.horizons_ms) + lstms * network.layers


def count_parameters(network: Network) -> dict[str, int]:
    """How many parameters FIN and classifiers have."""
    parts = {"FIN": network.imitator, "classifiers": network.classifiers}
    return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
