"""Texts of strangers, in messages for people."""

from __future__ import annotations


def printable(text: str, longest: int | None = None) -> str:
    """Return a text that is shown and not obeyed, such as a name from a stream or a file.

    Parameters
    ----------
    text : str
        Letters of every language stay as they are; what is not printable (``str.isprintable``: a
        terminal's control characters, what turns writing around) is escaped as Python does.
    longest : int, optional
        Characters of `text` that are shown; three dots stand for the rest.
    """
    rest = "..." if len(text) > len(text[:longest]) else ""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:longest]) + rest
