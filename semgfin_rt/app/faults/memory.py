"""How much memory reading files takes: in this process, and in the child that reads for it.

One thread of its own looks every 5 ms. What the system keeps of itself is of no use here: its
peaks are of a process's whole life, and a child's begins with what its parent had.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import psutil

_EVERY_S = 0.005  # filling 2 GB takes some 0.5 s


class PeakMemory:
    """Watches while it is open, as a context manager.

    Parameters
    ----------
    child_pid : callable
        Says which child reads now, or None.

    Attributes
    ----------
    grown_mb : float
        Largest growth of this process since the beginning.
    child_mb : float
        The most that a child has had.
    """

    def __init__(self, child_pid: Callable[[], int | None]) -> None:
        self.grown_mb = self.child_mb = 0.0
        self._child_pid = child_pid
        self._own = psutil.Process()
        self._before = self._own.memory_info().rss
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="semgfin memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look a last time, and end."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        child: psutil.Process | None = None
        over = False
        while not over:
            over = self._over.wait(_EVERY_S)
            self.grown_mb = max(self.grown_mb, (self._own.memory_info().rss - self._before) / 1e6)
            pid = self._child_pid()
            with suppress(psutil.Error):  # it has just ended
                if pid is not None and (child is None or child.pid != pid):
                    child = psutil.Process(pid)
                if pid is not None and child is not None:
                    self.child_mb = max(self.child_mb, child.memory_info().rss / 1e6)
