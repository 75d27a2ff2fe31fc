"""Which backend decides: each that runs here is compared with the reference, then timed.

The ONNX graph is built from the checkpoint's own weights, which takes a second or more, and may be
kept for the next time; see `kept`. It is compared each time, and built anew where it is damaged or
does not agree.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import torch

from semgfin_rt.errors import CheckpointError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.agreement import Difference
from semgfin_rt.nn.backend import ASKED_AS, Backend, Choice, median_ms, require_backend
from semgfin_rt.nn.cuda import CudaGraphBackend
from semgfin_rt.nn.graph import can_be_graph, onnx_model
from semgfin_rt.nn.kept import Kept, keep, read
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.onnx_backend import FAILURES, OnnxBackend
from semgfin_rt.nn.reference import TorchBackend, compare, expected_answers


def choose_backend(
    network: Network, contract: ModelContract, wanted: str = "auto", file: Path | None = None
) -> Choice:
    """Take the wanted backend, or the fastest, and warm it up.

    Parameters
    ----------
    network : Network
    contract : ModelContract
    wanted : {"auto", "onnx", "torch", "cuda"}
    file : Path, optional
        `kept.kept_file` of these very weights.

    Raises
    ------
    OptionError
        See `require_backend`.
    CheckpointError
        When the wanted backend cannot run this network, or does not agree with torch on the CPU.
    """
    require_backend(wanted)
    tried: dict[str, Backend] = {}
    problems = {}
    kept: list[Kept] = []
    for name, make in _candidates(network, contract, wanted, file, kept).items():
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
    took_ms = {name: median_ms(backend, contract) for name, backend in tried.items()}
    fastest = min(took_ms, key=lambda name: took_ms[name])
    if file is not None and kept:
        won = fastest == OnnxBackend.name and not said
        keep(file, replace(kept[0], fastest=won) if wanted == "auto" else kept[0])
    notes = tuple(f"{one[0].upper()}{one[1:]}: it was not used." for one in said)
    return Choice(tried[fastest], took_ms, notes)


_Made: TypeAlias = tuple[Backend, Difference | None]


def _candidates(
    network: Network, contract: ModelContract, wanted: str, file: Path | None, kept: list[Kept]
) -> dict[str, Callable[[], _Made]]:
    """Name what may decide, and how it is made and compared; `kept` gets what may be kept."""
    expected = functools.cache(lambda: expected_answers(network, contract))

    def on(device: str) -> _Made:
        backend = TorchBackend(copy.deepcopy(network), contract, torch.device(device))
        if device == "cpu":
            return backend, None
        return backend, compare(backend, network, contract, expected())

    def graph() -> _Made:
        backend = CudaGraphBackend(network, contract)
        return backend, compare(backend, network, contract, expected())

    def onnx() -> _Made:
        before = None if file is None else read(file)
        if before is not None:
            with suppress(*FAILURES):  # whatever is wrong with it, it is built anew
                kept_backend = OnnxBackend(before.graph)
                difference = compare(kept_backend, network, contract, expected())
                if difference.agrees:
                    kept.append(replace(before, expected=expected(), allowed=difference.allowed))
                    return kept_backend, difference
        data = onnx_model(network, contract).SerializeToString()
        backend = OnnxBackend(data)
        difference = compare(backend, network, contract, expected())
        if difference.agrees:
            kept.append(Kept(data, expected(), difference.allowed))
        return backend, difference

    if wanted == "onnx" and not can_be_graph(contract):
        raise CheckpointError(
            "this checkpoint computes its features instead of imitating them, which ONNX cannot: "
            "choose `--backend torch`."
        )
    has_cuda = torch.cuda.is_available()
    return {
        name: make
        for name, there, make in (
            ("onnx cpu", can_be_graph(contract), onnx),
            ("cuda graph", has_cuda and can_be_graph(contract), graph),
            ("torch cuda", has_cuda, lambda: on("cuda")),
            ("torch cpu", True, lambda: on("cpu")),  # the reference
        )
        if there and wanted in ("auto", ASKED_AS[name])
    }
