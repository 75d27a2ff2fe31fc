"""The player against a real consumer in another process: nothing lost, nothing out of order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
from signals import RATE, counting_recording

from semgfin_rt.contracts import Chunk, TruthEvent
from semgfin_rt.engine.player import Player
from semgfin_rt.errors import OptionError, StreamError
from semgfin_rt.sources.supervisor import SupervisedSource
from semgfin_rt.sources.truth import TruthSource


def listen(
    player: Player, patience: float = 6.0
) -> tuple[SupervisedSource, list[Chunk], list[TruthEvent]]:
    """Take everything until the end event and the last sample."""
    truth = TruthSource(player.truth_id)
    source = SupervisedSource(source_id=player.source_id, reconnect=False)
    truth.connect()
    source.connect()
    chunks, events, deadline = [], [], time.monotonic() + patience
    while time.monotonic() < deadline:
        chunks.append(source.read(0.05, 20))
        events += truth.read()
        ended = [e.sample for e in events if e.end]
        if ended and sum(len(c.samples) for c in chunks) >= ended[0]:
            break
    source.close()
    truth.close()
    return source, [c for c in chunks if len(c.samples)], events


def joined(chunks: list[Chunk]):
    return np.concatenate([c.samples for c in chunks]), np.concatenate([c.times for c in chunks])


def test_plays_everything_in_order_and_on_time():
    recording = counting_recording(3000, breaks=(700,))
    with Player(recording) as player:
        time.sleep(0.2)
        assert player.pushed == 0  # nobody listens yet
        source, chunks, events = listen(player)
        player.check()
        assert player.pushed == 3000
    samples, times = joined(chunks)
    assert source.spec == recording.spec
    np.testing.assert_array_equal(samples, recording.samples)
    assert sum(c.lost for c in chunks) == 0
    assert np.all(np.diff(times) > 0)
    # Paced to the sample: the whole is on time although single sleeps are not.
    assert times[-1] - times[0] == pytest.approx(2999 / RATE, abs=0.05)
    assert [e.sample for e in events] == [0, 500, 700, 1000, 1500, 2000, 2500, 3000]
    for event in events[:-1]:
        assert event.label == recording.labels[event.sample]
        assert event.repetition == recording.repetitions[event.sample]
    assert [e.sample for e in events if not e.contiguous] == [700]
    assert events[-1].end


def test_speed_and_loop():
    recording = counting_recording(1200)
    begin = time.monotonic()
    with Player(recording, speed=2.0, loop=True, seconds=1.5) as player:
        source, chunks, events = listen(player)
        assert player.pushed == 3000
    assert time.monotonic() - begin < 6
    samples, times = joined(chunks)
    assert (source.spec.rate, source.speed) == (RATE, 2.0)
    np.testing.assert_array_equal(samples[:, 0], np.arange(3000) % 1200)
    assert sum(c.lost for c in chunks) == 0
    assert times[-1] - times[0] == pytest.approx(2999 / RATE / 2, abs=0.05)
    assert [(e.sample, e.contiguous) for e in events[:-1] if e.sample % 1200 == 0] == [
        (0, True),
        (1200, False),
        (2400, False),
    ]
    assert [e.sample for e in events] == [0, 500, 1000, 1200, 1700, 2200, 2400, 2900, 3000]


def test_counter_goes_on_where_the_player_before_stopped():
    from semgfin_rt import lsl

    with Player(counting_recording(40), wait_for_truth=False, counter=2**24 - 10) as player:
        (found,) = lsl.find_streams(3.0, source_id=player.source_id)
        inlet = lsl.open_inlet(found, 10)
        inlet.open_stream(3.0)
        rows = [inlet.pull_sample(2.0)[0] for _ in range(40)]
        source = SupervisedSource(source_id=player.source_id, reconnect=False)
        source.connect()
        source.close()
    assert len(rows[0]) == len(source.spec.channels) + 1
    assert [row[-1] for row in rows] == [(2**24 - 10 + i) % 2**24 for i in range(40)]


def test_markers_carry_the_time_of_their_sample():
    from semgfin_rt import lsl

    with Player(counting_recording(1100), seconds=0.5) as player:
        (found,) = lsl.find_streams(3.0, source_id=player.truth_id)
        markers = lsl.open_inlet(found, 10)
        markers.open_stream(3.0)
        source = SupervisedSource(source_id=player.source_id, reconnect=False)
        source.connect()
        chunks = []
        while sum(len(c.samples) for c in chunks) < 1000:
            chunks.append(source.read(0.5, 20))
        _, times = joined(chunks)
        stamps = [markers.pull_sample(2.0)[1] for _ in range(3)]
        source.close()
    assert stamps == [times[0], times[500], times[999]]  # the end refers to the last sample


def test_nobody_listens():
    with Player(counting_recording(100), consumer_timeout=0.3) as player:
        time.sleep(1.0)
        with pytest.raises(StreamError, match=r"nobody listened to the player within 0.3 s"):
            player.check()
        assert player.pushed == 0


def test_no_room_for_the_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    player = Player(counting_recording(100))
    with pytest.raises(StreamError, match=r"make room for 0 MB in .*gone"):
        player.start()
    player.stop()


def test_killed_player_ends_the_stream():
    with Player(counting_recording(20_000), wait_for_truth=False) as player:
        source = SupervisedSource(source_id=player.source_id, reconnect=False)
        source.connect()
        assert len(source.read(2.0, 100).samples) == 100
        os.kill(player.pid, signal.SIGKILL)
        begin = time.monotonic()
        while not source.ended and time.monotonic() - begin < 3:
            source.read(0.1, 20)
        assert source.ended
        assert time.monotonic() - begin < 1
        with pytest.raises(StreamError, match="the player died after"):
            check_for_a_second(player)
        source.close()


def check_for_a_second(player: Player) -> None:
    """Check again and again: the system closes the process's ends one after the other."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        player.check()
        time.sleep(0.01)


def test_stops_early_and_twice():
    player = Player(counting_recording(20_000), f"early-{uuid.uuid4()}", wait_for_truth=False)
    player.start()
    source = SupervisedSource(source_id=player.source_id, reconnect=False)
    source.connect()
    source.read(1.0, 200)
    player.stop()
    player.stop()
    pushed = player.pushed
    assert 200 <= pushed < 20_000
    assert pushed == player.pushed
    source.close()


@pytest.mark.parametrize(
    "wrong", [{"speed": 0.0}, {"speed": 9.0}, {"speed": float("nan")}, {"seconds": 0.0}]
)
def test_refuses_what_cannot_be_played(wrong):
    with pytest.raises(OptionError, match=r"0|nan|9"):
        Player(counting_recording(10), **wrong)


ORPHANING = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from signals import counting_recording
from semgfin_rt.engine.player import Player
if __name__ == "__main__":
    player = Player(counting_recording(2000), sys.argv[2])
    player.start()
    print(player.pid, flush=True)
    time.sleep(60)
"""


def test_ends_when_its_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(ORPHANING)
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, str(script), tests, f"orphan-{uuid.uuid4()}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    deadline = time.monotonic() + 4
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie that waits for its adopter."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
