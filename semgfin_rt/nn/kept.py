"""What the last start with a checkpoint found out, so that the next one needs no torch.

Kept are the ONNX graph, what the reference answered to the trials, and whether the graph was the
fastest of all backends here. The graph is compared with those answers at every start. The file is
the user's own cache, named by the SHA-256 of the checkpoint and by all else that it follows from.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from semgfin_rt import __version__
from semgfin_rt.nn.agreement import Answers
from semgfin_rt.nn.checkpoint_folder import sha256
from semgfin_rt.nn.onnx_backend import OPSET

_DIGEST = hashlib.sha256().digest_size
_LAYOUT = 1  # of the file


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of a checkpoint.

    Attributes
    ----------
    graph : bytes
        A serialised ONNX model.
    expected : list
        What the reference answered.
    allowed : float
        See `agreement.Difference`.
    fastest : bool
        Whether it was chosen among all backends.
    """

    graph: bytes
    expected: Answers
    allowed: float
    fastest: bool = False


def kept_file(model: Path, cache: Path) -> Path:
    """Say which file of the folder `cache` keeps it for the checkpoint in the folder `model`."""
    made_with = (_LAYOUT, __version__, version("torch"), version("onnxruntime"), OPSET)
    made_by = hashlib.sha256(repr(made_with).encode()).hexdigest()[:16]
    return cache / f"{sha256(model)}-{made_by}"


def read(file: Path) -> Kept | None:
    """Read what was kept, or None if there is nothing or it is damaged."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    digest, content = data[:_DIGEST], data[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        return None
    try:
        arrays = load(content)
        return Kept(
            arrays["graph"].tobytes(),
            [
                (arrays[f"features {i}"], arrays[f"log_probabilities {i}"])
                for i in range(int(arrays["n_trials"]))
            ],
            float(arrays["allowed"]),
            bool(arrays["fastest"]),
        )
    except (SafetensorError, KeyError):  # of another layout
        return None


def keep(file: Path, kept: Kept) -> None:
    """Write it behind its digest; a cache that cannot be written is done without."""
    arrays = {
        "graph": np.frombuffer(kept.graph, np.uint8),
        "n_trials": np.array(len(kept.expected)),
        "allowed": np.array(kept.allowed),
        "fastest": np.array(kept.fastest),
    }
    for i, (features, log_probabilities) in enumerate(kept.expected):
        arrays[f"features {i}"] = np.ascontiguousarray(features)
        arrays[f"log_probabilities {i}"] = np.ascontiguousarray(log_probabilities)
    content = save(arrays)
    part = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(hashlib.sha256(content).digest() + content)
        part.replace(file)
    except OSError:
        with suppress(OSError):
            part.unlink()


def keep_fastest(file: Path, fastest: bool) -> None:
    """Note whether what is kept was chosen among all backends."""
    kept = read(file)
    if kept is not None and kept.fastest != fastest:
        keep(file, replace(kept, fastest=fastest))
