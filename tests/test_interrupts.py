"""Ctrl-C and the start of a process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from semgfin_rt.interrupts import spared_ctrl_c

BLOCKED = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"


def test_it_comes_afterwards_and_not_in_between():
    """Another thread, begun before, takes the signal, as those of LSL and of the libraries may."""
    begun, went_on = threading.Event(), []

    def interrupt() -> None:
        begun.wait()
        signal.raise_signal(signal.SIGINT)  # to this very thread

    thread = threading.Thread(target=interrupt)
    thread.start()

    def start() -> None:
        with spared_ctrl_c():
            begun.set()
            thread.join()
            for _ in range(10_000):  # a pending one would raise here
                pass
            went_on.append(True)

    with pytest.raises(KeyboardInterrupt):
        start()
    assert went_on == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_process_inherits_it_blocked():
    with spared_ctrl_c():
        told = subprocess.check_output([sys.executable, "-c", BLOCKED], text=True)
    assert told.strip() == "True"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_another_thread_starts_processes_too():
    done = []

    def start() -> None:
        with spared_ctrl_c():
            done.append(True)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert done == [True]
