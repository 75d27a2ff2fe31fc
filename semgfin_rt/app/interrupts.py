"""Ctrl-C ends the session that owns the processes, not the processes behind its back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def spared_ctrl_c() -> Iterator[None]:
    """Keep Ctrl-C from processes that are started in here: they inherit the blocked signal."""
    resource_tracker.ensure_running()  # multiprocessing's own process; its start unblocks
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
