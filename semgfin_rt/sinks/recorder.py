"""The recorder: signal, decisions and events into XDF files, and the last 60 s at any time.

Who takes part:

- the engine's thread calls `Recorder`. Whatever it hands over goes onto an unbounded queue: it
  never waits for the disk, and nothing is dropped. Only `close` waits, at most 5 s.
- the feeder, a thread of the same process, sends the queue down a pipe, every 20 ms; it may block
  there as long as the disk is stuck.
- the listener, another thread, waits for reports of the recorder's process. That reports at least
  every 0.25 s; silence means that the disk is stuck.
- the recorder's process, one thread, keeps the last 60 s, writes, and flushes every 0.25 s; see
  `recorder_process`. It is a plain subprocess (the engine's process is one of multiprocessing that
  may have no children) in a session of its own: Ctrl-C does not reach it. When the pipe breaks,
  because the engine was killed, it writes what has come, closes the file and ends.

The process takes half a second to start, on a busy machine some seconds. What is handed over
meanwhile waits in the engine's process and dies with it: `wait_until_up` before there is a signal.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import threading
import time
from collections import deque
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

from semgfin_rt import lsl
from semgfin_rt.contracts import Chunk, Decision, Event
from semgfin_rt.sinks.recorder_process import Message, Report, Save, Start, Stop
from semgfin_rt.sinks.session import SessionHeader

_Queue: TypeAlias = deque[Message]

_FEED_S = 0.02  # between looks at the queue: waking the feeder would cost the engine more
_BATCH = 32  # messages, pickled in about 1 ms: as long the engine's thread may have to wait
_SILENCE_S = 0.6  # of the process; the alert must come within 1 s
_UP_S = 10.0
_CLOSE_S = 5.0


class Recorder:
    """Record a session; also a `Sink` of decisions.

    It must be told what it records, by `describe`, before anything else is handed over. Every
    command is answered, and everything that goes wrong is told, by an event in `news`.

    Attributes
    ----------
    recording : Path or None
        File that is being written, by the word of the recorder's process.
    """

    def __init__(self) -> None:
        self.recording: Path | None = None
        self._header: SessionHeader | None = None
        self._up = threading.Event()
        self._news: deque[Event] = deque()
        self._closed = False
        self._launch()

    @property
    def pid(self) -> int:
        """Id of the recorder's process."""
        return self._process.pid

    def wait_until_up(self) -> None:
        """Wait until the process can take what it is sent, at most 10 s; news tell if it cannot."""
        if not self._up.wait(_UP_S):
            self._warn(
                f"The recorder's process has not started within {_UP_S:g} s: until it has, what is "
                "to be recorded is kept in memory alone."
            )

    def describe(self, header: SessionHeader) -> None:
        """Tell what is recorded, and before its first decision of another checkpoint or policy."""
        self._header = header
        self._put(header)

    def start(self, path: Path) -> None:
        """Record into a new file from now on."""
        if not (self._alive or self._closed):
            self._launch()
        self._put(Start(path.absolute()))

    def stop(self) -> None:
        """Finish the recording, if there is one."""
        self._put(Stop())

    def save_black_box(self, path: Path) -> None:
        """Write the last 60 s into a new file."""
        if not self._alive:
            self._warn("The last 60 s were lost with the recorder's process: start a recording.")
        self._put(Save(path.absolute()))

    def chunk(self, chunk: Chunk) -> None:
        """Hand over samples; the arrays must not change afterwards."""
        if len(chunk.samples):
            self._put(chunk)

    def write(self, decision: Decision) -> None:
        """Hand over a decision, as it was published."""
        self._put(decision)

    def event(self, event: Event) -> None:
        """Hand over an event."""
        self._put(event)

    def news(self) -> list[Event]:
        """Return what the recorder has to say since the last call, without waiting."""
        return [self._news.popleft() for _ in range(len(self._news))]

    def close(self) -> None:
        """Finish the recording and end the process. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._put(None)
        self._listener.join(_CLOSE_S)
        if self._listener.is_alive():  # it goes on without us, and ends by itself
            self._warn("The recording is finished as soon as the disk lets the recorder write.")

    def _put(self, message: Message) -> None:
        if self._alive:
            self._outgoing.append(message)

    def _warn(self, text: str) -> None:
        self._tell(text, trouble=True)

    def _tell(self, text: str, *, trouble: bool = False) -> None:
        self._news.append(Event(lsl.local_clock(), "record", text, trouble))

    def _launch(self) -> None:
        link, theirs = Pipe()
        code = f"from semgfin_rt.sinks.recorder_process import run; run({theirs.fileno()})"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self._outgoing: _Queue = deque([] if self._header is None else [self._header])
        self._alive = True
        feeder = threading.Thread(
            target=_feed, args=(link, self._outgoing), name="recorder feeder", daemon=True
        )
        self._listener = threading.Thread(
            target=self._listen,
            args=(link, self._process, self._outgoing, feeder),
            name="recorder listener",
            daemon=True,
        )
        feeder.start()
        self._listener.start()

    def _listen(
        self,
        link: Connection,
        process: subprocess.Popen[bytes],
        outgoing: _Queue,
        feeder: threading.Thread,
    ) -> None:
        """Pass on reports and notice silence, until the process ends."""
        with contextlib.suppress(EOFError, OSError):
            link.recv()
            self._up.set()
            link.poll(None)  # it says no more before it knows what it records
            while True:
                stuck = not link.poll(_SILENCE_S)
                if stuck:
                    self._warn(
                        f"The disk has not answered for {_SILENCE_S:g} s: what comes is kept in "
                        "memory until it does."
                    )
                report: Report = link.recv()
                if stuck:
                    self._tell("The disk answers again: nothing was lost.")
                self.recording = report.recording
                if report.text:
                    self._tell(report.text, trouble=report.trouble)
        self.recording = None
        self._up.set()  # nobody need wait for it
        code = process.wait()
        outgoing.append(None)  # so that the feeder finds the pipe broken
        feeder.join()
        link.close()
        self._alive = False
        if not self._closed:
            self._warn(
                f"The recorder's process ended unexpectedly (exit code {code}): its file holds all "
                "but the last moment; start a new recording."
            )


def _feed(link: Connection, outgoing: _Queue) -> None:
    with contextlib.suppress(OSError):  # the process is gone: the listener says so
        while True:
            batch = [outgoing.popleft() for _ in range(min(len(outgoing), _BATCH))]
            if not batch:
                time.sleep(_FEED_S)
                continue
            link.send_bytes(pickle.dumps(batch))
            if batch[-1] is None:
                return
