"""What the window shows, without the window: traces, and the view of all that is shown.

Nothing here knows Qt. `LiveView` takes the snapshots; a panel reads one part of it and draws.
"""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from semgfin_rt.app.forecasts import Forecasts
from semgfin_rt.app.imitation import Imitation
from semgfin_rt.app.lights import Light, lights
from semgfin_rt.app.ribbon import Ribbon
from semgfin_rt.contracts import Decision, Event, FloatArray, SignalSpec
from semgfin_rt.engine.snapshot import Health, Phase, Snapshot
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.sources.identity import Candidate, Origin

TRACE_SECONDS = 5.0
LANE_STEPS = (1.0, 2.0, 5.0)
EVENTS = 500
"""How many of the newest events are kept."""
ALERT_S = 10.0
"""How long trouble is told that nothing resolves."""


# ------------------------------------------------------------------------------ traces
class TraceRing:
    """The last seconds of a signal as the lowest and highest value of each bucket.

    A bucket is about one pixel wide and tied to the sample index, so that the drawn envelope
    moves without flickering. Buckets without a sample (loss, start) are NaN: a hole on screen.

    Parameters
    ----------
    spec : SignalSpec
    seconds : float
        Length of the picture.
    buckets : int
        Upper bound of their number. A window 1280 pixels wide has about as many pixels for them;
        1000 take half as long again to draw.
    """

    def __init__(
        self, spec: SignalSpec, seconds: float = TRACE_SECONDS, buckets: int = 600
    ) -> None:
        n_samples = max(1, round(seconds * spec.rate))
        self.width = -(-n_samples // buckets)
        n_buckets = -(-n_samples // self.width)
        self.times = np.repeat((np.arange(n_buckets) + 1 - n_buckets) * self.width / spec.rate, 2)
        self._low = np.full((n_buckets, len(spec.channels)), np.nan, np.float32)
        self._high = self._low.copy()
        self._newest = -1

    def clear(self) -> None:
        """Forget everything, as at the start of a stream."""
        self._low[:] = self._high[:] = np.nan
        self._newest = -1

    def push(self, first: int, signal: FloatArray) -> None:
        """Add samples; `first` is the index of the first row of `signal` (n_samples, n_channels).

        An index that lies behind the newest bucket is a new stream: the picture starts afresh.
        """
        if not len(signal):
            return
        if first // self.width < self._newest:
            self.clear()
        bucket = (first + np.arange(len(signal))) // self.width
        starts = np.flatnonzero(np.diff(bucket, prepend=-1))
        filled, n_buckets = bucket[starts], len(self._low)
        fresh = np.arange(max(self._newest + 1, filled[-1] + 1 - n_buckets), filled[-1] + 1)
        self._low[fresh % n_buckets] = self._high[fresh % n_buckets] = np.nan
        self._newest = int(filled[-1])

        seen = filled > self._newest - n_buckets
        slots = filled[seen] % n_buckets
        low = np.fmin.reduceat(signal, starts)[seen]
        high = np.fmax.reduceat(signal, starts)[seen]
        self._low[slots] = np.fmin(self._low[slots], low)
        self._high[slots] = np.fmax(self._high[slots], high)

    def envelope(self) -> FloatArray:
        """Return (2 * n_buckets, n_channels): low, high, low, high ..., oldest first.

        Row i belongs to ``times[i]``, in seconds before the newest bucket.
        """
        pairs = np.stack([self._low, self._high], axis=1)
        pairs = np.roll(pairs, -(self._newest + 1) % len(pairs), axis=0)
        drawn: FloatArray = pairs.reshape(-1, pairs.shape[-1])
        return drawn


def lanes(envelope: FloatArray, half_lane: float) -> FloatArray:
    """Place each channel in a lane of its own, the first on top.

    Parameters
    ----------
    envelope : (n_points, n_channels) float32
    half_lane : float
        Deviation from the channel's mean that fills half a lane, in the unit of the signal.

    Returns
    -------
    (n_points, n_channels) float32
        Channel c around -c, cut where the next lane begins; NaN stays NaN.
    """
    known = np.isfinite(envelope)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, envelope, 0).sum(axis=0) / count
    within = np.clip((envelope - centre) / (2 * half_lane), -0.48, 0.48)
    placed: FloatArray = (within - np.arange(envelope.shape[1])).astype(np.float32)
    return placed


def step_lane(half_lane: float, steps: int) -> float:
    """Move a lane's half height along 1, 2, 5, 10 ...; positive `steps` make it larger."""
    decade = np.floor(np.log10(half_lane) + 1e-9)
    place = int(np.argmin(np.abs(np.array(LANE_STEPS) - half_lane / 10**decade)))
    decades, place = divmod(place + steps, len(LANE_STEPS))
    return float(f"{LANE_STEPS[place] * 10 ** (decade + decades):.6g}")


def first_lane(contract: ModelContract) -> float:
    """Half height of a lane that shows the training signal well: about 8 standard deviations."""
    return step_lane(8 * float(np.median(contract.scale_std)), 0)


# -------------------------------------------------------------------------------- view
class LiveView:
    """The state of the screen, fed with snapshots.

    Attributes
    ----------
    traces : TraceRing
    ribbon : Ribbon
    decision : Decision or None
        The newest on a window.
    stale : Decision or None
        What was published last, where that is because no signal comes.
    events : deque of Event
        The newest `EVENTS`, oldest first.
    n_events : int
        How many there were in all.
    lights : tuple of Light
        Signal quality of each channel; empty before the first window.
    imitation : Imitation
        How far the imitation can be trusted.
    forecasts : Forecasts
        Forecast features, checked when their time has come.
    health : Health or None
    phase, message : str
        Of the newest snapshot; the notes on the stream stand behind the message.
    model, recording : str
        Checkpoint that decides, and file that is being written; empty where there is none.
    recorded_from : int
        Samples that had been received when that file began.
    origin : Origin or None
        Where the signal comes from now.
    asking : tuple of Candidate
        Streams in the place of the missing one, which the operator can confirm.
    """

    def __init__(self, contract: ModelContract) -> None:
        self.contract = contract
        self.traces = TraceRing(contract.spec)
        self.ribbon = Ribbon(contract)
        self.decision: Decision | None = None
        self.stale: Decision | None = None
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self.n_events = 0
        self.model = self.recording = ""
        self.recorded_from = 0
        self.origin: Origin | None = None
        self.asking: tuple[Candidate, ...] = ()
        self._trouble: Event | None = None
        self._troubled_at = 0.0
        self.lights: tuple[Light, ...] = ()
        self.imitation = Imitation(contract)
        self.forecasts = Forecasts(contract)
        self.health: Health | None = None
        self.phase: Phase = "connecting"
        self.message = ""

    @property
    def published(self) -> Decision | None:
        """What was published last, on a window or because no signal comes."""
        return self.stale or self.decision

    @property
    def alert(self) -> str:
        """The newest trouble, for `ALERT_S` or until news of its kind resolve it; or nothing.

        It stays while the operator is asked. A failure of the engine is no alert: `message` has it.
        """
        if self._trouble is None or self.phase == "failed":
            return ""
        fresh = time.monotonic() - self._troubled_at < ALERT_S
        return self._trouble.text if fresh or self.asking else ""

    def update(self, snapshot: Snapshot) -> None:
        """Take in one snapshot; every one counts, whether or not it is drawn."""
        self.stale = snapshot.stale
        self.events.extend(snapshot.events)
        self.n_events += len(snapshot.events)
        for event in snapshot.events:
            self._hear(event)
        self.origin, self.asking = snapshot.origin, snapshot.asking
        if snapshot.recording != self.recording:
            self.recorded_from = snapshot.health.received
        self.model, self.recording = snapshot.model, snapshot.recording
        self.phase = snapshot.phase
        notes = snapshot.notes if snapshot.phase != "failed" else ()
        self.message = " ".join((snapshot.message, *notes))
        self.health = snapshot.health
        if snapshot.quality is not None:
            self.lights = lights(snapshot.quality, self.contract)
        self.traces.push(snapshot.first, snapshot.signal)
        if self._starts_afresh(snapshot.decisions):
            self.ribbon.clear()
        self.ribbon.push_truth(snapshot.truth)
        if not snapshot.decisions:
            return
        self.imitation.take(snapshot.decisions, snapshot.closed_form)
        self.forecasts.take(snapshot.decisions, snapshot.closed_form)
        self.ribbon.push(snapshot.decisions)
        self.decision = snapshot.decisions[-1]

    def _hear(self, event: Event) -> None:
        if event.trouble or event.kind == "loss":
            self._trouble, self._troubled_at = event, time.monotonic()
        elif self._trouble is not None and self._trouble.kind == event.kind:
            self._trouble = None

    def _starts_afresh(self, decisions: tuple[Decision, ...]) -> bool:
        """Whether sample indices went back: another stream."""
        known = self.decision
        return bool(known and decisions and decisions[0].sample < known.sample)
