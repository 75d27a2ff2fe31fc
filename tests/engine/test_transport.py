"""A player that is paused, stepped, sought in and hurried, and what its consumer sees of it."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
from signals import RATE, counting_recording

from semgfin_rt.contracts import TruthEvent
from semgfin_rt.engine.player import Player
from semgfin_rt.errors import OptionError, StreamError
from semgfin_rt.sources.supervisor import SupervisedSource
from semgfin_rt.sources.truth import TruthSource

PATIENCE_S = 4.0


class Listener:
    """A consumer of signal and truth that keeps everything."""

    def __init__(self, player):
        self.player = player
        self.truth = TruthSource(player.truth_id)
        self.source = SupervisedSource(source_id=player.source_id, reconnect=False)
        self.chunks, self.events = [], []

    def __enter__(self):
        self.truth.connect()
        self.source.connect()
        return self

    def __exit__(self, *_):
        self.source.close()
        self.truth.close()

    def take(self):
        chunk = self.source.read(0.01, 20)
        if len(chunk.samples):
            self.chunks.append(chunk)
        self.events += self.truth.read()

    def until(self, condition):
        """Take until `condition()`; return how long it took, in s."""
        begin = time.monotonic()
        while not condition():
            assert time.monotonic() - begin < PATIENCE_S, "it never came"
            self.take()
        return time.monotonic() - begin

    def until_all(self):
        """Take all that was pushed to a player that stands still."""
        self.until(lambda: self.count == self.player.pushed)
        self.take()

    @property
    def count(self):
        return sum(len(c.samples) for c in self.chunks)

    @property
    def rows(self):
        """Sample of the recording that each received one is."""
        return np.concatenate([c.samples[:, 0] for c in self.chunks]).astype(int)

    @property
    def times(self):
        return np.concatenate([c.times for c in self.chunks])

    def paused(self):
        return self.player.paused

    def heard(self, n):
        """Return a condition: so many more samples than now."""
        goal = self.count + n
        return lambda: self.count >= goal

    def require_truth(self):
        """See that nothing is lost, and that the truth is that of every sample received."""
        rows, recording = self.rows, self.player.recording
        assert sum(c.lost for c in self.chunks) == 0
        told = [e for e in self.events if not e.end and e.sample < len(rows)]
        assert [e.sample for e in told] == sorted(e.sample for e in told)
        at = np.searchsorted([e.sample for e in told], np.arange(len(rows)), side="right") - 1
        assert np.array_equal(np.array([e.label for e in told])[at], recording.labels[rows])
        said = np.array([e.repetition for e in told])[at]
        assert np.array_equal(said, recording.repetitions[rows])
        breaks = {e.sample for e in told if not e.contiguous}
        assert breaks == set((np.flatnonzero(np.diff(rows) != 1) + 1).tolist())


@pytest.fixture
def listen():
    """Return a function that plays the counting recording to a listener."""
    opened = []

    def start(n=20_000, **options):
        player = Player(counting_recording(n), **options)
        player.start()
        opened.append(player)
        listener = Listener(player).__enter__()
        opened.append(listener)
        return player, listener

    yield start
    for one in reversed(opened):
        one.__exit__(None, None, None)


def test_pause_step_and_resume_lose_nothing(listen):
    player, listener = listen()
    listener.until(listener.heard(300))
    assert not player.paused
    player.pause()
    assert listener.until(listener.paused) < 0.5
    listener.until_all()
    stood = player.pushed
    assert player.position == stood
    time.sleep(0.4)
    assert player.pushed == stood
    for steps in (1, 2):
        player.step(20)
        listener.until(lambda goal=stood + 20 * steps: player.pushed == goal)
        listener.until(listener.paused)
    player.step(20)  # two at once add up
    player.step(20)
    listener.until(lambda: player.pushed == stood + 80)
    listener.until(listener.paused)
    time.sleep(0.1)
    assert player.pushed == stood + 80
    player.resume()
    listener.until(listener.heard(800))
    player.step(200)  # a step while it plays pauses as well
    listener.until(listener.paused)
    listener.until_all()
    listener.require_truth()
    assert np.array_equal(listener.rows, np.arange(listener.count))
    assert [(e.sample, e.speed) for e in listener.events if e.speed is not None] == [
        (stood, 0.0),
        (stood + 80, 1.0),
        (listener.count, 0.0),
    ]
    # After the pause the samples are as close as ever, and none is dated back into it.
    steps = np.diff(listener.times)
    assert steps[stood - 1] > 0.35
    assert np.delete(steps, stood + 20 * np.arange(5) - 1).max() < 0.1


def test_seek_is_a_break_of_the_truth_and_not_of_the_count(listen):
    player, listener = listen()
    listener.until(listener.heard(300))
    player.seek(7123)  # playing, and within a label
    listener.until(listener.heard(800))
    player.pause()
    listener.until(listener.paused)
    for sample in (15_000, 500, 2499):  # paused: nothing is played of the first two
        player.seek(sample)
    listener.until(lambda: player.position == 2499)
    player.resume()
    listener.until(listener.heard(800))
    listener.require_truth()
    rows = listener.rows
    jumps = np.flatnonzero(np.diff(rows) != 1)
    assert rows[jumps + 1].tolist() == [7123, 2499]
    assert np.diff(listener.times).min() > 0


def test_speed_changes_at_once_and_without_drift(listen):
    player, listener = listen(speed=2.0)
    listener.until(listener.heard(400))
    player.set_speed(8.0)
    assert player.speed == 8.0
    listener.until(listener.heard(4000))
    player.set_speed(0.25)
    listener.until(lambda: any(e.speed == 0.25 for e in listener.events))
    listener.until(listener.heard(200))
    listener.require_truth()
    told = [(e.sample, e.speed) for e in listener.events if e.speed is not None]
    assert [speed for _, speed in told] == [8.0, 0.25]
    (fast, _), (slow, _) = told
    listener.until(lambda: listener.count >= slow)  # a marker may be ahead of its sample
    times = listener.times
    assert listener.source.speed == 2.0  # the stream describes itself once
    # Never faster than asked, and not at the pace before; how much slower is the machine's affair.
    at_8 = (slow - fast) / RATE / 8
    assert at_8 - 0.03 < times[slow - 1] - times[fast - 1] < 3 * at_8
    at_a_quarter = (len(times) - slow) / RATE / 0.25
    assert at_a_quarter - 0.03 < times[-1] - times[slow - 1] < 3 * at_a_quarter


def test_loop_is_switched_while_it_plays(listen):
    player, listener = listen(600, speed=2.0)
    player.set_loop(True)
    listener.until(listener.heard(1000))
    player.set_loop(False)
    listener.until(lambda: listener.events[-1].end)
    listener.until_all()
    listener.require_truth()
    assert listener.count % 600 == 0
    assert listener.events[-1] == TruthEvent(listener.count, -1, -1, end=True)


def test_it_stays_at_the_end_and_begins_again(listen):
    player, listener = listen(600, stay=True)
    player.seek(400)
    listener.until(listener.paused)
    assert player.position == 600
    listener.until_all()
    assert not any(e.end for e in listener.events)
    player.step(50)
    listener.until(lambda: player.position == 50)
    player.seek(550)
    player.resume()
    listener.until(lambda: player.position == 600)
    listener.until_all()
    listener.require_truth()
    played = [*range(400, 600), *range(50), *range(550, 600)]
    assert listener.rows[-300:].tolist() == played


def test_seconds_count_what_was_pushed(listen):
    player, listener = listen(600, seconds=0.2, loop=True)
    listener.until(listener.heard(100))
    player.seek(10)
    listener.until(lambda: bool(listener.events) and listener.events[-1].end)
    assert (player.pushed, listener.events[-1].sample) == (400, 400)
    for _ in range(2000):  # nobody heeds them, and nobody waits
        player.seek(20)
    assert player.pushed == 400


def test_refuses_what_it_cannot_do(listen):
    player = Player(counting_recording(100))
    with pytest.raises(StreamError, match="no player runs that could pause"):
        player.pause()
    for sample in (-1, 100):
        with pytest.raises(OptionError, match=f"sample {sample} .* give 0 to 99"):
            player.seek(sample)
    with pytest.raises(OptionError, match="a step of 0 samples"):
        player.step(0)
    for speed in (0.0, 9.0, float("nan")):
        with pytest.raises(OptionError, match="speed"):
            player.set_speed(speed)
    assert (player.speed, player.position, player.paused) == (1.0, 0, False)


def test_a_dead_player_says_so(listen):
    player, listener = listen()
    listener.until(listener.heard(100))
    os.kill(player.pid, signal.SIGKILL)
    with pytest.raises(StreamError, match="start it again"):
        pause_for_a_second(player)


def pause_for_a_second(player):
    """Pause again and again: the system takes a moment to close the dead one's end."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        player.pause()
        time.sleep(0.01)
