"""Ctrl-C ends the session that owns the processes, not the processes behind its back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def spared_ctrl_c() -> Iterator[None]:
    """Keep Ctrl-C from processes that are started in here: they inherit the blocked signal.

    One that comes meanwhile comes afterwards. Blocking alone would not do that: another thread of
    this process may take the signal, and the main thread would raise in the middle of a start.
    """
    resource_tracker.ensure_running()  # multiprocessing's own process; its start unblocks
    came: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    is_ours = threading.current_thread() is threading.main_thread() and handler is not None
    if is_ours:
        signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if is_ours:
            signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)
