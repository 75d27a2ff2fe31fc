"""What a decision costs on this machine: every backend and preset beside the published loop.

Networks have random weights, on which their time does not depend. Everything runs on one thread,
one window at a time; the cases take turns, so that whatever else the machine does meets them alike.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import onnxruntime
import torch

from semgfin_rt.contracts import FloatArray
from semgfin_rt.errors import CheckpointError, OptionError
from semgfin_rt.model_contract import ClassLabel, ModelContract, PresetName
from semgfin_rt.nn.backend import Backend, time_decision
from semgfin_rt.nn.choosing import choose_backend
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.presets import PRESETS
from semgfin_rt.nn.reference import one_thread
from semgfin_rt.train.loop import Progress
from semgfin_rt.train.options import DEFAULT_HORIZONS_MS

NAIVE = "published loop, torch"
"""48 FINs, one after the other, then the CNN: the network as published, with one horizon."""
_ROUNDS = 5
_FEWEST = 3  # decisions of a case in a round
CURVES: dict[str, tuple[int, ...]] = {
    "channels": (4, 8, 12, 16, 32, 64),
    "classes": (5, 18, 50),
    "horizons": (1, 2, 5, 10),
    "window_ms": (100, 150, 200, 250, 300),
}


@dataclass(frozen=True)
class Signal:
    """What is decided on.

    Attributes
    ----------
    channels, classes, horizons : int
        How many.
    ring : int
        How many of the channels, at most, lie around the limb (8 of 12 in DB2).
    rate : float
        In Hz.
    window_ms, hop_ms : int
    """

    channels: int = 12
    classes: int = 18
    horizons: int = 5
    rate: float = 2000.0
    window_ms: int = 300
    hop_ms: int = 10
    ring: int = 8

    def require_whole(self) -> None:
        """See that windows are made of hops, and hops of samples.

        Raises
        ------
        OptionError
            If not.
        """
        samples = self.hop_ms * self.rate / 1000
        if samples < 1 or samples != round(samples):
            raise OptionError(
                f"{self.hop_ms} ms are {samples:g} samples at {self.rate:g} Hz: give a rate at "
                "which they are whole."
            )
        if self.window_ms % self.hop_ms:
            raise OptionError(
                f"a window of {self.window_ms} ms is not made of hops of {self.hop_ms} ms: give a "
                "multiple."
            )


@dataclass(frozen=True)
class Timing:
    """Percentiles of the time of one decision, in ms."""

    p50: float
    p95: float
    p99: float
    p999: float
    n: int


def untrained(preset: PresetName, signal: Signal, *, per_channel: bool = False) -> ModelContract:
    """Contract of a network for `signal`, with statistics of no meaning.

    Parameters
    ----------
    preset : {"paper", "realtime"}
    signal : Signal
    per_channel : bool
        Weights of their own for each channel.

    Raises
    ------
    OptionError
        When the window is not made of whole hops, or a hop not of whole samples.
    """
    signal.require_whole()
    n = signal.channels
    chosen = PRESETS[preset]
    features = chosen.features
    hop = round(signal.hop_ms * signal.rate / 1000)
    network = chosen.network(hop, len(features), n if per_channel else 1)
    ring = tuple(range(min(n, signal.ring)))
    horizons = (
        DEFAULT_HORIZONS_MS
        if signal.horizons == len(DEFAULT_HORIZONS_MS)
        else tuple(signal.hop_ms * i for i in range(signal.horizons))
    )
    return ModelContract(
        preset=preset,
        channels=tuple(f"ch{i}" for i in range(n)),
        rate=signal.rate,
        unit="V",
        ring=ring if len(ring) > 2 else (),
        filter_sos=(),
        scale_mean=(0.0,) * n,
        scale_std=(1.0,) * n,
        window=hop * (signal.window_ms // signal.hop_ms),
        hop=hop,
        features=features,
        classifier_features=chosen.classifier_features,
        feature_mean=(0.0,) * len(features),
        feature_std=(1.0,) * len(features),
        horizons_ms=horizons,
        classes=tuple(ClassLabel(id=i, name=f"movement {i}") for i in range(signal.classes)),
        network=network.model_copy(update={"derivations": chosen.derived(ring)}),
        test_repetitions=(),
    )


def bench(
    signal: Signal, seconds: float, report: Progress, curves: Iterable[str] = CURVES
) -> dict[str, Any]:
    """Time a decision of every preset and backend, and what it follows from.

    Parameters
    ----------
    signal : Signal
    seconds : float
        For each case, besides the curves, which take a tenth each.
    report : callable
        Told (what, done, of how many, 0.0).
    curves : iterable of str
        Which of `CURVES`.

    Returns
    -------
    dict
        ``cases`` (name to `Timing`), ``realtime`` (ours_ms, naive_ms, ratio, p95, p999, backend),
        ``curves`` (name to value to ms), ``refused`` (name to why a case could not be timed),
        ``signal``, ``machine``, ``versions``, ``date``. With a GPU, ``realtime`` is still that of
        the CPU, and ``realtime_cuda`` stands beside it.

    Raises
    ------
    OptionError
        When the signal cannot be.
    """
    with one_thread():
        cases, refused = _cases(signal, report)
        times = _take_turns(cases, seconds, report)
        found = {name: _timing(values) for name, values in times.items()}
        curve = {name: _curve(name, signal, seconds / 10, report) for name in curves}
    on_gpu = "realtime, cuda"
    return {
        "realtime": _beside_naive(found, [n for n in found if n != on_gpu]),
        **({"realtime_cuda": _beside_naive(found, [on_gpu])} if on_gpu in found else {}),
        "cases": {name: asdict(timing) for name, timing in found.items()},
        "curves": curve,
        "refused": refused,
        "signal": asdict(signal),
        "machine": _machine(),
        "versions": {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__},
        "date": datetime.now(UTC).date().isoformat(),
    }


def _beside_naive(found: dict[str, Timing], names: Iterable[str]) -> dict[str, Any]:
    """Put the fastest `realtime` of `names` beside the published loop."""
    ours = min((n for n in names if n.startswith("realtime")), key=lambda n: found[n].p50)
    fastest, naive = found[ours], found[NAIVE]
    return {
        "backend": ours,
        "ours_ms": fastest.p50,
        "naive_ms": naive.p50,
        "ratio": naive.p50 / fastest.p50,
        "p95": fastest.p95,
        "p999": fastest.p999,
    }


def _machine() -> str:
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{platform.machine()}, {os.cpu_count()} cores, one thread{gpu}"


def _cases(
    signal: Signal, report: Progress
) -> tuple[dict[str, tuple[Backend, FloatArray]], dict[str, str]]:
    """Every network and backend that runs here, with a window to decide on; and what does not."""
    one = Signal(**{**asdict(signal), "horizons": 1})
    published = untrained("paper", one, per_channel=True)
    cases = {NAIVE: _ready(published, "torch")}
    refused = {}
    networks = {
        "realtime": untrained("realtime", signal),
        "published": published,
        "paper, shared FINs": untrained("paper", one),
    }
    for number, (preset, contract) in enumerate(networks.items()):
        report("building networks", number, len(networks), 0.0)
        for backend in ("onnx", "torch", *(["cuda"] if torch.cuda.is_available() else [])):
            name = f"{preset}, {backend}"
            if name == "published, torch":  # the baseline
                continue
            try:
                cases[name] = _ready(contract, backend)
            except CheckpointError as error:
                refused[name] = str(error)
    report("building networks", len(networks), len(networks), 0.0)
    return cases, refused


def _ready(contract: ModelContract, backend: str) -> tuple[Backend, FloatArray]:
    torch.manual_seed(0)
    shape = (1, contract.window, len(contract.channels))
    window = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return choose_backend(Network(contract), contract, backend).backend, window


def _take_turns(
    cases: dict[str, tuple[Backend, FloatArray]], seconds: float, report: Progress
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(_ROUNDS):
        for name, case in cases.items():
            times[name] += _decide_for(seconds / _ROUNDS, *case)
        report("presets and backends", number + 1, _ROUNDS, 0.0)
    return times


def _decide_for(seconds: float, backend: Backend, window: FloatArray) -> list[float]:
    """Time decisions for so long and at least a few: ms of each."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < _FEWEST or time.perf_counter() < end:
        times.append(time_decision(backend, window))
    return times


def _timing(times: list[float]) -> Timing:
    p50, p95, p99, p999 = np.percentile(times, (50, 95, 99, 99.9)).round(4).tolist()
    return Timing(p50, p95, p99, p999, len(times))


def _curve(name: str, signal: Signal, seconds: float, report: Progress) -> dict[str, float]:
    """Median of the preset `realtime` on ONNX Runtime, with one number of the signal changed."""
    found = {}
    for number, value in enumerate(CURVES[name], start=1):
        changed = Signal(**{**asdict(signal), name: value})
        times = _decide_for(seconds, *_ready(untrained("realtime", changed), "onnx"))
        found[str(value)] = _timing(times).p50
        report(f"cost against {name}", number, len(CURVES[name]), 0.0)
    return found
