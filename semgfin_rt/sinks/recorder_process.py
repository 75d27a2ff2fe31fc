"""The recorder's process: what comes down the pipe goes into memory, and into a file if asked.

One thread, which blocks on the pipe and on the disk. See `recorder` for who else takes part.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

from semgfin_rt.contracts import Chunk, Event
from semgfin_rt.sinks.session import Entry, SessionFile, SessionHeader

FLUSH_S = 0.25
KEEP_S = 60.0
"""Of signal, in the black box."""
PATIENCE_S = 60.0
"""How long a recording waits, in memory, for room on the disk."""


@dataclass(frozen=True)
class Start:
    """Record into a new file."""

    path: Path


@dataclass(frozen=True)
class Stop:
    """Finish the recording."""


@dataclass(frozen=True)
class Save:
    """Write the black box into a new file."""

    path: Path


@dataclass(frozen=True)
class Report:
    """What the process says of itself.

    Attributes
    ----------
    text : str
        A sentence for people; empty in a mere sign of life.
    trouble : bool
        Somebody should act.
    recording : Path or None
        File that is being written.
    """

    text: str
    trouble: bool
    recording: Path | None


Message: TypeAlias = Entry | Start | Stop | Save | None
"""None ends the process."""


def run(fd: int) -> None:
    """Record what comes out of the socket `fd` until it ends or breaks; a header comes first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link = Connection(fd)
    with contextlib.suppress(EOFError, OSError):  # the engine is gone
        link.send(Report("", False, None))  # it is up
        header, *batch = link.recv()
        if header is not None:
            _record(Desk(link, header), link, batch)


def _record(desk: Desk, link: Connection, batch: list[Message]) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            desk.pulse()  # first: a disk that hangs as the file is made is noticed by the silence
            for message in batch:
                desk.take(message)
            if batch and batch[-1] is None:
                break
            batch = link.recv() if link.poll(desk.rest()) else []
    desk.stop()


class Desk:
    """Where messages become files, and what there is to say goes back.

    Parameters
    ----------
    link : Connection
    header : SessionHeader
    """

    def __init__(self, link: Connection, header: SessionHeader) -> None:
        self._link = link
        self._box = BlackBox(header)
        self._file: SessionFile | None = None
        self._path = Path()
        self._failing_since: float | None = None
        self._due = 0.0

    def take(self, message: Message) -> None:
        """Do what a message asks for."""
        match message:
            case Start(path):
                self._start(path)
            case Stop():
                self.stop()
            case Save(path):
                self._save(path)
            case None:
                pass
            case entry:
                self._box.take(entry, time.monotonic())
                if self._file is not None:
                    self._file.take(entry)

    def rest(self) -> float:
        """How long there is nothing to do, in s."""
        return max(0.0, self._due - time.monotonic())

    def pulse(self) -> None:
        """Flush and give a sign of life, when it is time."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + FLUSH_S
            self._flush()
            self._say("")

    def stop(self) -> None:
        """Finish the recording, if there is one."""
        if self._file is None:
            return
        file, self._file, self._failing_since = self._file, None, None
        try:
            file.close()
        except OSError as error:
            self._warn(f"'{self._path}' lacks its last part ({error.strerror}): make room first.")
        else:
            self._say(f"{file.seconds:.1f} s were recorded into '{self._path}'.")

    def _start(self, path: Path) -> None:
        if self._file is not None:
            self._warn(f"'{self._path}' is being recorded: stop that before you start '{path}'.")
            return
        self._file = self._create(path, self._box.now.header)
        if self._file is not None:
            self._path = path
            if self._box.now.prompt is not None:
                self._file.take(self._box.now.prompt)
            self._say(f"Recording into '{path}'.")
            self._flush()

    def _save(self, path: Path) -> None:
        file = self._create(path, self._box.before.header)
        if file is None:
            return
        for entry in self._box:
            file.take(entry)
            self.pulse()  # the recording goes on
        try:
            file.close()
        except OSError as error:
            path.unlink(missing_ok=True)
            self._warn(f"'{path}' cannot be written ({error.strerror}): make room and save again.")
        else:
            self._say(f"The last {file.seconds:.1f} s are in '{path}'.")

    def _create(self, path: Path, header: SessionHeader) -> SessionFile | None:
        try:
            return SessionFile(path, header)
        except FileExistsError:
            self._warn(f"'{path}' exists and is not overwritten: give another name.")
        except OSError as error:
            self._warn(f"'{path}' cannot be created ({error.strerror}): choose another folder.")
        return None

    def _flush(self) -> None:
        if self._file is None:
            return
        now = time.monotonic()
        try:
            self._file.flush()
        except OSError as error:
            if self._failing_since is None:
                self._failing_since = now
                self._warn(
                    f"'{self._path}' cannot be written ({error.strerror}): make room within "
                    f"{PATIENCE_S:g} s and nothing is lost."
                )
            elif now - self._failing_since > PATIENCE_S:
                self.stop()
        else:
            if self._failing_since is not None:
                self._say(f"'{self._path}' is written again: nothing was lost.")
            self._failing_since = None

    def _warn(self, text: str) -> None:
        self._say(text, trouble=True)

    def _say(self, text: str, *, trouble: bool = False) -> None:
        report = Report(text, trouble, None if self._file is None else self._path)
        with contextlib.suppress(OSError):  # the engine is gone, but not all it sent is read
            self._link.send(report)


@dataclass
class Standing:
    """What holds until further notice."""

    header: SessionHeader
    prompt: Event | None = None

    def take(self, entry: Entry) -> None:
        """Notice what an entry changes."""
        if isinstance(entry, SessionHeader):
            self.header = entry
        elif isinstance(entry, Event) and entry.kind == "prompt":
            self.prompt = entry


class BlackBox:
    """The last `KEEP_S` of signal; of time, where none comes.

    Iterating yields what makes a whole file after the header `before.header`.

    Parameters
    ----------
    header : SessionHeader

    Attributes
    ----------
    before, now : Standing
        What held before the first entry, and what holds after the last.
    """

    def __init__(self, header: SessionHeader) -> None:
        self.before, self.now = Standing(header), Standing(header)
        self._entries: deque[tuple[float, int, Entry]] = deque()
        self._newest = 0  # index of the newest sample

    def take(self, entry: Entry, now: float) -> None:
        """Add an entry that came at `now` (a monotonic clock, in s), and drop what is too old."""
        self.now.take(entry)
        if isinstance(entry, Chunk):
            self._newest = entry.first + len(entry.samples)
        self._entries.append((now, self._newest, entry))
        oldest = self._newest - KEEP_S * self.now.header.spec.rate
        while self._entries[0][0] < now - KEEP_S or self._entries[0][1] < oldest:
            self.before.take(self._entries.popleft()[-1])

    def __iter__(self) -> Iterator[Entry]:
        """Yield the prompt that held before, then all entries."""
        if self.before.prompt is not None:
            yield self.before.prompt
        for _, _, entry in self._entries:
            yield entry
