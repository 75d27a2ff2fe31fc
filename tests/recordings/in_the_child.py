"""What tests let the limited child call."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from semgfin_rt.errors import RecordingError


def arrays() -> dict[str, Any]:
    """Arrays of every kind, in lists and dicts."""
    return {
        "by columns": np.asfortranarray(np.arange(12, dtype=np.float32).reshape(4, 3)),
        "nested": [np.arange(300_000, dtype=np.int16), {"bool": np.array([True, False])}],
        "big-endian": np.array([1.5, -2.0], ">f8"),
        "half": np.array([1.5], np.float16),
        "one": np.array(7, np.uint8),
        "none": np.zeros((0, 3)),
        "empty": np.zeros((5, 0)),
        "strided": np.arange(10)[::-3],
        "plain": (1, 2.5, float("inf"), "text", None, True),
    }


def crash() -> None:
    """Read from address 0."""
    ctypes.string_at(0)


def leave(code: int) -> None:
    """End the process."""
    os._exit(code)


def loop() -> None:
    """Never return."""
    while True:
        pass


def sleep() -> None:
    """Take no time of the processor, but that of whoever waits."""
    time.sleep(60)


def fill(n_bytes: int) -> int:
    """Take memory for a while, as readers do: who watches it looks every few milliseconds."""
    taken = np.ones(n_bytes, np.uint8)
    time.sleep(0.1)
    return int(taken.sum())


def zeros(n_bytes: int) -> Any:
    """Return so many zeros."""
    return np.zeros(n_bytes, np.uint8)


def refuse(sentence: str) -> None:
    """Refuse a file."""
    raise RecordingError(sentence)


def fail() -> None:
    """Meet what no reader expected."""
    raise ZeroDivisionError("unexpected")


def write(path: str) -> None:
    """Write a file."""
    Path(path).write_text("x")


def say(text: str) -> int:
    """Put a line of one's own in the place of the answer."""
    answers = next(
        number
        for number in range(3, 100)
        if os.path.exists(link := f"/proc/self/fd/{number}") and "pipe" in os.readlink(link)
    )
    os.write(answers, text.encode() + b"\n")
    return os.getpid()


def printing() -> str:
    """Print, as libraries do."""
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    os.write(1, b'{"value": "wrong", "size": 0}\n')
    return "right"
