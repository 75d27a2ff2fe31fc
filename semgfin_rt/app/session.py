"""A run from start to summary: a replayed recording or a live stream, with or without a window.

A replay starts the player in a process of its own; at full speed there is none, and no window: the
engine reads the recording. Without a window (`run`) the engine lives in this thread; with one
(`link`) in a process of its own, whose snapshots the window takes. Both processes are ended in
`close`; neither sees the Ctrl-C that ends a session, which reaches all processes of a terminal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from semgfin_rt.app.settings import Live, Replay, Settings
from semgfin_rt.app.summary import Outcome, Summary, figures, seen_in_training
from semgfin_rt.app.transport import Transport
from semgfin_rt.app.watch import Watch, WatchedEngine
from semgfin_rt.contracts import Decision, Event
from semgfin_rt.engine.latency import WHOLE_RUN
from semgfin_rt.engine.parts import Step, last_words
from semgfin_rt.engine.playback import TRUTH_SUFFIX
from semgfin_rt.engine.player import Player, new_source_id
from semgfin_rt.engine.process import EngineProcess
from semgfin_rt.engine.snapshot import NO_HEALTH
from semgfin_rt.engine.spec import EngineSpec, choose_horizons
from semgfin_rt.errors import StreamError
from semgfin_rt.interrupts import spared_ctrl_c
from semgfin_rt.recordings.cutting import cut_beginning
from semgfin_rt.sources.identity import Origin
from semgfin_rt.sources.recording import RecordingSource, RecordingTruth

if TYPE_CHECKING:  # the window's process does without the backends
    from semgfin_rt.engine.build import BuiltPipeline

_PLAYER_S = 20.0  # patience for our own player's streams, which are there already
_SILENCE_S = 60.0  # of a stream that nobody watches: then it counts as gone
_LAST_WORDS_S = 0.5  # patience for what a dying player has to say


class Session:
    """One run. Use it as a context manager, or call `close`.

    Parameters
    ----------
    settings : Settings
    source : Replay or Live
    engine : EngineProcess, optional
        Of a replay, begun already; see `begin_replay`.

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
    origin : Origin or None
        Where the signal of `run` came from at first.

    Raises
    ------
    CheckpointError
        If there is no checkpoint.
    ContractMismatchError
        If the recording does not fit it.
    OptionError
        See `Settings.check`.
    """

    def __init__(
        self, settings: Settings, source: Replay | Live, engine: EngineProcess | None = None
    ) -> None:
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
        self.origin: Origin | None = None
        self._health, self._complete = NO_HEALTH, False
        self._model, self._sha256 = str(settings.model), ""  # of what decides, once it is loaded
        self._player: Player | None = None
        self._engine = engine
        self._link: WatchedEngine | None = None
        self._reader: RecordingSource | None = None
        self._pace: tuple[float | None, float | None] = None, None  # and its floor
        if isinstance(source, Replay):
            recording = source.recording
            contract.require_fit(recording.spec, recording.path)
            if source.at_full_speed:
                if settings.seconds is not None:
                    recording = cut_beginning(recording, round(settings.seconds * contract.rate))
                self._reader = RecordingSource(recording, contract.hop, across_breaks=True)
            else:
                self._player = Player(
                    recording,
                    None if engine is None else engine.spec.source_id,
                    speed=source.speed,
                    loop=source.loop,
                    seconds=settings.seconds,
                )
        self._watch = Watch(self.contract, has_truth=isinstance(source, Replay))

    # ------------------------------------------------------------------------- running
    def run(
        self,
        on_start: Callable[[], None] | None = None,
        on_decision: Callable[[Decision], None] | None = None,
        on_connect: Callable[[], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Summary:
        """Run in this thread until the end or Ctrl-C.

        Parameters
        ----------
        on_start : callable, optional
            Called when the network is ready, before the signal begins.
        on_decision : callable, optional
            Called with each decision; `truth_at` knows more then.
        on_connect : callable, optional
            Called when the stream is open, and `notes` and `origin` are known.
        on_event : callable, optional
            Called with each event, those that come while all is closed among them.

        Raises
        ------
        StreamError
            If the stream is missing or not usable, or ends before anything could be decided.
        """
        settings = self.settings
        from semgfin_rt.engine.build import build_pipeline

        built = build_pipeline(settings.model, settings.backend, self.policy, WHOLE_RUN)
        self.backend, self._sha256 = built.backend, built.pipeline.sha256
        if on_start is not None:
            on_start()
        self._start_player()
        self._run(
            built,
            on_decision or (lambda _decision: None),
            on_connect,
            on_event or (lambda _event: None),
        )
        self.close()
        return self.summary()

    def _run(
        self,
        built: BuiltPipeline,
        on_decision: Callable[[Decision], None],
        on_connect: Callable[[], None] | None,
        on_event: Callable[[Event], None],
    ) -> None:
        from semgfin_rt.engine.build import build_engine, build_source

        spec = self._spec(attended=False)
        reader = self._reader
        truth = None if reader is None else RecordingTruth(reader)
        stream = reader or build_source(spec, built.pipeline.contract)
        engine = build_engine(spec, built, stream, truth)
        begun = ended = 0.0

        def take(step: Step) -> None:
            nonlocal ended
            self._watch.take(step.decisions, step.truth)
            for decision in step.decisions:
                on_decision(decision)
            for event in step.events:
                on_event(event)
            ended = time.perf_counter()

        def connected() -> None:
            nonlocal begun
            self.notes, self.origin = built.notes + stream.notes, stream.origin
            if on_connect is not None:
                on_connect()
            begun = time.perf_counter()

        try:
            engine.run(take, connected)
            self._complete = True
        except KeyboardInterrupt:
            self.interrupted = True
        except StreamError as error:
            self.failure = self._cause(str(error))
            if not engine.counters().decisions:
                raise StreamError(self.failure) from error
        finally:
            for event in last_words(stream, engine.recorder):
                on_event(event)
        self._health = engine.health()
        if reader is not None and ended > begun:
            from semgfin_rt.app.arithmetic import floor_times_real_time

            signal_s = reader.pushed / reader.spec.rate
            floor = floor_times_real_time(built.pipeline.contract, built.backend)
            self._pace = signal_s / (ended - begun), floor

    def link(self) -> WatchedEngine:
        """Start player and engine, each in a process of its own; return the window's end.

        The engine first, where it was not begun before: it takes seconds to load, and waits for the
        player's streams.
        """
        if self._player is not None and isinstance(self.source, Replay):
            self._player.stay = self.source.stay and self.settings.seconds is None
        engine = self._engine or EngineProcess(self._spec(attended=True))
        self._link = WatchedEngine(engine, self._watch)
        if self._engine is None:
            with spared_ctrl_c():
                engine.start()
        else:
            engine.go()
        self._start_player()
        return self._link

    def truth_at(self, sample: int) -> int | None:
        """Label of a sample; None where none is known."""
        return self._watch.truth_at(sample)

    @property
    def player(self) -> Player | None:
        """What plays the recording; None for a live stream, and at full speed."""
        return self._player

    @property
    def signal_s(self) -> float | None:
        """How much there is to read at full speed, in s; None for a stream."""
        reader = self._reader
        return None if reader is None else len(reader.recording.samples) / self.contract.rate

    @property
    def transport(self) -> Transport | None:
        """What moves about in a replay; None where there is no player."""
        if self._player is None or not isinstance(self.source, Replay):
            return None
        return Transport(self.source.recording, self._player, self.contract.hop)

    def close(self) -> None:
        """End the processes that were started. May be called again."""
        if self._link is not None:
            self._link.close()
        if self._player is not None:
            self._player.stop()

    def __enter__(self) -> Session:
        """Nothing is started yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    # ------------------------------------------------------------------------- telling
    def summary(self) -> Summary:
        """Return the summary of a run that is over."""
        if self._link is not None:
            self._take_from(self._link)
        self._watch.finish()
        sender = self._player or self._reader
        pushed = None if sender is None else sender.pushed
        outcome = Outcome(self._health, self._watch.score, pushed, self._complete)
        told: Summary = figures(outcome, self.contract)
        told["seen_in_training"] = (
            seen_in_training(self.source.recording, self.contract, pushed or 0)
            if isinstance(self.source, Replay)
            else None
        )
        told["checkpoint"] = {
            "folder": self._model,
            "sha256": self._sha256,
            "preset": self.contract.preset,
        }
        told["source"] = self._describe_source()
        told["backend"] = self.backend
        told["times_real_time"], told["floor_times_real_time"] = self._pace
        if self._reader is not None:
            told["end_to_end_is"] = "read to publish"
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
            self._model, self._sha256 = last.model or self._model, last.sha256
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
            "speed": "max" if self.source.at_full_speed else self.source.speed,
            "loop": self.source.loop,
        }

    # --------------------------------------------------------------------------- parts
    def _start_player(self) -> None:
        if self._player is not None:
            with spared_ctrl_c():
                self._player.start()

    def _spec(self, *, attended: bool) -> EngineSpec:
        if self._player is not None:
            return _replay_spec(self.settings, self._player.source_id, attended=attended)
        live = self.source if isinstance(self.source, Live) else Live()
        return replace(
            _common(self.settings, attended=attended),
            name=live.name,
            source_id=live.source_id,
            unit=live.unit,
            seconds=self.settings.seconds,
            resolve_s=live.wait_s,
        )


@contextmanager
def begin_replay(settings: Settings) -> Iterator[EngineProcess]:
    """Let a replay's engine load while its recording is still being read, for `Session.link`.

    Raises
    ------
    CheckpointError
        If there is no checkpoint.
    """
    engine = EngineProcess(_replay_spec(settings, new_source_id(), attended=True))
    try:
        with spared_ctrl_c():
            engine.start(hold=True)
        yield engine
    finally:
        engine.close()


def _replay_spec(settings: Settings, source_id: str, *, attended: bool) -> EngineSpec:
    """Name the player's streams; how much is played, and when it ends, the player says."""
    return replace(
        _common(settings, attended=attended),
        source_id=source_id,
        truth_id=source_id + TRUTH_SUFFIX,
        resolve_s=_PLAYER_S,
    )


def _common(settings: Settings, *, attended: bool) -> EngineSpec:
    """Return what every engine is told; an operator decides how long silence lasts."""
    return EngineSpec(
        settings.model,
        horizons_ms=settings.horizons_ms,
        backend=settings.backend,
        policy=settings.policy(settings.check()),
        publish_id=settings.publish_id,
        silence_s=None if attended else _SILENCE_S,
        udp_port=settings.udp_port,
        record=settings.record,
        black_box=attended,
    )
