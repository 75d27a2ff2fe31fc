"""Zip archives of recordings: checked before a byte of a member is inflated.

Members are read in memory, in the limited child, and never written to disk, so a path in an archive
can do no harm; one that tries is refused all the same, since no such archive is Ninapro's.
"""

from __future__ import annotations

import lzma
import stat
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath

from semgfin_rt.errors import RecordingError
from semgfin_rt.recordings.limited_child import Limits, in_child

MAX_BYTES = 4 * 2**30
"""Inflated size of all members of one archive."""
MAX_RATIO = 100
"""Inflated over stored size; recordings are noise and stay below 5."""
MAX_MEMBERS = 10_000
_ARCHIVES = frozenset({".zip", ".7z", ".rar", ".gz", ".bz2", ".xz", ".tar", ".tgz"})
_SMALL = 2**20
"""Below this inflated size the ratio says nothing."""
# RuntimeError: encrypted; NotImplementedError: a compression method that Python lacks.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
)


def list_members(path: Path) -> list[str]:
    """Names of the files in a zip archive that is fit to be read; looked at in the limited child.

    Raises
    ------
    RecordingError
        As `check_members`.
    """
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise RecordingError(f"'{path}' is no file: give a zip archive.")
    names: list[str] = in_child(
        check_members, str(path), where=f"'{path}'", limits=Limits.for_file(path)
    )
    return names


def check_members(path: str) -> list[str]:
    """Names of the files in a zip archive that is fit to be read; for the limited child.

    Raises
    ------
    RecordingError
        It is not a zip archive; a member has an absolute path, a path with .., is a link or
        another special file, is an archive itself, or is there twice; there are too many; or the
        whole would inflate beyond `MAX_BYTES` or `MAX_RATIO`.
    """
    return list(_members(Path(path)))


def _members(path: Path) -> dict[str, zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except _DAMAGE as error:
        raise RecordingError(
            f"'{path}' is not a readable zip archive: download it again."
        ) from error
    if len(members) > MAX_MEMBERS:
        raise RecordingError(
            f"'{path}' holds {len(members)} files, more than {MAX_MEMBERS}: download it again from "
            "Ninapro."
        )
    for member in members:
        _refuse_harm(member, path)
    inflated = sum(member.file_size for member in members)
    # Members that overlap would count the same stored bytes again and again.
    stored = min(sum(member.compress_size for member in members), path.stat().st_size)
    if inflated > MAX_BYTES or inflated > max(_SMALL, MAX_RATIO * stored):
        raise RecordingError(
            f"'{path}' would inflate from {stored} to {inflated} bytes, which no recording does: "
            "download it again from Ninapro."
        )
    files = [member for member in members if not member.is_dir()]
    times = Counter(member.filename.lower() for member in files)
    if twice := [member.filename for member in files if times[member.filename.lower()] > 1]:
        raise RecordingError(
            f"'{path}' holds '{twice[0]}' more than once: download it again from Ninapro."
        )
    return {member.filename: member for member in files}


def _refuse_harm(member: zipfile.ZipInfo, path: Path) -> None:
    name = member.filename.replace("\\", "/")
    pure = PurePosixPath(name)
    outside = pure.is_absolute() or ".." in pure.parts or ":" in name
    kind = stat.S_IFMT(member.external_attr >> 16)
    if outside or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise RecordingError(
            f"'{path}' holds '{member.filename}', a link or a path that leads out of the archive: "
            "download it again from Ninapro."
        )
    if pure.suffix.lower() in _ARCHIVES:
        raise RecordingError(
            f"'{path}' holds the archive '{member.filename}': unpack the outer one and give that "
            "folder."
        )


def read_member(path: Path, name: str) -> bytes:
    """Inflate one member into memory; for the limited child.

    Raises
    ------
    RecordingError
        The archive fails `check_members`, or the member is missing, damaged, encrypted, or not of
        the size that the archive says.
    """
    member = _members(path).get(name)
    if member is None:
        raise RecordingError(f"'{path}' holds no '{name}': list the archive for what it holds.")
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            content = file.read(member.file_size + 1)  # no more than it says, whatever comes out
    except _DAMAGE as error:
        raise RecordingError(
            f"'{name}' in '{path}' is damaged or encrypted: download the archive again."
        ) from error
    if len(content) != member.file_size:
        raise RecordingError(
            f"'{name}' in '{path}' is not of the {member.file_size} bytes that the archive says: "
            "download the archive again."
        )
    return content
