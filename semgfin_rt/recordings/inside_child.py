"""What runs inside the limited child: it reads questions, calls, and answers.

One thread. It waits for its standard input, and ends when that closes.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import reduce
from typing import Any, cast

from semgfin_rt.errors import SemgfinError
from semgfin_rt.recordings.handing_over import pack

try:
    import resource
except ImportError:  # Windows: crashes stay here, but nothing is limited
    resource = None  # type: ignore[assignment]


def serve() -> None:
    """Answer questions until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints is no answer

    def answer(content: dict[str, Any]) -> None:
        left = memoryview(json.dumps(content).encode() + b"\n")
        while left:
            left = left[answers.write(left) :]

    for line in sys.stdin.buffer:
        question = json.loads(line)
        if "import" in question:
            for module in question["import"]:
                importlib.import_module(module)
            continue
        function = _find(*question["function"])  # imports before time counts
        os.chdir(question["folder"])
        answer({"began": True})
        _limit(question["memory"], question["seconds"])
        try:
            found = function(*question["args"])
            _set("RLIMIT_FSIZE", question["result"])  # shared memory counts as well
            value, size = pack(found, question["scratch"], question["result"])
        except SemgfinError as error:
            answer({"refused": str(error)})
        except MemoryError:
            answer({"memory": True})
        except Exception as error:
            answer({"unexpected": type(error).__name__})
            raise
        else:
            answer({"value": value, "size": size})


def _find(module: str, name: str) -> Callable[..., Any]:
    found: Any = reduce(getattr, name.split("."), importlib.import_module(module))
    return cast(Callable[..., Any], found)


def _limit(memory: int, seconds: float) -> None:
    _set("RLIMIT_AS", memory)
    _set("RLIMIT_CPU", math.ceil(time.process_time() + seconds))
    _set("RLIMIT_CORE", 0)
    _set("RLIMIT_FSIZE", 0)


def _set(name: str, limit: int) -> None:
    if resource is None:
        return
    kind = getattr(resource, name)
    _, most = resource.getrlimit(kind)
    # macOS knows no limit of address space; or the user's own is lower
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (limit, most))
