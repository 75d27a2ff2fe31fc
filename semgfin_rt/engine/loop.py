"""The real-time loop: a source, the pipeline, and where its decisions go.

One thread, the caller's, does everything: it waits for exactly the samples that complete the next
window, decides, publishes. It blocks in `Source.read` (at most `WAIT_S`) and nowhere else; sinks
do not block. There is no acquisition thread: LSL's own buffer takes up a stall of the decider,
and the loop catches up by jumping to the newest window, which it counts.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from semgfin_rt import lsl
from semgfin_rt.contracts import Chunk, Decision, Sink, Source, TruthEvent
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.engine.latency import LAST_60_S, LatencyMeter
from semgfin_rt.engine.snapshot import Health
from semgfin_rt.errors import OptionError, StreamError
from semgfin_rt.pipeline import Pipeline

WAIT_S = 0.1
BEHIND_S = 0.2
"""More signal than this waiting: pass over all windows but the newest."""
_TAIL_S = 2.0  # patience for the last samples once the player has said how many there were


class StreamSource(Source, Protocol):
    """What the loop must know of a source besides its samples.

    Attributes
    ----------
    name : str or None
        For messages.
    live : bool
        Its samples come by a clock: one can be behind, and their age means something.
    speed : float
        They come at ``spec.rate * speed``.
    notes : tuple of str
        What had to be assumed about it, once it is connected.
    ended : bool
        No more will come.
    """

    name: str | None
    live: bool
    speed: float
    notes: tuple[str, ...]
    ended: bool


class Truth(Protocol):
    """Where the truth about a replayed recording comes from."""

    def connect(self) -> None:
        """Open it."""

    def read(self) -> list[TruthEvent]:
        """Return what has come, without waiting."""

    def close(self) -> None:
        """Close it. May be called again."""


@dataclass(frozen=True, eq=False)
class Step:
    """What one turn of the loop brought; everything may be empty."""

    chunk: Chunk
    decisions: tuple[Decision, ...]
    truth: tuple[TruthEvent, ...]


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
    silence_s : float
        How long a stream may stay silent.
    meter : LatencyMeter, optional

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
        silence_s: float = 60.0,
        meter: LatencyMeter | None = None,
    ) -> None:
        self.source = source
        self.pipeline = pipeline
        self.sinks = tuple(sinks)
        self.truth = truth
        self.seconds = seconds
        self.silence_s = silence_s
        self.meter = meter or LatencyMeter(LAST_60_S)
        self.done = False
        self._horizons = choose_horizons(pipeline.contract.horizons_ms, horizons_ms)
        self._windowing = Windowing(pipeline.contract.window, pipeline.contract.hop)
        self._received = self._lost = self._decisions = self._late = self._not_finite = 0
        self._expected_before = self._stretch = 0  # decisions of earlier stretches, samples of this
        self._next = 0
        self._age_ms = float("nan")
        self._limit: int | None = None  # samples to receive
        self._end: int | None = None  # samples that the player pushed in all

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
        if self.truth is not None:  # first: the player begins when both are connected
            self.truth.connect()
        self.source.connect()
        spec = self.source.spec
        self.pipeline.contract.require_fit(spec, f"the stream '{self.source.name}'")
        if self.seconds is not None:
            self._limit = round(self.seconds * spec.rate)
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
        gc.unfreeze()

    def step(self) -> Step:
        """Take one turn: read what there is, decide on it, publish."""
        chunk, behind = self._read()
        arrived = lsl.local_clock()
        self._account(chunk, arrived)
        decisions = []
        if len(chunk.samples):
            due = self.pipeline.push(chunk, newest_only=behind)
            decisions = [self._publish(d, arrived) for d in due]
        truth = self.truth.read() if self.truth is not None else []
        self._end = next((e.sample for e in truth if e.end), self._end)
        self._see_the_end(arrived, idle=not len(chunk.samples))
        return Step(chunk, tuple(decisions), tuple(truth))

    # -------------------------------------------------------------------------- counts
    def counters(self) -> Health:
        """Return the counters alone, which costs nothing."""
        return Health(
            self._received,
            self._lost,
            self._decisions,
            self._expected_before + self._windowing.count(self._stretch),
            self.pipeline.skipped,
            self._late,
            self._age_ms,
            {},
            self._not_finite,
        )

    def health(self) -> Health:
        """Return the counters and the percentiles of every stage (about a millisecond)."""
        return replace(self.counters(), latency_ms=self.meter.percentiles())

    # --------------------------------------------------------------------------- parts
    def _read(self) -> tuple[Chunk, bool]:
        """Return what is waiting, or wait for the samples that complete the next window."""
        room = None if self._limit is None else self._limit - self._received
        chunk = self.source.read(0.0, room)
        if not len(chunk.samples):
            wanted = self.pipeline.samples_to_next
            chunk = self.source.read(WAIT_S, wanted if room is None else min(wanted, room))
        waiting_s = len(chunk.samples) / (self.source.spec.rate * self.source.speed)
        return chunk, self.source.live and waiting_s > BEHIND_S

    def _account(self, chunk: Chunk, arrived: float) -> None:
        n = len(chunk.samples)
        if not n:
            return
        if chunk.lost:
            self._expected_before += self._windowing.count(self._stretch)
            self._stretch = 0
        self._lost += chunk.first - self._next  # not `lost`: see RecordingSource
        self._next = chunk.first + n
        self._received += n
        self._stretch += n
        self._not_finite += n - int(np.isfinite(chunk.samples).all(axis=1).sum())
        self._heard = arrived
        if self.source.live:
            self.meter.add("acquire", 1000 * (arrived - float(chunk.times[-1])))

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
        for sink in self.sinks:
            sink.write(decision)
        published = lsl.local_clock()
        self.meter.add("publish", 1000 * (published - begun))
        self.meter.add("end_to_end", 1000 * (published - pushed))
        hop_ms = 1000 * self.pipeline.contract.hop / (self.source.spec.rate * self.source.speed)
        self._late += age_ms > hop_ms
        self._age_ms = age_ms
        self._decisions += 1
        return decision

    def _see_the_end(self, now: float, *, idle: bool) -> None:
        silent_s = now - self._heard
        if self._limit is not None and self._received >= self._limit:
            self.done = True
        elif self._end is not None:
            # What is still missing of the pushed samples is lost if it does not come soon.
            given_up = idle and (self.source.ended or silent_s > _TAIL_S)
            if given_up or self._next >= self._end:
                self._lost += max(0, self._end - self._next)
                self.done = True
        elif idle and self.source.ended:
            self._judge_the_end()
        elif silent_s > self.silence_s:
            raise StreamError(
                f"the stream '{self.source.name}' has sent nothing for {silent_s:.0f} s: see "
                "whether its program still runs."
            )

    def _judge_the_end(self) -> None:
        self.done = True
        came_s = self._received / self.source.spec.rate
        if self.truth is not None or (self._limit is not None and self.source.live):
            wanted = "" if self.seconds is None else f" of {self.seconds:g} s"
            raise StreamError(
                f"the stream '{self.source.name}' ended after {came_s:.1f} s{wanted}, before it "
                "should have: start its program again."
            )


def choose_horizons(offered: tuple[int, ...], wanted: tuple[int, ...] | None) -> list[int]:
    """Return the places of the wanted horizons among those a checkpoint offers.

    Raises
    ------
    OptionError
        If one is not offered.
    """
    missing = [ms for ms in wanted or () if ms not in offered]
    if missing:
        raise OptionError(
            f"horizon {missing[0]} ms is not in the checkpoint: choose among "
            f"{', '.join(map(str, offered))}."
        )
    return [i for i, ms in enumerate(offered) if wanted is None or ms in wanted]
