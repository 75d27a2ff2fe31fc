"""Which backend decides: each that runs here is compared with the reference, then timed.

The ONNX graph is built from the checkpoint's own weights, which takes a second or more, and may be
kept for the next time. It is compared each time, and built anew where it is damaged or does not
agree.
"""

from __future__ import annotations

import copy
import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnxruntime
import torch

from semgfin_rt import __version__
from semgfin_rt.contracts import FloatArray
from semgfin_rt.errors import CheckpointError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.agreement import Difference, compare
from semgfin_rt.nn.backend_names import require_backend
from semgfin_rt.nn.backends import Backend, TorchBackend
from semgfin_rt.nn.cuda import CudaGraphBackend
from semgfin_rt.nn.graph import FAILURES, OPSET, OnnxBackend, can_be_graph, onnx_model
from semgfin_rt.nn.network import Network

ASKED_AS = {"onnx cpu": "onnx", "cuda graph": "cuda", "torch cuda": "cuda", "torch cpu": "torch"}
_FEWEST, _MOST = 4, 60  # decisions that are timed, the first half of them to warm up
_ENOUGH_MS = 1000.0
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
    problems = {}
    for name, make in _candidates(network, contract, wanted, kept).items():
        try:
            backend, difference = make()
        except FAILURES as error:
            problems[name] = f"cannot run it here ({str(error).strip().splitlines()[0]})"
        else:
            if difference is None or difference.agrees:
                tried[name] = backend
                continue
            problems[name] = str(difference)
    said = [f"backend '{name}' {problem}" for name, problem in problems.items()]
    if not tried:
        raise CheckpointError(f"{'; '.join(said)}: choose another.")
    median_ms = {name: _median_ms(backend, window) for name, backend in tried.items()}
    fastest = min(median_ms, key=lambda name: median_ms[name])
    notes = tuple(f"{one[0].upper()}{one[1:]}: it was not used." for one in said)
    return Choice(tried[fastest], median_ms, notes)


_Made: TypeAlias = tuple[Backend, Difference | None]


def _candidates(
    network: Network, contract: ModelContract, wanted: str, kept: Path | None
) -> dict[str, Callable[[], _Made]]:
    """Name what may decide, and how it is made and compared."""

    def on(device: str) -> _Made:
        backend = TorchBackend(copy.deepcopy(network), contract, torch.device(device))
        return backend, None if device == "cpu" else compare(backend, network, contract)

    def graph() -> _Made:
        backend = CudaGraphBackend(network, contract)
        return backend, compare(backend, network, contract)

    if wanted == "onnx" and not can_be_graph(contract):
        raise CheckpointError(
            "this checkpoint computes its features instead of imitating them, which ONNX cannot: "
            "choose `--backend torch`."
        )
    has_cuda = torch.cuda.is_available()
    return {
        name: make
        for name, there, make in (
            ("onnx cpu", can_be_graph(contract), lambda: _onnx(network, contract, kept)),
            ("cuda graph", has_cuda and can_be_graph(contract), graph),
            ("torch cuda", has_cuda, lambda: on("cuda")),
            ("torch cpu", True, lambda: on("cpu")),  # the reference
        )
        if there and wanted in ("auto", ASKED_AS[name])
    }


def _onnx(network: Network, contract: ModelContract, kept: Path | None) -> _Made:
    """Take the graph that was kept, if it agrees, or build one."""
    file = None if kept is None else kept.with_name(f"{kept.name}-{_made_with()}")
    if file is not None and (graph := _read(file)) is not None:
        with suppress(*FAILURES):  # whatever is wrong with it, it is built anew
            backend = OnnxBackend(graph)
            difference = compare(backend, network, contract)
            if difference.agrees:
                return backend, difference
    graph = onnx_model(network, contract).SerializeToString()
    backend = OnnxBackend(graph)
    difference = compare(backend, network, contract)
    if file is not None and difference.agrees:
        _keep(file, graph)
    return backend, difference


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
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(hashlib.sha256(graph).digest() + graph)
        part.replace(file)
    except OSError:
        with suppress(OSError):
            part.unlink()


def time_decision(backend: Backend, window: FloatArray) -> float:
    """Time one decision on a window (1, n_samples, n_channels), in ms."""
    began = time.perf_counter()
    feature_map = backend.imitate(window)
    backend.features(feature_map)
    backend.classify(feature_map)
    return 1000 * (time.perf_counter() - began)


def _median_ms(backend: Backend, window: FloatArray) -> float:
    """Of one decision, warm."""
    times: list[float] = []
    while len(times) < _MOST and (len(times) < _FEWEST or sum(times) < _ENOUGH_MS):
        times.append(time_decision(backend, window))
    return float(np.median(times[len(times) // 2 :]))
