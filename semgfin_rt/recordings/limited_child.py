"""Files from elsewhere are read in a child process with limits: whatever they do, they do it there.

MATLAB's and HDF5's readers are C code that follows sizes and offsets found in the file; damaged or
hostile files crash them or make them fill the memory. The child may use so much memory and time,
writes no file, and ends as a sentence when it crashes.

Processes: each process that reads files has one child, started at its first file (some 0.5 s) and
used again. A child that crashed, was too slow or answered nonsense is killed, and the next file
starts another. It ends with its parent: its standard input closes.

Threads: `in_child` blocks its caller until the file is read or its time is over; another caller
waits for the first. A timer kills the child at the end of its time.

What the child says is not trusted either. It answers with a line of JSON and with numbers in
memory that both share; nothing is unpickled, and sizes are checked here.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from semgfin_rt.errors import RecordingError
from semgfin_rt.recordings.handing_over import Scratch, unpack
from semgfin_rt.texts import printable

_LONGEST_ANSWER = 4 << 20  # bytes of JSON; arrays are not in it
_LONGEST_SENTENCE = 2000
_START_S = 60.0  # for Python and scipy from a cold network disk
_MAIN = "import sys; sys.path[:] = sys.argv[1:]; import semgfin_rt.recordings.inside_child as c; "
_MAIN += "c.serve()"
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # more threads would only take memory
    "OMP_NUM_THREADS": "1",
    "HDF5_PLUGIN_PRELOAD": "::",  # HDF5 loads no library because a file names a filter
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # large pages: a quarter less time for DB2
}


@dataclass(frozen=True)
class Limits:
    """What reading one file may take.

    Attributes
    ----------
    memory : int
        Address space of the child in bytes, libraries included, which take some 0.4 GB. Not kept
        on Windows.
    result : int
        Bytes of numbers that it may hand over.
    seconds : float
        Time by the clock and of the processor; starting the child is not counted.
    """

    memory: int = 2 << 30
    result: int = 1 << 30
    seconds: float = 10.0

    @classmethod
    def for_file(cls, path: Path) -> Limits:
        """Limits that grow with the file: what it may inflate to, and the time it may take.

        64 MB and 20 times its size (signals are noise: they stay below 5); 10 s and a second for
        every 10 MB.
        """
        try:
            size = path.stat().st_size
        except OSError:  # the reader says what is wrong with it
            size = 0
        return cls(result=min(cls.result, (64 << 20) + 20 * size), seconds=10.0 + size / 10e6)


def in_child(
    function: Callable[..., Any], *args: Any, where: str, limits: Limits | None = None
) -> Any:
    """Call a function on a file from elsewhere, in the child.

    Parameters
    ----------
    function : callable
        Of a module that can be imported. It may return None, bool, int, float, str, arrays of real
        numbers, and lists, tuples (which become lists) and dicts with str keys of these.
    *args
        What JSON can hold: paths go as str.
    where : str
        What to call the file in messages, such as ``"'S1_E1_A1.mat'"``.
    limits : Limits, optional

    Returns
    -------
    object
        What the function returned. Its arrays are C-contiguous, in the byte order of this
        machine, and may be written to; those of one call share one piece of memory.

    Raises
    ------
    RecordingError
        The function raised one (or any SemgfinError); or it crashed, was stopped at a limit, or
        answered what it may not.
    """
    with _lock:
        child = _warm_child()
        kept = False
        try:
            value = child.call(function, args, where, limits or Limits())
            kept = True
        except _RefusedError as error:
            kept = True
            raise RecordingError(str(error)) from None
        finally:
            if not kept:  # crashed, or interrupted between question and answer
                end_child()
    return value


def warm_up(*modules: str) -> None:
    """Start the child if there is none, without waiting for it.

    Parameters
    ----------
    *modules : str
        What it imports meanwhile: ``"scipy.io"`` for MATLAB files.
    """
    with _lock:
        _warm_child().prepare(modules)


class _RefusedError(Exception):
    """The function said no, as it should: the child goes on."""


class _Child:
    def __init__(self) -> None:
        self.owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | _ENVIRONMENT,
        )
        self._timed_out = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_usable(self) -> bool:
        """Whether it lives and is this process's own: a fork must not talk to its parent's."""
        return self.owner == os.getpid() and self._process.poll() is None

    def prepare(self, modules: tuple[str, ...]) -> None:
        self._send({"import": modules})

    def call(
        self, function: Callable[..., Any], args: tuple[Any, ...], where: str, limits: Limits
    ) -> Any:
        with Scratch(limits.result) as scratch:
            question = {
                "function": [function.__module__, function.__qualname__],
                "args": args,
                "folder": os.getcwd(),  # which may have changed since the child started
                "memory": limits.memory,
                "result": limits.result,
                "seconds": limits.seconds,
                "scratch": scratch.path,
            }
            self._send(question)
            if "began" not in (self._receive(_START_S) or {}):
                raise RecordingError(
                    f"{where} cannot be read, since the process that reads files did not start "
                    f"({self._end_code()}): install semgfin-rt again."
                )
            answer = self._receive(limits.seconds)
            if answer is None:
                raise RecordingError(self._sentence(where, limits))
            if "value" not in answer:
                raise _refusal(answer, where, limits)
            try:
                return unpack(answer["value"], scratch.take(answer["size"]))
            except (KeyError, TypeError, ValueError, OSError, RecursionError) as error:
                raise _nonsense(where) from error

    def end(self) -> None:
        """Kill it and wait for it, or let go of a parent's. May be called again."""
        for pipe in (self._process.stdin, self._process.stdout):
            cast(IO[bytes], pipe).close()
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()

    def _send(self, question: dict[str, Any]) -> None:
        line = json.dumps(question).encode() + b"\n"
        pipe = cast(IO[bytes], self._process.stdin)
        with suppress(BrokenPipeError):  # it died: nothing will be received, which says so
            os.write(pipe.fileno(), line)

    def _receive(self, seconds: float) -> dict[str, Any] | None:
        """Next answer, empty if it is nonsense; None when the child ended or had to be ended."""
        timer = threading.Timer(seconds, self._stop)
        timer.start()
        try:
            line = cast(IO[bytes], self._process.stdout).readline(_LONGEST_ANSWER)
        finally:
            timer.cancel()
        if not line:
            return None
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            return {}
        return answer if isinstance(answer, dict) else {}

    def _stop(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _sentence(self, where: str, limits: Limits) -> str:
        code = self._end_code()
        if self._timed_out or code == "SIGXCPU":
            return (
                f"{where} took longer than {limits.seconds:.0f} s to read and was given up: copy "
                "or download it again."
            )
        return (
            f"{where} made its reader crash ({code}), as only a damaged file does: copy or "
            "download it again."
        )

    def _end_code(self) -> str:
        self._process.kill()  # it may only have closed its output; one that died keeps its code
        code = self._process.wait()
        if code >= 0:
            return f"exit status {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"


def _refusal(answer: dict[str, Any], where: str, limits: Limits) -> Exception:
    if isinstance(sentence := answer.get("refused"), str):
        return _RefusedError(printable(sentence, _LONGEST_SENTENCE))
    if answer.get("memory") is True:
        return RecordingError(
            f"{where} needs more than {limits.memory >> 20} MB of memory to read, or inflates to "
            f"more than {limits.result >> 20} MB, which no whole file of its size does: copy or "
            "download it again."
        )
    if isinstance(name := answer.get("unexpected"), str):
        return RecordingError(
            f"{where} is damaged ({printable(name, _LONGEST_SENTENCE)}): copy or download it again."
        )
    return _nonsense(where)


def _nonsense(where: str) -> RecordingError:
    return RecordingError(
        f"{where} made its reader answer nonsense, as only a damaged file does: copy or download "
        "it again."
    )


# ------------------------------------------------------------------- the child of this process
def child_pid() -> int | None:
    """Process id of the child, None where there is none."""
    child = _child  # another thread may ask while it ends
    return child.pid if child is not None and child.is_usable() else None


_lock = threading.Lock()
_child: _Child | None = None


def _warm_child() -> _Child:
    global _child  # noqa: PLW0603  (one child a process, like the process itself)
    if _child is None or not _child.is_usable():
        end_child()
        _child = _Child()
    return _child


def end_child() -> None:
    """End the child if there is one; the next file starts another."""
    global _child  # noqa: PLW0603
    if _child is not None:
        _child.end()
        _child = None


def _after_fork() -> None:
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()  # the parent's may have been held by a thread that is not here


atexit.register(end_child)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
