"""A recording as a source: no LSL, no clock, no thread, as fast as it is read."""

from __future__ import annotations

from collections import deque

import numpy as np

from semgfin_rt.contracts import NO_LABEL, Chunk, Event, Recording, TruthEvent
from semgfin_rt.sources.identity import Candidate, Origin


class RecordingSource:
    """Hand a recording over, `chunk_samples` at a time.

    A chunk never reaches over a break of the recording. The first chunk of every stretch but the
    first has ``lost=1``: samples are missing there, and nobody knows how many. `first` stays the
    index into the recording, so a reader that wants a number of lost samples compares `first`
    with the end of the chunk before: here none are lost, the stretches only do not belong
    together.

    Parameters
    ----------
    recording : Recording
    chunk_samples : int
    across_breaks : bool
        Hand it over without a break, as a player does: the truth alone tells of them.

    Attributes
    ----------
    live : bool
        False: it waits for its reader, which is never behind.
    speed : float
    notes : tuple of str
    origin : None
        It comes from no stream.
    asking : tuple of Candidate
        Nobody.
    pushed : int
        Samples handed over so far.
    ended : bool
        Everything was read.
    """

    live = False
    speed = 1.0
    notes: tuple[str, ...] = ()
    origin: Origin | None = None
    asking: tuple[Candidate, ...] = ()

    def __init__(
        self, recording: Recording, chunk_samples: int = 20, across_breaks: bool = False
    ) -> None:
        self.recording = recording
        self._breaks = () if across_breaks else recording.breaks
        self.chunk_samples = chunk_samples
        self.spec = recording.spec
        self.name: str | None = recording.path
        self.ended = False
        self.pushed = 0

    def connect(self) -> None:
        """Begin at the first sample."""
        self.pushed, self.ended = 0, not len(self.recording.samples)

    def read(self, timeout: float = 0.0, max_samples: int | None = None) -> Chunk:
        """Return the next chunk at once; an empty one at the end."""
        del timeout  # nothing to wait for
        recording, start = self.recording, self.pushed
        size = self.chunk_samples if max_samples is None else min(max_samples, self.chunk_samples)
        edges = (*self._breaks, len(recording.samples))
        stop = min(start + size, next((e for e in edges if e > start), start))
        self.pushed, self.ended = stop, stop == len(recording.samples)
        times = np.arange(start, stop) / self.spec.rate
        return Chunk(recording.samples[start:stop], start, times, int(start in self._breaks))

    def events(self) -> list[Event]:
        """Return what happened to it since the last call: nothing ever does."""
        return []

    def accept(self, uid: str) -> None:
        """Take any word: it changes nothing here."""

    def close(self) -> None:
        """Nothing is open. May be called again."""
        self.ended = True


class RecordingTruth:
    """Tell the truth about a recording as its source hands the samples over.

    Parameters
    ----------
    source : RecordingSource
    """

    def __init__(self, source: RecordingSource) -> None:
        self._events, self._source = deque(truth_events(source.recording)), source

    def connect(self) -> None:
        """Nothing is to be opened."""

    def read(self) -> list[TruthEvent]:
        """Return what is true from the samples on that were handed over since the last call."""
        told = []
        while self._events and (self._source.ended or self._events[0].sample < self._source.pushed):
            told.append(self._events.popleft())
        return told

    def close(self) -> None:
        """Nothing is open. May be called again."""


def truth_events(recording: Recording) -> list[TruthEvent]:
    """Describe the labels of a recording by their changes, the last event being the end.

    Returns
    -------
    list of TruthEvent
        One at the first sample, at each change of label or repetition and at each break, and one
        with `end` that tells the number of samples.
    """
    n = len(recording.samples)
    events = [
        TruthEvent(
            s, int(recording.labels[s]), int(recording.repetitions[s]), s not in recording.breaks
        )
        for s, _ in recording.runs
    ]
    return [*events, TruthEvent(n, NO_LABEL, NO_LABEL, end=True)]
