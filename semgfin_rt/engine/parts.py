"""What the loop is put together from: what it reads, what it records to, what a turn brings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from semgfin_rt.contracts import Chunk, Decision, Event, Source, TruthEvent
from semgfin_rt.engine.snapshot import Health
from semgfin_rt.sources.identity import Candidate, Origin

if TYPE_CHECKING:  # the window's process does without scipy
    from semgfin_rt.pipeline import Pipeline


class StreamSource(Source, Protocol):
    """What the loop must know of a source besides its samples.

    Attributes
    ----------
    name : str or None
        For messages.
    live : bool
        Its samples come by a clock: one can be behind, and their age means something.
    speed : float
        They come at ``spec.rate * speed``.
    notes : tuple of str
        What had to be assumed about it, once it is connected.
    ended : bool
        No more will come.
    """

    name: str | None
    live: bool
    speed: float
    notes: tuple[str, ...]
    ended: bool

    @property
    def origin(self) -> Origin | None:
        """Where the samples come from now; None where no stream sends them."""

    @property
    def asking(self) -> tuple[Candidate, ...]:
        """Streams that answer in its place while it is missing, and wait for `accept`."""

    def events(self) -> list[Event]:
        """Return what happened to it since the last call, without waiting."""

    def accept(self, uid: str) -> None:
        """Take the operator's word that the stream with this uid is the right one."""


class Truth(Protocol):
    """Where the truth about a replayed recording comes from."""

    def connect(self) -> None:
        """Open it."""

    def read(self) -> list[TruthEvent]:
        """Return what has come, without waiting."""

    def close(self) -> None:
        """Close it. May be called again."""


class Recorder(Protocol):
    """Where everything is kept. Trouble comes as news."""

    @property
    def recording(self) -> Path | None:
        """File that is being written."""

    def wait_until_up(self) -> None:
        """Wait until what is handed over is safe; the one thing that blocks besides `close`."""

    def start(self, path: Path) -> None:
        """Begin a new file."""

    def stop(self) -> None:
        """Close the file."""

    def save_black_box(self, path: Path) -> None:
        """Write the last 60 s into a new file."""

    def chunk(self, chunk: Chunk) -> None:
        """Keep samples."""

    def write(self, decision: Decision) -> None:
        """Keep a published decision."""

    def event(self, event: Event) -> None:
        """Keep an event."""

    def truth(self, event: TruthEvent) -> None:
        """Keep a label of the replay."""

    def health(self, health: Health) -> None:
        """Keep the counters, now and then."""

    def describe(self, pipeline: Pipeline) -> None:
        """Note who decides from now on."""

    def news(self) -> list[Event]:
        """Return what happened to it since the last call."""

    def close(self) -> None:
        """Close the file and end. May be called again."""


def last_words(source: StreamSource, recorder: Recorder | None) -> tuple[Event, ...]:
    """Return what happened while they were being closed."""
    return (*source.events(), *(() if recorder is None else recorder.news()))


@dataclass(frozen=True, eq=False)
class Step:
    """What one turn of the loop brought; everything may be empty.

    Attributes
    ----------
    chunk : Chunk
    decisions : tuple of Decision
        On windows.
    truth : tuple of TruthEvent
    events : tuple of Event
    stale : Decision or None
        Published because no signal came.
    """

    chunk: Chunk
    decisions: tuple[Decision, ...]
    truth: tuple[TruthEvent, ...]
    events: tuple[Event, ...] = ()
    stale: Decision | None = None
