"""What both commands share: how they end, how they read numbers and write results."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import typer

from semgfin_rt.errors import OptionError, SemgfinError

WRONG_INPUT = 2
"""Exit code for what cannot be done as asked."""
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
        code = app(sys.argv[1:] or ["--help"], prog_name=name, standalone_mode=False)
    except SemgfinError as error:
        code = _complain(name, str(error))
    except typer.TyperException as error:
        code = _complain(name, f"{error.format_message()} See `{name} --help`.")
    except typer.Abort:
        code = 130
    sys.exit(code or 0)


def _complain(name: str, sentence: str) -> int:
    print(f"{name}: {' '.join(sentence.split())}", file=sys.stderr)
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


def require_writable(path: Path | None) -> None:
    """See before a long run that its result can be written.

    Raises
    ------
    OptionError
        If `path` is a folder, or in none that can be written to.
    """
    if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
        raise OptionError(
            f"'{path}' cannot be written: name a file in a folder that exists and that you may "
            "write to."
        )


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write a result; the file appears whole or not at all.

    Raises
    ------
    OptionError
        If it cannot be written.
    """
    text = json.dumps(values, indent=1, allow_nan=False) + "\n"
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OptionError(
            f"'{path}' cannot be written ({error.strerror}): name a file in a folder that exists "
            "and that you may write to."
        ) from error
