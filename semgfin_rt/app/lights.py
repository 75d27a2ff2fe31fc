"""The light of each channel: its level, and what a person should know about it, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from semgfin_rt.contracts import Unit
from semgfin_rt.dsp.quality import DRIFT_WARN, MAINS_WARN, Fault, Quality
from semgfin_rt.model_contract import ModelContract

Level: TypeAlias = Literal["good", "warn", "bad"]


@dataclass(frozen=True)
class Light:
    """What the screen shows of one channel.

    Attributes
    ----------
    channel : str
    level : {"good", "warn", "bad"}
        With a bad one, no decision is trusted.
    text : str
        Names the channel and gives the number behind the level.
    """

    channel: str
    level: Level
    text: str


def lights(quality: Quality, contract: ModelContract) -> tuple[Light, ...]:
    """Return the lights of all channels, in the contract's order."""
    faults = dict(quality.faults)
    warn = quality.warn
    return tuple(
        _light(quality, contract, i, faults.get(i), warn=bool(warn[i]))
        for i in range(len(contract.channels))
    )


def _light(
    quality: Quality, contract: ModelContract, channel: int, fault: Fault | None, *, warn: bool
) -> Light:
    name = contract.channels[channel]
    level: Level = "bad" if fault is not None else "warn" if warn else "good"
    drift = float(quality.drift[channel])  # NaN, beyond no bound, while none is known
    if fault is not None:
        words = _words(quality, channel, fault)
    elif quality.mains_share[channel] >= MAINS_WARN:
        words = _words(quality, channel, "mains")
    elif drift < DRIFT_WARN[0] or drift > DRIFT_WARN[1]:
        words = _words(quality, channel, "drift")
    else:
        words = f"{_amount(float(quality.rms[channel]), contract.unit)} RMS"
        words += ", right after a loss" if quality.gap else ""
    return Light(name, level, f"{name}: {words}")


def _words(quality: Quality, channel: int, fault: Fault) -> str:
    match fault:
        case "not finite":
            return f"{_samples(quality.not_finite[channel])} not a number or infinite"
        case "clipped":
            return f"{_samples(quality.clipped[channel])} at the end of the range or beyond"
        case "flat":
            return f"flat for {_duration(float(quality.flat_ms[channel]))}"
        case "mains":
            share = 100 * float(quality.mains_share[channel])
            return f"{quality.mains_hz[channel]:.0f} Hz is {share:.0f} % of the power"
        case "drift":
            ratio = float(np.exp(quality.drift[channel]))
            if ratio > 1:
                return f"{ratio:.0f} times as strong as in training"
            return f"{1 / ratio:.0f} times weaker than in training"


def _samples(n: int) -> str:
    return f"{n} sample{'' if n == 1 else 's'}"


def _duration(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def _amount(value: float, unit: Unit) -> str:
    if unit == "count":
        return f"{value:.3g} counts"
    return f"{1e6 * value:.3g} µV"
