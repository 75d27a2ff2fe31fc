"""The files of a checkpoint, as far as they can be read without torch.

A checkpoint is a folder: model.safetensors, contract.json, card.md. No pickle is ever loaded.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from semgfin_rt.errors import CheckpointError
from semgfin_rt.model_contract import ModelContract, first_problem

WEIGHTS, CONTRACT, CARD = "model.safetensors", "contract.json", "card.md"
_LARGEST = {WEIGHTS: 512 << 20, CONTRACT: 4 << 20}  # bytes; a real model has under 50 MB


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
    text = read_capped(folder / CONTRACT)
    try:
        return ModelContract.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise CheckpointError(
            f"{folder / CONTRACT} is not a valid contract ({where}: {first_problem(error)}): "
            "train the checkpoint again or get a whole copy."
        ) from error


def sha256(folder: Path) -> str:
    """SHA-256 of weights and contract together, in hexadecimal."""
    digest = hashlib.sha256()
    for name in (WEIGHTS, CONTRACT):
        digest.update(read_capped(folder / name))
    return digest.hexdigest()


def read_capped(path: Path) -> bytes:
    """Read weights or contract, unless the file is larger than any of ours.

    Raises
    ------
    CheckpointError
        When it is, or cannot be read.
    """
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
