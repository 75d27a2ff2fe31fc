"""Which backend decides: each that runs here is compared with the reference, then timed.

The ONNX graph is built from the checkpoint's own weights, which takes a second or more, and may be
kept for the next time. It is compared each time, and built anew where it is damaged or does not
agree. No ONNX file from elsewhere is ever read.
"""

from __future__ import annotations

import copy
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from semgfin_rt import __version__
from semgfin_rt.contracts import FloatArray
from semgfin_rt.errors import CheckpointError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.agreement import Difference, compare
from semgfin_rt.nn.backends import Backend, TorchBackend, require_backend
from semgfin_rt.nn.graph import OPSET, OnnxBackend, can_be_graph, onnx_model
from semgfin_rt.nn.network import Network

_FEWEST, _MOST = 4, 60  # decisions that are timed, the first half of them to warm up
_ENOUGH_S = 1.0
_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True, eq=False)
class Choice:
    """The backend that decides.

    Attributes
    ----------
    backend : Backend
        Warm.
    median_ms : dict
        Of one decision, by the name of each backend that was tried.
    notes : tuple of str
        Why one was passed over, a sentence each.
    """

    backend: Backend
    median_ms: dict[str, float]
    notes: tuple[str, ...] = ()


def choose_backend(
    network: Network, contract: ModelContract, wanted: str = "auto", kept: Path | None = None
) -> Choice:
    """Take the wanted backend, or the fastest, and warm it up.

    Parameters
    ----------
    network : Network
    contract : ModelContract
    wanted : {"auto", "onnx", "torch", "cuda"}
    kept : Path, optional
        Where the ONNX graph of these very weights is kept for the next time; what it was made with
        is added to the name.

    Raises
    ------
    OptionError
        See `require_backend`.
    CheckpointError
        When the wanted backend cannot run this network, or does not agree with torch on the CPU.
    """
    require_backend(wanted)
    window = np.zeros((1, contract.window, len(contract.channels)), dtype=np.float32)
    tried: dict[str, Backend] = {}
    notes = []
    for backend, difference in _candidates(network, contract, wanted, kept):
        if difference is None or difference.agrees:
            tried[backend.name] = backend
        elif wanted == "auto":
            notes.append(f"Backend '{backend.name}' {difference}: it was not used.")
        else:
            raise CheckpointError(
                f"backend '{backend.name}' {difference}: choose another with --backend."
            )
    median_ms = {name: _median_ms(backend, window) for name, backend in tried.items()}
    fastest = min(median_ms, key=lambda name: median_ms[name])
    return Choice(tried[fastest], median_ms, tuple(notes))


def _candidates(
    network: Network, contract: ModelContract, wanted: str, kept: Path | None
) -> Iterator[tuple[Backend, Difference | None]]:
    if wanted in ("auto", "onnx") and can_be_graph(contract):
        yield _onnx(network, contract, kept)
    elif wanted == "onnx":
        raise CheckpointError(
            "this checkpoint computes its features instead of imitating them, which ONNX cannot: "
            "choose `--backend torch`."
        )
    if wanted == "cuda" or (wanted == "auto" and torch.cuda.is_available()):
        torch.backends.cudnn.allow_tf32 = False  # it would not agree
        backend = TorchBackend(copy.deepcopy(network), contract, torch.device("cuda"))
        yield backend, compare(backend, network, contract)
    if wanted in ("auto", "torch"):
        yield TorchBackend(network, contract, torch.device("cpu")), None  # the reference


def _onnx(
    network: Network, contract: ModelContract, kept: Path | None
) -> tuple[Backend, Difference]:
    """Take the graph that was kept, if it agrees, or build one."""
    file = None if kept is None else kept.with_name(f"{kept.name}-{_made_with()}")
    if file is not None and (graph := _read(file)) is not None:
        backend = OnnxBackend(graph)
        difference = compare(backend, network, contract)
        if difference.agrees:
            return backend, difference
    graph = onnx_model(network, contract).SerializeToString()
    if file is not None:
        _keep(file, graph)
    backend = OnnxBackend(graph)
    return backend, compare(backend, network, contract)


def _made_with() -> str:
    """Name everything that a graph follows from, besides the weights."""
    versions = (__version__, torch.__version__, onnxruntime.__version__, OPSET)
    return hashlib.sha256(repr(versions).encode()).hexdigest()[:16]


def _read(file: Path) -> bytes | None:
    """Read a graph that was kept, or None if there is none or it is damaged."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    digest, graph = data[:_DIGEST], data[_DIGEST:]
    return graph if hashlib.sha256(graph).digest() == digest else None


def _keep(file: Path, graph: bytes) -> None:
    """Write it behind its digest; a cache that cannot be written is done without."""
    part = file.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(hashlib.sha256(graph).digest() + graph)
        part.replace(file)


def _median_ms(backend: Backend, window: FloatArray) -> float:
    """Of one decision on one window, warm."""
    times: list[float] = []
    while len(times) < _MOST and (len(times) < _FEWEST or sum(times) < _ENOUGH_S):
        began = time.perf_counter()
        feature_map = backend.imitate(window)
        backend.features(feature_map)
        backend.classify(feature_map)
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times[len(times) // 2 :]))
