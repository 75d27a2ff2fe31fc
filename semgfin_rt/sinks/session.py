"""What the file of a session holds, and its decisions back from it.

- ``EMG``: the signal, float32; lost samples are absent.
- ``Stretches``: a row for the first sample and for each after a loss: its row in the signal, its
  sample index, how many are missing before it. With it, every row has its exact index.
- ``Movement``: the decisions, double64, laid out and described as on LSL; a stream for each
  checkpoint and policy that decided.
- ``Markers``: events as JSON, ``{"kind": ..., "text": ...}``. Prompts are among them, health (as
  a ``mark``), and every loss.

The header of the file is `recordings.xdf_file.SessionInfo` as JSON.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

import semgfin_rt
from semgfin_rt import lsl
from semgfin_rt.contracts import Chunk, Decision, Event, SignalSpec, State
from semgfin_rt.decision import PolicySpec
from semgfin_rt.errors import RecordingError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.recordings.xdf import EVENTS, SIGNAL, STRETCHES
from semgfin_rt.recordings.xdf_file import SessionInfo, XdfStream, read_contents
from semgfin_rt.sinks.lsl import STREAM_TYPE, DecisionLayout
from semgfin_rt.sinks.xdf import XdfWriter

_BULKY = {"history", "filter_sos", "scale_mean", "scale_std", "feature_mean", "feature_std"}


@dataclass(frozen=True)
class SessionHeader:
    """What must be known to understand a session.

    Attributes
    ----------
    spec : SignalSpec
    layout : DecisionLayout
    info : SessionInfo
    """

    spec: SignalSpec
    layout: DecisionLayout
    info: SessionInfo = field(default_factory=SessionInfo)


def session_header(
    contract: ModelContract,
    checkpoint_sha256: str,
    policy: PolicySpec,
    horizons_ms: tuple[int, ...] | None = None,
    origin: Mapping[str, str] | None = None,
    subject: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> SessionHeader:
    """Describe a session in which a checkpoint decides.

    Parameters
    ----------
    contract : ModelContract
        The signal fits it.
    checkpoint_sha256 : str
    policy : PolicySpec
    horizons_ms : tuple of int, optional
        Those that the decisions carry; all of the contract's by default.
    origin : mapping of str to str, optional
        Of the signal: name, source_id, uid, host.
    subject : int
    settings : mapping, optional
        Whatever else was set, as JSON can hold it: backend, unit, speed.
    """
    classes = {c.id: c.name for c in contract.classes}
    info = SessionInfo(
        subject=subject,
        checkpoint_sha256=checkpoint_sha256,
        policy=asdict(policy),
        settings=dict(settings or {}),
        model=contract.model_dump(mode="json", exclude=_BULKY),
        classes=classes,
        ring=contract.ring,
        test_repetitions=contract.test_repetitions,
        origin=dict(origin or {}),
        versions={
            "semgfin-rt": semgfin_rt.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
    )
    layout = DecisionLayout.of(contract, horizons_ms)
    return SessionHeader(SignalSpec(contract.channels, contract.rate, contract.unit), layout, info)


Entry: TypeAlias = Chunk | Decision | Event | SessionHeader


class SessionFile:
    """An XDF file of a session.

    Parameters
    ----------
    path : Path
        Must not exist.
    header : SessionHeader

    Raises
    ------
    OSError
        If the file exists or cannot be created.
    """

    def __init__(self, path: Path, header: SessionHeader) -> None:
        now, spec = lsl.local_clock(), header.spec
        self._file = XdfWriter(path, {"session": header.info.model_dump_json()}, now)
        maker = {"acquisition": {"manufacturer": "semgfin_rt"}}
        self._signal = self._file.add_stream(
            "signal", SIGNAL, spec.channels, "float32", now, spec.rate, spec.unit, maker
        )
        columns = ("row", "sample", "lost")
        self._stretches = self._file.add_stream("stretches", STRETCHES, columns, "double64", now)
        self._events = self._file.add_stream("events", EVENTS, ("event",), "string", now)
        self._next: int | None = None  # index of the sample that should come
        self._rows, self._rate = 0, spec.rate
        self._decides: object = None  # layout, checkpoint and policy of the decisions
        self._describe(header)

    @property
    def seconds(self) -> float:
        """Signal taken so far."""
        return self._rows / self._rate

    def take(self, entry: Entry) -> None:
        """Add an entry; nothing reaches the disk before `flush`."""
        match entry:
            case Chunk():
                self._chunk(entry)
            case Decision():
                row = self._layout.encode(entry)
                self._file.numbers(self._decisions, np.array([entry.time]), row[None])
            case Event():
                self._event(entry)
            case SessionHeader():
                self._describe(entry)

    def flush(self) -> None:
        """Write; see `XdfWriter.flush`."""
        self._file.flush(lsl.local_clock())

    def close(self) -> None:
        """Finish; see `XdfWriter.close`."""
        self._file.close(lsl.local_clock())

    def _chunk(self, chunk: Chunk) -> None:
        n = len(chunk.samples)
        if not n:
            return
        if chunk.lost or chunk.first != self._next:
            lost = 0 if self._next is None else max(0, chunk.first - self._next)
            if self._next is not None:
                text = f"{lost or 'Some'} samples are missing before sample {chunk.first}."
                self._event(Event(float(chunk.times[0]), "loss", text))
            stretch = np.array([[self._rows, chunk.first, lost]])
            self._file.numbers(self._stretches, chunk.times[:1], stretch)
        self._file.numbers(self._signal, chunk.times, chunk.samples)
        self._next = chunk.first + n
        self._rows += n

    def _event(self, event: Event) -> None:
        text = json.dumps({"kind": event.kind, "text": event.text})
        self._file.text(self._events, event.time, text)

    def _describe(self, header: SessionHeader) -> None:
        """Begin the stream of a checkpoint's decisions under a policy, if it is another one."""
        layout, info = header.layout, header.info
        decides = layout, info.checkpoint_sha256, info.policy
        if decides == self._decides:
            return
        self._decides = decides
        self._layout = layout
        classes = dict(zip(layout.class_ids, layout.class_names, strict=True))
        description = {
            "horizons_ms": json.dumps(layout.horizons_ms),
            "classes": json.dumps(classes),
            "states": json.dumps({i: str(s) for i, s in enumerate(State)}),
            "checkpoint_sha256": info.checkpoint_sha256,
            "policy": json.dumps(info.policy),
        }
        self._decisions = self._file.add_stream(
            "decisions",
            STREAM_TYPE,
            layout.columns,
            "double64",
            lsl.local_clock(),
            description=description,
        )


# --------------------------------------------------------------------------------- back
@dataclass(frozen=True, eq=False)
class RecordedDecisions:
    """What one checkpoint decided under one policy.

    Attributes
    ----------
    decisions : tuple of Decision
        As they were published; without features, as on LSL.
    layout : DecisionLayout
    checkpoint_sha256 : str
        Empty for a decision stream that another program recorded.
    policy : dict
        Fields of `PolicySpec`.
    """

    decisions: tuple[Decision, ...]
    layout: DecisionLayout
    checkpoint_sha256: str
    policy: dict[str, Any]


@np.errstate(over="ignore", invalid="ignore")  # damaged files hold any number
def read_decisions(path: Path) -> list[RecordedDecisions]:
    """Read the decisions of a session, in the order in which checkpoints and policies took turns.

    Raises
    ------
    RecordingError
        Missing, empty, damaged, or without decisions.
    """
    contents = read_contents(path)
    streams = contents.of_type(STREAM_TYPE)
    if not streams:
        raise RecordingError(f"'{path}' holds no decisions: give a session that was recorded live.")
    groups = []
    for stream in streams:
        layout, policy = _described(stream, path)
        times, rows = contents.load(stream)
        try:
            decisions = tuple(map(layout.decode, rows, times.tolist()))
        except (ValueError, IndexError, OverflowError) as error:
            raise RecordingError(
                f"a decision in '{path}' is damaged ({error}): copy the file again."
            ) from error
        if decisions or len(streams) == 1:
            sha256 = stream.text("checkpoint_sha256")
            groups.append(RecordedDecisions(decisions, layout, sha256, policy))
    return groups


def _described(stream: XdfStream, path: Path) -> tuple[DecisionLayout, dict[str, Any]]:
    try:
        horizons = json.loads(stream.text("horizons_ms"))
        classes = {int(k): str(v) for k, v in json.loads(stream.text("classes")).items()}
        policy = dict(json.loads(stream.text("policy") or "{}"))
        layout = DecisionLayout(tuple(map(int, horizons)), tuple(classes), tuple(classes.values()))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RecordingError(
            f"the stream '{stream.name}' in '{path}' does not describe decisions: give a session "
            "that `semgfin-rt` recorded."
        ) from error
    if len(layout.columns) != stream.n_channels:
        raise RecordingError(
            f"the stream '{stream.name}' in '{path}' has {stream.n_channels} columns and "
            f"describes {len(layout.columns)}: it is of another version of semgfin-rt."
        )
    return layout, policy
