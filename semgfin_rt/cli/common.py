"""What both commands share: how they end, how they read numbers and write results."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import typer

from semgfin_rt.atomic import written_whole
from semgfin_rt.errors import OptionError, SemgfinError
from semgfin_rt.texts import printable

WRONG_INPUT = 2
"""Exit code for what cannot be done as asked."""
NOT_KEPT = 3
"""Exit code of a run that went to its end and did not keep what it promised."""
_MOST_NUMBERS = 10_000


def new_app(help: str) -> typer.Typer:
    """Return an empty command line: plain help, no shell completion, no decorated tracebacks."""
    return typer.Typer(
        help=help, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
    )


def run(app: typer.Typer, name: str) -> NoReturn:
    """Run a command and exit; a failure that a user can meet is one line on stderr."""
    code: int | None
    try:
        _require_no_empty(sys.argv[1:])
        code = app(sys.argv[1:] or ["--help"], prog_name=name, standalone_mode=False)
    except SemgfinError as error:
        code = _complain(name, str(error))
    except typer.TyperException as error:
        code = _complain(name, f"{error.format_message().rstrip('.')}. See `{name} --help`.")
    except typer.Abort:
        code = 130
    sys.exit(code or 0)


def _require_no_empty(arguments: Sequence[str]) -> None:
    """Refuse ``--model ""``: an empty value is a shell variable that was not set."""
    for before, word in pairwise(("", *arguments)):
        if not word or re.fullmatch(r"--[a-z-]+=", word):
            where = word or f"the argument behind '{before}'" if before else "the first argument"
            raise OptionError(f"{where} is empty: give it a value, or leave it out.")


def _complain(name: str, sentence: str) -> int:
    print(f"{name}: {printable(' '.join(sentence.split()))}", file=sys.stderr)
    return WRONG_INPUT


def choose_numbers(text: str | None) -> tuple[int, ...] | None:
    """Read whole numbers such as ``2,3,5-9``; None stays None.

    Raises
    ------
    OptionError
        If it is anything else.
    """
    if text is None:
        return None
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not 0 <= last - first < _MOST_NUMBERS:
            raise OptionError(f"'{text}' is not a list of numbers: write 2,3 or 5-9.")
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def choose_thresholds(texts: Sequence[str] | None) -> dict[str, float] | None:
    """Read ``["6=0.8", "wrist flexion=0.9"]``; nothing stays None.

    Raises
    ------
    OptionError
        If one of them is no class and probability.
    """
    chosen: dict[str, float] = {}
    for text in texts or ():
        name, _, value = text.rpartition("=")
        try:
            chosen[name.strip()] = float(value)
        except ValueError as error:
            raise OptionError(
                f"--threshold '{text}' cannot be read: write CLASS=P, such as 6=0.8."
            ) from error
    return chosen or None


def require_finite(**options: float | None) -> None:
    """Refuse nan and inf, which pass for numbers.

    Raises
    ------
    OptionError
        If one is not finite.
    """
    for name, value in options.items():
        if value is not None and not math.isfinite(value):
            raise OptionError(f"--{name} {value} cannot be worked with: give a finite number.")


def require_writable(path: Path | None) -> None:
    """See before a long run that its result can be written.

    Raises
    ------
    OptionError
        If `path` is a folder, or in none that can be written to.
    """
    if path is None:
        return
    place = path if _is_device(path) else path.resolve().parent
    if path.is_dir() or not os.access(place, os.W_OK):
        raise OptionError(
            f"'{path}' cannot be written: name a file in a folder that exists and that you may "
            "write to."
        )


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write a result; the file appears whole or not at all, and a symbolic link stays one.

    Raises
    ------
    OptionError
        If it cannot be written.
    """
    text = json.dumps(values, indent=1, allow_nan=False) + "\n"
    try:
        if _is_device(path):  # such as /dev/stdout: written to, never replaced
            with path.open("a", encoding="utf-8") as device:
                device.write(text)
        else:
            with written_whole(path) as part:
                part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OptionError(
            f"'{path}' cannot be written ({error.strerror}): name a file in a folder that exists "
            "and that you may write to."
        ) from error


def _is_device(path: Path) -> bool:
    """Whether it is there and no plain file, or reached through /dev (stdout sent to a file)."""
    return path.exists() and (not path.is_file() or path.absolute().is_relative_to("/dev"))
