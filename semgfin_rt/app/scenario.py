"""Scenarios: TOML files that say what to replay and what must come of it.

A recording given on the command line is a scenario that expects nothing, so both are replayed in
one way.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from semgfin_rt.app.settings import LONGEST_S, Replay, Settings
from semgfin_rt.contracts import Recording
from semgfin_rt.errors import OptionError
from semgfin_rt.folders import find_model
from semgfin_rt.lsl import MAX_SPEED
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.recordings.cutting import cut_repetitions
from semgfin_rt.recordings.loading import iter_recordings

SYNTHETIC = "synthetic"

Share = Annotated[float, Field(ge=0, le=1)]


def _or_max(speed: Any, number: ValidatorFunctionWrapHandler) -> float:
    return math.inf if speed in ("max", math.inf) else number(speed)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Policy(_Strict):
    """The decision policy; see `Settings`."""

    vote: int = 1
    reject: float = 0.0
    hold_ms: float = 0.0
    rest_gate: bool | None = None
    thresholds: dict[str, float] = {}
    hysteresis: int = 1


class Expect(_Strict):
    """What the result must satisfy.

    Attributes
    ----------
    accuracy_min, accuracy_steady_min : float or None
        Of all decisions, and of those on windows inside one label.
    lost_max : int
        Samples.
    missed_max : int
        Decisions that were expected and not made.
    latency_p95_ms_max : float or None
        From the push of a window's newest sample to the push of its decision.
    """

    accuracy_min: Share | None = None
    accuracy_steady_min: Share | None = None
    lost_max: int = Field(default=0, ge=0)
    missed_max: int = Field(default=0, ge=0)
    latency_p95_ms_max: float | None = Field(default=None, gt=0)


class Scenario(_Strict):
    """What to replay.

    Attributes
    ----------
    about : str
        For people.
    recording : str
        A path, from the scenario's folder on, or ``"synthetic"``.
    subject : int or None
        Which, where there are several.
    seed : int
        Of a synthetic subject.
    repetitions : tuple of int or None
        Those to play; None: those that 3DC keeps for testing, all of anything else.
    unit : str or None
        Of an .xdf file that does not say.
    model : str
        Folder, from the scenario's on, or name of a checkpoint; it also names the channels of an
        .xdf file that does not.
    speed : float
        1 is real time; ``"max"``, which is read as infinite, as fast as can be decided.
    seconds : float or None
        Of signal.
    loop : bool
        Begin again at the end.
    horizons_ms : tuple of int or None
        Which to decide for; all of the checkpoint's by default.
    policy : Policy
    expect : Expect or None
    """

    about: str = ""
    recording: str
    subject: int | None = None
    seed: int = Field(default=1, ge=0)
    repetitions: tuple[int, ...] | None = None
    unit: str | None = None
    model: str = "demo"
    speed: Annotated[float, Field(gt=0, le=MAX_SPEED), WrapValidator(_or_max)] = 1.0
    seconds: float | None = Field(default=None, gt=0, le=LONGEST_S)
    loop: bool = False
    horizons_ms: tuple[int, ...] | None = None
    policy: Policy = Policy()
    expect: Expect | None = None

    @model_validator(mode="after")
    def _playable(self) -> Scenario:
        if self.recording == SYNTHETIC and (self.subject is None or self.subject < 1):
            raise ValueError("a synthetic recording needs a subject, 1 or more")
        if self.recording == SYNTHETIC and self.unit is not None:
            raise ValueError("a synthetic recording has a unit of its own")
        if self.expect is not None and self.loop and self.seconds is None:
            raise ValueError("a loop without seconds has no end, so nothing can be expected of it")
        return self

    def settings(self, folder: Path, **others: Any) -> Settings:
        """Return the settings of a session; `others` are those that no scenario has."""
        return Settings(
            find_model(self.model, folder),
            horizons_ms=self.horizons_ms,
            seconds=self.seconds,
            **self.policy.model_dump(),
            **others,
        )

    def replay(self, folder: Path) -> Replay:
        """Read or generate what to play, some seconds for a whole subject.

        Raises
        ------
        RecordingError
            If it cannot be read.
        OptionError
            If the subject must be chosen, or a repetition is not there.
        """
        recording = self._recording(folder)
        repetitions = self.repetitions
        if repetitions is None and recording.dataset == "3dc":
            there = set(recording.repetitions.tolist())
            repetitions = tuple(sorted(recording.test_repetitions & there)) or None
        if repetitions is not None:
            recording = cut_repetitions(recording, repetitions)
        return Replay(recording, self.speed, self.loop, stay=self.expect is None)

    def _recording(self, folder: Path) -> Recording:
        if self.recording == SYNTHETIC and self.subject is not None:
            from semgfin_rt.recordings.synthetic import synthetic_subject  # loads scipy.signal

            return synthetic_subject(self.subject, self.seed)
        path = folder / self.recording
        subjects = None if self.subject is None else [self.subject]
        is_xdf = path.suffix.lower() == ".xdf"  # which need not name its channels
        channels = load_contract(find_model(self.model, folder)).channels if is_xdf else ()
        found = iter_recordings(path, subjects, unit=self.unit, channels=channels)
        recording = next(found)
        if next(found, None) is not None:
            raise OptionError(
                f"'{path}' holds subject {recording.subject} and others: choose one with --subject."
            )
        return recording


def read_scenario(path: Path) -> Scenario:
    """Read a scenario.

    Raises
    ------
    OptionError
        If it cannot be read, is not TOML, has a key that no scenario has, or a value that cannot
        be used.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(
            f"the scenario '{path}' cannot be read ({error.strerror}): give a .toml file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"the scenario '{path}' is not TOML ({error}): correct it.") from error
    return make_scenario(values, f"the scenario '{path}'")


def make_scenario(values: Mapping[str, Any], what: str) -> Scenario:
    """Check the values of a scenario; `what` is how to call it in messages.

    Raises
    ------
    OptionError
        With the first value that cannot be used.
    """
    try:
        return Scenario.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise OptionError(
                f"{what} has the key '{where}', which no scenario has: correct or remove it."
            ) from error
        why = first["msg"].removeprefix("Value error, ")
        given = f"{where} = {first['input']!r}" if where else what
        prefix = f"{what}: " if where and what else ""
        raise OptionError(f"{prefix}{given} cannot be used ({why}): correct it.") from error


def changed(scenario: Scenario, options: Mapping[str, Any], policy: Mapping[str, Any]) -> Scenario:
    """Return the scenario with some values replaced, by the options of a command line.

    Raises
    ------
    OptionError
        If one of them cannot be used.
    """
    values = scenario.model_dump() | dict(options)
    values["policy"] |= dict(policy)
    return make_scenario(values, "the command line")


# ------------------------------------------------------------------------ expectations
@dataclass(frozen=True)
class Check:
    """One expectation beside what came of it; `ok` is None where it could not be judged."""

    name: str
    expected: str
    found: str
    ok: bool | None

    @property
    def line(self) -> str:
        """For people."""
        verdict = {True: "ok", False: "FAILED", None: "not checked"}[self.ok]
        return f"{self.name}: {self.found}, expected {self.expected}: {verdict}"


def check(expect: Expect, summary: Mapping[str, Any], *, as_written: bool) -> list[Check]:
    """Compare a summary with what its scenario expects.

    Parameters
    ----------
    expect : Expect
    summary : mapping
    as_written : bool
        The whole scenario was played, unchanged; otherwise its accuracies are not judged.
    """
    missed = summary["expected_decisions"] - summary["decisions"]
    end_to_end = summary["end_to_end_ms"]
    p95 = None if end_to_end is None else end_to_end["p95"]
    checks = [
        _at_most("samples lost", summary["lost_samples"], expect.lost_max),
        _at_most("decisions missed", missed, expect.missed_max),
    ]
    if expect.latency_p95_ms_max is not None:
        checks.append(_at_most("end to end p95, ms", p95, expect.latency_p95_ms_max))
    for name, least, words in (
        ("accuracy", expect.accuracy_min, "accuracy"),
        ("accuracy_steady", expect.accuracy_steady_min, "accuracy within one label"),
    ):
        if least is not None:
            value = summary[name]
            ok = (value is not None and value >= least) if as_written else None
            checks.append(Check(words, f"at least {least:g}", _figure(value), ok))
    return checks


def _at_most(name: str, value: float | None, most: float) -> Check:
    return Check(name, f"at most {most:g}", _figure(value), value is not None and value <= most)


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"
