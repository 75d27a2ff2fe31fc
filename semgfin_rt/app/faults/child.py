"""Work that might take its process down, in a process of its own.

The caller waits for its end. The child does not see Ctrl-C, and is killed where the caller is
interrupted.
"""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

from semgfin_rt.errors import SystemLibraryError
from semgfin_rt.interrupts import spared_ctrl_c

T = TypeVar("T")


def in_child(work: Callable[..., T], *arguments: object) -> T:
    """Return what `work`, a function of a module, returns in a process of its own.

    Raises
    ------
    SystemLibraryError
        If the process ends without an answer: it crashed.
    """
    context = mp.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(there, work, arguments), name="semgfin fault")
    with spared_ctrl_c():
        process.start()
    there.close()
    try:
        answer: T = here.recv()
    except EOFError:
        process.join()
        raise SystemLibraryError(
            f"the process that was to bear the fault crashed (exit code {process.exitcode})"
        ) from None
    finally:
        process.kill()
        process.join()
        here.close()
    return answer


def _answer(link: Connection, work: Callable[..., object], arguments: tuple[object, ...]) -> None:
    link.send(work(*arguments))
