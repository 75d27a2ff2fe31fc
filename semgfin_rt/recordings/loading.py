"""Whatever holds recordings (a file, an archive, a folder) into Recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from semgfin_rt.contracts import Recording
from semgfin_rt.errors import RecordingError
from semgfin_rt.recordings import db2_schema, threedc
from semgfin_rt.recordings.archive import list_members
from semgfin_rt.recordings.db2 import read_db2, read_subject
from semgfin_rt.recordings.xdf import read_session
from semgfin_rt.recordings.xdf_file import read_subject as read_session_subject


@dataclass(frozen=True)
class _Found:
    subject: int
    where: str
    read: Callable[[], Recording]


def load(path: Path, subjects: Sequence[int] | None = None, exercise: int = 1) -> list[Recording]:
    """Read all recordings at a path; see `iter_recordings`, which reads one at a time."""
    return list(iter_recordings(path, subjects, exercise))


def iter_recordings(
    path: Path,
    subjects: Sequence[int] | None = None,
    exercise: int = 1,
    unit: str | None = None,
    channels: Sequence[str] = (),
) -> Iterator[Recording]:
    """Read recordings one at a time, by ascending subject.

    Parameters
    ----------
    path : Path
        A DB2 .mat file; a zip archive of them; a folder of both, also one level down
        (``DB2_s1/S1_E1_A1.mat``); a 3DC folder or one ``Participant{p}`` of it; an .xdf file.
    subjects : sequence of int, optional
        Those to read; all by default.
    exercise : {1, 2, 3}
        Which exercise to take from archives and folders of DB2. A .mat file that is named itself
        is read whatever its exercise.
    unit : str, optional
        The user's word for the unit of an .xdf file; see `xdf.read_session`.
    channels : sequence of str, optional
        What an .xdf file that names no channels is taken to hold.

    Returns
    -------
    iterator of Recording
        Each is read when it is asked for.

    Raises
    ------
    RecordingError
        At once, before anything is read: the path is missing or holds no recording, a subject is
        there twice (which one is meant is for the user to say) or not at all, or `unit` was given
        for a format that has its own. On the way: a file is not readable.
    """
    path = Path(path)
    found = _find(path, exercise, partial(read_session, unit=unit, channels=channels))
    if not found:
        raise RecordingError(
            f"'{path}' holds no recording: give a DB2 file S<n>_E{exercise}_A1.mat, a zip or "
            "folder of them, or a 3DC folder of Participant<n>."
        )
    if unit is not None and path.suffix.lower() != ".xdf":
        raise RecordingError(
            f"--unit {unit} was given for '{path}', whose format has a unit of its own: leave it "
            "out."
        )
    by_subject: dict[int, _Found] = {}
    for item in found:
        if item.subject in by_subject:
            raise RecordingError(
                f"subject {item.subject} is there twice, as {by_subject[item.subject].where} and "
                f"{item.where}: remove one."
            )
        by_subject[item.subject] = item
    missing = sorted(set(subjects or ()) - set(by_subject))
    if missing:
        raise RecordingError(
            f"'{path}' holds no subject {_listed(missing)}: choose from {_listed(by_subject)}."
        )
    chosen = sorted(by_subject if subjects is None else set(subjects))
    return (by_subject[subject].read() for subject in chosen)


def _listed(numbers: Sequence[int] | dict[int, _Found]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _find(path: Path, exercise: int, read_xdf: Callable[[Path], Recording]) -> list[_Found]:
    try:
        if path.is_dir():
            return _find_in_folder(path, exercise)
    except OSError as error:
        raise RecordingError(
            f"'{path}' cannot be listed ({error.strerror}): check its permissions."
        ) from error
    if not path.exists():
        raise RecordingError(
            f"'{path}' does not exist: give a DB2 file, zip or folder, a 3DC folder, or an .xdf "
            "file."
        )
    if path.suffix.lower() == ".zip":
        return _find_in_zip(path, exercise)
    if path.suffix.lower() == ".xdf":
        subject = read_session_subject(path)
        return [_Found(subject, f"'{path}'", partial(read_xdf, path))]
    return [_Found(read_subject(path), f"'{path}'", partial(read_db2, path))]


def _find_in_folder(folder: Path, exercise: int) -> list[_Found]:
    own = threedc.participant_number(folder)
    people = threedc.participants(folder) if own is None else {own: folder}
    if people:
        return [_Found(n, f"'{p}'", partial(threedc.read_3dc, p)) for n, p in people.items()]
    found: list[_Found] = []
    for file in sorted((*folder.glob("*.*"), *folder.glob("*/*.*"))):
        named = db2_schema.parse_name(file.name)
        if named and named[1] == exercise:
            found.append(_Found(named[0], f"'{file}'", partial(read_db2, file)))
        elif file.suffix.lower() == ".zip":
            found += _find_in_zip(file, exercise)
    return found


def _find_in_zip(path: Path, exercise: int) -> list[_Found]:
    named = {name: db2_schema.parse_name(PurePosixPath(name).name) for name in list_members(path)}
    return [
        _Found(subject[0], f"'{name}' in '{path}'", partial(read_db2, path, name))
        for name, subject in sorted(named.items())
        if subject and subject[1] == exercise
    ]
