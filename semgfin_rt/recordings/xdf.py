"""XDF files into a Recording: sessions of this program, and EMG that other programs recorded."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from semgfin_rt.contracts import (
    NO_LABEL,
    UNITS,
    FloatArray,
    LabelArray,
    Recording,
    SignalSpec,
    TimeArray,
    Unit,
)
from semgfin_rt.errors import RecordingError
from semgfin_rt.recordings.xdf_file import SessionInfo, XdfContents, XdfStream, read_contents
from semgfin_rt.texts import printable

EVENTS, SIGNAL, STRETCHES = "Markers", "EMG", "Stretches"
"""Types of the streams of a session, beside that of the decisions."""
_GAP_S = 0.25
"""Of the timestamps of other programs: more is a gap, less may be jitter."""
_LARGEST_LABEL = np.iinfo(np.int16).max


@dataclass(frozen=True)
class Stretch:
    """From here on the samples follow each other without loss.

    Attributes
    ----------
    row : int
        Of the recorded signal.
    sample : int
        Its index as the pipeline counts, lost samples included.
    lost : int
        Samples known to be missing before it.
    """

    row: int
    sample: int
    lost: int


def read_session(path: Path, unit: str | None = None, channels: Sequence[str] = ()) -> Recording:
    """Read the signal of an XDF file, with its labels where a session recorded some.

    Parameters
    ----------
    path : Path
    unit : str, optional
        The user's word for the unit (``--unit``); it wins over the file's.
    channels : sequence of str, optional
        The checkpoint's: a signal of as many channels that names none is taken to be these.

    Returns
    -------
    Recording
        In the order and at the rate in which it was recorded; it breaks where samples are
        missing. Events of kind ``prompt`` whose text is JSON with a ``label`` (a player's truth, a
        calibration) label the signal from their ``sample``, else from their time, on. `notes`
        says what was cut off, what is missing, and what had to be assumed.

    Raises
    ------
    RecordingError
        Missing, empty, damaged, or without one EMG stream of known unit and rate.
    """
    return read_with_stretches(path, unit, channels)[0]


@np.errstate(over="ignore", invalid="ignore")  # damaged files hold any number
def read_with_stretches(
    path: Path, unit: str | None = None, channels: Sequence[str] = ()
) -> tuple[Recording, list[Stretch]]:
    """Do so, and say which samples of the stream its rows are.

    Raises
    ------
    RecordingError
        As `read_session`.
    """
    contents = read_contents(path)
    stream = _the_signal(contents)
    times, values = contents.load(stream)
    n = len(times)
    if not n:
        raise RecordingError(f"'{path}' holds no sample of EMG: record it again.")
    names, name_notes = _channels(stream, channels)
    volts_or_count, gain, unit_notes = _unit(stream, path, unit)
    samples = np.ascontiguousarray(values, np.float32)
    if gain != 1.0:
        samples *= np.float32(gain)
    stretches = _stretches(contents, times)
    labels, repetitions = _labels(contents, stretches, times)
    session = contents.session or SessionInfo()
    classes = dict(session.classes)
    for label in np.unique(labels[labels != NO_LABEL]).tolist():
        classes.setdefault(label, f"movement {label}")
    in_ring = all(0 <= c < stream.n_channels for c in session.ring)
    recording = Recording(
        samples=samples,
        spec=SignalSpec(names, stream.rate, volts_or_count),
        labels=labels,
        repetitions=repetitions,
        classes=classes,
        subject=session.subject,
        dataset="session",
        path=str(path),
        test_repetitions=frozenset(session.test_repetitions),
        breaks=tuple(s.row for s in stretches[1:]),
        notes=(*_notes(contents, stretches, times, samples), *name_notes, *unit_notes),
        ring=session.ring if in_ring else (),
    )
    return recording, stretches


# ------------------------------------------------------------------------------ signal
def _the_signal(contents: XdfContents) -> XdfStream:
    streams = contents.of_type(SIGNAL)
    if len(streams) != 1:
        named = ", ".join(f"'{s.name}'" for s in streams)
        held = f"{len(streams)} streams of type EMG ({named})" if streams else "no stream of EMG"
        raise RecordingError(
            f"'{contents.path}' holds {held}: give a file with exactly one stream of type EMG."
        )
    stream = streams[0]
    if stream.format == "string" or not (math.isfinite(stream.rate) and stream.rate > 0):
        raise RecordingError(
            f"the EMG stream '{stream.name}' of '{contents.path}' has the format {stream.format} "
            f"and the rate {stream.rate:g} Hz: record numbers at a constant rate."
        )
    return stream


def _channels(
    stream: XdfStream, expected: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names, and what had to be assumed."""
    labels = stream.channel_texts("label")
    if not any(labels) and len(labels) == len(expected):
        return tuple(expected), (f"It names no channels: taken as {', '.join(expected)}.",)
    return tuple(label or f"ch{i}" for i, label in enumerate(labels, start=1)), ()


def _unit(stream: XdfStream, path: Path, given: str | None) -> tuple[Unit, float, tuple[str, ...]]:
    """Return the unit, what a recorded value is multiplied with to be in it, and notes."""
    stated = sorted(set(stream.channel_texts("unit")))
    said = ", ".join(f"'{printable(s, 40)}'" for s in stated if s) or "none"
    if given is not None:
        if given.lower() not in UNITS:
            raise RecordingError(
                f"--unit is '{given}', which is not known here: pass V, mV, uV or count."
            )
        known = UNITS[given.lower()]
        contradicted = any(UNITS.get(s.lower()) != known for s in stated if s)
        note = f"It states the unit {said}; read as {given}, as --unit says."
        return *known, (note,) * contradicted
    if len(stated) != 1 or stated[0].lower() not in UNITS:
        raise RecordingError(
            f"the EMG stream '{stream.name}' of '{path}' states the unit {said}: record it again "
            "with V, mV, uV or count, the same for all channels, or pass --unit to "
            "`semgfin-rt replay` or `verify`."
        )
    return *UNITS[stated[0].lower()], ()


def _stretches(contents: XdfContents, times: TimeArray) -> list[Stretch]:
    """Return the stretches, the first at row 0."""
    found = contents.of_type(STRETCHES) if contents.session is not None else []
    if not found:
        gaps = np.flatnonzero(np.abs(np.diff(times)) > _GAP_S) + 1
        return [Stretch(row, row, 0) for row in (0, *gaps.tolist())]
    _, rows = contents.load(found[0])  # (n_stretches, 3)
    if rows.shape[1:] != (3,) or not np.isfinite(rows).all():
        raise RecordingError(f"'{contents.path}' does not say which samples it holds: copy it.")
    stretches = [Stretch(*map(int, row)) for row in rows]
    kept = [s for s in stretches if s.row < len(times)]  # the signal may have been cut off
    starts = [s.row for s in kept]
    if not kept or starts[0] != 0 or starts != sorted(set(starts)):
        raise RecordingError(f"'{contents.path}' does not say which samples it holds: copy it.")
    return kept


# ------------------------------------------------------------------------------ labels
def _labels(
    contents: XdfContents, stretches: list[Stretch], times: TimeArray
) -> tuple[LabelArray, LabelArray]:
    """Return label and repetition of every row, `NO_LABEL` where nothing was said."""
    said = [(NO_LABEL, NO_LABEL)]  # what held first, and from each prompt on
    newest = np.zeros(len(times) + 1, np.intp)  # of each row: its prompt
    for time, prompt in _prompts(contents):
        label, repetition = _number(prompt, "label"), _number(prompt, "repetition")
        if label is None:
            continue
        sample = prompt.get("sample")
        if isinstance(sample, int):
            row = _row_of(sample, stretches, len(times))
        else:
            row = int(np.searchsorted(times, time))
        newest[row] = len(said)
        said.append((label, NO_LABEL if repetition is None else repetition))
    table = np.array(said, np.int16)[np.maximum.accumulate(newest[:-1])]  # (n_samples, 2)
    return table[:, 0].copy(), table[:, 1].copy()


def _prompts(contents: XdfContents) -> Iterator[tuple[float, Mapping[str, Any]]]:
    """Yield time and content of the prompts of a session."""
    for stream in contents.of_type(EVENTS) if contents.session is not None else []:
        times, texts = contents.load(stream)
        for time, text in zip(times.tolist(), texts[:, 0].tolist(), strict=True):
            event = _json(text)
            if event.get("kind") == "prompt":
                yield time, _json(event.get("text"))


def _json(text: object) -> dict[str, Any]:
    """Return the object that a text describes; an empty one if it describes none."""
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def _number(prompt: Mapping[str, Any], key: str) -> int | None:
    value = prompt.get(key)
    return value if isinstance(value, int) and NO_LABEL <= value <= _LARGEST_LABEL else None


def _row_of(sample: int, stretches: list[Stretch], n: int) -> int:
    """Return the row of a sample; of the next recorded one if it was lost."""
    stops = [s.row for s in stretches[1:]] + [n]
    for stretch, stop in zip(stretches, stops, strict=True):
        if sample < stretch.sample + stop - stretch.row:
            return stretch.row + max(0, sample - stretch.sample)
    return n


# ------------------------------------------------------------------------------- notes
def _notes(
    contents: XdfContents,
    stretches: list[Stretch],
    times: TimeArray,
    samples: FloatArray,
) -> Iterator[str]:
    cut = contents.size - contents.good
    if cut:
        seconds = cut / contents.good * float(np.ptp(times))  # as dense as what came before
        yield (
            f"The file is damaged from byte {contents.good} on: its last {cut} bytes, about "
            f"{seconds:.2g} s, are left out."
        )
    elif not contents.closed:
        yield "The recording was cut off: it ends with what had been written by then."
    if len(stretches) > 1:
        lost = sum(s.lost for s in stretches[1:])
        known = f": {lost} samples are missing" if contents.session is not None else ""
        yield f"The signal has {len(stretches) - 1} gaps{known}."
    if damaged := len(samples) - int(np.isfinite(samples).all(axis=1).sum()):
        yield f"{damaged} samples hold NaN or infinity."
    if contents.remarks:
        yield f"pyxdf says: {contents.remarks[0]}"
