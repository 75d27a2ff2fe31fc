"""The player: a recording as an LSL stream, paced to the sample.

It is a process of its own with one Python thread, and nobody waits for it but the parent in
`start` (until the streams exist) and `stop`. The samples travel as a file that the child maps; the
count of pushed samples is shared memory. The child blocks while it waits for its consumers and
sleeps between chunks. It ends by itself when its parent is gone.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from semgfin_rt import lsl
from semgfin_rt.contracts import FloatArray, Recording, SignalSpec, TimeArray, TruthEvent
from semgfin_rt.errors import OptionError, StreamError
from semgfin_rt.sources.recording import truth_events

TRUTH_SUFFIX = "-truth"
CHUNK_S = 0.005  # of signal
_START_S = 60.0  # a slow machine imports NumPy and liblsl in a few seconds
_STOP_S = 5.0


@dataclass(frozen=True)
class _Play:
    """What the child is told; the samples are in the file."""

    file: Path
    spec: SignalSpec
    events: tuple[TruthEvent, ...]
    name: str
    source_id: str
    ring: tuple[int, ...]
    dataset: str
    subject: int
    speed: float
    total: int | None  # samples to push; None plays round and round
    chunk: int
    wait_for_truth: bool
    consumer_timeout: float
    lan: bool


class Player:
    """Play a recording into LSL.

    Sample 0 is pushed once the signal (and the truth) has a consumer. The outlets stay open
    after the last sample until `stop`, so that consumers can drain.

    Parameters
    ----------
    recording : Recording
    source_id : str, optional
        Of the signal stream, unique; the truth stream's is the same with ``-truth`` behind it.
    name : str
        Of the signal stream.
    speed : float
        The stream keeps its nominal rate and states its speed: samples come at rate x speed.
    loop : bool
        Begin again at the end; sample indices count on.
    seconds : float, optional
        Of signal, after which to end.
    wait_for_truth : bool
        Also wait for a consumer of the truth.
    consumer_timeout : float
        How long to wait for consumers, in s.
    chunk_samples : int, optional
        Samples a push, 5 ms by default; a divisor of the hop, so that a window ends with a push.
    """

    def __init__(
        self,
        recording: Recording,
        source_id: str | None = None,
        name: str = "semgfin player",
        speed: float = 1.0,
        loop: bool = False,
        seconds: float | None = None,
        wait_for_truth: bool = True,
        consumer_timeout: float = 60.0,
        chunk_samples: int | None = None,
    ) -> None:
        if not 0.0 < speed <= lsl.MAX_SPEED:
            raise OptionError(
                f"speed {speed:g} is not possible: give more than 0 and at most {lsl.MAX_SPEED:g}."
            )
        if seconds is not None and not seconds > 0:
            raise OptionError(f"{seconds:g} s cannot be played: give more than 0.")
        self.recording = recording
        self.source_id = source_id or f"semgfin-player-{uuid.uuid4()}"
        self.truth_id = self.source_id + TRUTH_SUFFIX
        self.name = name
        self.speed = speed
        self.loop = loop
        self.seconds = seconds
        self.wait_for_truth = wait_for_truth
        self.consumer_timeout = consumer_timeout
        self.chunk_samples = chunk_samples or max(1, round(recording.spec.rate * CHUNK_S))
        self._context = mp.get_context("spawn")
        self._pushed = self._context.Value("q", 0)
        self._stop = self._context.Event()
        self._process: mp.process.BaseProcess | None = None
        self._failure: str | None = None

    @property
    def pushed(self) -> int:
        """Samples pushed so far; readable at any time, also after `stop`."""
        return int(self._pushed.value)

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process and return once its streams can be found.

        Raises
        ------
        StreamError
            If it does not come up.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="semgfin-player-")
        play = self._play(Path(self._folder.name) / "samples.npy")
        length = len(self.recording.samples) if self.loop else play.total
        np.save(play.file, np.ascontiguousarray(self.recording.samples[:length], np.float32))
        self._link, child = self._context.Pipe(duplex=False)
        self._process = self._context.Process(
            target=_main,
            args=(play, child, self._pushed, self._stop),
            name="semgfin player",
            daemon=True,
        )
        self._process.start()
        child.close()
        if not self._link.poll(_START_S) or not self._receive():
            self.stop()
            raise StreamError(self._failure or "the player did not start: start it again.")

    def check(self, patience: float = 0.0) -> None:
        """Raise what went wrong in the player, if anything did.

        Parameters
        ----------
        patience : float
            How long to wait for bad news, in s: a dying process closes its streams before its
            pipe.

        Raises
        ------
        StreamError
            If no consumer came, or the process died before the end.
        """
        if self._process is not None and self._link.poll(patience) and not self._receive():
            raise StreamError(self._failure or "")
        if self._failure:
            raise StreamError(self._failure)

    def stop(self) -> None:
        """End the process and withdraw the streams. May be called again."""
        if self._process is None:
            return
        self._stop.set()
        self._process.join(_STOP_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._process.close()
        self._process = None
        self._link.close()
        self._folder.cleanup()

    def __enter__(self) -> Player:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _receive(self) -> bool:
        """Take one message of the child: true when all is well."""
        try:
            self._failure = self._link.recv()
        except EOFError:
            self._failure = f"the player died after {self.pushed} samples: start it again."
        return self._failure is None

    def _play(self, file: Path) -> _Play:
        recording = self.recording
        n = len(recording.samples)
        wanted = None if self.seconds is None else round(self.seconds * recording.spec.rate)
        total = wanted if self.loop else min(n, wanted or n)
        return _Play(
            file,
            recording.spec,
            tuple(truth_events(recording)),
            self.name,
            self.source_id,
            recording.ring,
            recording.dataset,
            recording.subject,
            self.speed,
            total,
            self.chunk_samples,
            self.wait_for_truth,
            self.consumer_timeout,
            lsl.uses_lan(),
        )


# ------------------------------------------------------------------------ in the child
def _main(play: _Play, link: Connection, pushed: Any, stop: Event) -> None:
    lsl.configure(play.lan)
    parent = mp.parent_process()

    def alone() -> bool:
        return stop.is_set() or parent is None or not parent.is_alive()

    signal, truth = _outlets(play)
    link.send(None)
    if not _wait_for_consumers(play, signal, truth, alone):
        if not alone():
            link.send(
                f"nobody listened to the player within {play.consumer_timeout:g} s: connect to "
                f"the stream '{play.name}' ({play.source_id})."
            )
        return
    samples = np.load(play.file, mmap_mode="r")  # (n_samples, n_channels)
    _push_all(play, samples, signal, truth, pushed, alone)
    while not alone():
        time.sleep(0.05)


def _outlets(play: _Play) -> tuple[Any, Any]:
    api = lsl.api()
    at = {channel: 360.0 * k / len(play.ring) for k, channel in enumerate(play.ring)}
    angles = [at.get(channel) for channel in range(len(play.spec.channels))]
    extra = {
        "manufacturer": "semgfin_rt player",
        "speed": repr(play.speed),
        "dataset": play.dataset,
        "subject": str(play.subject),
    }
    info = lsl.make_info(
        play.name,
        "EMG",
        play.source_id,
        play.spec,
        angles if play.ring else (),
        extra,
    )
    markers = api.StreamInfo(
        play.name + " truth", "Markers", 1, 0.0, "string", play.source_id + TRUTH_SUFFIX
    )
    return api.StreamOutlet(info), api.StreamOutlet(markers)


def _wait_for_consumers(play: _Play, signal: Any, truth: Any, alone: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + play.consumer_timeout
    for outlet in (signal, truth) if play.wait_for_truth else (signal,):
        while not outlet.wait_for_consumers(0.1):
            if alone() or time.monotonic() > deadline:
                return False
    return True


def _push_all(
    play: _Play,
    samples: FloatArray,
    signal: Any,
    truth: Any,
    pushed: Any,
    alone: Callable[[], bool],
) -> None:
    """Push chunk after chunk, each when its newest sample is due, until told to stop.

    The newest sample's timestamp is the clock at its push; those before are spread evenly from
    the newest of the chunk before.
    """
    events = _Events(play.events)
    begin = newest = lsl.local_clock()
    period = 1 / (play.spec.rate * play.speed)  # s of the clock between samples
    at = 0
    while play.total is None or at < play.total:
        if alone():
            return
        row = at % len(samples)
        left = len(samples) - row if play.total is None else play.total - at
        n = min(play.chunk, len(samples) - row, left)
        chunk = np.ascontiguousarray(samples[row : row + n])
        # Against the beginning, so that no error of a sleep adds up.
        time.sleep(max(0.0, begin + (at + n) * period - lsl.local_clock()))
        now = lsl.local_clock()
        times = newest + (now - newest) * np.arange(1, n + 1) / n
        _send_truth(truth, events.until(at + n), at, times)
        signal.push_chunk(chunk, times)
        at, newest = at + n, now
        pushed.value = at
    end = replace(play.events[-1], sample=at)
    truth.push_sample([json.dumps(asdict(end))], newest)


def _send_truth(outlet: Any, events: list[TruthEvent], at: int, times: TimeArray) -> None:
    for event in events:
        outlet.push_sample([json.dumps(asdict(event))], float(times[event.sample - at]))


class _Events:
    """The truth events in the order in which they are due, round and round."""

    def __init__(self, events: tuple[TruthEvent, ...]) -> None:
        self._events = events[:-1]
        self._length = events[-1].sample
        self._next = 0

    def until(self, sample: int) -> list[TruthEvent]:
        """Return those before `sample` that were not returned yet."""
        due = []
        while (event := self._peek()).sample < sample:
            due.append(event)
            self._next += 1
        return due

    def _peek(self) -> TruthEvent:
        turn, i = divmod(self._next, len(self._events))
        event = self._events[i]
        contiguous = event.contiguous and not (turn and i == 0)
        return replace(event, sample=turn * self._length + event.sample, contiguous=contiguous)
