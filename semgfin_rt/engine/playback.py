"""What the player's process does: sample after sample when it is due, and what it is told.

One thread, the only one of its process. Between two pushes it looks for commands of the parent; it
sleeps for at most `SLICE_S`, or waits so long for a consumer, so that a command acts within 50 ms.
It ends by itself when its parent is gone.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from semgfin_rt import lsl
from semgfin_rt.contracts import FloatArray, SignalSpec, TruthEvent

TRUTH_SUFFIX = "-truth"
SLICE_S = 0.02


@dataclass(frozen=True)
class Play:
    """What to play; the samples are in the file."""

    file: Path
    spec: SignalSpec
    events: tuple[TruthEvent, ...]
    name: str
    source_id: str
    ring: tuple[int, ...]
    dataset: str
    subject: int
    speed: float
    loop: bool
    total: int | None  # samples to push at most
    stay: bool
    chunk: int
    wait_for_truth: bool
    consumer_timeout: float
    lan: bool
    counter: int


class Command(NamedTuple):
    """What the parent wants: `value` is a sample, a number of samples, a speed, or on and off."""

    name: Literal["pause", "resume", "step", "seek", "speed", "loop"]
    value: float = 0.0


class PlayCounts(NamedTuple):
    """Shared memory that both processes see, a `multiprocessing.Value` each."""

    pushed: Any
    position: Any
    paused: Any


def main(play: Play, link: Connection, progress: PlayCounts, stop: Event) -> None:
    """Play until told to stop; the target of the process."""
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
    playback = Playback(play, np.load(play.file, mmap_mode="r"), signal, truth, progress)
    try:
        while not alone():
            wait_s = SLICE_S if playback.idle else 0.0
            while link.poll(wait_s):
                playback.do(link.recv())
                wait_s = 0.0
            if not playback.idle:
                playback.go_on()
    except (EOFError, ConnectionError):
        return  # the parent is gone, and its end of the pipe with it


def _outlets(play: Play) -> tuple[Any, Any]:
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
        counter=True,
    )
    markers = api.StreamInfo(
        play.name + " truth", "Markers", 1, 0.0, "string", play.source_id + TRUTH_SUFFIX
    )
    return api.StreamOutlet(info), api.StreamOutlet(markers)


def _wait_for_consumers(play: Play, signal: Any, truth: Any, alone: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + play.consumer_timeout
    for outlet in (signal, truth) if play.wait_for_truth else (signal,):
        while not outlet.wait_for_consumers(SLICE_S):
            if alone() or time.monotonic() > deadline:
                return False
    return True


class Playback:
    """Where the recording is being played, and how.

    Samples pushed count on, wherever they come from: a jump is a break of the truth, not of the
    count.

    Parameters
    ----------
    play : Play
    samples : (n_samples, n_channels) float32
    signal, truth : pylsl.StreamOutlet
    progress : PlayCounts
    """

    def __init__(
        self, play: Play, samples: FloatArray, signal: Any, truth: Any, progress: PlayCounts
    ) -> None:
        self._play, self._samples = play, samples
        self._signal, self._truth, self._progress = signal, truth, progress
        self._events = play.events[:-1]  # the last is the end
        self._starts = [e.sample for e in self._events]
        self._row = 0  # of the recording, the next to push
        self._at = 0  # samples pushed
        self._speed = self._told = play.speed  # that wanted, that of the last truth event
        self._loop = play.loop
        self._step_to: int | None = None  # samples pushed at which to pause again
        self._jumped = self._paused = self._ended = False
        self._set_out()

    @property
    def idle(self) -> bool:
        """Paused or at the end: nothing to push."""
        return self._paused or self._ended

    def do(self, command: Command) -> None:
        """Carry out a command."""
        name, value = command
        match name:
            case "pause":
                self._pause()
            case "resume":
                self._resume()
            case "step":
                begin = self._at if self._step_to is None else self._step_to
                self._resume()
                self._step_to = begin + round(value)
            case "seek":
                self._row, self._jumped = round(value), True
                self._tell_progress()
            case "speed":
                self._begin, self._begin_at = self._due(0), self._at
                self._speed = value
            case "loop":
                self._loop = bool(value)

    def go_on(self) -> None:
        """Push the next chunk, or sleep a slice if it is not due yet."""
        if self._is_over():
            return
        play, at = self._play, self._at
        n = min(play.chunk - at % play.chunk, len(self._samples) - self._row)
        n = min([n, *(end - at for end in (play.total, self._step_to) if end is not None)])
        early_s = self._due(n) - lsl.local_clock()
        time.sleep(min(max(0.0, early_s), SLICE_S))
        if early_s <= SLICE_S:
            self._push(n)
            if self._at == self._step_to:
                self._pause()

    # ----------------------------------------------------------------------- pace and end
    def _set_out(self) -> None:
        """Count time from now on."""
        self._begin = self._newest = lsl.local_clock()
        self._begin_at = self._at

    def _due(self, n: int) -> float:
        """When `n` more samples are due: against the beginning, so that no error adds up."""
        period = 1 / (self._play.spec.rate * self._speed)  # s of the clock between samples
        return self._begin + (self._at + n - self._begin_at) * period

    def _is_over(self) -> bool:
        """See to what comes after the last sample: the first, a rest, or the end."""
        at_end = self._row >= len(self._samples)
        if self._at == self._play.total or (at_end and not self._loop and not self._play.stay):
            self._ended = True
            self._send(replace(self._play.events[-1], sample=self._at), self._newest)
        elif at_end and self._loop:
            self._row, self._jumped = 0, True
        elif at_end:
            self._pause()
        return self.idle

    def _pause(self) -> None:
        self._paused, self._step_to = True, None
        if self._told and not self._ended:
            event = self._events[bisect_right(self._starts, self._row) - 1]
            self._send(replace(event, sample=self._at, contiguous=True, speed=0.0), self._newest)
            self._told = 0.0
        self._tell_progress()

    def _resume(self) -> None:
        self._step_to = None
        if self._paused:
            self._paused = False
            self._set_out()
            if self._row >= len(self._samples):
                self._row, self._jumped = 0, True
            self._tell_progress()

    # ------------------------------------------------------------------ samples and truth
    def _push(self, n: int) -> None:
        """Push `n` samples, the truth about them first.

        The newest sample's timestamp is the clock at its push; those before are spread evenly
        from the newest of the chunk before.
        """
        now = lsl.local_clock()
        times = self._newest + (now - self._newest) * np.arange(1, n + 1) / n
        for event in self._truth_of(n):
            self._send(event, float(times[event.sample - self._at]))
        counter = (self._play.counter + self._at + np.arange(n)) % lsl.COUNTER_SPAN
        chunk = np.column_stack([self._samples[self._row : self._row + n], counter])
        self._signal.push_chunk(chunk.astype(np.float32), times)
        self._row, self._at, self._newest = self._row + n, self._at + n, now
        self._tell_progress()

    def _truth_of(self, n: int) -> list[TruthEvent]:
        """Return what begins within the next `n` samples, and what holds where it must be said."""
        first = bisect_right(self._starts, self._row) - 1
        last = bisect_left(self._starts, self._row + n)
        shift = self._at - self._row
        head, *later = (replace(e, sample=e.sample + shift) for e in self._events[first:last])
        said = head.sample == self._at or self._jumped
        if head.sample < self._at:  # it began before
            head = replace(head, sample=self._at, contiguous=True)
        if self._jumped and self._at:
            head = replace(head, contiguous=False)
        if self._told != self._speed and self._step_to is None:
            head = replace(head, speed=self._speed)
            said, self._told = True, self._speed
        self._jumped = False
        return [head, *later] if said else later

    def _send(self, event: TruthEvent, time_s: float) -> None:
        self._truth.push_sample([json.dumps(asdict(event))], time_s)

    def _tell_progress(self) -> None:
        self._progress.pushed.value = self._at
        self._progress.position.value = self._row
        self._progress.paused.value = self._paused
