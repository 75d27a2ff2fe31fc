"""Finished tasks outlive whatever happens to the run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from grid_tasks import HERE, Task, is_alive, runs, tasks, wait_for, work

from semgfin_rt.errors import OptionError, TrainingError
from semgfin_rt.train.grid import run_grid
from semgfin_rt.train.results import TaskResult


def grid(some: list[Task], folder: Path, told: list | None = None, **options) -> list[TaskResult]:
    """Run on one local worker; what each task did is in ``folder/log``."""
    folder.mkdir(exist_ok=True)
    settings = {"fingerprint": "data 1", "executor": "local", "workers": 1, "ray_address": None}
    return run_grid(
        some,
        work(folder / "log"),
        folder,
        progress=lambda *step: None if told is None else told.append(step),
        **settings | options,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A whole run of five tasks on one worker; copy it before changing it."""
    folder = tmp_path_factory.mktemp("grid") / "finished"
    grid(tasks(5), folder)
    return folder


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    return shutil.copytree(finished, tmp_path / "copy")


def test_one_and_two_workers_give_the_same_results_in_order(finished, tmp_path):
    told: list[tuple[str, int, int, float]] = []
    found = grid(tasks(5), tmp_path / "two", told, workers=2)
    assert [r.figures[0].seed for r in found] == [0, 1, 2, 3, 4]
    assert len({r.figures[0].value for r in found}) == 5
    assert told == [("tasks", done, 5, 0.0) for done in range(6)]
    one, two = (sorted((run / "tasks").iterdir()) for run in (finished, tmp_path / "two"))
    assert [file.name for file in one] == [f"s{n}.json" for n in range(5)]  # nothing else is left
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in two]


def test_only_what_is_missing_or_damaged_runs_again(copy):
    folder = copy / "tasks"
    files = sorted(folder.iterdir())
    before = [file.read_bytes() for file in files]
    files[1].write_bytes(before[1][:-20])
    files[2].write_text(json.dumps({"fingerprint": "data 1", "result": 5}))
    files[3].unlink()
    half = folder / f".s3.json.{os.getpid()}.part"  # of a run that was killed while it wrote
    half.write_bytes(before[3][:-20])
    kept = [files[n].stat().st_mtime_ns for n in (0, 4)]
    told: list[tuple[str, int, int, float]] = []
    grid(tasks(5), copy, told)
    assert [file.read_bytes() for file in files] == before
    assert [len(pids) for _, pids in sorted(runs(copy / "log").items())] == [1, 2, 2, 2, 1]
    assert [files[n].stat().st_mtime_ns for n in (0, 4)] == kept
    assert [step[1] for step in told] == [2, 3, 4, 5]


def test_a_larger_grid_adds_to_a_finished_one(copy):
    """And resuming changes no figure, not even an undefined one, which JSON writes as null."""
    some = [*tasks(5, "die"), Task("odd", 5, "undefined")]  # would die if they ran again
    first = grid(some, copy)
    assert first[5].figures[0].value is None
    told: list[tuple[str, int, int, float]] = []
    assert grid(some, copy, told) == first
    assert told == [("tasks", 6, 6, 0.0)]


def test_another_run_is_refused_and_kept_unless_told_otherwise(copy):
    file = copy / "tasks" / "s0.json"
    before = file.read_bytes()
    with pytest.raises(TrainingError, match=r"other data, options or code.*--out.*--no-resume"):
        grid([Task("new"), *tasks(1)], copy, fingerprint="data 2")
    assert file.read_bytes() == before
    assert "new" not in runs(copy / "log")
    grid(tasks(1), copy, fingerprint="data 2", resume=False)
    assert len(runs(copy / "log")["s0"]) == 2
    assert file.read_bytes() == before.replace(b"data 1", b"data 2")


_SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1:2]
from grid_tasks import Task, tasks
from test_grid import grid
if __name__ == "__main__":
    some = [*tasks(3), Task("s3", 3, "stay"), Task("s4", 4, "stay")]
    grid(some, Path(sys.argv[2]), workers=2)
"""


def test_kill_9_of_the_run_loses_only_tasks_in_flight(finished, tmp_path):
    """And leaves no worker behind."""
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    run = tmp_path / "run"
    command = [sys.executable, str(script), HERE, str(run)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        wait_for(lambda: {"s3", "s4"} <= runs(run / "log").keys())
        process.send_signal(signal.SIGKILL)
        assert process.stderr is not None
        # workers hold it open too: the end of the file is the end of the last of them
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == -signal.SIGKILL
    before = runs(run / "log")
    assert len({pid for pids in before.values() for pid in pids}) == 2
    wait_for(lambda: not any(is_alive(pid) for pids in before.values() for pid in pids), 5)
    kept = {f: f.stat().st_mtime_ns for f in (run / "tasks").glob("*.json")}
    assert {f.stem for f in kept} == {"s0", "s1", "s2"}
    assert grid(tasks(5), run) == grid(tasks(5), finished)
    assert {f: f.stat().st_mtime_ns for f in kept} == kept
    again = runs(run / "log")
    assert {key for key in again if len(again[key]) > 1} == {"s3", "s4"}


def test_a_worker_that_dies_is_named_and_costs_only_tasks_in_flight(tmp_path):
    some = [Task("s0"), Task("patient", 1, "stay"), Task("fragile", 2, "die once")]
    began = time.monotonic()
    with pytest.raises(
        TrainingError,
        match=r"^task 'fragile' was lost .*finished tasks are kept.*same command.*\.$",
    ):
        grid(some, tmp_path, workers=2)
    assert time.monotonic() - began < 30  # `patient` is not waited for
    before = runs(tmp_path / "log")
    assert not any(is_alive(pid) for pids in before.values() for pid in pids)
    some[1] = Task("patient", 1)
    assert len(grid(some, tmp_path)) == 3
    after = runs(tmp_path / "log")
    assert len(after["s0"]) == 1
    assert len(after["fragile"]) == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "tasks").touch()
    with pytest.raises(TrainingError, match=r"s0\.json cannot be written \(.*make room"):
        grid(tasks(1), tmp_path)


def test_no_workers_and_bad_keys_are_refused(tmp_path):
    with pytest.raises(OptionError, match="--workers 0"):
        grid(tasks(1), tmp_path, workers=0)
    for some in ([Task("a"), Task("a")], [Task("a/b")], [Task("")]):
        with pytest.raises(ValueError, match="keys must differ"):
            grid(some, tmp_path)
    assert os.listdir(tmp_path) == []
