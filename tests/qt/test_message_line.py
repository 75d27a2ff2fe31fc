"""The line at the bottom: alerts, the question who is the right one, and both ends of the run."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication
from signals import CHANNELS, RATE, tiny_checkpoint
from windows import drain, stage_of

from semgfin_rt import lsl
from semgfin_rt.app.session import Session
from semgfin_rt.app.settings import Live, Settings
from semgfin_rt.app.studio import Stage, Studio
from semgfin_rt.contracts import Event, SignalSpec
from semgfin_rt.engine.commands import AcceptSource
from semgfin_rt.qt.window import MainWindow
from semgfin_rt.sources.identity import Candidate, Origin

ORIGIN = Origin("cuff", "arm-1", "lab <b>pc", "4f2a91c0-11", 12, 2000.0, "V")
ASKING = (Candidate("u1&2", "here"), Candidate("u2", "there"))
PATIENCE_MS = 200_000  # a busy machine takes a minute to load the checkpoint


def show(window, feed, *events, **changes):
    feed.snapshots.append(replace(feed.snapshot(0), events=events, **changes))
    drain(window, feed)


def said(window):
    return window.message.text(), bool(window.message.property("alarm"))


def test_the_origin_is_always_seen_and_its_words_are_no_markup(window, feed):
    ends = window.line.ends
    show(window, feed)
    assert (ends.text(), ends.accessibleName().splitlines()[0]) == ("", "No stream is connected.")
    show(window, feed, origin=ORIGIN)
    assert ends.isVisible()
    assert ends.text() == "from arm-1 on lab <b>pc (uid 4f2a91c0...)"
    assert "uid '4f2a91c0-11') of host 'lab <b>pc'" in ends.accessibleName()
    assert "of host &#x27;lab &lt;b&gt;pc&#x27;" in ends.toolTip()
    window.close_source()
    window.tick()
    assert ends.text() == ""


@pytest.mark.parametrize("size", [(1280, 800), (640, 400)])
def test_nothing_on_the_line_overlaps(open_window, feed, size):
    window = open_window(size=size)
    show(window, feed, origin=ORIGIN, asking=ASKING)
    QApplication.processEvents()
    parts = [window.line.message, window.line.confirm, window.line.ends]
    boxes = [p.geometry() for p in parts]
    assert window.width() == size[0]
    assert all(window.line.rect().contains(box) for box in boxes)
    assert all(a.right() < b.left() for a, b in pairwise(boxes))
    assert parts[1].width() >= parts[1].sizeHint().width()
    assert min(box.width() for box in boxes) > 60


def test_trouble_is_told_but_no_failure_is_hidden(window, feed):
    trouble = Event(1.0, "stream", "'arm' is lost: it is looked for.", trouble=True)
    window.pause()
    assert said(window)[0].startswith("the picture is frozen")
    show(window, feed, trouble)
    assert said(window) == (trouble.text, True)
    window.pause()
    assert said(window) == (trouble.text, True)
    show(window, feed, Event(2.0, "stream", "'arm' is connected again."))
    assert said(window)[0].startswith("running: ")
    assert not said(window)[1]
    window.trouble.emit("a slot broke.")
    assert said(window) == ("a slot broke.", True)
    show(window, feed, trouble)
    assert said(window) == (trouble.text, True)
    window.pause()
    show(window, feed, phase="failed", message="the engine broke.")
    assert said(window) == ("failed: the engine broke.", True)


def test_what_strangers_say_is_no_markup_in_a_tooltip(window, feed):
    show(window, feed, Event(1.0, "stream", "'<h1>arm' is lost.", trouble=True))
    assert window.message.toolTip() == "<p>&#x27;&lt;h1&gt;arm&#x27; is lost.</p>"
    assert window.message.textFormat() == Qt.TextFormat.PlainText


def test_who_asks_is_offered_and_chosen_by_keyboard(window, feed, qtbot):
    line = window.line
    show(window, feed)
    assert line.confirm.isHidden()
    qtbot.keyClick(window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert not line.choice.isVisible()
    show(window, feed, asking=ASKING)
    assert line.confirm.isVisible()
    assert line.confirm.focusPolicy() & Qt.FocusPolicy.TabFocus
    qtbot.keyClick(window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert line.choice.isVisible()
    texts = [action.text() for action in line.choice.actions()]
    assert texts == ["Go on with uid u1&&2 on here", "Go on with uid u2 on there"]
    show(window, feed, asking=ASKING[:1])  # what is offered does not change under the pointer
    assert len(line.choice.actions()) == 2
    qtbot.keyClick(line.choice, Qt.Key.Key_Down)
    qtbot.keyClick(line.choice, Qt.Key.Key_Down)
    qtbot.keyClick(line.choice, Qt.Key.Key_Return)
    assert feed.sent == [AcceptSource("u2")]
    show(window, feed)
    assert line.confirm.isHidden()


# ------------------------------------------------------------------------ a live engine
class Cuff(threading.Thread):
    """Sends noise in real time under an identity that others have, too."""

    def __init__(self, source_id: str) -> None:
        super().__init__(name="cuff", daemon=True)
        spec = SignalSpec(CHANNELS, RATE, "V")
        self._outlet = lsl.api().StreamOutlet(lsl.make_info("cuff", "EMG", source_id, spec))
        self.uid = self._outlet.get_info().uid()
        self._gone = threading.Event()
        self.start()

    def run(self) -> None:
        random, sent = np.random.default_rng(1), int(lsl.local_clock() * RATE)
        while not self._gone.wait(0.005):
            due = int(lsl.local_clock() * RATE)
            noise = 1e4 * random.standard_normal((due - sent, 3)).astype(np.float32)
            if len(noise):
                self._outlet.push_chunk(noise, due / RATE)
            sent = due
        del self._outlet

    def stop(self) -> None:
        self._gone.set()
        self.join()


def test_an_operator_confirms_the_successor_of_a_real_stream(qtbot, tmp_path):
    cuffs = [Cuff(source_id := f"cuff-{uuid.uuid4()}")]
    settings = Settings(tiny_checkpoint(tmp_path / "tiny"), "onnx", publish_id=f"d-{source_id}")
    studio = Studio(
        Stage.start(Session(settings, Live(source_id=source_id, wait_s=20.0)), "live: cuff")
    )
    try:
        window = MainWindow(studio, "dark")
        qtbot.addWidget(window)
        window.show()
        view = stage_of(window).view
        qtbot.waitUntil(lambda: view.decision is not None, timeout=PATIENCE_MS)
        assert view.origin.uid == cuffs[0].uid
        assert f"to LSL d-{source_id}" in window.line.ends.text()
        cuffs.append(Cuff(source_id))
        words = "another stream has the identity of 'cuff'"
        qtbot.waitUntil(lambda: words in window.message.text(), timeout=PATIENCE_MS)
        assert window.message.property("alarm")
        cuffs.pop(0).stop()
        qtbot.waitUntil(window.line.confirm.isVisible, timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: "confirm the source" in window.message.text(), timeout=PATIENCE_MS)
        time.sleep(0.3)
        assert view.origin.uid != cuffs[0].uid
        window.line.confirm.click()
        (choice,) = window.line.choice.actions()
        assert cuffs[0].uid in choice.text()
        choice.trigger()
        qtbot.waitUntil(lambda: view.origin.uid == cuffs[0].uid, timeout=PATIENCE_MS)
        qtbot.waitUntil(window.line.confirm.isHidden, timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: cuffs[0].uid[:7] in window.line.ends.text(), timeout=PATIENCE_MS)
        window.line.choice.close()
    finally:
        for cuff in cuffs:
            cuff.stop()
        studio.close()
