"""Where the tasks of a grid run: in processes of this machine, or on the nodes of a Ray cluster.

Both yield the tasks with their results as they finish. Ending the iteration early, by an error,
Ctrl-C or the death of this process, ends whatever still runs.

Local: every worker is a process with one task at a time, and a thread of its own in it waits for
the end of the parent's pipe. The parent's thread only waits for results. Nobody else blocks.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from semgfin_rt.errors import OptionError, TrainingError
from semgfin_rt.interrupts import spared_ctrl_c
from semgfin_rt.train.results import TaskResult

if TYPE_CHECKING:  # heavy, and optional: the extra `cluster`
    import ray

_REACH_S = 5.0
_OBJECT_STORE_BYTES = 100_000_000  # results are small; Ray's own choice is 30 % of the memory


class Task(Protocol):
    """One independent part of a grid; picklable."""

    @property
    def key(self) -> str:
        """Name among the others, and of its file: letters, digits, ``_``, ``.`` and ``-``."""


TaskT = TypeVar("TaskT", bound=Task)


# ------------------------------------------------------------------------------ local
def run_locally(
    tasks: Sequence[TaskT], work: Callable[[TaskT], TaskResult], workers: int
) -> Generator[tuple[TaskT, TaskResult], None, None]:
    """Run tasks in processes of one thread each, so that their number changes no result.

    Parameters
    ----------
    tasks : sequence of Task
    work : callable
        Task -> result; a function of a module, or a partial of one.
    workers : int
        Processes, at least 1.

    Yields
    ------
    (task, result)
        As they finish.

    Raises
    ------
    TrainingError
        A process died with a task in its hands.
    Exception
        Whatever `work` raises, with the traceback of the worker as its cause.
    """
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)  # nothing is sent: its end is the message
    # a pool for each worker, since a broken pool does not say which of its workers died
    pools = [
        ProcessPoolExecutor(1, context, _prepare_worker, (theirs,))
        for _ in range(min(workers, len(tasks)))
    ]
    waiting = iter(tasks)
    running: dict[Future[TaskResult], tuple[ProcessPoolExecutor, TaskT]] = {}
    try:
        with spared_ctrl_c(), _one_thread():
            for pool, task in zip(pools, waiting, strict=False):
                running[pool.submit(work, task)] = pool, task
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                pool, task = running.pop(future)
                try:
                    yield task, future.result()
                    # only now: a result that the caller has not kept yet counts as in flight
                    for task in islice(waiting, 1):
                        running[pool.submit(work, task)] = pool, task
                except BrokenProcessPool as error:
                    raise _died(task, "its process was killed, perhaps for memory") from error
    finally:
        ours.close()  # ends every worker at once, busy or not
        for pool in pools:
            pool.shutdown()
        theirs.close()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that are started in here compute on one thread."""
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # read once, when NumPy and torch are loaded
    try:
        yield
    finally:
        if threads is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = threads


def _prepare_worker(parent: Connection) -> None:
    """First thing in a worker; from here on it lives no longer than its parent wants."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _use_one_thread()


def _end_with(parent: Connection) -> None:
    parent.poll(None)  # closed on purpose, or by the system when the parent died
    os._exit(1)  # at once: a task in flight is started again by the next run


def _use_one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _died(task: Task, how: str) -> TrainingError:
    return TrainingError(
        f"task '{task.key}' was lost ({how}): finished tasks are kept, free some memory or take "
        "fewer --workers, and the same command goes on."
    )


# -------------------------------------------------------------------------------- Ray
def run_on_ray(
    tasks: Sequence[TaskT],
    work: Callable[[TaskT], TaskResult],
    workers: int,
    address: str | None,
) -> Generator[tuple[TaskT, TaskResult], None, None]:
    """Run tasks on Ray, one CPU each; results come back to this process.

    Every node needs this package, and finds recordings and cache under the same paths; results
    need no shared file system. A connection to Ray that the caller has opened is used and left.

    Parameters
    ----------
    tasks, work
        As in `run_locally`.
    workers : int
        CPUs of a local instance; a cluster runs as many tasks as it has CPUs.
    address : str or None
        ``host:port`` of a cluster's head, or ``auto`` on one of its nodes; None starts a local
        instance.

    Yields
    ------
    (task, result)
        As they finish.

    Raises
    ------
    OptionError
        Ray is not installed, or does not answer at `address`.
    TrainingError
        A worker or its node died with a task in its hands.
    Exception
        Whatever `work` raises, with Ray's report of it as its cause.
    """
    try:
        import ray
    except ImportError as error:
        raise OptionError(
            "--executor ray needs Ray, which is not installed: run "
            "`pip install 'semgfin-rt[cluster]'`, or take --executor local."
        ) from error
    mine = not ray.is_initialized()
    running: dict[ray.ObjectRef[TaskResult], TaskT] = {}
    try:
        if mine:
            _connect(workers, address)
        remote: Any = ray.remote(
            num_cpus=1,
            max_retries=0,  # Ray would repeat without end what runs out of memory
            runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
        )(_work_alone)
        running = {remote.remote(work, task): task for task in tasks}
        while running:
            for done in ray.wait(list(running))[0]:
                task = running.pop(done)
                yield task, _result(done, task)
    finally:
        for unfinished in running:
            ray.cancel(unfinished, force=True)
        if mine:
            ray.shutdown()


def _connect(workers: int, address: str | None) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
        ray.init(
            "local",
            num_cpus=workers,
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            **quiet,
        )
        return
    try:
        if ":" in address:  # Ray itself tries for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), _REACH_S).close()
        ray.init(address, **quiet)
    except (OSError, ValueError, OverflowError, RuntimeError) as error:
        raise OptionError(
            f"no Ray cluster answers at --ray-address {address} ({error}): start one with "
            "`ray start --head` and give the address that it prints."
        ) from error


def _work_alone(work: Callable[[TaskT], TaskResult], task: TaskT) -> TaskResult:
    _use_one_thread()
    return work(task)


def _result(done: ray.ObjectRef[TaskResult], task: Task) -> TaskResult:
    import ray

    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error  # Ray's stand-in has a traceback for a message
    except ray.exceptions.RayError as error:
        raise _died(task, f"{type(error).__name__} of Ray") from error
