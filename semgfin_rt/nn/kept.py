"""What the last start with a checkpoint found out, so that the next one needs no torch.

Kept are the ONNX graph, what the reference answered to the trials, and whether the graph was the
fastest of all backends here. The graph is compared with those answers at every start. The file is
the user's own cache, named by the SHA-256 of the checkpoint and by all else that it follows from.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
from safetensors.numpy import load, save

from semgfin_rt import __version__
from semgfin_rt.atomic import written_whole
from semgfin_rt.nn.agreement import Answers
from semgfin_rt.nn.checkpoint_folder import sha256
from semgfin_rt.nn.onnx_backend import OPSET

_DIGEST = hashlib.sha256().digest_size
_LAYOUT = 2  # of the file, and of the graph in it: one more where `graph` makes another
_LARGEST = 1 << 29  # bytes, far above any of ours


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
    made_with = (_LAYOUT, __version__, version("torch"), onnxruntime.__version__, OPSET)
    made_by = hashlib.sha256(repr(made_with).encode()).hexdigest()[:16]
    return cache / f"{sha256(model)}-{made_by}"


def read(file: Path) -> Kept | None:
    """Read what was kept, or None if there is nothing or it is damaged."""
    try:
        if not file.is_file() or file.stat().st_size > _LARGEST:
            return None
        data = file.read_bytes()
    except OSError:
        return None
    content = data[_DIGEST:]
    if data[:_DIGEST] != _digest(file, content):
        return None
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


def keep(file: Path, kept: Kept) -> None:
    """Write it, and remove what other versions kept; a cache that cannot be written is no harm."""
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
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as part:
            part.write_bytes(_digest(file, content) + content)
        for other in file.parent.glob(f"{file.name.partition('-')[0]}-*"):
            if other != file:
                other.unlink()


def _digest(file: Path, content: bytes) -> bytes:
    """Of the content for this very name: that of another checkpoint is as good as damaged."""
    return hashlib.sha256(file.name.encode() + content).digest()
