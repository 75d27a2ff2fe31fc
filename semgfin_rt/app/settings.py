"""What a run is asked for: settings, and a source to play or to listen to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from semgfin_rt.contracts import Recording
from semgfin_rt.decision import DecisionPolicy, PolicySpec, class_thresholds
from semgfin_rt.engine.spec import choose_horizons
from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.backend import require_backend
from semgfin_rt.nn.checkpoint_folder import load_contract

LONGEST_S = 1e7
"""16 weeks: beyond it a number of seconds is a mistake."""


@dataclass(frozen=True)
class Settings:
    """What the user sets, whatever the source.

    Attributes
    ----------
    model : Path
        Folder of the checkpoint.
    backend : {"auto", "onnx", "torch", "cuda"}
    horizons_ms : tuple of int or None
        Which to decide for, show and score; all of the checkpoint's by default.
    vote, reject, hold_ms, hysteresis
        See `PolicySpec`.
    rest_gate : bool or None
        None: on for a model without rest class that has one.
    thresholds : mapping of str to float
        See `class_thresholds`.
    seconds : float or None
        Of signal, after which to end.
    publish_id : str or None
        source_id under which to publish the decisions.
    udp_port : int or None
        Port of this machine to which decisions go as JSON.
    record : Path or None
        XDF file to record everything into, from the start.
    """

    model: Path
    backend: str = "auto"
    horizons_ms: tuple[int, ...] | None = None
    vote: int = 1
    reject: float = 0.0
    hold_ms: float = 0.0
    rest_gate: bool | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    hysteresis: int = 1
    seconds: float | None = None
    publish_id: str | None = None
    udp_port: int | None = None
    record: Path | None = None

    def check(self) -> ModelContract:
        """See, before a recording is read, that all of it can be had; return the contract.

        Raises
        ------
        CheckpointError
            If there is no checkpoint.
        OptionError
            If a setting is out of range, a horizon not in the checkpoint, the backend not there,
            or the policy does not fit the checkpoint.
        """
        if self.seconds is not None and not 0 < self.seconds <= LONGEST_S:
            raise OptionError(
                f"--seconds {self.seconds:g} is not possible: give more than 0 and at most "
                f"{LONGEST_S:.0f}."
            )
        contract = load_contract(self.model)
        choose_horizons(contract.horizons_ms, self.horizons_ms)
        DecisionPolicy(contract, self.policy(contract))
        require_backend(self.backend)
        return contract

    def policy(self, contract: ModelContract) -> PolicySpec:
        """Return the decision policy for a model."""
        by_itself = not contract.has_rest and contract.rest_gate is not None
        gate = by_itself if self.rest_gate is None else self.rest_gate
        own = class_thresholds(contract, self.thresholds)
        as_here = {part.name: getattr(self, part.name) for part in fields(PolicySpec)}
        return PolicySpec(**as_here | {"rest_gate": gate, "thresholds": own})

    def with_policy(self, policy: PolicySpec, contract: ModelContract) -> Settings:
        """Return the same with another policy for a model, its classes by name."""
        names = {c.id: c.name for c in contract.classes}
        as_there = {part.name: getattr(policy, part.name) for part in fields(PolicySpec)}
        thresholds = {names[label]: value for label, value in policy.thresholds}
        by_itself = policy.rest_gate == self.policy(contract).rest_gate
        gate = self.rest_gate if by_itself else policy.rest_gate
        return replace(self, **as_there | {"rest_gate": gate, "thresholds": thresholds})


@dataclass(frozen=True, eq=False)
class Replay:
    """A recording to play through LSL, or to decide on as fast as that goes.

    Attributes
    ----------
    recording : Recording
    speed : float
        Infinite: without LSL and without a window, each window as soon as the last is decided.
    loop : bool
        Begin again at the end; not at infinite speed.
    stay : bool
        With a window, and no number of seconds: pause at the end, so that one can go back.
    """

    recording: Recording
    speed: float = 1.0
    loop: bool = False
    stay: bool = False

    @property
    def at_full_speed(self) -> bool:
        """Whether nothing but the decisions takes time."""
        return math.isinf(self.speed)


@dataclass(frozen=True)
class Live:
    """A stream of somebody else's.

    Attributes
    ----------
    name, source_id : str or None
        One of them at least.
    unit : str or None
        The user's word for its unit.
    wait_s : float
        How long to look for it.
    """

    name: str | None = None
    source_id: str | None = None
    unit: str | None = None
    wait_s: float = 5.0
