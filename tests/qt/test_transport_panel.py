"""What a person clicks and presses, against a player in its process."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QHelpEvent, QImage
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QMainWindow, QToolButton, QToolTip

from semgfin_rt.app.transport import Transport
from semgfin_rt.contracts import Recording, SignalSpec
from semgfin_rt.engine.player import Player
from semgfin_rt.qt.theme import DARK, LIGHT, class_colours
from semgfin_rt.qt.transport import TransportPanel
from semgfin_rt.sources.supervisor import SupervisedSource

RATE = 2000
ORDER = (6, 6, 13, 14)


def prompted():
    """Build rest of 3 s and movement of 5 s in turn, as in `ORDER`: 32 s."""
    labels = np.concatenate([np.repeat([0, label], [3 * RATE, 5 * RATE]) for label in ORDER])
    again = np.repeat([1, 2, 1, 1], 8 * RATE)
    noise = np.random.default_rng(0).standard_normal((len(labels), 12))
    return Recording(
        (1e-5 * noise).astype(np.float32),
        SignalSpec(tuple(f"ch{i + 1}" for i in range(12)), RATE, "V"),
        labels.astype(np.int16),
        again.astype(np.int16),
        {0: "rest", 6: "fist", 13: "wrist flexion", 14: "wrist extension"},
        1,
        "synthetic",
        "prompted",
        frozenset({2}),
    )


@pytest.fixture(scope="module")
def playing():
    """Return a player with a listener, which all tests of the module share."""
    with Player(prompted(), wait_for_truth=False, stay=True) as player:
        source = SupervisedSource(source_id=player.source_id, reconnect=False)
        source.connect()
        yield player
        source.close()


@pytest.fixture
def panel(qtbot, playing, contract):
    """Return the panel in a window, of a replay that stands still at its beginning."""
    playing.pause()
    playing.seek(0)
    playing.set_speed(1.0)
    playing.set_loop(False)
    qtbot.waitUntil(lambda: playing.paused and playing.position == 0)
    window = QMainWindow()
    made = TransportPanel(Transport(playing.recording, playing, 20), contract)
    window.setCentralWidget(made)
    window.resize(1200, 90)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitExposed(window)
    yield made
    playing.pause()


def button(panel, text):
    (found,) = (
        b for b in panel.findChildren(QToolButton) if text in (b.text(), b.accessibleName())
    )
    return found


def click(qtbot, panel, text):
    qtbot.mouseClick(button(panel, text), Qt.MouseButton.LeftButton)


def press(qtbot, panel, key, modifier=Qt.KeyboardModifier.NoModifier):
    QTest.keyClick(panel.window(), key, modifier)


def reaches(qtbot, playing, second):
    qtbot.waitUntil(lambda: playing.position == round(second * RATE), timeout=2000)
    return True


def test_play_pause_and_step(qtbot, panel, playing):
    click(qtbot, panel, "Play")
    qtbot.waitUntil(lambda: playing.position > 500)
    panel.refresh()
    assert panel.bar.value() > 500
    click(qtbot, panel, "Pause")
    qtbot.waitUntil(lambda: playing.paused)
    panel.refresh()
    assert button(panel, "Play").accessibleName() == "Play or pause"
    at = playing.position
    click(qtbot, panel, "Step")
    qtbot.waitUntil(lambda: playing.position == at + 20 and playing.paused)


def test_keys(qtbot, panel, playing):
    press(qtbot, panel, Qt.Key.Key_N)
    assert reaches(qtbot, playing, 2)
    press(qtbot, panel, Qt.Key.Key_N)
    assert reaches(qtbot, playing, 18)  # the second repetition is the same movement
    press(qtbot, panel, Qt.Key.Key_P, Qt.KeyboardModifier.ShiftModifier)
    assert reaches(qtbot, playing, 10)
    press(qtbot, panel, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    assert reaches(qtbot, playing, 18)
    press(qtbot, panel, Qt.Key.Key_P)
    assert reaches(qtbot, playing, 2)
    press(qtbot, panel, Qt.Key.Key_Right)
    assert reaches(qtbot, playing, 7)
    press(qtbot, panel, Qt.Key.Key_Left)
    assert reaches(qtbot, playing, 2)
    press(qtbot, panel, Qt.Key.Key_Home)
    assert reaches(qtbot, playing, 0)
    press(qtbot, panel, Qt.Key.Key_Period)
    assert reaches(qtbot, playing, 0.01)
    press(qtbot, panel, Qt.Key.Key_L)
    assert playing.loop
    assert panel.loop.isChecked()
    press(qtbot, panel, Qt.Key.Key_L)
    assert not playing.loop
    press(qtbot, panel, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: not playing.paused)


def test_keys_are_not_taken_by_what_has_the_focus(qtbot, panel, playing):
    for widget in (panel.bar, panel.speed, panel.jump, button(panel, "Step")):
        widget.setFocus()
        press(qtbot, widget, Qt.Key.Key_Right)
        assert reaches(qtbot, playing, 5)
        press(qtbot, widget, Qt.Key.Key_Home)
        assert reaches(qtbot, playing, 0)
        assert playing.paused
        assert panel.speed.currentText() == "1 ×"  # noqa: RUF001


def test_seek_by_mouse(qtbot, panel, playing):
    bar = panel.bar
    height = bar.height() // 2
    where = QPoint(round(bar.pixel(12 * RATE)), height)
    qtbot.mousePress(bar, Qt.MouseButton.LeftButton, pos=where)
    panel.refresh()  # does not pull the line from under the pointer
    assert bar.sliderPosition() == bar.sample(where.x())
    qtbot.waitUntil(lambda: playing.position == bar.sample(where.x()))
    qtbot.mouseMove(bar, QPoint(round(bar.pixel(20 * RATE)), height))
    qtbot.waitUntil(lambda: abs(playing.position - 20 * RATE) < RATE // 10)
    qtbot.mouseRelease(bar, Qt.MouseButton.LeftButton)
    assert not bar.isSliderDown()
    panel.refresh()
    assert panel.note.text().startswith("0:20.")
    assert panel.note.text().endswith(f"of 0:32.0 · {panel.transport.marks[2].name}, repetition 1")
    assert bar.accessibleDescription() == panel.note.text()
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=QPoint(bar.width() + 50, height))
    qtbot.waitUntil(lambda: playing.position == 32 * RATE - 1)
    bar.setFocus()
    qtbot.keyClick(bar, Qt.Key.Key_PageDown)  # 30 s back, as every slider does
    qtbot.waitUntil(lambda: playing.position == 2 * RATE - 1)


def test_jump_buttons(qtbot, panel, playing):
    for text, second in (
        ("Next movement", 2),
        ("Next repetition", 10),
        ("Next movement", 18),
        ("Previous repetition", 10),
        ("Previous movement", 2),
    ):
        click(qtbot, panel, text)
        assert reaches(qtbot, playing, second)


def test_choices(qtbot, panel, playing):
    name = panel.transport.marks[3].name
    assert panel.jump.itemText(3) == f"{name}, 1  (0:27.0)"
    panel.jump.setFocus()
    panel.jump.showPopup()
    qtbot.keyClick(panel.jump.view(), Qt.Key.Key_End)
    qtbot.keyClick(panel.jump.view(), Qt.Key.Key_Return)
    assert reaches(qtbot, playing, 26)
    assert panel.jump.currentIndex() == -1
    panel.speed.showPopup()
    qtbot.keyClick(panel.speed.view(), Qt.Key.Key_End)
    qtbot.keyClick(panel.speed.view(), Qt.Key.Key_Return)
    assert (playing.speed, panel.speed.currentText()) == (8.0, "8 ×")  # noqa: RUF001
    panel.refresh()
    assert panel.speed.currentText() == "8 ×"  # noqa: RUF001


def test_every_key_has_a_name_and_is_unique(panel):
    keys = [c.shortcut().toString() for c in panel.commands]
    assert len(keys) == len(set(keys)) == 10
    assert {"Space", ".", "Left", "Right", "Home", "L", "N", "P"} < set(keys)
    assert all(
        c.text() and c.toolTip().endswith(f"({c.shortcut().toString()})") for c in panel.commands
    )
    for widget in (panel.bar, panel.speed, panel.jump, *panel.findChildren(QToolButton)):
        assert widget.accessibleName()


def test_hover_names_the_movement(panel):
    bar = panel.bar
    at = QPoint(round(bar.pixel(13 * RATE)), 5)
    assert bar.words_at(at.x()).endswith(f"· {panel.transport.marks[1].name}, repetition 2")
    assert "·" not in bar.words_at(bar.pixel(RATE))
    assert bar.event(QHelpEvent(QHelpEvent.Type.ToolTip, at, bar.mapToGlobal(at)))
    assert QToolTip.text() == bar.words_at(at.x())


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_the_bar_shows_the_movements(panel, contract, theme):
    panel.dress(theme)
    picture = panel.bar.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    colours = class_colours(contract, theme)
    ratio = picture.width() / panel.bar.width()
    for mark in panel.transport.marks:
        x = panel.bar.pixel((mark.start + mark.stop) / 2) * ratio
        assert picture.pixelColor(int(x), picture.height() // 2) == colours[mark.label]
    x = panel.bar.pixel(1.5 * RATE) * ratio
    assert picture.pixelColor(int(x), picture.height() // 2).name() == theme.window
