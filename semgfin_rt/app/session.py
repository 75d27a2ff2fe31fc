"""A run from start to summary: a replayed recording or a live stream, with or without a window.

A replay starts the player in a process of its own. Without a window (`run`) the engine lives in
this thread; with one (`link`) in a process of its own, whose snapshots the window takes. Both
processes are ended in `close`; neither sees the Ctrl-C that ends a session, which reaches all
processes of a terminal.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from semgfin_rt.app.summary import Outcome, Summary, figures, seen_in_training
from semgfin_rt.app.watch import Watch, WatchedEngine
from semgfin_rt.contracts import Decision, Recording
from semgfin_rt.decision import DecisionPolicy, PolicySpec
from semgfin_rt.engine.latency import WHOLE_RUN
from semgfin_rt.engine.loop import Step, choose_horizons
from semgfin_rt.engine.player import Player
from semgfin_rt.engine.process import EngineProcess
from semgfin_rt.engine.snapshot import NO_HEALTH
from semgfin_rt.engine.spec import EngineSpec
from semgfin_rt.errors import OptionError, StreamError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.backends import require_backend
from semgfin_rt.nn.checkpoint_folder import load_contract, sha256

if TYPE_CHECKING:  # the window's process does without the backends
    from semgfin_rt.engine.build import BuiltPipeline

_PLAYER_S = 20.0  # patience for our own player's streams, which are there already
LONGEST_S = 1e7
"""16 weeks: beyond it a number of seconds is a mistake."""
_LAST_WORDS_S = 0.5  # patience for what a dying player has to say


@dataclass(frozen=True)
class Settings:
    """What the user sets, whatever the source.

    Attributes
    ----------
    model : Path
        Folder of the checkpoint.
    backend : {"auto", "onnx", "torch", "cuda"}
    horizons_ms : tuple of int or None
        Which to decide for, show and score; all of the checkpoint's by default.
    vote, reject, hold_ms
        See `PolicySpec`.
    rest_gate : bool or None
        None: on for a model without rest class that has one.
    seconds : float or None
        Of signal, after which to end.
    publish_id : str or None
        source_id under which to publish the decisions.
    """

    model: Path
    backend: str = "auto"
    horizons_ms: tuple[int, ...] | None = None
    vote: int = 1
    reject: float = 0.0
    hold_ms: float = 0.0
    rest_gate: bool | None = None
    seconds: float | None = None
    publish_id: str | None = None

    def check(self) -> ModelContract:
        """See, before a recording is read, that all of it can be had; return the contract.

        Raises
        ------
        CheckpointError
            If there is no checkpoint.
        OptionError
            If a setting is out of range, a horizon not in the checkpoint, the backend not there,
            or the policy does not fit the checkpoint.
        """
        if self.seconds is not None and not 0 < self.seconds <= LONGEST_S:
            raise OptionError(
                f"--seconds {self.seconds:g} is not possible: give more than 0 and at most "
                f"{LONGEST_S:.0f}."
            )
        contract = load_contract(self.model)
        choose_horizons(contract.horizons_ms, self.horizons_ms)
        DecisionPolicy(contract, self.policy(contract))
        require_backend(self.backend)
        return contract

    def policy(self, contract: ModelContract) -> PolicySpec:
        """Return the decision policy for a model."""
        by_itself = not contract.has_rest and contract.rest_gate is not None
        gate = by_itself if self.rest_gate is None else self.rest_gate
        return PolicySpec(self.vote, self.reject, self.hold_ms, gate)


@dataclass(frozen=True, eq=False)
class Replay:
    """A recording to play through LSL."""

    recording: Recording
    speed: float = 1.0
    loop: bool = False


@dataclass(frozen=True)
class Live:
    """A stream of somebody else's.

    Attributes
    ----------
    name, source_id : str or None
        One of them at least.
    unit : str or None
        The user's word for its unit.
    wait_s : float
        How long to look for it.
    """

    name: str | None = None
    source_id: str | None = None
    unit: str | None = None
    wait_s: float = 5.0


class Session:
    """One run. Use it as a context manager, or call `close`.

    Parameters
    ----------
    settings : Settings
    source : Replay or Live

    Attributes
    ----------
    contract : ModelContract
        Of the checkpoint, with the chosen horizons alone: what decisions, score and window have.
    backend : str
        Where the network runs, once that is known.
    interrupted : bool
        Ctrl-C ended it.
    failure : str or None
        Why the stream broke off after decisions had been made.
    notes : tuple of str
        What had to be assumed about the stream, a sentence each; known after `run`.

    Raises
    ------
    CheckpointError
        If there is no checkpoint.
    ContractMismatchError
        If the recording does not fit it.
    OptionError
        See `Settings.check`.
    """

    def __init__(self, settings: Settings, source: Replay | Live) -> None:
        contract = settings.check()
        chosen = choose_horizons(contract.horizons_ms, settings.horizons_ms)
        self.settings, self.source = settings, source
        self.contract = contract.model_copy(
            update={"horizons_ms": tuple(contract.horizons_ms[i] for i in chosen)}
        )
        self.policy = settings.policy(contract)
        self.backend = settings.backend
        self.interrupted = False
        self.failure: str | None = None
        self.notes: tuple[str, ...] = ()
        self._health, self._complete = NO_HEALTH, False
        self._player: Player | None = None
        self._link: WatchedEngine | None = None
        if isinstance(source, Replay):
            recording = source.recording
            contract.require_fit(recording.spec, recording.path)
            self._player = Player(
                recording, speed=source.speed, loop=source.loop, seconds=settings.seconds
            )
        self._watch = Watch(self.contract, has_truth=self._player is not None)

    # ------------------------------------------------------------------------- running
    def run(
        self,
        on_start: Callable[[], None] | None = None,
        on_decision: Callable[[Decision, int | None], None] | None = None,
        on_connect: Callable[[], None] | None = None,
    ) -> Summary:
        """Run in this thread until the end or Ctrl-C.

        Parameters
        ----------
        on_start : callable, optional
            Called when the network is ready, before the signal begins.
        on_decision : callable, optional
            Called with each decision and its truth, where that is known.
        on_connect : callable, optional
            Called when the stream is open, and `notes` known.

        Raises
        ------
        StreamError
            If the stream is missing or not usable, or ends before anything could be decided.
        """
        settings = self.settings
        from semgfin_rt.engine.build import build_pipeline

        built = build_pipeline(settings.model, settings.backend, self.policy, WHOLE_RUN)
        self.backend = built.backend
        if on_start is not None:
            on_start()
        self._start_player()
        self._run(built, on_decision or (lambda _decision, _truth: None), on_connect)
        self.close()
        return self.summary()

    def _run(
        self,
        built: BuiltPipeline,
        on_decision: Callable[[Decision, int | None], None],
        on_connect: Callable[[], None] | None,
    ) -> None:
        from semgfin_rt.engine.build import build_engine, build_source

        spec = self._spec()
        stream = build_source(spec, built.pipeline.contract)
        engine = build_engine(spec, built, stream)

        def take(step: Step) -> None:
            self._watch.take(step.decisions, step.truth)
            for decision in step.decisions:
                on_decision(decision, self._watch.truth_at(decision.sample))

        def connected() -> None:
            self.notes = built.notes + stream.notes
            if on_connect is not None:
                on_connect()

        try:
            engine.run(take, connected)
            self._complete = True
        except KeyboardInterrupt:
            self.interrupted = True
        except StreamError as error:
            self.failure = self._cause(str(error))
            if not engine.counters().decisions:
                raise StreamError(self.failure) from error
        self._health = engine.health()

    def link(self) -> WatchedEngine:
        """Start player and engine, each in a process of its own; return the window's end."""
        self._start_player()
        engine = EngineProcess(self._spec())
        self._link = WatchedEngine(engine, self._watch)
        with _spared_ctrl_c():
            engine.start()
        return self._link

    def close(self) -> None:
        """End the processes that were started. May be called again."""
        if self._link is not None:
            self._link.close()
        if self._player is not None:
            self._player.stop()

    def __enter__(self) -> Session:
        """Nothing is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    # ------------------------------------------------------------------------- telling
    def summary(self) -> Summary:
        """Return the summary of a run that is over."""
        if self._link is not None:
            self._take_from(self._link)
        self._watch.finish()
        pushed = None if self._player is None else self._player.pushed
        outcome = Outcome(self._health, self._watch.score, pushed, self._complete)
        told: Summary = figures(outcome, self.contract)
        told["seen_in_training"] = (
            seen_in_training(self.source.recording, self.contract, pushed or 0)
            if isinstance(self.source, Replay)
            else None
        )
        told["checkpoint"] = {
            "folder": str(self.settings.model),
            "sha256": sha256(self.settings.model),
            "preset": self.contract.preset,
        }
        told["source"] = self._describe_source()
        told["backend"] = self.backend
        told["notes"] = list(self.notes)
        if self._health.not_finite:
            told["notes"].append(
                f"{self._health.not_finite} samples held NaN or infinity: the decisions on windows "
                "with them were rejected."
            )
        return told

    def _take_from(self, link: WatchedEngine) -> None:
        last = link.last
        if last is not None:
            self.backend, self.notes = last.backend or self.backend, last.notes
            self._health, self._complete = last.health, last.phase == "ended"
            if last.phase == "failed" and self.failure is None:
                self.failure = self._cause(last.message)

    def _cause(self, failure: str) -> str:
        """Why it broke off: what the player says, if it is to blame, or `failure`."""
        try:
            if self._player is not None:
                self._player.check(_LAST_WORDS_S)
        except StreamError as error:
            return str(error)
        return failure

    def _describe_source(self) -> dict[str, object]:
        if isinstance(self.source, Live):
            return {
                "kind": "live",
                "name": self.source.name,
                "source_id": self.source.source_id,
                "unit": self.source.unit,
            }
        recording = self.source.recording
        return {
            "kind": "replay",
            "path": recording.path,
            "dataset": recording.dataset,
            "subject": recording.subject,
            "repetitions": sorted(set(recording.repetitions.tolist())),
            "speed": self.source.speed,
            "loop": self.source.loop,
        }

    # --------------------------------------------------------------------------- parts
    def _start_player(self) -> None:
        if self._player is not None:
            with _spared_ctrl_c():
                self._player.start()

    def _spec(self) -> EngineSpec:
        settings, player = self.settings, self._player
        live = self.source if isinstance(self.source, Live) else Live()
        return EngineSpec(
            settings.model,
            live.name,
            live.source_id if player is None else player.source_id,
            None if player is None else player.truth_id,
            live.unit,
            settings.horizons_ms,
            settings.backend,
            self.policy,
            settings.seconds if player is None else None,  # the player counts, and says the end
            settings.publish_id,
            live.wait_s if player is None else _PLAYER_S,
        )


@contextmanager
def _spared_ctrl_c() -> Iterator[None]:
    """Keep Ctrl-C from processes that are started in here: they inherit the blocked signal."""
    resource_tracker.ensure_running()  # multiprocessing's own process; its start unblocks
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
