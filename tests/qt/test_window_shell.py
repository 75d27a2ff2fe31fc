"""The shell around the panels: docks, menus, keys, layout, welcome, stale decisions, events."""

import time

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication, QToolButton
from windows import drain, part, seen

from semgfin_rt.app.preferences import Preferences
from semgfin_rt.app.studio import Studio
from semgfin_rt.qt import panels as table
from semgfin_rt.qt.panel import Panel
from semgfin_rt.qt.shortcuts import ShortcutsDialog
from semgfin_rt.qt.theme import DARK, LIGHT
from semgfin_rt.qt.window import MainWindow


def test_every_panel_is_a_line_in_the_table(qtbot, studio, feed, monkeypatch):
    shown = []
    entry = table.Entry(
        "Mine",
        lambda stage: DressedPanel(stage.title),
        lambda panel, stage: shown.append(stage.view.health),
        Qt.DockWidgetArea.RightDockWidgetArea,
        "Ctrl+9",
        beside="Features",
        menu="Decision",
    )
    absent = table.Entry("None", lambda _: None, lambda *_: None, entry.area, "Ctrl+8")
    monkeypatch.setattr(table, "PANELS", (*table.PANELS, entry, absent))
    window = MainWindow(studio)
    window.timer.stop()
    qtbot.addWidget(window)
    window.show()
    assert "None" not in window.docks
    mine = window.docks["Mine"]
    assert mine.panel.dressed == [DARK]
    window.switch_theme()
    assert mine.panel.dressed == [DARK, LIGHT]
    QApplication.processEvents()
    shown.clear()
    window.draw()
    assert shown == []  # a tab that is not seen costs nothing
    mine.raise_()
    feed.run(0.1)
    drain(window, feed)
    assert shown[-1].received == feed.sample
    action = mine.toggleViewAction()
    assert action in window.menus.menus["Decision"].actions()
    assert window.menus.menus["Decision"].menuAction().isVisible()
    qtbot.keyClick(window, Qt.Key.Key_9, Qt.KeyboardModifier.ControlModifier)
    assert mine.isHidden()


class DressedPanel(Panel):
    def __init__(self, caption):
        super().__init__(caption)
        self.dressed = []

    def dress(self, theme):
        self.dressed.append(theme)


def test_stale_decision_is_shown_in_place_of_the_last(window, feed):
    feed.run(4.5)
    drain(window, feed)
    assert part(window, "Movement").state.text() == "VALID"
    feed.silence(age_ms=640.0)
    drain(window, feed)
    movement = part(window, "Movement")
    assert (movement.state.text(), movement.headline.text) == ("STALE", "rest")
    assert movement.note.text() == "no signal for 0.6 s"
    assert window.message.text().startswith("no signal for 0.6 s · running: ")
    age = part(window, "Status").figures["age ms"]
    assert (age.text(), age.property("alarm")) == ("640.0", True)
    feed.run(0.05)
    drain(window, feed)
    assert movement.state.text() == "VALID"
    assert movement.note.text() == ""


def test_events_stand_newest_first_and_are_bounded(window, feed):
    window.docks["Events"].raise_()
    feed.tell("first", "second").tell("third", kind="stream")
    drain(window, feed)
    lines = part(window, "Events").lines
    rows = [[lines.topLevelItem(i).text(c) for c in (1, 2)] for i in range(3)]
    assert rows == [["stream", "third"], ["loss", "second"], ["loss", "first"]]
    assert lines.topLevelItem(0).text(0).count(":") == 2
    for i in range(6):
        feed.tell(*(f"{i}, {n}" for n in range(100)))
    drain(window, feed)
    assert lines.topLevelItemCount() == 500
    assert lines.topLevelItem(0).text(2) == "5, 99"
    assert lines.topLevelItem(499).text(2) == "1, 0"
    assert part(window, "Events").note.text() == "603"


def test_shortcuts_are_listed_and_work(window, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_F1)
    dialog = window.findChild(ShortcutsDialog)
    table = dialog.table
    groups = [table.topLevelItem(i) for i in range(table.topLevelItemCount())]
    listed = {
        group.text(0): {
            group.child(i).text(0): group.child(i).text(1) for i in range(group.childCount())
        }
        for group in groups
    }
    assert listed["View"]["Full screen"] == "F11"
    assert listed["View"]["Ribbon"] == "Alt+8"
    assert listed["View"]["Freeze the picture"] == "F or Space"
    assert listed["Help"]["Keyboard shortcuts"] == "F1 or ?"
    keys = [
        key for group in listed.values() for text in group.values() for key in text.split(" or ")
    ]
    assert len(set(keys)) == len(keys)
    dialog.close()


def test_hidden_dock_comes_back_from_the_menu(window, qtbot):
    ribbon = window.docks["Ribbon"]
    qtbot.keyClick(window, Qt.Key.Key_8, Qt.KeyboardModifier.AltModifier)
    assert ribbon.isHidden()
    (action,) = [a for a in window.menus.menus["View"].actions() if a.text() == "Ribbon"]
    action.trigger()
    assert not ribbon.isHidden()


def test_layout_is_remembered_and_reset(open_window):
    preferences = Preferences(welcome=False)
    window = open_window(preferences=preferences)
    before = window.docks["Signal"].geometry()
    window.docks["Ribbon"].close()
    window.resizeDocks([window.docks["Signal"]], [400], Qt.Orientation.Horizontal)
    QApplication.processEvents()
    moved = window.docks["Signal"].geometry()
    assert moved.width() < before.width() - 100
    window.switch_theme()
    window.close()
    assert preferences.theme == "light"
    again = open_window(preferences=Preferences.model_validate_json(preferences.model_dump_json()))
    assert again.docks["Ribbon"].isHidden()
    assert abs(again.docks["Signal"].width() - moved.width()) <= 2
    again.reset_layout()
    QApplication.processEvents()
    assert not again.docks["Ribbon"].isHidden()
    assert abs(again.docks["Signal"].width() - before.width()) <= 2


def test_folder_and_subject_of_recordings_are_remembered(open_window, qtbot, tmp_path):
    preferences = Preferences(welcome=False, record_folder=str(tmp_path), subject="Anna")
    panel = open_window(preferences=preferences).docks["Record"].panel
    assert (panel.folder, panel.subject.text()) == (tmp_path, "Anna")
    panel.subject.selectAll()
    qtbot.keyClicks(panel.subject, "Ben")
    qtbot.keyClick(panel.subject, Qt.Key.Key_Return)
    assert (preferences.record_folder, preferences.subject) == (str(tmp_path), "Ben")


def test_a_layout_that_is_no_layout_is_left_aside(open_window):
    window = open_window(preferences=Preferences(layouts={"live": "AAAA"}, geometry="%"))
    assert len(seen(window)) == 5


def test_nobody_watching_means_no_welcome_and_the_first_layout(open_window):
    window = open_window()
    assert window.welcome.isHidden()
    window.close()
    assert window.preferences is None


def test_welcome_offers_three_things_and_is_dismissed_for_good(open_window, qtbot):
    preferences = Preferences()
    window = open_window(preferences=preferences)
    buttons = {b.accessibleName(): b for b in window.welcome.findChildren(QToolButton)}
    names = ["Replay a file …", "Connect a stream …", "Calibrate …"]
    assert [name for name in buttons if name in names] == names
    assert all(buttons[name].isVisible() for name in names)
    calibrate = buttons["Calibrate …"]
    assert (calibrate.isEnabled(), calibrate.toolTip()) == (False, "comes with calibration")
    asked = []
    window.calibrate_wanted.connect(lambda: asked.append(1))
    window.draw()
    assert calibrate.isEnabled()
    calibrate.click()
    assert asked == [1]
    qtbot.mouseClick(buttons["Dismiss the welcome"], Qt.MouseButton.LeftButton)
    assert window.welcome.isHidden()
    assert not preferences.welcome
    window.toggle_welcome()
    assert window.welcome.isVisible()


def test_window_with_nothing_open_says_so_and_offers_the_same(qtbot):
    window = MainWindow(Studio(), "dark", Preferences())
    window.timer.stop()
    qtbot.addWidget(window)
    window.show()
    window.tick()
    assert window.placeholder.isVisible()
    assert window.placeholder.words.text() == window.message.text() == "Nothing is open."
    assert window.welcome.isHidden()
    window.studio.trouble = "no stream 'EMG' was found."
    window.tick()
    assert window.placeholder.words.text() == window.message.text() == "no stream 'EMG' was found."


def test_every_menu_action_has_words_and_every_widget_a_name(window):
    for name, actions in window.menus.groups(window.docks.values()):
        for action in actions:
            assert action.isSeparator() or action.text(), name
    for dock in window.docks.values():
        assert dock.accessibleName()
    assert window.message.accessibleName()


def test_frames_cost_less_than_half_a_core(window, feed):
    feed.run(6)
    drain(window, feed)
    begin = time.process_time()
    for _ in range(60):
        feed.run(0.03)
        window.tick()
        QApplication.processEvents()
    spent = (time.process_time() - begin) / 60
    assert spent < 0.45 / 30 * 2  # of a frame at 30 fps, with room for a busy machine
