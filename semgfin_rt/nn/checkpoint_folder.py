"""The files of a checkpoint, as far as they can be read without torch.

A checkpoint is a folder: model.safetensors, contract.json, card.md. No pickle is ever loaded.

Both formats are read by parsers in Rust, in this process: they check every offset, nest 128 deep
at most, and give back no more than they were given.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError, deserialize

from semgfin_rt.errors import CheckpointError
from semgfin_rt.model_contract import ModelContract, first_problem

WEIGHTS, CONTRACT, CARD = "model.safetensors", "contract.json", "card.md"
_LARGEST = {WEIGHTS: 256 << 20, CONTRACT: 4 << 20}  # bytes; a real model has under 50 MB
_LARGEST_HEADER = 1 << 20  # bytes; some 10,000 tensors
# What a network's size in memory grows with, beside what the contract limits itself.
_MOST = {
    "channels": 1024,
    "features": 256,
    "classifier_features": 256,
    "horizons_ms": 256,
    "classes": 4096,
}
_ADVICE = "train the checkpoint again or get a whole copy."


def is_replaceable(folder: Path) -> bool:
    """Whether a result may be written over `folder`: a checkpoint, or an empty folder."""
    if not folder.is_dir():
        return False
    whole = (folder / CONTRACT).is_file() and (folder / WEIGHTS).is_file()
    return whole or not any(folder.iterdir())


def put_in_place(fresh: Path, folder: Path) -> None:
    """Rename `fresh` to `folder`; what is there comes back when that fails.

    Parameters
    ----------
    fresh : Path
        In a temporary folder of the same file system, where an older `folder` is left as ``older``.
    folder : Path

    Raises
    ------
    OSError
    """
    older = fresh.with_name("older")
    try:
        if folder.exists():
            folder.rename(older)
        fresh.rename(folder)
    finally:  # after Ctrl-C as well
        if older.exists() and not folder.exists():
            older.rename(folder)


def load_contract(folder: Path) -> ModelContract:
    """Read and check contract.json alone.

    Raises
    ------
    CheckpointError
        When `folder` is not a checkpoint, or its contract is not valid.
    """
    try:
        is_there = folder.exists()
        is_whole = is_there and all((folder / name).is_file() for name in (CONTRACT, WEIGHTS))
    except OSError as error:  # no permission, or a name that is too long
        raise CheckpointError(
            f"{folder} cannot be read ({error.strerror}): give a folder that holds {WEIGHTS} and "
            f"{CONTRACT}."
        ) from error
    if not is_there:
        raise CheckpointError(
            f"there is no checkpoint at {folder}: train one with `semgfin-train fit`, "
            "or give the folder that holds contract.json."
        )
    if not is_whole:
        raise CheckpointError(
            f"{folder} is not a checkpoint: give a folder that holds {WEIGHTS} and {CONTRACT} "
            "(pickled files such as .pt and .pth are never loaded)."
        )
    text = read_capped(folder / CONTRACT)
    try:
        contract = ModelContract.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise CheckpointError(
            f"{folder / CONTRACT} is not a valid contract ({where}: {first_problem(error)}): "
            f"{_ADVICE}"
        ) from error
    for name, most in _MOST.items():
        if not 0 < (n := len(getattr(contract, name))) <= most:
            raise CheckpointError(
                f"{folder / CONTRACT} names {n} {name}, and must name 1 to {most}: {_ADVICE}"
            )
    return contract


def check_folder(folder: Path) -> ModelContract:
    """Check contract and weights as far as that goes without torch, which takes seconds to load.

    Raises
    ------
    CheckpointError
        As `load_contract` and `read_weights`, or the weights are not whole.
    """
    contract = load_contract(folder)
    data = read_weights(folder)
    try:
        deserialize(data)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise CheckpointError(
            f"{folder / WEIGHTS} is not a safetensors file ({error}): {_ADVICE}"
        ) from error
    return contract


def read_weights(folder: Path) -> bytes:
    """Read model.safetensors, unless file or header are larger than any of ours.

    Raises
    ------
    CheckpointError
        When they are, or the file cannot be read.
    """
    path = folder / WEIGHTS
    data = read_capped(path)
    if len(data) < 8 or struct.unpack("<Q", data[:8])[0] > min(len(data), _LARGEST_HEADER):
        raise CheckpointError(f"{path} is not a safetensors file: {_ADVICE}")
    return data


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
        if not path.is_file():  # opening a pipe would wait for ever
            raise CheckpointError(f"{path} is no file: {_ADVICE}")
        most = _LARGEST[path.name]
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > most else file.read(most + 1)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from error
    if max(size, len(data)) > most:
        raise CheckpointError(
            f"{path} has {max(size, len(data))} bytes, more than any checkpoint of this program "
            f"({most}): it is not one."
        )
    return data
