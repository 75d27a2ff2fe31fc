"""How a checkpoint fares on this machine: through LSL in real time, and as fast as it goes.

The signal is noise of the checkpoint's channels, rate and scale, so any checkpoint can be tried:
the time does not depend on what is decided.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from semgfin_rt.app.session import Session
from semgfin_rt.app.settings import Replay, Settings
from semgfin_rt.contracts import Decision, Recording, SignalSpec
from semgfin_rt.engine.build import build_pipeline
from semgfin_rt.errors import StreamError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.backend import median_ms
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.train.loop import Progress

MOST_END_TO_END_MS = 15.0
"""Of 99 in 100 decisions, from the push of the newest sample to the push of the decision; a hop
where that is longer."""
_NOISE_S = 10.0


def noise(contract: ModelContract, seconds: float) -> Recording:
    """Noise that a checkpoint can decide on.

    Parameters
    ----------
    contract : ModelContract
    seconds : float
    """
    n = round(seconds * contract.rate)
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((n, len(contract.channels)), dtype=np.float32)
    samples = samples * np.asarray(contract.scale_std, np.float32)
    nothing = np.zeros(n, dtype=np.int16)
    return Recording(
        samples,
        SignalSpec(contract.channels, contract.rate, contract.unit),
        nothing,
        nothing,
        {c.id: c.name for c in contract.classes},
        subject=0,
        dataset="synthetic",
        path="noise",
        test_repetitions=frozenset(),
    )


def in_real_time(model: Path, seconds: float, backend: str, report: Progress) -> dict[str, Any]:
    """Play noise through LSL at speed 1 and judge how it was kept up with.

    Parameters
    ----------
    model : Path
    seconds : float
        Of signal.
    backend : {"auto", "onnx", "torch", "cuda"}
    report : callable

    Returns
    -------
    dict
        Of the summary of a replay: ``decisions``, ``expected_decisions``, ``lost_samples``,
        ``skipped``, ``late``, ``latency_ms``, ``end_to_end_ms``, ``backend``, ``notes``; and
        ``reasons``, a sentence for each promise that was not kept.

    Raises
    ------
    StreamError
        When the stream breaks off.
    """
    contract = load_contract(model)
    settings = Settings(model, backend, seconds=seconds, publish_id=f"semgfin-timing-{uuid4()}")
    hops = max(1, round(seconds * contract.rate / contract.hop))
    done = 0

    def count(_decision: object) -> None:
        nonlocal done
        done += 1
        if done % 100 == 0:
            report("real time", min(done, hops), hops, 0.0)

    summary = _run(settings, Replay(noise(contract, _NOISE_S), loop=True), count)
    report("real time", hops, hops, 0.0)
    kept = (
        *("decisions", "expected_decisions", "lost_samples", "skipped", "late"),
        *("latency_ms", "end_to_end_ms", "backend", "seconds", "notes"),
    )
    found = {name: summary[name] for name in kept}
    return found | {"reasons": _reasons(found, 1000 * contract.hop / contract.rate)}


def _reasons(found: dict[str, Any], hop_ms: float) -> list[str]:
    reasons = []
    if not found["decisions"]:
        reasons.append(f"Nothing was decided in {found['seconds']:.2f} s: give it more time.")
    missed = found["expected_decisions"] - found["decisions"]
    if missed or found["lost_samples"]:
        reasons.append(f"{missed} decisions were missed, {found['lost_samples']} samples lost.")
    compute, end = found["latency_ms"].get("compute"), found["end_to_end_ms"]
    if compute and compute["p95"] > hop_ms / 2:
        reasons.append(
            f"One decision in 20 takes {compute['p95']:.1f} ms or more: half a hop is "
            f"{hop_ms / 2:g} ms."
        )
    allowed = max(MOST_END_TO_END_MS, hop_ms)
    if end and end["p99"] > allowed:
        reasons.append(
            f"One decision in 100 comes {end['p99']:.1f} ms or more after its newest sample: "
            f"{allowed:g} ms are allowed."
        )
    return reasons


def _run(
    settings: Settings, source: Replay, on_decision: Callable[[Decision], None] | None = None
) -> dict[str, Any]:
    with Session(settings, source) as session:
        summary = session.run(on_decision=on_decision)
    if session.interrupted:
        raise KeyboardInterrupt
    if session.failure is not None:
        raise StreamError(session.failure)
    return summary


def at_full_speed(model: Path, seconds: float, backend: str, report: Progress) -> dict[str, Any]:
    """Decide on noise through the same pipeline, one window after the other, without LSL.

    Parameters
    ----------
    model : Path
    seconds : float
        Of signal.
    backend : {"auto", "onnx", "torch", "cuda"}
    report : callable

    Returns
    -------
    dict
        ``times_real_time``; ``floor_times_real_time``, what the FIN's arithmetic alone would allow
        at the speed of a large matrix product on one thread (None where no FIN or no CPU decides);
        ``decisions``; ``backend``.
    """
    contract = load_contract(model)
    hops = round(seconds * contract.rate / contract.hop)
    done = 0

    def count(_decision: object) -> None:
        nonlocal done
        done += 1
        if done % 100 == 0:
            report("full speed", done, hops, 0.0)

    summary = _run(
        Settings(model, backend), Replay(noise(contract, seconds), speed=math.inf), count
    )
    report("full speed", hops, hops, 0.0)
    kept = ("times_real_time", "floor_times_real_time", "decisions", "backend")
    return {name: summary[name] for name in kept}


def network_alone(model: Path, backend: str) -> dict[str, float]:
    """Time the network of a checkpoint alone.

    Parameters
    ----------
    model : Path
    backend : {"auto", "onnx", "torch", "cuda"}

    Returns
    -------
    dict
        Medians in ms: ``back_to_back``, and ``once_a_hop``, as in real time: the processor sleeps
        in between, and whoever else uses it leaves other things in its caches.
    """
    pipeline = build_pipeline(model, backend).pipeline
    contract = pipeline.contract
    hop_s = contract.hop / contract.rate
    return {
        "back_to_back": median_ms(pipeline.backend, contract),
        "once_a_hop": median_ms(pipeline.backend, contract, hop_s),
    }
