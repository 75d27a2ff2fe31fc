"""What an engine is told: small and picklable, so that it reaches a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from semgfin_rt.decision import PolicySpec
from semgfin_rt.errors import OptionError


@dataclass(frozen=True)
class EngineSpec:
    """What to run.

    Attributes
    ----------
    model : Path
        Folder of the checkpoint.
    name, source_id : str or None
        Of the signal stream.
    truth_id : str or None
        Of a player's marker stream.
    unit : str or None
        The user's word for the stream's unit.
    horizons_ms : tuple of int or None
        Which to decide for; all of the checkpoint's by default.
    backend : {"auto", "onnx", "torch", "cuda"}
    policy : PolicySpec
    seconds : float or None
        Of signal, after which to end.
    publish_id : str or None
        source_id under which to publish the decisions; None publishes nothing.
    resolve_s : float
        How long to look for the streams.
    silence_s : float or None
        How long the signal may stay away; None leaves it to the operator.
    udp_port : int or None
        Port of this machine to which decisions go as JSON.
    record : Path or None
        File to record into from the start.
    black_box : bool
        Keep the last 60 s, and be ready to record.
    """

    model: Path
    name: str | None = None
    source_id: str | None = None
    truth_id: str | None = None
    unit: str | None = None
    horizons_ms: tuple[int, ...] | None = None
    backend: str = "auto"
    policy: PolicySpec = field(default_factory=PolicySpec)
    seconds: float | None = None
    publish_id: str | None = None
    resolve_s: float = 5.0
    silence_s: float | None = 60.0
    udp_port: int | None = None
    record: Path | None = None
    black_box: bool = False


def choose_horizons(offered: tuple[int, ...], wanted: tuple[int, ...] | None) -> list[int]:
    """Return the places of the wanted horizons among those a checkpoint offers.

    Raises
    ------
    OptionError
        If one is not offered.
    """
    missing = [ms for ms in wanted or () if ms not in offered]
    if missing:
        raise OptionError(
            f"horizon {missing[0]} ms is not in the checkpoint: choose among "
            f"{', '.join(map(str, offered))}."
        )
    return [i for i, ms in enumerate(offered) if wanted is None or ms in wanted]
