"""The real-time loop: a source, the pipeline, and where its decisions go.

One thread, the caller's, does everything: it waits for exactly the samples that complete the next
window, decides, publishes. It blocks in `Source.read` (at most `WAIT_S`) and nowhere else; sinks
and recorder do not block. There is no acquisition thread: LSL's own buffer takes up a stall of the
decider, and the loop catches up by jumping to the newest window, which it counts. Only another
checkpoint is loaded by a thread of its own; see `swap`.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from semgfin_rt import lsl
from semgfin_rt.contracts import Chunk, Decision, Event, EventKind, Sink, TruthEvent
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.engine.commands import (
    AcceptSource,
    Command,
    Note,
    SaveBlackBox,
    SetPolicy,
    StartRecording,
    StopRecording,
    SwapModel,
)
from semgfin_rt.engine.decider import Decider
from semgfin_rt.engine.latency import LAST_60_S, LatencyMeter
from semgfin_rt.engine.ledger import Ledger
from semgfin_rt.engine.parts import Recorder, Step, StreamSource, Truth
from semgfin_rt.engine.snapshot import Health
from semgfin_rt.engine.spec import choose_horizons
from semgfin_rt.engine.staleness import StaleClock, stale
from semgfin_rt.errors import OptionError, StreamError
from semgfin_rt.pipeline import Pipeline

WAIT_S = 0.1
BEHIND_S = 0.2
"""More signal than this waiting: pass over all windows but the newest."""
CATCH_UP_S = 0.05
"""Also if a decision takes longer than a hop, and all that are waiting would take longer than this:
they would come in bursts, most of them too old."""
_TAIL_S = 2.0  # patience for the last samples once the player has said how many there were


class Engine:
    """Read, decide, publish, until the end.

    Parameters
    ----------
    source : StreamSource
    pipeline : Pipeline
        With ``on_stage=meter.mark``.
    sinks : sequence of Sink
    truth : Truth, optional
        Handed through; its end event ends the run.
    seconds : float, optional
        Of received signal, after which to end.
    horizons_ms : tuple of int, optional
        Which of the checkpoint's horizons to publish; all by default.
    silence_s : float or None
        How long a stream may stay silent; None leaves it to the operator.
    meter : LatencyMeter, optional
    recorder : Recorder, optional
        Closed with the engine.
    record_into : Path, optional
        File to record into from the beginning.
    model : Path, optional
        Folder of the pipeline's checkpoint.
    build : callable, optional
        Makes the pipeline of another checkpoint, for `SwapModel`.

    Attributes
    ----------
    done : bool
        The run has reached its end.
    """

    def __init__(
        self,
        source: StreamSource,
        pipeline: Pipeline,
        sinks: Sequence[Sink] = (),
        truth: Truth | None = None,
        seconds: float | None = None,
        horizons_ms: tuple[int, ...] | None = None,
        silence_s: float | None = 60.0,
        meter: LatencyMeter | None = None,
        recorder: Recorder | None = None,
        record_into: Path | None = None,
        model: Path = Path(),
        build: Callable[[Path], Pipeline] | None = None,
    ) -> None:
        self.source = source
        self.sinks = tuple(sinks)
        self.truth = truth
        self.seconds = seconds
        self.silence_s = silence_s
        self.meter = meter or LatencyMeter(LAST_60_S)
        self.recorder = recorder
        self.decider = Decider(pipeline, model, build, self._tell)
        self.done = False
        self._record_into = record_into
        self._horizons = choose_horizons(pipeline.contract.horizons_ms, horizons_ms)
        self._ledger = Ledger(Windowing(pipeline.contract.window, pipeline.contract.hop))
        self._limit: int | None = None  # samples to receive
        self._end: int | None = None  # samples that the player pushed in all
        # s a decision took in the last turns; the least counts, since others may have been held up
        self._costs: deque[float] = deque(maxlen=3)
        self._stale_clock = StaleClock(1000 * pipeline.contract.hop / pipeline.contract.rate)
        self._newest = 0.0  # LSL clock of the newest sample
        self._last: Decision | None = None
        self._paused = False  # the player's word
        self._events: list[Event] = []

    @property
    def pipeline(self) -> Pipeline:
        """That which decides now."""
        return self.decider.pipeline

    @property
    def model(self) -> Path:
        """Folder of the checkpoint that decides now."""
        return self.decider.model

    # ------------------------------------------------------------------------- running
    def connect(self) -> None:
        """Open truth and source, and see that the signal fits the checkpoint.

        Raises
        ------
        StreamError
            If a stream is missing or not usable.
        ContractMismatchError
            If the signal is not the checkpoint's.
        """
        # Everything allocated so far stays for good: the collector need not walk it again.
        gc.collect()
        gc.freeze()
        if self.truth is not None:  # before the source: the player begins when both are connected
            self.truth.connect()
        if self.recorder is not None:  # before the source: signal would have to wait for it
            self.recorder.wait_until_up()
        self.source.connect()
        spec = self.source.spec
        self.pipeline.contract.require_fit(spec, f"the stream '{self.source.name}'")
        if self.seconds is not None:
            self._limit = round(self.seconds * spec.rate)
        self._describe()
        if self.recorder is not None and self._record_into is not None:
            self.recorder.start(self._record_into)
        self._heard = lsl.local_clock()

    def run(
        self,
        on_step: Callable[[Step], None] | None = None,
        on_connect: Callable[[], None] | None = None,
    ) -> Health:
        """Connect, go on until the end, close everything.

        Parameters
        ----------
        on_step : callable, optional
            Called after each turn, once its decisions are published.
        on_connect : callable, optional
            Called once, when the streams are open.

        Raises
        ------
        StreamError
            If the stream is missing, falls silent, or ends before it should have.
        ContractMismatchError
            If the signal is not the checkpoint's.
        """
        try:
            self.connect()
            if on_connect is not None:
                on_connect()
            while not self.done:
                step = self.step()
                if on_step is not None:
                    on_step(step)
        finally:
            self.close()
        return self.health()

    def close(self) -> None:
        """Close source, truth and sinks. May be called again."""
        self.source.close()
        if self.truth is not None:
            self.truth.close()
        for sink in self.sinks:
            sink.close()
        if self.recorder is not None:
            self.recorder.close()
        gc.unfreeze()

    def step(self) -> Step:
        """Take one turn: read what there is, decide on it, publish."""
        if self.decider.swap_when_ready():
            self._describe()
        chunk, behind = self._read()
        arrived = lsl.local_clock()
        self._account(chunk, arrived)
        decisions = []
        if len(chunk.samples):
            due = self.decider.push(chunk, newest_only=behind)
            if due:
                self._costs.append((lsl.local_clock() - arrived) / len(due))
            decisions = [self._publish(d, arrived) for d in due]
        truth = self._read_truth()
        self._see_the_end(arrived, idle=not len(chunk.samples))
        overdue = None if self.done else self._publish_stale()
        return Step(chunk, tuple(decisions), tuple(truth), self._take_events(), overdue)

    def do(self, command: Command) -> None:
        """Carry out what the operator wants; between turns, and without waiting.

        What cannot be done is told by an event.
        """
        try:
            self._do(command)
        except OptionError as error:
            self._tell("model" if isinstance(command, SwapModel) else "policy", str(error))

    # -------------------------------------------------------------------------- counts
    def counters(self) -> Health:
        """Return the counters alone, which costs nothing."""
        return self._ledger.health(self.pipeline.skipped)

    def health(self) -> Health:
        """Return the counters and the percentiles of every stage (about a millisecond)."""
        return replace(self.counters(), latency_ms=self.meter.percentiles())

    # --------------------------------------------------------------------------- parts
    def _read(self) -> tuple[Chunk, bool]:
        """Return what is waiting, or wait for the samples that complete the next window."""
        room = None if self._limit is None else self._limit - self._ledger.received
        chunk = self.source.read(0.0, room)
        if not len(chunk.samples):
            wanted = self.pipeline.samples_to_next
            patience = min(WAIT_S, self._stale_clock.wait_s(self._signal_age_ms()))
            chunk = self.source.read(patience, wanted if room is None else min(wanted, room))
        waiting_s = len(chunk.samples) / (self.source.spec.rate * self.source.speed)
        return chunk, self.source.live and (waiting_s > BEHIND_S or self._is_slow(waiting_s))

    def _is_slow(self, waiting_s: float) -> bool:
        """Whether the decider is slower than the stream, and what is waiting takes it too long."""
        hop_s = self.pipeline.contract.hop / (self.source.spec.rate * self.source.speed)
        cost_s = min(self._costs) if len(self._costs) == self._costs.maxlen else 0.0
        return cost_s > hop_s and cost_s * waiting_s / hop_s > CATCH_UP_S

    def _account(self, chunk: Chunk, arrived: float) -> None:
        if not len(chunk.samples):
            return
        missing = self._ledger.take(chunk)
        if missing:
            self._tell("loss", f"{missing} samples are missing before sample {chunk.first}.")
        self._heard, self._newest = arrived, float(chunk.times[-1])
        if self.recorder is not None:
            self.recorder.chunk(chunk)
        if self.source.live:
            age_ms = 1000 * (arrived - self._newest)
            self._stale_clock.hear(age_ms)
            self.meter.add("acquire", age_ms)

    def _publish(self, decision: Decision, arrived: float) -> Decision:
        begun = lsl.local_clock()
        pushed = decision.time if self.source.live else arrived
        age_ms = 1000 * (begun - pushed)
        chosen = self._horizons
        decision = replace(
            decision,
            movements=tuple(decision.movements[i] for i in chosen),
            features=decision.features[chosen],
            age_ms=age_ms,
        )
        if self.source.live and self._stale_clock.judges(age_ms):
            decision = stale(decision, age_ms, self.pipeline.contract.class_ids)
        self._hand_out(decision)
        published = lsl.local_clock()
        self.meter.add("publish", 1000 * (published - begun))
        self.meter.add("end_to_end", 1000 * (published - pushed))
        hop_ms = 1000 * self.pipeline.contract.hop / (self.source.spec.rate * self.source.speed)
        self._ledger.publish(age_ms, hop_ms)
        self._last = decision
        return decision

    def _hand_out(self, decision: Decision) -> None:
        for sink in self.sinks:
            sink.write(decision)
        if self.recorder is not None:
            self.recorder.write(decision)

    def _signal_age_ms(self) -> float:
        """Age of the newest sample; 0 where ages mean nothing, or nothing was decided yet."""
        if self._last is None or not self.source.live:
            return 0.0
        return 1000 * (lsl.local_clock() - self._newest)

    def _publish_stale(self) -> Decision | None:
        age_ms = self._signal_age_ms()
        if self._last is None or not self._stale_clock.strikes(age_ms):
            return None
        decision = stale(self._last, age_ms, self.pipeline.contract.class_ids)
        self._hand_out(decision)
        self._ledger.publish_stale(age_ms)
        return None if self._paused else decision  # the screen keeps what is being looked at

    def _read_truth(self) -> list[TruthEvent]:
        truth = self.truth.read() if self.truth is not None else []
        for event in truth:
            if event.end:
                self._end = event.sample
            if event.speed is not None:
                self._paused = event.speed == 0
                self.source.speed = event.speed or self.source.speed
            if self.recorder is not None:
                self.recorder.truth(event)
        return truth

    def _tell(self, kind: EventKind, text: str, *, trouble: bool = False) -> None:
        self._events.append(Event(lsl.local_clock(), kind, text, trouble))

    def _take_events(self) -> tuple[Event, ...]:
        """Everything that happened, recorded; the recorder's own news are not its business."""
        told = [*self._events, *self.source.events()]
        self._events.clear()
        if self.recorder is None:
            return tuple(told)
        for event in told:
            self.recorder.event(event)
        self.recorder.health(self.counters())
        return (*told, *self.recorder.news())

    def _do(self, command: Command) -> None:
        recorder = self.recorder
        match command:
            case SetPolicy(policy):
                self.decider.set_policy(policy)
                self._describe()
            case SwapModel(model):
                self.decider.begin_swap(model)
            case AcceptSource(uid):
                self.source.accept(uid)
            case Note(kind, text):
                self._tell(kind, text)
            case StartRecording(path) if recorder is not None:
                if recorder.recording is None:  # the stream may come from elsewhere by now
                    self._describe()
                recorder.start(path)
            case StopRecording() if recorder is not None:
                recorder.stop()
            case SaveBlackBox(path) if recorder is not None:
                recorder.save_black_box(path)
            case _:
                text = "This run has no recorder: nothing was written."
                self._tell("record", text, trouble=True)

    def _describe(self) -> None:
        if self.recorder is not None:
            self.recorder.describe(self.pipeline)

    def _see_the_end(self, now: float, *, idle: bool) -> None:
        if self._paused:
            self._heard = now
        silent_s = now - self._heard
        if self._limit is not None and self._ledger.received >= self._limit:
            self.done = True
        elif self._end is not None:
            # What is still missing of the pushed samples is lost if it does not come soon.
            given_up = idle and (self.source.ended or silent_s > _TAIL_S)
            if given_up or self._ledger.next >= self._end:
                self._ledger.lost += max(0, self._end - self._ledger.next)
                self.done = True
        elif idle and self.source.ended:
            self._judge_the_end()
        elif self.silence_s is not None and silent_s > self.silence_s:
            raise StreamError(
                f"the stream '{self.source.name}' has sent nothing for {silent_s:.0f} s: see "
                "whether its program still runs."
            )

    def _judge_the_end(self) -> None:
        self.done = True
        came_s = self._ledger.received / self.source.spec.rate
        if self.truth is not None or (self._limit is not None and self.source.live):
            wanted = "" if self.seconds is None else f" of {self.seconds:g} s"
            raise StreamError(
                f"the stream '{self.source.name}' ended after {came_s:.1f} s{wanted}, before it "
                "should have: start its program again."
            )
