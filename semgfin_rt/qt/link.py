"""The window's end of the engine. No Qt in here."""

from __future__ import annotations

from typing import Protocol

from semgfin_rt.engine.snapshot import Snapshot


class Link(Protocol):
    """Where snapshots come from. Only `close` may block: the engine may take some seconds to end.

    Attributes
    ----------
    accuracy : float or None
        Running accuracy at the first horizon; None while nothing is scored.
    """

    @property
    def accuracy(self) -> float | None:
        """See above."""

    def poll(self) -> Snapshot | None:
        """Return the oldest snapshot not yet taken, or None."""

    def truth_at(self, sample: int) -> int | None:
        """Label of a sample in a replay; None where none is known."""

    def close(self) -> None:
        """Let the engine go. May be called again."""
