"""How late this machine itself was, while a row was measured.

``python -m semgfin_rt.app.faults.lateness`` is a process that does nothing but ask to be woken each
millisecond, until its input ends; then it prints how late that was at worst, in ms. What is late
here is the system's scheduler, or whatever else keeps the cores; none of it is the program's. A
process that sleeps is woken early, though, and one that works may wait far longer: that is counted
by the system, and read here.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from pathlib import Path

from semgfin_rt.interrupts import spared_ctrl_c

_EVERY_S = 0.001


class Lateness:
    """Watches while it is open, as a context manager.

    Attributes
    ----------
    worst_ms : float
        Known once it is closed; NaN if the process did not answer.
    waited_s : float
        For how long the calling thread had work and no core; NaN where the system does not tell.
    """

    def __init__(self) -> None:
        self.worst_ms = self.waited_s = float("nan")

    def __enter__(self) -> Lateness:
        """Start the process; return once it watches."""
        pipe = subprocess.PIPE
        command = [sys.executable, "-P", "-m", "semgfin_rt.app.faults.lateness"]
        with spared_ctrl_c():  # no session of its own, which the scheduler may treat better
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self._before = _waited_s()
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and hear what it has to say."""
        self.waited_s = _waited_s() - self._before
        told = self._process.communicate()[0]  # the end of its input
        self.worst_ms = float(told or "nan")


def _waited_s() -> float:
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:  # not Linux
        return float("nan")


def watch() -> None:
    """Print how late the worst wake was, in ms, once the input ends."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    worst, over = 0.0, False
    while not over:
        began = time.perf_counter()
        over = bool(select.select([sys.stdin], [], [], _EVERY_S)[0])
        if not over:
            worst = max(worst, time.perf_counter() - began - _EVERY_S)
    sys.stdout.write(f"{1000 * worst:.1f}\n")


if __name__ == "__main__":
    watch()
