"""Which code made a result: versions do not tell, since an editable install freezes its own."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import semgfin_rt

_ELSEWHERE = {"app", "cli", "engine", "lsl", "qt", "sinks", "sources"}
"""Packages that no training, score or filtered signal depends on."""


@cache
def code_sha256() -> str:
    """SHA-256 over the package's sources that results depend on, in hexadecimal."""
    return sources_sha256(Path(semgfin_rt.__file__).parent)


def sources_sha256(package: Path) -> str:
    """SHA-256 over the names and contents of a package's modules, without `_ELSEWHERE`.

    How results are shown, ``train/report``, is left out as well.
    """
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package).parts
        if parts[0] in _ELSEWHERE or parts[:2] == ("train", "report"):
            continue
        digest.update(f"{'/'.join(parts)}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
