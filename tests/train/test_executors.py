"""Workers that work alone, end with their run, and say what went wrong; here and on Ray."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from grid_tasks import (
    HERE,
    Task,
    compute,
    compute_on_ray,
    is_alive,
    runs,
    tasks,
    wait_for,
    work,
)

from semgfin_rt.errors import OptionError, RecordingError, TrainingError
from semgfin_rt.train.executors import run_locally, run_on_ray
from semgfin_rt.train.grid import run_grid
from semgfin_rt.train.results import Figure

NO_RAY = "Ray, the extra `cluster`, is not installed"


# ------------------------------------------------------------------------------ local


def test_workers_run_side_by_side_in_one_thread_each(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    found = dict(run_locally(tasks(2, "meet"), work(tmp_path / "log"), 2))
    assert [result.notes for result in found.values()] == [["1 1"], ["1 1"]]
    pids = [pid for pids in runs(tmp_path / "log").values() for pid in pids]
    assert len({*pids, os.getpid()}) == 3
    assert not any(map(is_alive, pids))
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


class Watched(list):
    """Tasks that tell which of them were handed out."""

    def __iter__(self):
        self.out = []
        for task in super().__iter__():
            self.out.append(task.key)
            yield task


def test_no_task_starts_before_the_result_of_the_last_was_taken(tmp_path):
    """What a killed run loses is then in flight, and not done and unwritten."""
    some = Watched(tasks(2))
    with closing(run_locally(some, work(tmp_path / "log"), 1)) as results:
        next(results)
        assert some.out == ["s0"]
        next(results)
        assert some.out == ["s0", "s1"]


def test_an_exception_arrives_as_itself_with_its_traceback(tmp_path):
    with pytest.raises(RecordingError, match=r"^subject 7 has no repetition 5: choose") as caught:
        list(run_locally(tasks(1, "refuse"), work(tmp_path / "log"), 1))
    assert type(caught.value) is RecordingError
    assert "grid_tasks.py" in str(caught.value.__cause__)


_SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1:2]
from grid_tasks import tasks, work
from semgfin_rt.train.executors import run_locally
if __name__ == "__main__":
    list(run_locally(tasks(2, "stay"), work(Path(sys.argv[2])), 2))
"""


def test_ctrl_c_ends_all_and_only_the_run_reports_it(tmp_path):
    """A terminal sends it to the workers too: the whole group."""
    script, log = tmp_path / "script.py", tmp_path / "log"
    script.write_text(_SCRIPT)
    command = [sys.executable, str(script), HERE, str(log)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_for(lambda: len(runs(log)) > 1)
        for (worker,) in runs(log).values():
            os.kill(worker, signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):  # workers leave it to the run
            process.wait(0.5)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        _, reported = process.communicate(timeout=10)
    assert time.monotonic() - began < 5
    assert reported.count("Traceback") == 1, reported
    assert reported.endswith("KeyboardInterrupt\n")
    assert not any(is_alive(pid) for pids in runs(log).values() for pid in pids)


# -------------------------------------------------------------------------------- Ray


def test_without_ray_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"pip install 'semgfin-rt\[cluster\]'"):
        list(run_on_ray(tasks(1), work(tmp_path), 1, None))


def test_a_cluster_that_does_not_answer_is_named(tmp_path):
    pytest.importorskip("ray", reason=NO_RAY)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        silent = f"127.0.0.1:{taken.getsockname()[1]}"
        for address in (silent, "nonsense", "127.0.0.1:port", "127.0.0.1:99999"):
            began = time.monotonic()
            with pytest.raises(OptionError, match=f"--ray-address {address} .*ray start --head"):
                list(run_on_ray(tasks(1), work(tmp_path), 1, address))
            assert time.monotonic() - began < 10


def figures(some: list[Task], log: Path) -> list[list[Figure]]:
    """Of the same tasks in this process, which has one thread."""
    return [compute(replace(task, action=""), log).figures for task in some]


@pytest.mark.long
def test_a_local_instance_of_ray_comes_and_goes(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray", reason=NO_RAY)
    monkeypatch.setenv("PYTHONPATH", HERE)  # workers import tasks from their own path
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = list(run_on_ray(tasks(1), work(tmp_path / "log"), 1, None))
    assert [result.figures for _, result in found] == figures(tasks(1), tmp_path / "here")
    assert found[0][1].notes == ["1 1"]
    assert not ray.is_initialized()
    wait_for(lambda: not is_alive(runs(tmp_path / "log")["s0"][0]), 10)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[str]:
    """Address of two nodes on this machine, with one CPU each."""
    pytest.importorskip("ray", reason=NO_RAY)
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", HERE)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        node = {"num_cpus": 1, "object_store_memory": 80_000_000}
        both = Cluster(True, head_node_args=node | {"include_dashboard": False})
        try:
            both.add_node(**node)
            yield both.address
        finally:
            both.shutdown()


def test_two_nodes_share_a_grid(tmp_path, cluster):
    """Two tasks wait for each other, and a node has room for one."""
    import ray

    some = tasks(4, "meet")
    found = run_grid(
        some,
        partial(compute_on_ray, log=tmp_path / "log"),
        tmp_path,
        fingerprint="data 1",
        executor="ray",
        workers=1,
        ray_address=cluster,
        progress=lambda *_: None,
    )
    assert [result.figures for result in found] == figures(some, tmp_path / "here")
    assert len({result.notes[0] for result in found}) == 2
    assert len(list((tmp_path / "tasks").glob("*.json"))) == 4
    assert not ray.is_initialized()


def test_failures_on_ray_are_told_as_here(tmp_path, cluster):
    """On a connection that the caller opened, and keeps."""
    import ray

    log = tmp_path / "log"
    ray.init(cluster, log_to_driver=False, logging_level="ERROR")
    try:
        with pytest.raises(RecordingError, match=r"^subject 7 has no repetition 5: ") as caught:
            list(run_on_ray(tasks(1, "refuse"), work(log), 1, None))
        assert type(caught.value) is RecordingError
        assert "grid_tasks.py" in str(caught.value.__cause__)
        some = [Task("patient", 1, "stay"), Task("fatal", 2, "die")]
        with pytest.raises(TrainingError, match=r"^task 'fatal' was lost .*\.$"):
            list(run_on_ray(some, work(log), 1, None))
        assert len(runs(log)["fatal"]) == 1  # not tried again
        wait_for(lambda: not any(is_alive(pid) for pid in runs(log).get("patient", [])), 10)
        assert ray.is_initialized()
    finally:
        ray.shutdown()
