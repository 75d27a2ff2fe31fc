"""The window's end of the engine. No Qt in here."""

from __future__ import annotations

from typing import Protocol

from semgfin_rt.engine.snapshot import Snapshot


class Link(Protocol):
    """Where snapshots come from; neither method blocks."""

    def poll(self) -> Snapshot | None:
        """Return the oldest snapshot not yet taken, or None."""

    def close(self) -> None:
        """Let the engine go. May be called again."""
