"""What a person sees of a recording: its name, how long it is, how large."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import platformdirs


def file_name(subject: str, now: datetime, what: str = "") -> str:
    """Return the name of a new file, as in ``"anna_2027-03-01_14-03-21.xdf"``.

    Parameters
    ----------
    subject : str
        Whatever somebody typed; what a file system may not like becomes ``-``.
    now : datetime
    what : str
        Added where it is not the plain recording.
    """
    words = re.sub(r"[^\w-]+", "-", subject).strip("-") or "session"
    return "_".join(filter(None, (words, f"{now:%Y-%m-%d_%H-%M-%S}", what))) + ".xdf"


def first_folder() -> Path:
    """Return where recordings go until somebody chooses: the documents, or the home folder."""
    documents = platformdirs.user_documents_path()
    return documents if documents.is_dir() else Path.home()


def length_text(seconds: float) -> str:
    """Return a length, as in ``"2:05"`` or ``"1:00:00"``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def size_text(path: Path) -> str:
    """Return the size of a file, as in ``"12.3 MB"``; nothing where there is none yet."""
    try:
        size = path.stat().st_size
    except OSError:
        return ""
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"
