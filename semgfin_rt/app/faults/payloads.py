"""Pickles that run something when they are loaded, under all names that a checkpoint could have.

What they run is harmless: it makes a folder, which shows that they ran.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from semgfin_rt.app.faults import samples
from semgfin_rt.nn.checkpoint_folder import CARD, CONTRACT, WEIGHTS

HARMLESS = 2
"""Reads that succeed: of a whole checkpoint with payloads lying beside, by either reader."""


class _Payload:
    def __init__(self, victim: Path) -> None:
        self._victim = str(victim)

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self._victim,)


def would_run(victim: Path) -> bool:
    """Whether loading a payload makes `victim`, which is removed again."""
    pickle.loads(pickle.dumps(_Payload(victim)))
    victim.rmdir()
    return True


def write(place: Path, victim: Path) -> Iterator[Path]:
    """Write one after the other what is to be read: files, and folders that hold them."""
    for i, data in enumerate(_pickles(victim)):
        for name in (WEIGHTS, CONTRACT):
            folder = samples.write_checkpoint(place / f"{name}-{i}")
            (folder / name).write_bytes(data)
            yield folder
        for name in ("model.pt", "model.pkl", "model.npy", "S1_E1_A1.mat", "x.xdf", "x.zip"):
            file = place / f"{i}-{name}"
            file.write_bytes(data)
            yield file
    beside = samples.write_checkpoint(place / "beside")
    for name in ("model.pt", "pytorch_model.bin", "optimizer.pkl", CARD):
        (beside / name).write_bytes(pickle.dumps(_Payload(victim)))
    yield beside


def _pickles(victim: Path) -> Iterator[bytes]:
    payload = _Payload(victim)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.dumps(payload, protocol)
    for as_zip in (True, False):
        file = BytesIO()
        torch.save({"weights": payload}, file, _use_new_zipfile_serialization=as_zip)
        yield file.getvalue()
    file = BytesIO()
    np.save(file, np.array([payload], object), allow_pickle=True)
    yield file.getvalue()
    header = pickle.dumps(payload)  # as the header of a safetensors file
    yield len(header).to_bytes(8, "little") + header
