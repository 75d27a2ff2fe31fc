"""Opening, switching and closing with real processes."""

from __future__ import annotations

import threading
import time
import uuid
from multiprocessing import resource_tracker

import psutil
import pytest
from signals import counting_recording, tiny_checkpoint

from semgfin_rt.app.session import Session
from semgfin_rt.app.settings import Live, Replay, Settings
from semgfin_rt.app.studio import Stage, Studio
from semgfin_rt.engine.commands import Note
from semgfin_rt.errors import RecordingError, StreamError


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    model = tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny")
    return Settings(model, "onnx", publish_id=f"decisions-{uuid.uuid4()}")


def session(settings):
    return Session(settings, Replay(counting_recording(4000), loop=True))


def until(studio, condition, patience=60.0):
    """Poll as a window does."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, (studio.doing, studio.trouble)
        studio.poll()
        stage = studio.stage
        snapshot = None if stage is None else stage.link.poll()
        if snapshot is not None:
            stage.view.update(snapshot)
        time.sleep(0.005)


def decided(studio):
    return lambda: studio.stage is not None and studio.stage.view.decision is not None


def test_nothing_is_open_at_first():
    studio = Studio()
    assert not studio.poll()
    assert (studio.stage, studio.session, studio.doing, studio.trouble) == (None, None, "", "")
    studio.close()


def test_another_source_is_opened_while_the_old_one_runs_and_fails_without_harm(settings):
    first, second = session(settings), session(settings)
    studio = Studio(Stage.start(first, "first"))
    try:
        until(studio, decided(studio))
        old = studio.stage
        assert (old.kind, studio.session) == ("replay", first)
        assert settings.publish_id in old.own_streams
        assert len(old.own_streams) == 3

        # a recording that cannot be read: the old session goes on
        def fail():
            raise RecordingError("'x.mat' does not exist: give a DB2 file.")

        studio.open(fail, "never", "Reading the recording")
        assert studio.doing == "Reading the recording …"
        until(studio, lambda: studio.trouble)
        assert studio.trouble == "'x.mat' does not exist: give a DB2 file."
        assert (studio.stage, studio.session, studio.doing) == (old, first, "")

        # while the new one is prepared, the old one is polled and decides
        gate = threading.Event()

        def prepare():
            gate.wait(30)
            return second

        studio.open(prepare, "second", "Reading")
        assert studio.trouble == ""
        sample = old.view.decision.sample
        until(studio, lambda: old.view.decision.sample > sample + 200)
        assert studio.stage is old
        gate.set()
        until(studio, lambda: studio.stage is None)
        assert studio.doing == "Starting second …"
        studio.open(fail, "third", "Reading")
        assert "another source is being opened" in studio.trouble
        until(studio, decided(studio))
        assert studio.stage.title == "second"
        assert studio.session is second
        assert old.link.poll() is None  # its processes have ended
        studio.stage.link.send(Note("mark", "here"))
        until(studio, lambda: any(e.text == "here" for e in studio.stage.view.events))
    finally:
        studio.close()
    assert first.summary()["decisions"] > 0
    assert studio.session.summary()["decisions"] > 0
    studio.close()  # again


def test_a_source_that_does_not_start_leaves_nothing_open(settings, monkeypatch):
    def refuse(_):
        raise StreamError("the player did not start: start it again.")

    broken = session(settings)
    monkeypatch.setattr(Session, "link", refuse)
    studio = Studio()
    studio.open(lambda: broken, "broken", "Reading")
    until(studio, lambda: studio.trouble)
    assert studio.trouble == "the player did not start: start it again."
    assert (studio.stage, studio.doing) == (None, "")
    studio.close()


def test_what_is_left_while_it_starts_is_not_opened_and_leaves_no_process(settings):
    resource_tracker.ensure_running()  # of Python, once for all that is started
    before = set(psutil.Process().children(recursive=True))
    studio = Studio()
    studio.open(lambda: session(settings), "left", "Reading")
    until(studio, lambda: studio.doing == "Starting left …")
    studio.leave()
    assert (studio.stage, studio.doing) == (None, "")
    following = session(settings)
    studio.open(lambda: following, "following", "Reading")  # nobody has to wait for the other
    until(studio, decided(studio))
    assert (studio.stage.title, studio.session, studio.trouble) == ("following", following, "")
    studio.open(lambda: session(settings), "left", "Reading")
    until(studio, lambda: studio.doing == "Starting left …")
    studio.leave()
    studio.close()
    assert studio.stage is None
    assert set(psutil.Process().children(recursive=True)) <= before


def test_cancelled_reading_is_dropped(settings):
    gate = threading.Event()
    studio = Studio()
    studio.open(lambda: gate.wait(30) and session(settings), "dropped", "Reading")
    studio.cancel()
    assert studio.doing == ""
    gate.set()
    for _ in range(50):
        assert not studio.poll()
        time.sleep(0.002)
    assert (studio.stage, studio.session) == (None, None)


def test_a_programming_error_while_reading_reaches_the_window(settings):
    studio = Studio()
    studio.open(lambda: 1 / 0, "x", "Reading")
    with pytest.raises(ZeroDivisionError):  # whose hook shows and logs it
        until(studio, lambda: False)
    assert (studio.stage, studio.doing) == (None, "")
    assert not studio.poll()


def test_live_has_no_transport(settings):
    live = Session(settings, Live(name="EMG"))
    stage = Stage("live", live.contract, None, live)
    assert (stage.kind, stage.transport) == ("live", None)
    assert stage.own_streams == {settings.publish_id}
