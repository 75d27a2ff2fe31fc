"""The engine in a process of its own, for a window that draws what it does.

Four threads take part:

- the window's thread calls `poll` and `close`. `poll` does not wait; it may only have to take in
  the rest of a message that is already on its way. `close` waits up to 5 s for the process.
- the engine's thread, the main one of the child, reads, decides and publishes. It writes signal
  and decisions into shared memory (see `board`) and never touches the pipe: it lays out the small
  rest of a snapshot when one was asked for.
- two postmen, further threads of the child: one waits for requests and commands, and ends a process
  that is still connecting when the window hangs up; the other sends the answers. It alone blocks
  when the window does not take its mail.

So signal and decisions are latest wins, and events and truth are never lost: they wait until they
are asked for. A snapshot is the answer to a request, so only one is ever under way. A window that
freezes asks for nothing, loses no sample and delays no decision, and its next snapshot holds the
last 5 s. What crosses the pipe is pickled, by this program for itself.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import queue
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import numpy as np

from semgfin_rt import lsl
from semgfin_rt.contracts import Decision, Event, TruthEvent
from semgfin_rt.engine.board import Board
from semgfin_rt.engine.commands import Command
from semgfin_rt.engine.parts import last_words
from semgfin_rt.engine.snapshot import NO_HEALTH, Health, Phase, Snapshot
from semgfin_rt.engine.spec import EngineSpec
from semgfin_rt.errors import SemgfinError
from semgfin_rt.nn.checkpoint_folder import load_contract

if TYPE_CHECKING:  # the window's process stays free of torch
    from semgfin_rt.engine.loop import Engine
    from semgfin_rt.engine.parts import Step

_HEALTH_S = 0.5  # percentiles of all stages cost a millisecond: not with every snapshot
_STOP_S = 5.0
_NO_SIGNAL = np.empty((0, 0), np.float32)


class EngineProcess:
    """Run an engine in a process of its own.

    Parameters
    ----------
    spec : EngineSpec
    """

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        self._process: mp.process.BaseProcess | None = None
        self._last = Snapshot(
            "connecting", "Starting the engine.", 0, _NO_SIGNAL, (), None, (), NO_HEALTH
        )
        self._over = False

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self._process is None else self._process.pid

    def start(self, *, hold: bool = False) -> None:
        """Start the process; how it fares comes with the snapshots.

        Parameters
        ----------
        hold : bool
            Load, but look for no stream before `go`.

        Raises
        ------
        CheckpointError
            If the contract of the checkpoint cannot be read.
        """
        self._board = Board(load_contract(self.spec.model), self.spec.horizons_ms)
        context = mp.get_context("spawn")
        self._link, child = context.Pipe()
        process = context.Process(
            target=_main,
            args=(self.spec, self._board, child, lsl.uses_lan(), hold),
            name="semgfin engine",
            daemon=True,
        )
        process.start()
        self._process = process  # one that could not be started cannot be ended
        child.close()
        self._link.send(None)  # the first request

    def go(self) -> None:
        """Let a process that was started with `hold` look for its streams."""
        self._send(_Go())

    def send(self, command: Command) -> None:
        """Tell the engine something; it acts within 0.1 s. One that is over does not listen."""
        self._send(command)

    def _send(self, word: Command | _Go) -> None:
        if self._process is None or self._over:
            return
        with suppress(OSError):  # it is gone: the next poll says why
            self._link.send(word)

    def poll(self) -> Snapshot | None:
        """Return everything since the last snapshot, or None if there is nothing new yet.

        A failure of the engine comes as a snapshot of phase ``failed``, once.
        """
        if self._process is None or self._over:
            return None
        try:
            if not self._link.poll():
                return None
            mail: _Mail = self._link.recv()
            self._link.send(None)
        except (EOFError, OSError):
            return self._died()
        first, signal = self._board.signal.take(mail.n_samples)
        overrun = self._board.signal.overrun
        undrawn = overrun - self._last.overrun
        text = f"The window stood still: {undrawn} samples were not drawn. The engine had them."
        told = (Event(lsl.local_clock(), "stream", text, trouble=True),) if undrawn else ()
        self._last = replace(
            mail.rest,
            first=first,
            signal=signal,
            decisions=self._board.take_decisions(mail.n_decisions),
            events=mail.rest.events + told,
            overrun=overrun,
        )
        self._over = self._last.phase == "failed"
        return self._last

    def close(self) -> None:
        """End the process. May be called again."""
        if self._process is None:
            return
        self._link.close()  # which tells the postman
        self._process.join(_STOP_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._process.close()
        self._process = None

    def _died(self) -> Snapshot | None:
        code = None if self._process is None else self._process.exitcode
        if code is None:  # its end of the pipe closes before it is gone: the next poll knows
            return None
        self._over = True
        if self._last.phase in ("ended", "failed"):
            return None
        message = f"the engine's process ended unexpectedly (exit code {code}): start it again."
        return replace(
            self._last,
            phase="failed",
            message=message,
            signal=_NO_SIGNAL,
            decisions=(),
            closed_form=None,
            truth=(),
            events=(),
            stale=None,
            quality=None,
            asking=(),
        )


# ------------------------------------------------------------------------ in the child
class _Go:
    """See `EngineProcess.go`."""


def _main(spec: EngineSpec, board: Board, link: Connection, lan: bool, hold: bool) -> None:
    desk = _Desk(board, hold)
    for carry in (_take_in, _send_out):
        threading.Thread(target=carry, args=(link, desk), name="postman", daemon=True).start()
    try:
        lsl.configure(lan)
        _run(spec, desk)
    except SemgfinError as error:
        desk.phase, desk.message = "failed", str(error)
    while not desk.closed.is_set():
        desk.wanted.wait(0.1)
        desk.answer()


def _run(spec: EngineSpec, desk: _Desk) -> None:
    desk.say("connecting", f"Loading the checkpoint {spec.model}.")
    from semgfin_rt.engine.build import build_engine, build_pipeline  # loads for 2 s and more

    built = build_pipeline(spec.model, spec.backend, spec.policy)
    engine = build_engine(spec, built)
    desk.engine, desk.backend, desk.notes = engine, built.backend, built.notes
    try:
        if not desk.go.is_set():
            desk.say("connecting", "Loaded; the recording is still being read.")
        while not desk.go.wait(0.1):
            desk.answer()
        desk.say("connecting", f"Looking for the stream '{spec.name or spec.source_id}'.")
        engine.connect()
        desk.say("running", f"Running on {built.backend}.")
        while not (engine.done or desk.closed.is_set()):
            while not desk.commands.empty():
                engine.do(desk.commands.get())
            desk.take(engine.step())
            desk.answer()
    finally:
        engine.close()
    desk.phase, desk.message = "ended", "The stream has come to its end."


def _take_in(link: Connection, desk: _Desk) -> None:
    """Wait for commands and requests, until the window hangs up."""
    try:
        while True:
            word = link.recv()
            if word is None:
                desk.wanted.set()
            elif isinstance(word, _Go):
                desk.go.set()
            else:
                desk.commands.put(word)
    except (EOFError, OSError):
        if desk.phase == "connecting":  # who loads or looks for a stream does not listen
            os._exit(0)
        desk.closed.set()
        desk.wanted.set()


def _send_out(link: Connection, desk: _Desk) -> None:
    """Send the answers, until nobody takes them."""
    with suppress(OSError):
        while True:
            link.send(desk.answers.get())


@dataclass(frozen=True)
class _Mail:
    """What the board is to be read up to, and the rest of the snapshot: no signal, no decisions."""

    n_samples: int
    n_decisions: int
    rest: Snapshot


class _Desk:
    """Where the engine's thread lays its news, and the postman takes the answers."""

    def __init__(self, board: Board, hold: bool) -> None:
        self.board = board
        self.go = threading.Event()
        if not hold:
            self.go.set()
        self.wanted = threading.Event()
        self.closed = threading.Event()
        self.answers: queue.SimpleQueue[_Mail] = queue.SimpleQueue()
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self.engine: Engine | None = None
        self.phase: Phase = "connecting"
        self.message = ""
        self.backend = ""
        self.notes: tuple[str, ...] = ()
        self._answered = 0  # decisions that an earlier answer told of
        self._truth: list[TruthEvent] = []
        self._events: list[Event] = []
        self._stale: Decision | None = None
        self._health, self._health_at = NO_HEALTH, float("-inf")

    def say(self, phase: Phase, message: str) -> None:
        """Set phase and message, and answer with them."""
        self.phase, self.message = phase, message
        self.answer()

    def take(self, step: Step) -> None:
        """Keep what a turn brought."""
        self.board.put(step.chunk, step.decisions)
        self._truth.extend(step.truth)
        self._events.extend(step.events)
        if step.decisions or step.stale is not None:
            self._stale = step.stale

    def answer(self) -> None:
        """Lay out a snapshot if one was asked for."""
        if not self.wanted.is_set() or self.closed.is_set():
            return
        self.wanted.clear()
        n_decisions = self.board.decisions.written
        decided, self._answered = n_decisions > self._answered, n_decisions
        engine = self.engine
        if engine is not None and self.phase in ("ended", "failed"):
            self._events.extend(last_words(engine.source, engine.recorder))
        rest = Snapshot(
            self.phase,
            self.message,
            0,
            _NO_SIGNAL,
            (),
            engine.pipeline.closed_form() if engine is not None and decided else None,
            tuple(self._truth),
            self._current_health(),
            self.backend,
            self.notes + engine.source.notes if engine is not None else (),
            tuple(self._events),
            self._stale,
            *self._files(),
            None if engine is None else engine.pipeline.quality,
            origin=None if engine is None else engine.source.origin,
            asking=() if engine is None else engine.source.asking,
        )
        self.answers.put(_Mail(self.board.signal.written, n_decisions, rest))
        self._truth.clear()
        self._events.clear()

    def _files(self) -> tuple[str, str, str]:
        """Checkpoint that decides, its SHA-256, and recording that is being written."""
        if self.engine is None:
            return "", "", ""
        recorder = self.engine.recorder
        recording = None if recorder is None else recorder.recording
        return str(self.engine.model), self.engine.pipeline.sha256, str(recording or "")

    def _current_health(self) -> Health:
        if self.engine is None:
            return self._health
        now = time.monotonic()
        if now - self._health_at > _HEALTH_S or self.phase != "running":
            self._health, self._health_at = self.engine.health(), now
            return self._health
        return replace(self.engine.counters(), latency_ms=self._health.latency_ms)
