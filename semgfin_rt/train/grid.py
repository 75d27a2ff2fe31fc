"""A grid of independent tasks that survives being killed: every finished task is a file.

The folder of a run holds ``tasks/<key>.json``, written whole or not at all by the process that
was started; workers never write there. The same command started again runs what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from semgfin_rt.atomic import written_whole
from semgfin_rt.errors import OptionError, TrainingError
from semgfin_rt.train.executors import TaskT, run_locally, run_on_ray
from semgfin_rt.train.results import TaskResult

if TYPE_CHECKING:  # it loads torch, which only workers need
    from semgfin_rt.train.loop import Progress


class _Finished(BaseModel):
    """What a task's file holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    result: TaskResult


def run_grid(
    tasks: Sequence[TaskT],
    work: Callable[[TaskT], TaskResult],
    folder: Path,
    *,
    fingerprint: str,
    executor: Literal["local", "ray"],
    workers: int,
    ray_address: str | None,
    progress: Progress,
    resume: bool = True,
) -> list[TaskResult]:
    """Run the tasks that have no result yet, and collect the results of all.

    Parameters
    ----------
    tasks : sequence of Task
        In the order in which they are started.
    work : callable
        Task -> result; a function of a module, or a partial of one. It draws its random numbers
        from the task alone: which tasks ran before it in its process is a matter of chance.
    folder : Path
        Of the run.
    fingerprint : str
        Of data and options, as far as results depend on them.
    executor : {"local", "ray"}
        See `executors`.
    workers : int
        Tasks at a time. On a cluster its CPUs decide.
    ray_address : str or None
        Of a cluster; None for a local instance of Ray.
    progress : callable
        Called with "tasks", finished tasks, tasks and 0, at the start and after every task.
    resume : bool
        False: earlier results of these tasks are deleted first.

    Returns
    -------
    list of TaskResult
        In the order of `tasks`, as read back from the files.

    Raises
    ------
    TrainingError
        The folder holds another run, cannot be written, or a worker died; what is finished stays.
    OptionError
        No workers, or Ray is missing or does not answer.
    Exception
        Whatever `work` raises.
    """
    if workers < 1:
        raise OptionError(f"--workers {workers} can do nothing: give 1 or more.")
    files = _files(tasks, folder)
    if not resume:
        for file in files.values():
            file.unlink(missing_ok=True)
    results = finished(tasks, folder, fingerprint)
    progress("tasks", len(results), len(tasks), 0.0)
    missing = [task for task in tasks if task.key not in results]
    if missing:
        if executor == "ray":
            running = run_on_ray(missing, work, workers, ray_address)
        else:
            running = run_locally(missing, work, workers)
        with closing(running):
            for task, result in running:
                results[task.key] = _write(files[task.key], fingerprint, result)
                progress("tasks", len(results), len(tasks), 0.0)
    return [results[task.key] for task in tasks]


def finished(tasks: Sequence[TaskT], folder: Path, fingerprint: str) -> dict[str, TaskResult]:
    """Results that an earlier run has left, by their tasks' keys.

    Raises
    ------
    TrainingError
        The folder holds another run.
    """
    results = {}
    for key, file in _files(tasks, folder).items():
        earlier = _read(file)
        if earlier is None:
            continue
        if earlier.fingerprint != fingerprint:
            raise TrainingError(
                f"{folder} holds a run with other data, options or code: choose another --out, or "
                "start afresh with --no-resume."
            )
        results[key] = earlier.result
    return results


def _files(tasks: Sequence[TaskT], folder: Path) -> dict[str, Path]:
    files = {task.key: folder / "tasks" / f"{task.key}.json" for task in tasks}
    if len(files) < len(tasks) or not all(re.fullmatch(r"[\w.-]+", key) for key in files):
        raise ValueError(f"keys must differ and be good names of files: {[t.key for t in tasks]}")
    return files


def _read(file: Path) -> _Finished | None:
    """Return what an earlier run left; None for nothing, or nothing legible."""
    try:
        return _Finished.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def _write(file: Path, fingerprint: str, result: TaskResult) -> TaskResult:
    """Keep a result; returned as it will be read, so that resuming changes nothing."""
    text = _Finished(fingerprint=fingerprint, result=result).model_dump_json()
    same = _Finished.model_validate_json(text).result
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrainingError(
            f"{file} cannot be written ({error}): make room, then start the same command again."
        ) from error
    return same
