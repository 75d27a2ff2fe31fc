"""A checkpoint is a folder: model.safetensors, contract.json, card.md. No pickle is ever loaded."""

from __future__ import annotations

import hashlib
import struct
import tempfile
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from semgfin_rt.errors import CheckpointError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.network import Network

WEIGHTS, CONTRACT, CARD = "model.safetensors", "contract.json", "card.md"
_LARGEST = {WEIGHTS: 512 << 20, CONTRACT: 4 << 20}  # bytes; a real model has under 50 MB
_LARGEST_HEADER = 4 << 20


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
            if folder.exists():
                folder.rename(Path(temporary) / "old")
            fresh.rename(folder)
    except OSError as error:
        raise CheckpointError(
            f"{folder} cannot be written ({error.strerror}): choose a folder that can."
        ) from error


def is_replaceable(folder: Path) -> bool:
    """Whether a result may be written over `folder`: a checkpoint, or an empty folder."""
    if not folder.is_dir():
        return False
    whole = (folder / CONTRACT).is_file() and (folder / WEIGHTS).is_file()
    return whole or not any(folder.iterdir())


def load_contract(folder: Path) -> ModelContract:
    """Read and check contract.json alone.

    Raises
    ------
    CheckpointError
        When `folder` is not a checkpoint, or its contract is not valid.
    """
    if not folder.exists():
        raise CheckpointError(
            f"there is no checkpoint at {folder}: train one with `semgfin-train fit`, "
            "or give the folder that holds contract.json."
        )
    if not (folder / CONTRACT).is_file() or not (folder / WEIGHTS).is_file():
        raise CheckpointError(
            f"{folder} is not a checkpoint: give a folder that holds {WEIGHTS} and {CONTRACT} "
            "(pickled files such as .pt and .pth are never loaded)."
        )
    text = _read(folder / CONTRACT)
    try:
        return ModelContract.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise CheckpointError(
            f"{folder / CONTRACT} is not a valid contract ({where}: {first['msg']}): "
            "train the checkpoint again or get a whole copy."
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
    data = _read(path)
    advice = "train the checkpoint again or get a whole copy."
    if len(data) < 8 or struct.unpack("<Q", data[:8])[0] > min(len(data), _LARGEST_HEADER):
        raise CheckpointError(f"{path} is not a safetensors file: {advice}")
    try:
        state = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path} is not a safetensors file ({error}): {advice}") from error
    network = Network(contract).eval()
    expected = network.state_dict()
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
    network.load_state_dict(state)
    return network, contract


def sha256(folder: Path) -> str:
    """SHA-256 of weights and contract together, in hexadecimal."""
    digest = hashlib.sha256()
    for name in (WEIGHTS, CONTRACT):
        digest.update(_read(folder / name))
    return digest.hexdigest()


def count_parameters(network: Network) -> dict[str, int]:
    """How many parameters FIN and classifiers have."""
    parts = {"FIN": network.imitator, "classifiers": network.classifiers}
    return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _LARGEST[path.name]:
            raise CheckpointError(
                f"{path} has {size} bytes, more than any checkpoint of this program "
                f"({_LARGEST[path.name]}): it is not one."
            )
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from error
