"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a hidden file beside `path` to write to; it takes the name of `path` at the end.

    An older file is replaced, a symbolic link stays one and its target is replaced. After any
    exception nothing is left but what was there before.

    Parameters
    ----------
    path : Path
        In a folder that exists.

    Yields
    ------
    Path
        Of this process alone; the caller makes it.

    Raises
    ------
    OSError
        It cannot be renamed; whatever writing raises goes through as well.
    """
    target = Path(os.path.realpath(path))  # `resolve` refuses a loop of links its own way
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, target)
    finally:
        with suppress(OSError):  # most often, that it has the other name now
            part.unlink()
