"""The recorder as a run uses it: it also writes the truth of a replay, health, and who decides."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from semgfin_rt import lsl
from semgfin_rt.contracts import Chunk, Decision, Event, EventKind, TruthEvent
from semgfin_rt.engine.parts import StreamSource
from semgfin_rt.engine.snapshot import Health
from semgfin_rt.pipeline import Pipeline
from semgfin_rt.sinks.recorder import Recorder
from semgfin_rt.sinks.session import session_header

_HEALTH_S = 1.0


class RunRecorder:
    """Record a run, and keep its last 60 s. Nothing here blocks but `wait_until_up` and `close`.

    Parameters
    ----------
    source : StreamSource
        Of the signal; it need not be connected before `describe`.
    horizons_ms : tuple of int
        Those of the decisions.
    settings : mapping
        Whatever else was set, as JSON can hold it.
    """

    def __init__(
        self,
        source: StreamSource,
        horizons_ms: tuple[int, ...],
        settings: Mapping[str, object],
    ) -> None:
        self._source, self._horizons_ms, self._settings = source, horizons_ms, settings
        self._recorder = Recorder()
        self._health_at = float("-inf")

    @property
    def recording(self) -> Path | None:
        """File that is being written, by the word of the recorder's process."""
        return self._recorder.recording

    def wait_until_up(self) -> None:
        """Wait for its process, at most 10 s: what is handed over before may be lost."""
        self._recorder.wait_until_up()

    def describe(self, pipeline: Pipeline) -> None:
        """Note what decides from now on: at first, and for another checkpoint or policy."""
        header = session_header(
            pipeline.contract,
            pipeline.sha256,
            pipeline.policy,
            self._horizons_ms,
            _origin(self._source),
            settings={**self._settings, "speed": self._source.speed},
        )
        self._recorder.describe(header)

    def start(self, path: Path) -> None:
        """Begin a new file."""
        self._recorder.start(path)

    def stop(self) -> None:
        """Close the file."""
        self._recorder.stop()

    def save_black_box(self, path: Path) -> None:
        """Write the last 60 s into a new file."""
        self._recorder.save_black_box(path)

    def chunk(self, chunk: Chunk) -> None:
        """Keep samples."""
        self._recorder.chunk(chunk)

    def write(self, decision: Decision) -> None:
        """Keep a published decision."""
        self._recorder.write(decision)

    def event(self, event: Event) -> None:
        """Keep an event."""
        self._recorder.event(event)

    def truth(self, event: TruthEvent) -> None:
        """Keep a label of the replay."""
        self._tell("prompt", asdict(event))

    def health(self, health: Health) -> None:
        """Keep the counters, once a second."""
        now = lsl.local_clock()
        if now - self._health_at >= _HEALTH_S:
            self._health_at = now
            self._tell("mark", {"health": {k: _finite(v) for k, v in asdict(health).items()}})

    def news(self) -> list[Event]:
        """Return what happened to it since the last call."""
        return self._recorder.news()

    def close(self) -> None:
        """Close the file and end; waits 5 s at most. May be called again."""
        self._recorder.close()

    def _tell(self, kind: EventKind, value: object) -> None:
        self._recorder.event(Event(lsl.local_clock(), kind, json.dumps(value)))


def _origin(source: StreamSource) -> dict[str, str]:
    """Where the signal comes from, as far as it is known."""
    if source.origin is None:
        return {"name": str(source.name)}
    return {key: getattr(source.origin, key) for key in ("name", "source_id", "uid", "host")}


def _finite(value: object) -> object:
    """JSON has no NaN: the age before the first decision is none."""
    return None if isinstance(value, float) and math.isnan(value) else value
