import os
import sys
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PyQt6.QtCore import QTimer
from PyQt6.QtGui import QAction, QImage
from PyQt6.QtWidgets import QApplication, QPushButton

from semgfin_rt.app.preferences import Preferences, load_preferences
from semgfin_rt.app.session import Session
from semgfin_rt.app.settings import Live, Settings
from semgfin_rt.app.studio import Stage, Studio
from semgfin_rt.errors import OptionError
from semgfin_rt.qt.application import run_window
from semgfin_rt.qt.calibrate import CalibrateDialog
from semgfin_rt.qt.source_dialog import SourceDialog
from semgfin_rt.qt.window import MainWindow

DEMO = Path(__file__).parents[2] / "models" / "demo"

pytestmark = pytest.mark.usefixtures("qapp")


def open_window():
    """Return the window that is shown, or None."""
    shown = [w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow)]
    return next((w for w in shown if w.isVisible()), None)


@contextmanager
def once(condition, act):
    """Call `act` with the window as soon as `condition` holds for it, and there is one."""
    timer = QTimer()
    timer.setInterval(20)

    def look():
        window = open_window()
        if window is not None and condition(window):
            timer.stop()
            act(window)

    timer.timeout.connect(look)
    timer.start()
    yield
    timer.stop()


def says(words):
    return lambda window: words in window.message.text()


def test_screenshot_is_written_and_not_blank(studio, feed, tmp_path):
    path = tmp_path / "w.png"
    feed.run(2).end()
    run_window(studio, screenshot=path)
    image = QImage(str(path))
    assert (image.width(), image.height()) == (1280, 800)
    seen = {image.pixel(x, y) for x in range(0, 1280, 3) for y in range(0, 800, 3)}
    assert len(seen) > 50
    assert feed.closed >= 1


def test_screenshot_that_cannot_be_written(studio, feed, tmp_path):
    feed.run(1).end()
    with pytest.raises(OptionError, match=r"nowhere.*cannot be written"):
        run_window(studio, screenshot=tmp_path / "nowhere" / "w.png")
    assert feed.closed >= 1


def test_window_stays_after_the_end_when_somebody_watches(studio, feed):
    feed.run(0.5).end()
    seen = []

    def look(window):
        seen.append(window.message.text())
        window.close()

    with once(says("ended"), look):
        run_window(studio)
    assert seen == ["ended: the replay is over"]


def test_failure_is_shown(studio, feed):
    words = "no stream 'EMG' was found: start the amplifier."
    feed.run(0.2).end("failed", words)
    seen = []

    def look(window):
        seen.append(window.docks["Movement"].panel.headline.text)
        seen.append(window.message.text())
        window.close()

    with once(says("failed"), look):
        run_window(studio)
    assert seen == [words, f"failed: {words}"]


def test_failure_ends_an_unattended_window_without_a_picture(studio, feed, tmp_path):
    feed.end("failed", "no such stream")
    path = tmp_path / "w.png"
    run_window(studio, seconds=5, screenshot=path)
    assert not path.exists()


def test_exception_in_a_slot_is_shown_logged_once_and_survived(studio, feed, caplog):
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

    def look(window):
        seen.append((window.message.text(), window.studio.stage.view.health.received))
        feed.end()

    def taken(window):
        health = window.studio.stage.view.health
        return says("goes on after")(window) and health is not None and health.received >= 960

    with once(taken, look):
        run_window(studio, seconds=1)
    ((text, received),) = seen
    assert text == "the window goes on after ZeroDivisionError: division of the sea"
    assert received >= 960  # frames after the exception took in what had come
    assert [r.message for r in caplog.records].count(text) == 1
    assert caplog.records[0].exc_info
    assert sys.excepthook is hook


def test_exception_in_a_dialog_is_a_message_and_the_dialog_lives(studio, feed, monkeypatch):
    feed.run(0.2)
    monkeypatch.setattr(SourceDialog, "_browse_model", lambda _: 1 / 0)
    seen = []

    def press(window):
        dialog = window.open_source("synthetic")
        (button,) = [
            b for b in dialog.findChildren(QPushButton) if b.accessibleName() == "Other checkpoint"
        ]
        button.click()
        seen.append((dialog.isVisible(), window.message.text()))
        dialog.reject()
        window.close()

    with once(says("running"), press):
        run_window(studio)
    ((alive, text),) = seen
    assert alive
    assert text == "the window goes on after ZeroDivisionError: division by zero"


def test_the_menu_opens_the_calibration_of_a_live_stream(feed):
    session = Session(Settings(DEMO), Live("nobody"))
    feed.run(0.2)
    seen = []

    def calibrate(window):
        (action,) = [a for a in window.findChildren(QAction) if a.text() == "&Calibrate …"]
        action.trigger()
        (dialog,) = window.findChildren(CalibrateDialog)
        seen.append((action.isEnabled(), dialog.isVisible()))
        window.close()

    with once(says("running"), calibrate):
        run_window(Studio(Stage("live", session.contract, feed, session)))
    assert seen == [(True, True)]


def test_choices_are_remembered_where_somebody_watches(studio, feed, preferences_file):
    feed.run(0.2)

    def leave(window):
        window.switch_theme()
        window.toggle_welcome()
        window.close()

    with once(says("running"), leave):
        run_window(studio)
    remembered, problem = load_preferences(preferences_file)
    assert (remembered.theme, remembered.welcome, problem) == ("light", False, "")
    assert remembered.layouts["live"]


def test_nothing_remembered_tells_on_a_picture(contract, feed, tmp_path, preferences_file):
    pictures = []
    for text in ("", Preferences(theme="light", layouts={"live": "AAAA"}).model_dump_json()):
        preferences_file.parent.mkdir(exist_ok=True)
        if text:
            preferences_file.write_text(text)
        link = type(feed)(contract).run(1).end()
        pictures.append(tmp_path / f"{len(pictures)}.png")
        run_window(Studio(Stage("replay", contract, link)), screenshot=pictures[-1])
    first, second = (QImage(str(path)) for path in pictures)
    assert first == second
    assert preferences_file.read_text() == text  # nor was anything remembered


def test_damaged_preferences_are_a_word_and_no_more(studio, feed, preferences_file):
    preferences_file.parent.mkdir()
    preferences_file.write_text("{")
    feed.run(0.2)
    seen = []

    def look(window):
        seen.append(window.message.text())
        window.close()

    with once(says("damaged"), look):
        run_window(studio)
    assert "window.json' are damaged" in seen[0]
    assert load_preferences(preferences_file)[1] == ""


def test_ctrl_c_closes_the_window(studio, feed):
    real, calls = feed.poll, []

    def poll():
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real()

    feed.poll = poll
    feed.run(0.1)
    run_window(studio)
    assert feed.closed >= 1
