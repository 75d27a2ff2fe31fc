"""`semgfin-train` in this process: torch loads once."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from semgfin_rt.cli.train import main


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: object
    out: str
    err: str


def train(*arguments: object) -> Done:
    """Run the command's entry point with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["semgfin-train", *map(str, arguments)])
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as exit_,
        ):
            main()
    return Done(exit_.value.code, out.getvalue(), err.getvalue())


def done(*arguments: object) -> str:
    """Run a command that must succeed: what it printed, each space as one."""
    result = train(*arguments)
    assert result.code == 0, result.err
    assert result.err == ""
    return " ".join(result.out.split())


def refused(arguments: Sequence[object], *words: str) -> None:
    """Expect one sentence on stderr that holds `words`, and an exit code other than 0."""
    result = train(*arguments)
    assert result.code not in (0, None)
    assert len(result.err.strip().splitlines()) == 1, result.err
    for word in words:
        assert word in result.err, result.err
