"""The recorder loses nothing, never stops its caller, and says what goes wrong within a second."""

from __future__ import annotations

import itertools
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest
import pyxdf
from sessions import HEADER, chunk_at, decision_at, prompt, turns

from semgfin_rt import lsl
from semgfin_rt.contracts import NO_LABEL, Event
from semgfin_rt.recordings.xdf import read_session, read_with_stretches
from semgfin_rt.recordings.xdf_file import read_contents
from semgfin_rt.sinks import recorder_process
from semgfin_rt.sinks.recorder import Recorder
from semgfin_rt.sinks.recorder_process import KEEP_S, BlackBox
from semgfin_rt.sinks.session import read_decisions

HOP = 20  # samples, 10 ms
ALERT_S = 1.0
SLOWEST_S = 0.1  # that the caller may wait: 0.05 ms, but for what else runs on the machine
START_S = 30.0  # of a process, on a busy machine


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    recorder.describe(HEADER)
    yield recorder
    recorder.close()


class Feed:
    """Feeds a recorder in real time, from sample to sample."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.samples = 0
        self.slowest = 0.0
        self.heard: list[str] = []

    def until(self, word: str, within: float) -> float:
        """Feed until the recorder says `word`, and return how long that took, in s."""
        begun = time.monotonic()
        while not any(word in text for text in self.heard):
            assert time.monotonic() - begun < within, self.heard
            self.turn()
        return time.monotonic() - begun

    def turn(self, pause: float = HOP / 2000) -> None:
        time.sleep(pause)
        chunk, decision = chunk_at(self.samples), decision_at(self.samples + HOP - 1)
        begun = time.perf_counter()
        self.recorder.chunk(chunk)
        self.recorder.write(decision)
        news = self.recorder.news()
        self.slowest = max(self.slowest, time.perf_counter() - begun)
        self.samples += HOP
        self.heard += [event.text for event in news]


def texts(recorder: Recorder) -> list[str]:
    return [event.text for event in recorder.news()]


def load_quietly(path: Path, caplog: pytest.LogCaptureFixture) -> dict[str, dict]:
    with caplog.at_level(logging.WARNING):
        streams, _ = pyxdf.load_xdf(str(path))
    assert caplog.messages == []
    return {s["info"]["name"][0]: s for s in streams}


def wait_for(condition: Callable[[], object], within: float) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_everything_is_recorded_and_every_command_answered(recorder, tmp_path):
    path, box = tmp_path / "a.xdf", tmp_path / "box.xdf"
    recorder.event(prompt(1, 1, lsl.local_clock(), sample=0))
    entries = list(turns(300, loss_at=200))
    for entry in entries[:200]:
        recorder.chunk(entry) if hasattr(entry, "samples") else recorder.write(entry)
    recorder.start(path)
    recorder.start(tmp_path / "b.xdf")
    for entry in entries[200:]:
        recorder.chunk(entry) if hasattr(entry, "samples") else recorder.write(entry)
    recorder.save_black_box(box)
    recorder.stop()
    recorder.stop()  # nothing to stop
    recorder.close()
    recorder.close()
    assert texts(recorder) == [
        f"Recording into '{path}'.",
        f"'{path}' is being recorded: stop that before you start '{tmp_path / 'b.xdf'}'.",
        f"The last 3.0 s are in '{box}'.",
        f"2.0 s were recorded into '{path}'.",
    ]
    assert not (tmp_path / "b.xdf").exists()
    for file, first in ((path, 2000), (box, 0)):
        recording, stretches = read_with_stretches(file)
        index = np.r_[first:4000, 4050:6050]
        np.testing.assert_array_equal(recording.samples[:, 0], index)
        assert stretches[0].sample == first
        assert set(recording.labels) == {1}  # also by the prompt from before the start
        (group,) = read_decisions(file)
        assert [d.sample for d in group.decisions] == index[HOP - 1 :: HOP].tolist()


def test_no_path_is_overwritten_or_made_up(recorder, tmp_path):
    (tmp_path / "mine.xdf").write_text("mine")
    recorder.start(tmp_path / "mine.xdf")
    recorder.save_black_box(tmp_path / "mine.xdf")
    recorder.start(tmp_path / "missing" / "a.xdf")
    recorder.start(Path("/sys/a.xdf"))  # read-only, even for root
    recorder.close()
    twice, again, missing, read_only = texts(recorder)
    assert "exists and is not overwritten" in twice
    assert twice == again
    assert "(No such file or directory): choose another folder" in missing
    assert "'/sys/a.xdf' cannot be created (" in read_only
    assert (tmp_path / "mine.xdf").read_text() == "mine"


def test_a_full_disk(recorder, tmp_path, caplog):
    path, feed = tmp_path / "a.xdf", Feed(recorder)
    recorder.start(path)
    feed.until("Recording into", START_S)
    while path.stat().st_size < 50_000:
        feed.turn()
    room = resource.prlimit(recorder.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(recorder.pid, resource.RLIMIT_FSIZE, (path.stat().st_size, room))
    assert feed.until("cannot be written (File too large)", 5.0) < ALERT_S
    recorder.save_black_box(tmp_path / "box.xdf")
    feed.until("make room and save again", 5.0)
    assert not (tmp_path / "box.xdf").exists()
    kept = load_quietly(path, caplog)["signal"]["time_series"][:, 0]
    assert 0 < kept[-1] < feed.samples
    resource.prlimit(recorder.pid, resource.RLIMIT_FSIZE, (room, room))
    feed.until("written again: nothing was lost", 5.0)
    recorder.close()
    index = load_quietly(path, caplog)["signal"]["time_series"][:, 0]
    assert index[-1] == feed.samples - 1
    assert (np.diff(index) == 1).all()
    assert feed.slowest < SLOWEST_S


def test_a_stuck_disk(recorder, tmp_path):
    path, feed = tmp_path / "a.xdf", Feed(recorder)
    recorder.start(path)
    feed.until("Recording into", START_S)
    os.kill(recorder.pid, signal.SIGSTOP)  # as a process hangs in a write
    try:
        assert feed.until("has not answered", 5.0) < ALERT_S
        for _ in range(400):  # more than the pipe holds
            feed.turn(pause=0.0)
    finally:
        os.kill(recorder.pid, signal.SIGCONT)
    feed.until("answers again: nothing was lost", 5.0)
    recorder.close()
    index = read_session(path).samples[:, 0]
    assert feed.slowest < SLOWEST_S
    assert index[-1] == feed.samples - 1
    assert (np.diff(index) == 1).all()


def test_the_recorder_is_killed(recorder, tmp_path, caplog):
    path, feed = tmp_path / "a.xdf", Feed(recorder)
    recorder.start(path)
    feed.until("Recording into", START_S)
    begun = feed.samples
    while feed.samples < begun + 1200:
        feed.turn()
    os.kill(recorder.pid, signal.SIGKILL)
    at_death = feed.samples
    assert feed.until("ended unexpectedly (exit code -9)", 5.0) < ALERT_S
    signal_stream = load_quietly(path, caplog)["signal"]
    assert at_death - (signal_stream["time_series"][-1, 0] + 1) <= 2000 * 1.0
    recorder.save_black_box(tmp_path / "box.xdf")
    feed.until("were lost with the recorder", 1.0)
    recorder.start(tmp_path / "b.xdf")
    feed.until("b.xdf'", START_S)
    recorder.close()
    assert texts(recorder)[-1].endswith("b.xdf'.")
    assert len(read_session(tmp_path / "b.xdf").samples) > 0


def test_nobody_waits_for_a_process_that_dies_as_it_starts(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    recorder = Recorder()
    begun = time.monotonic()
    recorder.wait_until_up()
    assert time.monotonic() - begun < 5  # 10 s are what a slow one may take
    wait_for(lambda: any("ended unexpectedly" in text for text in texts(recorder)), 5.0)


_ENGINE = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from sessions import HEADER, chunk_at, decision_at
from semgfin_rt.sinks import recorder_process
from semgfin_rt.sinks.recorder import Recorder

recorder, n = Recorder(), 0
recorder.describe(HEADER)
recorder.start(Path(sys.argv[1]))
while True:
    time.sleep(0.01)
    recorder.chunk(chunk_at(n))
    recorder.write(decision_at(n + 19))
    n += 20
    print(n, *[event.text for event in recorder.news()], flush=True)
"""


def test_the_engine_is_killed(tmp_path, caplog):
    path = tmp_path / "a.xdf"
    with subprocess.Popen(
        [sys.executable, "-c", _ENGINE, str(path), str(Path(__file__).parents[1])],
        stdout=subprocess.PIPE,
        text=True,
    ) as engine:
        assert engine.stdout is not None
        lines = iter(engine.stdout)
        next(line for line in lines if "Recording into" in line)
        last = list(itertools.islice(lines, 80))[-1]
        engine.kill()
        last = [last, *lines][-1]
    wait_for(lambda: path.exists() and read_contents(path).closed, 5.0)
    streams = load_quietly(path, caplog)
    lost = int(last.split()[0]) - (streams["signal"]["time_series"][-1, 0] + 1)
    assert lost <= 2000 * 1.0
    assert len(streams["decisions"]["time_stamps"]) > 60
    assert read_session(path).notes == ()


def test_ctrl_c_does_not_reach_it(recorder, tmp_path):
    recorder.start(tmp_path / "a.xdf")
    Feed(recorder).until("Recording into", START_S)
    assert os.getsid(recorder.pid) == recorder.pid
    os.kill(recorder.pid, signal.SIGINT)
    recorder.close()
    assert texts(recorder)[-1].endswith("a.xdf'.")


def test_it_gives_up_when_the_disk_stays_full(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(recorder_process, "FLUSH_S", 0.0)
    monkeypatch.setattr(recorder_process, "PATIENCE_S", 0.05)
    here, there = Pipe()
    desk = recorder_process.Desk(there, HEADER)
    desk.take(recorder_process.Start(tmp_path / "a.xdf"))
    desk.take(chunk_at(0))
    desk.pulse()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = (tmp_path / "a.xdf").stat().st_size + 10
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        for first in (20, 40, 60):
            desk.take(chunk_at(first))
            desk.pulse()
            time.sleep(0.1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = [here.recv() for _ in range(7)]
    here.close()
    there.close()
    file = tmp_path / "a.xdf"
    assert [(r.text.split("'")[-1][:25], r.trouble, r.recording) for r in said if r.text] == [
        (".", False, file),
        (" cannot be written (File ", True, file),
        (" lacks its last part (Fil", True, None),
    ]
    assert len(load_quietly(tmp_path / "a.xdf", caplog)["signal"]["time_stamps"]) == 20


# -------------------------------------------------------------------------- black box
def test_the_black_box_keeps_a_minute_of_signal():
    box = BlackBox(HEADER)
    box.take(prompt(1, 1, 0.0), 0.0)
    box.take(prompt(2, 1, 0.0), 0.0)
    for second in range(90):
        box.take(chunk_at(2000 * second, 2000), 0.1 * second)  # a replay, ten times as fast
    first, *chunks = box
    assert isinstance(first, Event)
    assert '"label": 2' in first.text
    kept = sum(len(chunk.samples) for chunk in chunks)
    assert KEEP_S * 2000 <= kept <= (KEEP_S + 1) * 2000
    assert chunks[-1].first == 89 * 2000


def test_the_black_box_does_not_grow_while_no_signal_comes():
    box = BlackBox(HEADER)
    for turn in range(20_000):  # stale decisions, 100 a second
        box.take(decision_at(5), turn / 100)
    assert len(list(box)) == KEEP_S * 100 + 1
    box.take(prompt(NO_LABEL, NO_LABEL, 0.0), 1000.0)
    assert len(list(box)) == 1
