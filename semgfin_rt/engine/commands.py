"""What a window, or a program, may tell a running engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from semgfin_rt.contracts import EventKind
from semgfin_rt.decision import PolicySpec


@dataclass(frozen=True)
class SetPolicy:
    """Decide by another policy from the next window on."""

    policy: PolicySpec


@dataclass(frozen=True)
class SwapModel:
    """Go on with another checkpoint, which takes the same signal: no window is missed."""

    model: Path


@dataclass(frozen=True)
class AcceptSource:
    """The operator's word that the stream with this uid is the right one."""

    uid: str


@dataclass(frozen=True)
class StartRecording:
    """Record what comes in and goes out into a new XDF file."""

    path: Path


@dataclass(frozen=True)
class StopRecording:
    """Close the recording."""


@dataclass(frozen=True)
class SaveBlackBox:
    """Write the last 60 s into a new XDF file."""

    path: Path


@dataclass(frozen=True)
class Note:
    """Put an event of a kind for programs into the recording: a prompt, a mark."""

    kind: EventKind
    text: str


Command: TypeAlias = (
    SetPolicy | SwapModel | AcceptSource | StartRecording | StopRecording | SaveBlackBox | Note
)
