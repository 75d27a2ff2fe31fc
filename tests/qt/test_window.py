import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication, QScrollArea
from windows import drain, panels, part, seen, stage_of

from semgfin_rt.app.preferences import Preferences
from semgfin_rt.qt.theme import DARK, LIGHT, class_colours


def pixels(widget):
    """Return (height, width, 3) uint8, as grabbed."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    raw = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return raw.reshape(image.height(), image.width(), 4)[..., :3]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_every_panel_shows_the_data(open_window, feed, theme, size):
    window = open_window(theme, size=size)
    shown = [d.panel for d in seen(window)]
    assert len(shown) == 5  # the others are tabs beside one of them
    before = [pixels(panel) for panel in shown]
    feed.run(6)
    drain(window, feed)
    assert (window.width(), window.height()) == size
    for panel, empty in zip(shown, before, strict=True):
        full = pixels(panel)
        assert full.std() > 5, panel.accessibleName()
        if full.shape == empty.shape:
            changed = (full != empty).any(axis=2).mean()
            assert changed > 0.003, panel.accessibleName()


def test_docks_do_not_overlap_and_lie_inside(window, feed):
    feed.run(2)
    drain(window, feed)
    boxes = [dock.geometry() for dock in seen(window)]
    for i, box in enumerate(boxes):
        assert window.rect().contains(box)
        assert not any(box.intersects(other) for other in boxes[i + 1 :])


@pytest.mark.parametrize("size", [(1280, 800), (640, 400)])
def test_nothing_is_cut_off(open_window, feed, size):
    # 640 x 400 is what 1280 x 800 leaves at 200 %.
    window = open_window(size=size, preferences=Preferences())
    feed.run(2)
    drain(window, feed)
    QApplication.processEvents()
    assert (window.width(), window.height()) == size
    for dock in seen(window):
        scroll = dock.findChild(QScrollArea)
        wants, has = dock.panel.minimumSizeHint(), dock.panel.size()
        assert has.height() >= wants.height(), dock.entry.name
        assert has.width() >= wants.width(), dock.entry.name
        reach = scroll.verticalScrollBar().maximum() + scroll.viewport().height()
        assert reach >= has.height(), dock.entry.name
        if size == (1280, 800):
            assert scroll.verticalScrollBar().maximum() == 0 or dock.entry.name == "Features"


def test_words_and_figures(window, feed):
    feed.run(4.5)  # well inside the second movement: wrist extension
    drain(window, feed)
    decision = stage_of(window).view.decision
    now = decision.movements[0]
    assert part(window, "Movement").headline.text == stage_of(window).view.contract.class_name(
        now.label
    )
    assert part(window, "Movement").state.text() == "VALID"
    assert part(window, "Movement").confidence.value == now.confidence
    assert part(window, "Movement").truth.text() == "truth now: wrist extension"
    assert part(window, "Movement").forecasts[300].words.text().startswith("+300 ms: ")
    assert part(window, "Movement").forecasts[300].confidence.text() == "0.68"
    assert part(window, "Status").figures["compute ms"].text() == "1.2 / 1.9 / 2.5"
    assert part(window, "Status").figures["received"].text() == "9,000"
    assert part(window, "Status").figures["accuracy"].text().startswith("0.")
    assert window.message.text() == "running: replay of S1_E1_A1.mat on cpu"


def test_rejected_decision_says_so(window, feed):
    feed.run(3.55)  # the truth has just changed: rejected or held
    drain(window, feed)
    states = {run.state for run in part(window, "Ribbon").strip.rows["now"]}
    assert {"REJECT", "HOLD", "VALID"} <= states
    while stage_of(window).view.decision.movements[0].state != "REJECT":
        feed.run(0.03)
        drain(window, feed)
    assert part(window, "Movement").headline.text == "rejected"
    assert part(window, "Movement").state.text() == "REJECT"


def test_curves_are_made_once_and_refilled(window, feed):
    before = list(part(window, "Signal").curves)
    feed.run(0.9)
    drain(window, feed)
    assert part(window, "Signal").curves == before
    assert len(part(window, "Signal").plot.getPlotItem().items) == len(before)
    drawn = before[0].getData()[1]
    assert np.isfinite(drawn).sum() == 212  # 0.9 s in buckets of 17 samples: low and high
    assert np.nanmin(drawn) < np.nanmax(drawn)


def test_pause_freezes_the_picture_but_not_the_view(window, feed, qtbot):
    feed.run(4)
    drain(window, feed)
    frozen = part(window, "Ribbon").strip.rows
    figure = part(window, "Status").figures["received"].text()
    qtbot.keyClick(window, Qt.Key.Key_Space)
    feed.run(2)
    while feed.snapshots:
        window.tick()
    assert window.paused
    assert window.message.text().startswith("the picture is frozen, the engine goes on")
    assert part(window, "Ribbon").strip.rows is frozen
    assert part(window, "Status").figures["received"].text() == figure
    assert stage_of(window).view.health.received == feed.sample
    qtbot.keyClick(window, Qt.Key.Key_Space)
    window.draw()
    assert part(window, "Status").figures["received"].text() == f"{feed.sample:,}"
    assert window.message.text().startswith("running: ")


def test_gain_keys(window, qtbot):
    assert part(window, "Signal").note.text() == "lane ±50 µV"
    qtbot.keyClick(window, Qt.Key.Key_Plus)
    assert part(window, "Signal").note.text() == "lane ±20 µV"
    qtbot.keyClick(window, Qt.Key.Key_Minus)
    qtbot.keyClick(window, Qt.Key.Key_Minus)
    assert part(window, "Signal").note.text() == "lane ±100 µV"


def test_theme_key(window, qtbot):
    dark = pixels(window).mean()
    qtbot.keyClick(window, Qt.Key.Key_D)
    assert pixels(window).mean() > dark + 80
    qtbot.keyClick(window, Qt.Key.Key_D)
    assert pixels(window).mean() == pytest.approx(dark, abs=2)


def test_full_screen_key(window, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_F11)
    assert window.isFullScreen()
    qtbot.keyClick(window, Qt.Key.Key_F11)
    assert not window.isFullScreen()


@pytest.mark.parametrize(
    "modifier", [Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier]
)
def test_quit_keys_close_and_stop_polling(window, qtbot, modifier):
    window.timer.start()
    qtbot.keyClick(window, Qt.Key.Key_Q, modifier)
    assert not window.isVisible()
    assert not window.timer.isActive()


def test_ribbon_names_what_is_under_the_pointer(window, feed):
    feed.run(4.5)
    drain(window, feed)
    strip = part(window, "Ribbon").strip
    bars = strip.bars()
    x = strip.pixel(-0.1, bars)
    assert strip.words_at(x, bars.top() + 2) == "truth: wrist extension"
    assert strip.words_at(2, 2) == ""


def test_features_name_what_is_under_the_pointer(window, feed):
    assert part(window, "Features").map.words_at(200, 50) == ""
    feed.run(2)
    drain(window, feed)
    cells = part(window, "Features").map.cells()
    words = part(window, "Features").map.words_at(cells.right() - 1, cells.bottom() - 1)
    assert words.startswith("mav, ch12: FIN ")


def test_main_parts_have_accessible_names(window):
    parts = [*panels(window), part(window, "Movement").headline, part(window, "Movement").state]
    parts += [
        part(window, "Movement").confidence,
        part(window, "Features").map,
        part(window, "Ribbon").strip,
    ]
    names = [part.accessibleName() for part in parts]
    assert all(names)
    assert len(set(names)) == len(names)


def test_a_frame_takes_in_a_bounded_number_of_snapshots(window, feed):
    feed.run(3)
    window.tick()
    assert feed.polls == 20


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_movements_have_different_colours(contract, theme):
    colours = class_colours(contract, theme)
    names = {colours[label].name() for label in contract.class_ids}
    assert len(names) == len(contract.class_ids)
    assert colours[99].name() == theme.rest
