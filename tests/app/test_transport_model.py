"""Where jumps lead to, and what the controls say; the player is a real one, at rest or running."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from signals import RATE, counting_recording

from semgfin_rt.app.transport import SPEEDS, Transport, find_marks
from semgfin_rt.engine.player import Player
from semgfin_rt.errors import StreamError
from semgfin_rt.sources.supervisor import SupervisedSource

SECOND = round(RATE)


def prompted(breaks=()):
    """Build rest and movement in turn, 3 s each: fist twice, point twice, one without a name."""
    labels = np.repeat([0, 1, 0, 1, 0, 2, 0, 2, 0, 9], 3 * SECOND).astype(np.int16)
    again = np.repeat([1, 1, 1, 2, 2, 1, 1, 2, 2, 1], 3 * SECOND).astype(np.int16)
    recording = counting_recording(len(labels), breaks)
    return replace(recording, labels=labels, repetitions=again)


def test_marks_are_the_repetitions_of_movements():
    marks = find_marks(prompted(breaks=(15 * SECOND, 22 * SECOND)))
    assert [(m.name, m.repetition, m.start / RATE, m.stop / RATE) for m in marks] == [
        ("fist", 1, 3, 6),
        ("fist", 2, 9, 12),
        ("point", 1, 15, 18),
        ("point", 2, 21, 22),
        ("point", 2, 22, 24),
        ("movement 9", 1, 27, 30),
    ]
    # A second before the movement, but not into what does not belong to it.
    assert [m.jump / RATE for m in marks] == [2, 8, 15, 20, 22, 26]


def test_no_movement_and_no_sample():
    recording = prompted()
    rest = replace(recording, labels=np.zeros_like(recording.labels))
    transport = Transport(rest, Player(rest), 20)
    assert transport.marks == ()
    transport.next_movement()  # has nowhere to go, and asks no player
    assert find_marks(counting_recording(0)) == ()


def test_words():
    recording = prompted()
    transport = Transport(recording, Player(recording), 20)
    assert transport.time_text == "0:00.0 of 0:30.0"
    assert transport.now_text == "rest"
    assert transport.clock(round(754.96 * RATE)) == "12:35.0"
    assert (transport.paused, transport.loop, transport.speed) == (False, False, 1.0)
    with pytest.raises(StreamError, match="no player runs"):
        transport.toggle()


@pytest.fixture(scope="module")
def running():
    """Return a transport of a player that stands still and has a listener."""
    recording = prompted()
    with Player(recording, wait_for_truth=False, stay=True) as player:
        source = SupervisedSource(source_id=player.source_id, reconnect=False)
        source.connect()
        transport = Transport(recording, player, 20)
        transport.toggle()
        wait(lambda: transport.paused)
        yield transport, player
        source.close()


def wait(condition):
    deadline = time.monotonic() + 3
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)


def arrives(transport, second):
    wait(lambda: transport.position == round(second * RATE))
    return True


def test_jumps_to_movements_and_repetitions(running):
    transport, _ = running
    transport.home()
    assert arrives(transport, 0)
    for second in (2, 8, 14, 20, 26, 26):  # and no further
        transport.next_repetition()
        assert arrives(transport, second)
    for second in (20, 14, 8, 2, 2):
        transport.next_repetition(-1)
        assert arrives(transport, second)
    for second in (14, 26, 26):
        transport.next_movement()
        assert arrives(transport, second)
    for second in (14, 2):
        transport.next_movement(-1)
        assert arrives(transport, second)
    transport.seek(round(10.5 * RATE))
    assert arrives(transport, 10.5)
    transport.next_repetition(-1)  # in the middle of one: to its beginning
    assert arrives(transport, 8)
    transport.jump(transport.marks[3])
    assert arrives(transport, 20)
    transport.seek(round(22 * RATE))
    assert arrives(transport, 22)
    assert transport.now_text == "point, repetition 2"
    assert transport.time_text == "0:22.0 of 0:30.0"


def test_seeks_within_the_recording(running):
    transport, _ = running
    transport.seek(4 * SECOND)
    assert arrives(transport, 4)
    transport.seek_by(5)
    assert arrives(transport, 9)
    transport.seek_by(-50)
    assert arrives(transport, 0)
    transport.seek_by(50)
    wait(lambda: transport.position == transport.length - 1)
    assert transport.now_text == "movement 9, repetition 1"


def test_plays_steps_and_stays_at_the_end(running):
    transport, player = running
    transport.seek(100)
    wait(lambda: transport.position == 100)
    transport.step()
    wait(lambda: transport.position == 120)
    wait(lambda: transport.paused)
    for speed in SPEEDS:
        transport.set_speed(speed)
    transport.set_loop(True)
    assert (transport.speed, transport.loop, player.loop) == (8.0, True, True)
    transport.set_loop(False)
    transport.seek_by(29.8)
    transport.toggle()
    wait(lambda: transport.position == transport.length)
    wait(lambda: transport.paused)
    assert transport.time_text == "0:30.0 of 0:30.0"
    assert transport.now_text == "movement 9, repetition 1"
    transport.set_speed(1.0)
