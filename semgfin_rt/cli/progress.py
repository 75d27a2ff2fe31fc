"""Bars on the screen while a command works, and the recordings it reads meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semgfin_rt.cli.common import choose_numbers

if TYPE_CHECKING:
    from semgfin_rt.contracts import Recording
    from semgfin_rt.train.loop import Progress


@contextmanager
def resumable() -> Iterator[Progress]:
    """Bars, and on Ctrl-C a word on how to go on."""
    try:
        with progress_bars() as report:
            yield report
    except KeyboardInterrupt:
        print("Interrupted: the same command goes on where it was.", file=sys.stderr)
        raise


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Bars with rate and time left, one a stage."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    tasks: dict[str, Any] = {}
    with Progress(*columns) as bars:

        def report(stage: str, step: int, steps: int, loss: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=steps, loss="", rate="")
            task = bars.tasks[tasks[stage]]
            rate = f"{task.speed:.1f}/s" if task.speed else ""
            text = f"loss {loss:.2f}" if loss else ""
            bars.update(tasks[stage], total=steps, completed=step, loss=text, rate=rate)

        yield report


def load_recordings(data: Path, subjects: str | None) -> Iterator[Recording]:
    """Read recordings one at a time, each when it is asked for, and print their notes."""
    from semgfin_rt.recordings import iter_recordings

    return map(_noted, iter_recordings(data, choose_numbers(subjects)))


def _noted(recording: Recording) -> Recording:
    for note in recording.notes:
        print(f"{recording.path}: {note}")
    return recording
