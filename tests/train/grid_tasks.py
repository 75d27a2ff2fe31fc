"""Tasks for the tests of grids; in a module of their own, since workers import it by name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from semgfin_rt.errors import RecordingError
from semgfin_rt.train.results import Figure, TaskResult

HERE = str(Path(__file__).parent)


@dataclass(frozen=True)
class Task:
    key: str
    seed: int = 0
    action: str = ""
    """What happens beside the arithmetic: see `compute`."""


def tasks(count: int, action: str = "") -> list[Task]:
    return [Task(f"s{seed}", seed, action) for seed in range(count)]


def work(log: Path) -> Callable[[Task], TaskResult]:
    return partial(compute, log=log)


def compute(task: Task, log: Path) -> TaskResult:
    """Multiply matrices, which rounds differently with more threads; log process ids by key."""
    import torch  # as late as in real life, where workers prepare for it

    log.mkdir(exist_ok=True)
    with (log / task.key).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if task.action == "meet":  # go on only when two tasks run at the same time
        wait_for(lambda: len(runs(log)) > 1)
    elif task.action == "stay":
        time.sleep(60)
    elif task.action == "die" or (task.action == "die once" and len(runs(log)[task.key]) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    elif task.action == "refuse":
        raise RecordingError("subject 7 has no repetition 5: choose others.")
    generator = torch.Generator().manual_seed(task.seed)
    matrix = torch.randn(700, 700, generator=generator)
    value = None if task.action == "undefined" else float((matrix @ matrix).std())
    figure = Figure(
        subject=task.seed, seed=task.seed, method="fin", measure="accuracy", value=value
    )
    threads = f"{os.environ.get('OMP_NUM_THREADS')} {torch.get_num_threads()}"
    return TaskResult(figures=[figure], notes=[threads])


def compute_on_ray(task: Task, log: Path) -> TaskResult:
    """Also say on which node."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    return TaskResult(figures=compute(task, log).figures, notes=[node])


def runs(log: Path) -> dict[str, list[int]]:
    """Process ids of every run of a task, by key."""
    texts = {file.name: file.read_text() for file in log.glob("*")}
    return {key: [int(pid) for pid in text.split()] for key, text in texts.items() if text}


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
