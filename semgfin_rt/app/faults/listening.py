"""The real engine in this thread, with everything it did and said written down."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from semgfin_rt import lsl
from semgfin_rt.app.faults.device import PERIOD, pattern
from semgfin_rt.contracts import Chunk, Decision, Event, FloatArray, State
from semgfin_rt.engine.build import BuiltPipeline, build_engine, build_pipeline
from semgfin_rt.engine.snapshot import Health
from semgfin_rt.engine.spec import EngineSpec
from semgfin_rt.errors import StreamError
from semgfin_rt.pipeline import Pipeline
from semgfin_rt.sources.supervisor import SupervisedSource

PATIENCE_S = 20.0
"""More than any promise allows: what has not come by then does not come."""


@dataclass(frozen=True)
class Published:
    """A decision that left the engine, at this LSL clock."""

    at: float
    decision: Decision

    @property
    def is_stale(self) -> bool:
        """Whether it says that it says nothing about now."""
        return self.decision.movements[0].state is State.STALE


@dataclass(frozen=True)
class Heard:
    """A chunk that the engine read, at this LSL clock."""

    at: float
    chunk: Chunk


@cache
def _built(model: Path) -> BuiltPipeline:
    return build_pipeline(model)


def fresh_pipeline(model: Path, on_stage: Callable[[str], None] | None = None) -> BuiltPipeline:
    """Return a pipeline that has seen nothing; the backend is chosen once.

    Parameters
    ----------
    model : Path
    on_stage : callable, optional
        Called after the stopwatch; see `Pipeline`.
    """
    built = _built(model)

    def mark(stage: str) -> None:
        built.meter.mark(stage)
        if on_stage is not None:
            on_stage(stage)

    contract, backend = built.pipeline.contract, built.pipeline.backend
    return replace(built, pipeline=Pipeline(contract, backend, on_stage=mark))


class Listening:
    """An engine on the stream with this source_id. Use it as a context manager.

    Parameters
    ----------
    model : Path
    source_id : str
    record : Path, optional
        File to record into.
    buffer_s : int
        Of liblsl, in s of signal.
    on_stage : callable, optional
        See `Pipeline`.

    Attributes
    ----------
    heard : list of Heard
    published : list of Published
    events : list of Event
    """

    def __init__(
        self,
        model: Path,
        source_id: str,
        record: Path | None = None,
        buffer_s: int = 60,
        on_stage: Callable[[str], None] | None = None,
    ) -> None:
        self.heard: list[Heard] = []
        self.published: list[Published] = []
        self.events: list[Event] = []
        built = fresh_pipeline(model, on_stage)
        self.contract = built.pipeline.contract
        self.source = SupervisedSource(
            source_id=source_id,
            contract_channels=self.contract.channels,
            resolve_s=PATIENCE_S,
            buffer_s=buffer_s,
        )
        spec = EngineSpec(model, source_id=source_id, record=record, silence_s=None)
        self.engine = build_engine(spec, built, self.source)
        self.engine.sinks = (*self.engine.sinks, self)

    def __enter__(self) -> Listening:
        """Connect."""
        try:
            self.engine.connect()
        except BaseException:
            self.engine.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        self.engine.close()

    # ------------------------------------------------------------------ as a sink
    def write(self, decision: Decision) -> None:
        """Write down what is published."""
        self.published.append(Published(lsl.local_clock(), decision))

    def close(self) -> None:
        """Nothing is open."""

    # -------------------------------------------------------------------- running
    def turn(self) -> None:
        """Let the engine take one turn."""
        step = self.engine.step()
        if len(step.chunk.samples):
            self.heard.append(Heard(lsl.local_clock(), step.chunk))
        self.events += step.events

    def until(self, found: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
        """Go on until `found` returns something true.

        Raises
        ------
        StreamError
            If `what` does not happen within `patience_s`.
        """
        end = lsl.local_clock() + patience_s
        while not found():
            if lsl.local_clock() > end:
                last = f"; last said: {self.events[-1].text}" if self.events else ""
                raise StreamError(f"{what} did not come within {patience_s:g} s{last}")
            self.turn()

    def until_told(self, *words: str, since: int = 0) -> Event:
        """Go on until an event says all of these words, and return it; see `event`.

        Raises
        ------
        StreamError
            If none does.
        """
        self.until(lambda: self.event(*words, since=since), f"the word '{' '.join(words)}'")
        return next(e for e in self.events[since:] if all(w in e.text for w in words))

    def go_on(self, seconds: float) -> None:
        """Go on for so long."""
        end = lsl.local_clock() + seconds
        while lsl.local_clock() < end:
            self.turn()

    def event(self, *words: str, since: int = 0) -> Event | None:
        """Return the first event from number `since` on whose text has all of these words."""
        told = self.events[since:]
        return next((e for e in told if all(w in e.text for w in words)), None)

    @property
    def health(self) -> Health:
        """Counters of the engine."""
        return self.engine.counters()


# ------------------------------------------------------------- which samples they are
class Trace:
    """Tells by their content which samples of a device's pattern came.

    Parameters
    ----------
    seed, n_channels : int
        Of the pattern.
    """

    def __init__(self, seed: int, n_channels: int) -> None:
        self._pattern = pattern(seed, n_channels)
        self._place = {row.tobytes(): i for i, row in enumerate(self._pattern)}

    def foreign(self, samples: FloatArray) -> int:
        """Count samples, (n_samples, n_channels), that the device never sent."""
        return sum(row.tobytes() not in self._place for row in samples)

    def place(self, row: FloatArray) -> int:
        """Return which row of the pattern a sample, (n_channels,), is; -1 for none."""
        return self._place.get(row.tobytes(), -1)

    def gaps(self, chunks: Iterable[Chunk]) -> list[tuple[int, int]]:
        """Return how many samples are missing before each chunk: as said, and in truth.

        Those within a chunk count as missing before the next: as said there are none.
        """
        found: list[tuple[int, int]] = []
        next_said = next_true = -1
        for chunk in chunks:
            first = self.place(chunk.samples[0])
            if next_said >= 0:
                missing = (first - next_true) % PERIOD
                if missing or chunk.first != next_said:
                    found.append((chunk.first - next_said, missing))
            next_said = chunk.first + len(chunk.samples)
            expected = (first + np.arange(len(chunk.samples))) % PERIOD
            if not np.array_equal(self._pattern[expected], chunk.samples):
                found.append((0, -1))
            next_true = (self.place(chunk.samples[-1]) + 1) % PERIOD
        return found
