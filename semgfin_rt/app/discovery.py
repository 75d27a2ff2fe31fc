"""The streams that are there now, looked for again and again.

One thread, `StreamWatch`'s own, blocks: half a second for each look, and for the answer of a
stream that shows itself for the first time. Nobody waits for it: `seen` returns what was found so
far, and `close` tells it to end, which it does within a few seconds.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

from semgfin_rt import lsl
from semgfin_rt.app.choice import said_unit
from semgfin_rt.app.doctor import PROBE
from semgfin_rt.errors import SemgfinError, StreamError
from semgfin_rt.lsl import FoundStream

LOOK_S = 0.5
EVERY_S = 1.0
ANSWER_S = 1.0
"""Patience for the full description of a stream."""
FORGET_S = 10.0
"""A stream that was not seen for so long is no longer listed."""


@dataclass(frozen=True)
class SeenStream:
    """A stream, and when it was seen last.

    Attributes
    ----------
    stream : FoundStream
    seen : float
        `time.monotonic` of the last time.
    xml : bytes or None
        Its full description; None while it has not answered.
    unit : str
        As it says itself; empty where it says none, or several.
    problem : str
        Why no signal can be read from it, in a sentence.
    counter : bool
        Its last channel is no signal: it counts the samples.
    """

    stream: FoundStream
    seen: float
    xml: bytes | None = None
    unit: str = ""
    problem: str = ""
    counter: bool = False

    @property
    def n_channels(self) -> int:
        """Channels of signal, as far as it is known."""
        return self.stream.n_channels - self.counter

    @property
    def usable(self) -> bool:
        """Whether it is a signal."""
        return not self.problem

    def age_s(self) -> float:
        """How long ago it was seen, in s."""
        return max(0.0, time.monotonic() - self.seen)

    def record(self) -> dict[str, object]:
        """Return what is known of it, for JSON."""
        s = self.stream
        return {
            "name": s.name,
            "type": s.type,
            "source_id": s.source_id,
            "host": s.host,
            "channels": self.n_channels,
            "rate": s.rate,
            "unit": self.unit or None,
            "age_s": round(self.age_s(), 3),
            "problem": self.problem or None,
        }


class StreamWatch:
    """Looks for streams from `start` to `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, SeenStream] = {}
        self._over = threading.Event()
        self._trouble = ""
        self._looks = 0

    @property
    def looks(self) -> int:
        """How often it has looked: before the second time, seeing nothing means nothing."""
        return self._looks

    @property
    def trouble(self) -> str:
        """Why it cannot look, in a sentence."""
        return self._trouble

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="semgfin discovery").start()

    def close(self) -> None:
        """Look no longer. Does not wait."""
        self._over.set()

    def seen(self) -> list[SeenStream]:
        """Return the streams seen lately, signals first, by name. Does not wait."""
        with self._lock:
            known = list(self._known.values())
        return sorted(known, key=lambda s: (not s.usable, s.stream.name, s.stream.source_id))

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self._look()
                self._over.wait(EVERY_S - LOOK_S)
        except SemgfinError as error:  # liblsl is missing, say
            self._trouble = str(error)

    def _look(self) -> None:
        found = [s for s in lsl.find_streams(LOOK_S) if not s.source_id.startswith(PROBE)]
        now = time.monotonic()
        with self._lock:
            known = {u: s for u, s in self._known.items() if now - s.seen < FORGET_S}
        for stream in found:
            if self._over.is_set():
                return
            before = known.get(stream.uid)
            if before is not None and (before.xml or before.problem):
                known[stream.uid] = replace(before, stream=stream, seen=now)
            else:
                known[stream.uid] = see(stream)
        with self._lock:
            self._known = known
        self._looks += 1


def see(stream: FoundStream) -> SeenStream:
    """Ask a stream that was just found for its full description."""
    now = time.monotonic()
    try:
        lsl.require_usable(stream)
    except StreamError as error:
        return SeenStream(stream, now, problem=str(error))
    try:
        xml = lsl.ask(stream, ANSWER_S)
    except StreamError:
        return SeenStream(stream, now)
    try:
        said = lsl.parse_description(xml, "V")
    except StreamError as error:
        return SeenStream(stream, now, xml, problem=str(error))
    return SeenStream(stream, now, xml, _unit(xml), counter=said.counter)


def _unit(xml: bytes) -> str:
    try:
        return said_unit(lsl.parse_description(xml))
    except StreamError:
        return ""
