"""Ninapro DB2: one file S{n}_E{e}_A1.mat, or a member of a zip archive, into a Recording."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import REST, FloatArray, LabelArray, Recording, SignalSpec
from semgfin_rt.errors import RecordingError
from semgfin_rt.recordings import db2_schema as schema
from semgfin_rt.recordings.archive import read_member
from semgfin_rt.recordings.limited_child import Limits, in_child
from semgfin_rt.recordings.mat import Arrays, read_mat


def read_db2(path: Path, member: str | None = None) -> Recording:
    """Read one subject's exercise.

    Parameters
    ----------
    path : Path
        A MATLAB file (v5 or v7.3), or the zip archive that holds it.
    member : str, optional
        Name of the MATLAB file inside the archive; without it `path` is the file itself.

    Returns
    -------
    Recording
        In volts at 2 kHz. `notes` says what had to be done: signal or labels cut to the shorter,
        prompted labels where the exercise has no refined ones, values that are not finite.

    Raises
    ------
    RecordingError
        Missing, empty, damaged, not MATLAB, or not of DB2's schema.
    """
    where = f"'{path}'" if member is None else f"'{member}' in '{path}'"
    name = Path(member or path).name
    arrays = _read_variables(path, member, schema.WANTED, where)
    return recording_from(arrays, where, name, str(path) if member is None else f"{path}:{member}")


def read_subject(path: Path) -> int:
    """Subject of a MATLAB file, from its name or else its variable; the signal is not read.

    Raises
    ------
    RecordingError
        As `read_db2`, or neither names a subject.
    """
    named = schema.parse_name(path.name)
    if named:
        return named[0]
    where = f"'{path}'"
    return _scalar(_read_variables(path, None, ("subject",), where), "subject", where)


def recording_from(arrays: Arrays, where: str, name: str, path: str) -> Recording:
    """Turn the variables of a DB2 file into a Recording.

    Parameters
    ----------
    arrays : dict of str to array
        Those of `db2_schema.WANTED` that the file has.
    where : str
        What to call the file in messages.
    name : str
        Its name, which may tell subject and exercise.
    path : str
        Where it came from, for `Recording.path`.

    Raises
    ------
    RecordingError
        A variable is missing or of the wrong shape, or there is no movement or no finite value.
    """
    named = schema.parse_name(name)
    notes: list[str] = []
    subject = named[0] if named else _scalar(arrays, "subject", where)
    if "subject" in arrays and subject != _scalar(arrays, "subject", where):
        notes.append(f"The file says subject {arrays['subject'].flat[0]}, its name {subject}.")
    emg = _emg(arrays, where)
    keys = schema.REFINED
    if "restimulus" not in arrays and _exercise(arrays, named, where) == 3:
        keys = schema.PROMPTED
        notes.append("Exercise 3 has no refined labels: stimulus and repetition are used.")
    labels, repetitions = (_labels(arrays, key, where) for key in keys)

    n = min(len(emg), len(labels), len(repetitions))
    if n < max(len(emg), len(labels), len(repetitions)):
        notes.append(
            f"emg has {len(emg)} samples, {keys[0]} {len(labels)} and {keys[1]} "
            f"{len(repetitions)}: the first {n} are kept."
        )
    emg, labels, repetitions = emg[:n], labels[:n], repetitions[:n]
    if not (labels != REST).any():
        raise RecordingError(f"{where} holds no movement, only rest: give a whole DB2 file.")
    damaged = 0
    with np.errstate(over="ignore", invalid="ignore"):
        whole = bool(np.isfinite(emg.sum()))
    if not whole:  # only then sample by sample, which takes five times as long
        damaged = n - int(np.isfinite(emg).all(axis=1).sum())
    if damaged == n:
        raise RecordingError(f"emg of {where} has no sample of finite values: copy it again.")
    if damaged:
        notes.append(f"{damaged} samples hold NaN or infinity.")
    return Recording(
        samples=emg,
        spec=SignalSpec(schema.channel_names(emg.shape[1]), schema.RATE, "V"),
        labels=labels,
        repetitions=spread_repetitions(labels, repetitions),
        classes=schema.CLASSES,
        subject=subject,
        dataset="synthetic" if arrays.get("synthetic", np.zeros(1)).any() else "db2",
        path=path,
        test_repetitions=schema.TEST_REPETITIONS,
        notes=tuple(notes),
        ring=schema.RING if emg.shape[1] >= len(schema.RING) else (),
    )


def spread_repetitions(labels: LabelArray, repetitions: LabelArray) -> LabelArray:
    """Give each half of a rest the repetition of the movement next to it.

    The file's own repetition of rest is unreliable. With the halves, a repetition holds its
    onsets and its offsets, so that both can be scored without looking at another repetition.

    Parameters
    ----------
    labels, repetitions : (n_samples,) int16
        With at least one movement.

    Returns
    -------
    (n_samples,) int16
    """
    spread = repetitions.copy()
    resting = np.concatenate([[False], labels == REST, [False]])
    edges = np.flatnonzero(np.diff(resting)).reshape(-1, 2)  # of each rest: its first sample, the
    for start, stop in edges.tolist():  # first of the movement after it
        before = repetitions[start - 1] if start else repetitions[stop]
        after = repetitions[stop] if stop < len(labels) else before
        middle = (start + stop + 1) // 2
        spread[start:middle], spread[middle:stop] = before, after
    return spread


def _read_variables(path: Path, member: str | None, wanted: Iterable[str], where: str) -> Arrays:
    arguments = str(path), member, list(wanted), where
    arrays: Arrays = in_child(read_variables, *arguments, where=where, limits=Limits.for_file(path))
    return arrays


def read_variables(path: str, member: str | None, wanted: list[str], where: str) -> Arrays:
    """Read some variables of a MATLAB file, or of one in a zip archive; for the limited child."""
    with _open(Path(path), member) as file:
        return read_mat(file, wanted, where)


def _open(path: Path, member: str | None) -> BinaryIO:
    if member is not None:
        return io.BytesIO(read_member(path, member))
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise RecordingError(
                f"'{path}' cannot be read, since it is no file: give the path of a .mat file."
            )
        return path.open("rb")
    except OSError as error:
        raise RecordingError(
            f"'{path}' cannot be read ({error.strerror}): give the path of a .mat file."
        ) from error


def _get(arrays: Arrays, key: str, where: str) -> npt.NDArray[Any]:
    if key not in arrays:
        raise RecordingError(
            f"{where} has no variable '{key}': give a file S<n>_E1_A1.mat of Ninapro DB2."
        )
    return arrays[key]


def _scalar(arrays: Arrays, key: str, where: str) -> int:
    value = _get(arrays, key, where)
    if value.size != 1 or not np.isfinite(value).all():
        raise RecordingError(
            f"'{key}' of {where} is {value.shape} and must be one number: give a DB2 file."
        )
    return int(value.flat[0])


def _exercise(arrays: Arrays, named: tuple[int, int] | None, where: str) -> int | None:
    if named:
        return named[1]
    return _scalar(arrays, "exercise", where) if "exercise" in arrays else None


def _emg(arrays: Arrays, where: str) -> FloatArray:
    emg = _get(arrays, "emg", where)
    if emg.ndim != 2 or not 0 < emg.shape[1] < emg.shape[0]:
        raise RecordingError(
            f"emg of {where} is {emg.shape} and must be (samples, channels): give a DB2 file."
        )
    return np.ascontiguousarray(emg, np.float32)  # MATLAB's order is column by column


def _labels(arrays: Arrays, key: str, where: str) -> LabelArray:
    values = _get(arrays, key, where)
    if values.size == 0 or values.size != max(values.shape):
        raise RecordingError(
            f"'{key}' of {where} is {values.shape} and must be one column: give a DB2 file."
        )
    values = values.ravel().astype(np.float32)
    limit = max(schema.CLASSES) if key.endswith("stimulus") else 100
    if not ((values >= 0) & (values <= limit) & (values == np.trunc(values))).all():
        raise RecordingError(
            f"'{key}' of {where} holds values other than whole numbers from 0 to {limit}: "
            "give a DB2 file."
        )
    return values.astype(np.int16)
