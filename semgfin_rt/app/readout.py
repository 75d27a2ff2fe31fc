"""The words and figures on screen; a dash wherever nothing is known yet."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from semgfin_rt.app.ribbon import row_name
from semgfin_rt.contracts import NO_LABEL, Decision, Movement, State, Unit
from semgfin_rt.engine.snapshot import Health, Percentiles
from semgfin_rt.model_contract import ModelContract

UNKNOWN = "–"  # noqa: RUF001 - an en dash is wide enough to be seen


@dataclass(frozen=True)
class Tile:
    """One figure of the status line.

    Attributes
    ----------
    caption, value : str
    explanation : str
        For the tooltip.
    alarm : bool
        Whether the figure is bad news.
    """

    caption: str
    value: str
    explanation: str
    alarm: bool = False


def percentiles(stage: Percentiles | None) -> str:
    """Return p50, p95 and p99, as in ``"1.2 / 1.9 / 2.5"``."""
    if stage is None or not math.isfinite(stage.p50):
        return UNKNOWN
    return f"{stage.p50:.1f} / {stage.p95:.1f} / {stage.p99:.1f}"


def share(value: float | None) -> str:
    """Return a probability or accuracy with two decimals."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:.2f}"


def status_tiles(
    health: Health | None, accuracy: float | None, hop_ms: float, stale: Decision | None = None
) -> list[Tile]:
    """Return the status line: latency, loss and score, always the same tiles in the same order."""
    latency = health.latency_ms if health else {}
    age_ms = health.age_ms if health else math.nan
    if stale is not None:
        age_ms = stale.age_ms
    age = UNKNOWN if math.isnan(age_ms) else f"{age_ms:,.1f}" if age_ms < 1000 else f"{age_ms:,.0f}"
    counts = {
        name: getattr(health, name) if health else 0
        for name in ("received", "lost", "skipped", "late", "decisions", "expected", "stale")
    }
    missing = counts["expected"] - counts["decisions"]
    return [
        Tile(
            "compute ms",
            percentiles(latency.get("compute")),
            "Filter to policy: p50 / p95 / p99 of the last minute",
        ),
        Tile(
            "end to end ms",
            percentiles(latency.get("end_to_end")),
            "Newest sample pushed to decision pushed: p50 / p95 / p99 of the last minute",
        ),
        Tile(
            "age ms",
            age,
            "Age of the newest sample when the last decision was published",
            stale is not None,
        ),
        Tile("received", f"{counts['received']:,}", "Samples received"),
        Tile("lost", f"{counts['lost']:,}", "Samples known to be missing", counts["lost"] > 0),
        Tile(
            "skipped",
            f"{counts['skipped']:,}",
            "Windows passed over because the decider was behind",
            counts["skipped"] > 0,
        ),
        Tile("late", f"{counts['late']:,}", f"Decisions later than one hop, {hop_ms:g} ms"),
        Tile("stale", f"{counts['stale']:,}", "Decisions published because no signal came"),
        Tile(
            "decisions / expected",
            f"{counts['decisions']:,} / {counts['expected']:,}",
            "Decisions published, and those that the received samples allow",
            missing > 1 and counts["skipped"] > 0,
        ),
        Tile("accuracy", share(accuracy), "Running accuracy, known in a replay with truth"),
    ]


def spoken(movement: Movement | None, contract: ModelContract) -> str:
    """Return the movement's name, or why there is none."""
    if movement is None:
        return UNKNOWN
    if movement.state is State.REJECT:
        return "rejected"
    if movement.state is State.STALE and movement.label == NO_LABEL:
        return "no signal"
    return contract.class_name(movement.label)


def silence_text(stale: Decision | None) -> str:
    """Say that no signal comes, and for how long; nothing while it does."""
    return "" if stale is None else f"no signal for {stale.age_ms / 1000:.1f} s"


def clock_text(lsl_time: float, wall_minus_lsl: float) -> str:
    """Return a time of the LSL clock as the time of day here, as in ``"14:03:21"``."""
    return time.strftime("%H:%M:%S", time.localtime(lsl_time + wall_minus_lsl))


def forecast_text(horizon_ms: int, movement: Movement | None, contract: ModelContract) -> str:
    """Return when and what, as in ``"+50 ms: fist"``; how sure stands beside it."""
    return f"{row_name(horizon_ms)}: {spoken(movement, contract)}"


def lane_text(half_lane: float, unit: Unit) -> str:
    """Return the scale of a trace, as in ``"lane ±50 µV"``."""
    if unit == "count":
        return f"lane ±{half_lane:g} counts"
    for factor, name in ((1.0, "V"), (1e3, "mV"), (1e6, "µV")):
        if half_lane * factor >= 1:
            return f"lane ±{half_lane * factor:g} {name}"
    return f"lane ±{half_lane * 1e9:g} nV"


def feature_text(name: str, channel: str, estimate: float, closed_form: float) -> str:
    """Return one cell of the feature panel in words; values in training standard deviations."""
    return (
        f"{name}, {channel}: FIN {estimate:+.2f} SD, closed form {closed_form:+.2f} SD, "
        f"difference {estimate - closed_form:+.2f} SD"
    )
