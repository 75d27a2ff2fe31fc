"""The engine in a process of its own: snapshots join up, a frozen window costs nothing."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from signals import counting_recording, tiny_checkpoint

from semgfin_rt.engine.commands import SetPolicy
from semgfin_rt.engine.player import Player
from semgfin_rt.engine.process import EngineProcess
from semgfin_rt.engine.snapshot import Snapshot
from semgfin_rt.engine.spec import EngineSpec

PATIENCE_S = 50.0  # a loaded machine imports torch in 20 s


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


def watch(engine: EngineProcess, until, frozen_s: float = 0.0) -> list[Snapshot]:
    """Poll as a window does, until a snapshot of phase `until`; freeze once on the way."""
    seen: list[Snapshot] = []
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        begin = time.monotonic()
        snapshot = engine.poll()
        assert time.monotonic() - begin < 0.1
        if snapshot is not None:
            seen.append(snapshot)
            if snapshot.phase == until:
                return seen
            if frozen_s and snapshot.decisions:
                time.sleep(frozen_s)
                frozen_s = 0.0
        time.sleep(0.03)
    raise AssertionError(f"no snapshot '{until}' among {[s.phase for s in seen]}")


def test_snapshots_join_up_although_the_window_freezes(model):
    recording = counting_recording(4000)
    with Player(recording) as player:
        spec = EngineSpec(
            model,
            source_id=player.source_id,
            truth_id=player.truth_id,
            backend="onnx",
            resolve_s=10.0,
        )
        engine = EngineProcess(spec)
        engine.start()
        seen = watch(engine, "ended", frozen_s=0.8)
        engine.close()
        engine.close()
        assert engine.poll() is None
        assert player.pushed == 4000
    assert seen[0].phase == "connecting"
    assert {(s.backend, s.notes) for s in seen if s.phase != "connecting"} == {("onnx cpu", ())}
    assert seen[0].message.startswith(("Loading the checkpoint", "Looking for the stream"))
    signal_parts = [s.signal for s in seen if len(s.signal)]
    np.testing.assert_array_equal(np.concatenate(signal_parts), recording.samples)
    firsts = [s.first for s in seen if len(s.signal)]
    assert firsts == [0, *np.cumsum([len(p) for p in signal_parts[:-1]])]
    decisions = [d for s in seen for d in s.decisions]
    assert [d.sample for d in decisions] == list(range(199, 4000, 20))
    health = seen[-1].health
    assert health.decisions == health.expected == len(decisions)
    assert (health.lost, health.skipped) == (0, 0)
    assert [e.sample for s in seen for e in s.truth] == list(range(0, 4001, 500))
    decided = [s for s in seen if s.decisions]
    assert all(s.closed_form is not None and s.closed_form.shape == (2, 3) for s in decided)
    assert len(seen) > 20
    assert health.latency_ms["end_to_end"].p50 < 10
    stages = [
        health.latency_ms[s] for s in ("acquire", "filter", "fin", "cnn", "policy", "publish")
    ]
    assert all(s.p50 <= s.p95 <= s.p99 for s in stages)
    assert all(math.isfinite(d.age_ms) for d in decisions)


def test_a_window_that_stands_still_for_long_is_told_what_it_missed(model):
    recording = counting_recording(40_000)
    with Player(recording, speed=5.0) as player:  # 10,000 samples/s: the board holds those of 1 s
        engine = EngineProcess(
            EngineSpec(
                model,
                source_id=player.source_id,
                truth_id=player.truth_id,
                backend="onnx",
                resolve_s=10.0,
            )
        )
        engine.start()
        seen = watch(engine, "ended", frozen_s=2.0)
        engine.close()
    drawn = [(s.first, s.first + len(s.signal)) for s in seen if len(s.signal)]
    missed = sum(start - stop for (_, stop), (start, _) in itertools.pairwise(drawn))
    assert seen[-1].overrun == missed > 0
    told = [e.text for s in seen for e in s.events if "stood still" in e.text]
    assert sum(int(text.split()[4]) for text in told) == missed
    for snapshot in seen:
        rows = slice(snapshot.first, snapshot.first + len(snapshot.signal))
        if len(snapshot.signal):
            np.testing.assert_array_equal(snapshot.signal, recording.samples[rows])
    assert [e.sample for s in seen for e in s.truth] == list(range(0, 40_001, 500))
    health = seen[-1].health
    assert (health.received, health.lost) == (40_000, 0)


def test_failure_is_one_sentence_said_once(model):
    engine = EngineProcess(EngineSpec(model, source_id="nobody", backend="onnx", resolve_s=0.2))
    engine.start()
    failed = watch(engine, "failed")[-1]
    assert "no LSL stream with the source_id 'nobody'" in failed.message
    assert "\n" not in failed.message
    assert engine.poll() is None
    engine.close()


def test_killed_engine_is_said(model):
    engine = EngineProcess(EngineSpec(model, source_id="nobody", resolve_s=60.0))
    engine.start()
    watch(engine, "connecting")
    os.kill(engine.pid, signal.SIGKILL)
    failed = watch(engine, "failed")[-1]
    assert engine.poll() is None
    assert "ended unexpectedly (exit code -9)" in failed.message
    assert not files_in_memory(os.getpid())
    engine.close()


def test_an_engine_that_raises_is_said(model, capfd):
    with Player(counting_recording(40_000), wait_for_truth=False) as player:
        engine = EngineProcess(EngineSpec(model, source_id=player.source_id, backend="onnx"))
        engine.start()
        watch(engine, "running")
        engine.send(SetPolicy(None))  # a bug of ours
        failed = watch(engine, "failed")[-1]
        engine.close()
    assert "ended unexpectedly (exit code 1)" in failed.message
    assert "AttributeError" in capfd.readouterr().err
    assert not files_in_memory(os.getpid())


def test_shared_memory_has_no_name_that_could_be_left_behind(model):
    engine = EngineProcess(EngineSpec(model, source_id="nobody", resolve_s=60.0))
    engine.start()
    watch(engine, "connecting")
    for pid in (os.getpid(), engine.pid):
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
        shared = [line for line in lines if "/pym-" in line]
        assert shared
        assert all(line.endswith("(deleted)") for line in shared)
    assert not files_in_memory(os.getpid())
    engine.close()


ORPHANING = """
import sys, time
from pathlib import Path
from semgfin_rt.engine.process import EngineProcess
from semgfin_rt.engine.spec import EngineSpec

if __name__ == "__main__":
    engine = EngineProcess(EngineSpec(Path(sys.argv[1]), source_id="nobody", resolve_s=2.0))
    engine.start()
    while engine.poll() is None:
        time.sleep(0.01)
    print(engine.pid, flush=True)
    time.sleep(600)
"""


def hear(engine: EngineProcess, words: str) -> None:
    """Poll until the engine says so."""
    deadline = time.monotonic() + PATIENCE_S
    said = ""
    while not said.startswith(words):
        assert time.monotonic() < deadline, said
        snapshot = engine.poll()
        said = said if snapshot is None else snapshot.message
        time.sleep(0.03)


def test_a_process_that_looks_for_a_stream_ends_when_the_window_hangs_up(model):
    engine = EngineProcess(EngineSpec(model, source_id="nobody", resolve_s=PATIENCE_S))
    engine.start()
    hear(engine, "Looking for the stream")
    process = psutil.Process(engine.pid)
    engine._link.close()
    assert process.wait(PATIENCE_S / 2) == 0  # it was not waited for, nor terminated


def test_a_process_that_is_held_looks_for_its_stream_when_it_may(model):
    engine = EngineProcess(EngineSpec(model, source_id="nobody", resolve_s=0.2))
    engine.start(hold=True)
    try:
        hear(engine, "Loaded")
        time.sleep(1.0)  # five times as long as it would look for it
        snapshot = engine.poll()
        assert snapshot is None or snapshot.phase == "connecting"
        engine.go()
        assert "nobody" in watch(engine, "failed")[-1].message
    finally:
        engine.close()


def test_a_killed_window_leaves_nothing_behind(model, tmp_path):
    script = tmp_path / "window.py"
    script.write_text(ORPHANING)
    command = [sys.executable, str(script), str(model)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as window:
        assert window.stdout is not None
        assert window.stderr is not None
        engine = psutil.Process(int(window.stdout.readline()))
        window.kill()
        psutil.wait_procs([engine], timeout=PATIENCE_S)
        assert not engine.is_running()
        assert window.stderr.read() == ""  # nor does multiprocessing tell of leaks
    assert not files_in_memory(window.pid)


def files_in_memory(pid: int) -> list[Path]:
    """Return what multiprocessing of a process has in the file system in memory."""
    return list(Path("/dev/shm").glob(f"pym-{pid}-*"))


def test_window_side_does_not_load_torch():
    code = "import sys, semgfin_rt.engine.process; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
