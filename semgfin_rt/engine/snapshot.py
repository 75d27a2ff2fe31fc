"""What the engine tells the screen: everything since the last snapshot, and how it fares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from semgfin_rt.contracts import Decision, Event, FloatArray, TruthEvent
from semgfin_rt.dsp.quality import Quality
from semgfin_rt.sources.identity import Candidate, Origin

Phase: TypeAlias = Literal["connecting", "running", "ended", "failed"]


@dataclass(frozen=True)
class Percentiles:
    """Latency of one stage over the last 60 s (headless: the whole run), in ms."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Health:
    """Counters of the engine since its start.

    Attributes
    ----------
    received, lost : int
        Samples that came, and samples known to be missing.
    decisions, expected : int
        Decisions published, and those that the received samples allow.
    skipped : int
        Windows passed over because the decider was behind.
    late : int
        Decisions published later than one hop after their newest sample.
    age_ms : float
        Age of the newest sample when the last decision was published; NaN before the first.
    latency_ms : dict
        Stage name (acquire, filter, fin, cnn, policy, publish, compute, end_to_end) to its
        percentiles; `compute` is filter to policy, `end_to_end` the push of the newest sample to
        the push of the decision. With ONNX Runtime the whole network is one graph, timed as `fin`.
    not_finite : int
        Samples that came with a NaN or infinity in some channel.
    stale : int
        Decisions published because no signal came; they are not among `decisions`.
    """

    received: int
    lost: int
    decisions: int
    expected: int
    skipped: int
    late: int
    age_ms: float
    latency_ms: dict[str, Percentiles]
    not_finite: int = 0
    stale: int = 0


NO_HEALTH = Health(0, 0, 0, 0, 0, 0, float("nan"), {})
"""Of an engine that has not started."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One message from the engine to the screen.

    Attributes
    ----------
    phase : {"connecting", "running", "ended", "failed"}
    message : str
        What the engine is doing, or one sentence on why it failed.
    first : int
        Sample index of the first row of `signal`.
    signal : (n_samples, n_channels) float32
        Samples since the last snapshot, in the stream's unit; at most the last 5 s. Lost ones are
        NaN.
    decisions : tuple of Decision
        Those made since the last snapshot; at most the last 5 s.
    closed_form : (n_features, n_channels) float32 or None
        Closed-form features of the newest decision's window, beside which
        ``decisions[-1].features[0]`` stands.
    truth : tuple of TruthEvent
        Those received since the last snapshot.
    health : Health
    backend : str
        Where the network runs, such as ``"onnx cpu"``; empty until it is loaded.
    notes : tuple of str
        What had to be assumed about the stream, a sentence each; none before it is connected.
    events : tuple of Event
        What happened since the last snapshot.
    stale : Decision or None
        What was published last, where that is because no signal comes.
    model : str
        Folder of the checkpoint that decides now.
    sha256 : str
        Of that checkpoint, as it was loaded.
    recording : str
        File that is being written; empty while none is.
    quality : Quality or None
        Of the channels in the newest window.
    overrun : int
        Samples that were overwritten before the window took them, since the start. The engine had
        them, and so has a recording.
    origin : Origin or None
        Where the signal comes from now; None before it is connected.
    asking : tuple of Candidate
        Streams that answer in the place of the missing one; `AcceptSource` confirms one.
    """

    phase: Phase
    message: str
    first: int
    signal: FloatArray
    decisions: tuple[Decision, ...]
    closed_form: FloatArray | None
    truth: tuple[TruthEvent, ...]
    health: Health
    backend: str = ""
    notes: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    stale: Decision | None = None
    model: str = ""
    sha256: str = ""
    recording: str = ""
    quality: Quality | None = None
    overrun: int = 0
    origin: Origin | None = None
    asking: tuple[Candidate, ...] = ()
