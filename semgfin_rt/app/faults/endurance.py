"""Row 18: hours without end, simulated, and half an hour in real time."""

from __future__ import annotations

from pathlib import Path

from semgfin_rt.app.faults.child import in_child
from semgfin_rt.app.faults.finding import Finding, Scale
from semgfin_rt.app.soak import Reading, slope, soak
from semgfin_rt.app.timing import in_real_time

MB_PER_HOUR = 1.0
_MB = 2**20 / 1e6  # in a MiB
_REAL_S = 1800.0
_READINGS = 60


def soaked(scale: Scale) -> Finding:
    """Decide on hours of stream, in a process of its own, whose memory is read meanwhile."""
    hours = scale.pick(0.05, 8.0)
    parts = {f"{hours:g} h simulated": in_child(_simulated, scale.model, hours)}
    if scale.long:
        parts["30 min in real time"] = in_child(_in_real_time, scale.model)
    missed = sum(part[1] for part in parts.values())
    growth = max(slope(part[2]) * _MB for part in parts.values())
    changes = sum(_changes(part[2]) for part in parts.values())
    told = ", ".join(
        f"{what}: {decisions} decisions, {missed} missed, {slope(readings) * _MB:+.2f} MB/h"
        for what, (decisions, missed, readings) in parts.items()
    )
    return Finding(
        f"{told}; {changes} changes in the number of open files or threads",
        missed == 0 and growth < MB_PER_HOUR and changes == 0,
        {"missed": missed, "mb_per_hour": growth, "changes": changes},
    )


def _simulated(model: Path, hours: float) -> tuple[int, int, tuple[Reading, ...]]:
    found = soak(model, hours, _READINGS)
    return found.health.decisions, found.missed + found.health.lost, found.readings


def _in_real_time(model: Path) -> tuple[int, int, tuple[Reading, ...]]:
    readings: list[Reading] = []

    def read(_stage: str, done: int, hops: int, _loss: float) -> None:
        hours = done / hops * _REAL_S / 3600
        if done < hops and hours >= (len(readings) + 1) * _REAL_S / 3600 / _READINGS:
            readings.append(Reading.take(hours))

    found = in_real_time(model, _REAL_S, "auto", read)
    missed = found["expected_decisions"] - found["decisions"] + found["lost_samples"]
    return found["decisions"], missed, tuple(readings)


def _changes(readings: tuple[Reading, ...]) -> int:
    """Count how often files or threads were not as many as at the first reading."""
    first = readings[0]
    return sum((r.files, r.threads) != (first.files, first.threads) for r in readings)
