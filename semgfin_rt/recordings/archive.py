"""Zip archives of recordings: checked before a byte of a member is inflated.

Members are read in memory and never written to disk, so a path in an archive can do no harm; one
that tries is refused all the same, since no such archive is Ninapro's.
"""

from __future__ import annotations

import lzma
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from semgfin_rt.errors import RecordingError

MAX_BYTES = 4 * 2**30
"""Inflated size of all members of one archive."""
MAX_RATIO = 100
"""Inflated over stored size; recordings are noise and stay below 5."""
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
    """Names of the files in a zip archive that is fit to be read.

    Raises
    ------
    RecordingError
        It is not a zip archive, or a member has an absolute path, a path with .., is a link, or
        the whole would inflate beyond `MAX_BYTES` or `MAX_RATIO`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except _DAMAGE as error:
        raise RecordingError(
            f"'{path}' is not a readable zip archive: download it again."
        ) from error
    for member in members:
        _refuse_harm(member, path)
    inflated = sum(member.file_size for member in members)
    stored = sum(member.compress_size for member in members)
    if inflated > MAX_BYTES or inflated > max(_SMALL, MAX_RATIO * stored):
        raise RecordingError(
            f"'{path}' would inflate from {stored} to {inflated} bytes, which no recording does: "
            "download it again from Ninapro."
        )
    return [member.filename for member in members if not member.is_dir()]


def _refuse_harm(member: zipfile.ZipInfo, path: Path) -> None:
    name = member.filename.replace("\\", "/")
    pure = PurePosixPath(name)
    outside = pure.is_absolute() or ".." in pure.parts or ":" in name
    if outside or stat.S_ISLNK(member.external_attr >> 16):
        raise RecordingError(
            f"'{path}' holds '{member.filename}', a link or a path that leads out of the archive: "
            "download it again from Ninapro."
        )


def read_member(path: Path, name: str) -> bytes:
    """Inflate one member into memory.

    Raises
    ------
    RecordingError
        The archive fails `list_members`, or the member is missing, damaged or encrypted.
    """
    if name not in list_members(path):
        raise RecordingError(f"'{path}' holds no '{name}': list the archive for what it holds.")
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    except _DAMAGE as error:
        raise RecordingError(
            f"'{name}' in '{path}' is damaged or encrypted: download the archive again."
        ) from error
