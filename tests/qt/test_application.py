import os
import sys

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PyQt6.QtCore import QTimer
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication

from semgfin_rt.errors import OptionError
from semgfin_rt.qt.application import run_window
from semgfin_rt.qt.window import MainWindow

pytestmark = pytest.mark.usefixtures("qapp")


def open_window():
    (window,) = [
        w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow) and w.isVisible()
    ]
    return window


def test_screenshot_is_written_and_not_blank(contract, feed, tmp_path):
    path = tmp_path / "w.png"
    feed.run(2).end()
    run_window(contract, feed, title="replay", screenshot=path)
    image = QImage(str(path))
    assert (image.width(), image.height()) == (1280, 800)
    seen = {image.pixel(x, y) for x in range(0, 1280, 3) for y in range(0, 800, 3)}
    assert len(seen) > 50
    assert feed.closed >= 1


def test_screenshot_that_cannot_be_written(contract, feed, tmp_path):
    feed.run(1).end()
    with pytest.raises(OptionError, match=r"nowhere.*cannot be written"):
        run_window(contract, feed, title="replay", screenshot=tmp_path / "nowhere" / "w.png")
    assert feed.closed >= 1


def test_window_stays_after_the_end_when_somebody_watches(contract, feed):
    feed.run(0.5).end()
    seen = []

    def look():
        seen.append(open_window().message.text())
        open_window().close()

    QTimer.singleShot(600, look)
    run_window(contract, feed, title="replay")
    assert seen == ["ended: the replay is over"]


def test_failure_is_shown(contract, feed):
    feed.run(0.2).end("failed", "no stream 'EMG' was found: start the amplifier.")
    seen = []

    def look():
        seen.append(open_window().movement.headline.text)
        seen.append(open_window().message.text())
        open_window().close()

    QTimer.singleShot(500, look)
    run_window(contract, feed, title="live")
    words = "no stream 'EMG' was found: start the amplifier."
    assert seen == [words, f"failed: {words}"]


def test_failure_ends_an_unattended_window_without_a_picture(contract, feed, tmp_path):
    feed.end("failed", "no such stream")
    path = tmp_path / "w.png"
    run_window(contract, feed, title="live", seconds=5, screenshot=path)
    assert not path.exists()


def test_exception_in_a_slot_is_shown_logged_once_and_survived(contract, feed, caplog):
    hook = sys.excepthook
    real, calls = feed.poll, []

    def poll():
        calls.append(1)
        if 3 <= len(calls) <= 6:
            raise ZeroDivisionError("division of the sea")
        return real()

    feed.poll = poll
    feed.run(0.5)
    seen = []

    def look():
        seen.append((open_window().message.text(), open_window().view.health.received))
        feed.end()

    QTimer.singleShot(600, look)
    run_window(contract, feed, title="replay", seconds=1)
    ((text, received),) = seen
    assert text == "the window goes on after ZeroDivisionError: division of the sea"
    assert received >= 960  # frames after the exception took in what had come
    assert [r.message for r in caplog.records].count(text) == 1
    assert caplog.records[0].exc_info
    assert sys.excepthook is hook


def test_ctrl_c_closes_the_window(contract, feed):
    real, calls = feed.poll, []

    def poll():
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real()

    feed.poll = poll
    feed.run(0.1)
    run_window(contract, feed, title="replay")
    assert feed.closed >= 1
