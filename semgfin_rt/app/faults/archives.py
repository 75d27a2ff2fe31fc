"""Zip archives that no data set is: each would do harm to a program that trusts it."""

from __future__ import annotations

import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

_NAME = "S1_E1_A1.mat"
_MB = 1 << 20


def write(folder: Path) -> Iterator[Path]:
    """Write one after the other; each lies alone in the folder if the last was removed."""
    for name in ("../out.mat", "/out.mat", "a/../../out.mat", "..\\out.mat", "C:\\out.mat"):
        yield _zip(folder, (_NAME, b"x"), (name, b"x"))
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR):
        special = zipfile.ZipInfo(_NAME)
        special.external_attr = (kind | 0o777) << 16
        yield _zip(folder, (special, b"/etc/passwd"))
    yield _zip(folder, (_NAME, bytes(16 * _MB)))
    yield _zip(folder, *((f"S{n}_E1_A1.mat", bytes(_MB)) for n in range(1, 21)))
    yield _zip(folder, ("inner.zip", _zip(folder, (_NAME, bytes(_MB))).read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns whoever writes a name twice
        yield _zip(folder, (_NAME, b"x"), (_NAME, b"y"))
    yield _zip(folder, (_NAME, b"x"), (_NAME.lower(), b"y"))
    yield _overlapping(folder)
    for claimed in (1000, 64 * _MB, 0xFFFFFFF0):
        yield _lying(folder, claimed)
    yield _zip(folder, *((f"{n}", b"") for n in range(10_001)))


def _zip(folder: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    path = folder / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def _lying(folder: Path, claimed: int) -> Path:
    """8 MB of zeros that claim another size, with the checksum that would go with 1000 bytes."""
    path = _zip(folder, (_NAME, bytes(8 * _MB)))
    data = bytearray(path.read_bytes())
    checksum = zlib.crc32(bytes(min(claimed, 1000)))
    for mark, at in ((b"PK\3\4", 14), (b"PK\1\2", 16)):  # local header, directory: checksum
        entry = data.index(mark)
        struct.pack_into("<I", data, entry + at, checksum)
        struct.pack_into("<I", data, entry + at + 8, claimed)
    path.write_bytes(data)
    return path


def _overlapping(folder: Path) -> Path:
    """Many entries of the directory for the same stored bytes."""
    path = _zip(folder, (_NAME, bytes(90_000) + b"".join(i.to_bytes(4) for i in range(20_000))))
    data = path.read_bytes()
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entry, n = data[start:end], 2000
    entries = b"".join(entry.replace(_NAME.encode(), f"{i:08}.mat".encode()) for i in range(n))
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, n, n, len(entries), start, 0)
    path.write_bytes(data[:start] + entries + tail)
    return path
