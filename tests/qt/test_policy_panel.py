"""The policy panel, used as a person uses it."""

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QImage, QWheelEvent
from PyQt6.QtWidgets import QApplication, QDialogButtonBox, QLabel, QMainWindow, QWidget

from semgfin_rt.decision import PolicySpec
from semgfin_rt.qt.policy import PolicyPanel
from semgfin_rt.qt.theme import DARK, LIGHT, palette, stylesheet


@pytest.fixture
def gated(contract):
    return contract.model_copy(update={"rest_gate": -1.0})


@pytest.fixture
def panel(qtbot, gated):
    made = PolicyPanel(gated)
    made.heard = []
    made.changed.connect(made.heard.append)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitExposed(made)
    return made


def enter(qtbot, box, text, key=Qt.Key.Key_Return):
    """Click into a box, overwrite what it says, and press Enter."""
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, text)
    qtbot.keyClick(box, key)


def press(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def tick(qtbot, box):
    """Click on the box itself: its words begin a little further on."""
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))


def test_what_is_typed_reaches_the_engine_once_and_whole(qtbot, panel):
    enter(qtbot, panel.vote, "15")
    assert panel.heard == [PolicySpec(vote=15)]
    enter(qtbot, panel.reject, "0.65")
    enter(qtbot, panel.hysteresis, "3")
    enter(qtbot, panel.hold, "120")
    tick(qtbot, panel.rest_gate)
    assert panel.heard[1:] == [
        PolicySpec(vote=15, reject=0.65),
        PolicySpec(vote=15, reject=0.65, hysteresis=3),
        PolicySpec(vote=15, reject=0.65, hysteresis=3, hold_ms=120),
        PolicySpec(vote=15, reject=0.65, hysteresis=3, hold_ms=120, rest_gate=True),
    ]
    assert panel.spec == panel.heard[-1]


def test_the_same_value_again_says_nothing(qtbot, panel):
    enter(qtbot, panel.vote, "5")
    enter(qtbot, panel.vote, "5")
    assert len(panel.heard) == 1


def test_arrows_go_in_steps_a_person_wants(qtbot, panel):
    for box in (panel.vote, panel.reject, panel.hysteresis, panel.hold):
        assert box.text() == "off"
        qtbot.keyClick(box, Qt.Key.Key_Up)
    assert panel.spec == PolicySpec(vote=2, reject=0.05, hysteresis=2, hold_ms=10)  # a hop
    assert [box.text() for box in (panel.vote, panel.hysteresis, panel.hold)] == [
        "2 decisions",
        "2 in a row",
        "10 ms",
    ]


def test_each_control_says_its_delay(panel):
    assert {label.text() for label in panel.delays.values()} == {"no delay"}
    assert panel.note.text() == "a new movement: no delay"
    panel.show_policy(PolicySpec(vote=5, reject=0.5, hysteresis=3, hold_ms=100))
    words = {name: label.text() for name, label in panel.delays.items()}
    assert words == {
        "vote": "+20 ms, at most 40 ms",
        "reject": "no delay",
        "thresholds": "no delay",
        "hysteresis": "+20 ms",
        "hold_ms": "release +100 ms",
        "rest_gate": "no delay",
    }
    assert panel.note.text() == "a new movement: +40 ms, at most 60 ms"


def test_the_delay_follows_what_is_typed(qtbot, panel):
    enter(qtbot, panel.hold, "50")
    assert panel.delays["hold_ms"].text() == "holds nothing: no threshold"
    enter(qtbot, panel.reject, "0.5")
    assert panel.delays["hold_ms"].text() == "release +50 ms"


def test_showing_a_policy_is_not_changing_it(panel):
    shown = PolicySpec(7, 0.123456, 12.5, True, ((6, 0.777777),), 4)
    panel.show_policy(shown)
    assert panel.heard == []
    assert (panel.vote.value(), panel.hysteresis.value(), panel.rest_gate.isChecked()) == (
        7,
        4,
        True,
    )
    assert panel.thresholds.text() == "Set… (1 of 18)"


def test_what_is_not_touched_stays_exact(qtbot, panel):
    panel.show_policy(PolicySpec(7, 0.123456, 12.5, True, ((6, 0.777777),), 4))
    enter(qtbot, panel.vote, "2")
    assert panel.heard == [PolicySpec(2, 0.123456, 12.5, True, ((6, 0.777777),), 4)]


def test_all_off_with_one_button(qtbot, panel):
    assert not panel.off.isEnabled()
    panel.show_policy(PolicySpec(7, 0.5, 12.5, True, ((6, 0.75),), 4))
    press(qtbot, panel.off)
    assert panel.heard == [PolicySpec()]
    assert panel.vote.text() == panel.reject.text() == panel.hold.text() == "off"
    assert panel.thresholds.text() == "Set…"
    assert not panel.off.isEnabled()


def test_a_checkpoint_without_rest_gate(qtbot, contract):
    panel = PolicyPanel(contract)
    qtbot.addWidget(panel)
    assert not panel.rest_gate.isEnabled()
    assert panel.delays["rest_gate"].text() == "not in this checkpoint"


# ---------------------------------------------------------------------------- the dialog
def open_dialog(qtbot, panel):
    press(qtbot, panel.thresholds)
    panel.dialog.activateWindow()
    qtbot.waitUntil(panel.dialog.isActiveWindow)
    return panel.dialog


def test_a_threshold_for_a_class(qtbot, panel):
    panel.show_policy(PolicySpec(reject=0.5))
    dialog = open_dialog(qtbot, panel)
    assert dialog.boxes[6].text() == "as all: 0.5"
    enter(qtbot, dialog.boxes[6], "0.8", Qt.Key.Key_Tab)
    enter(qtbot, dialog.boxes[2], "0", Qt.Key.Key_Tab)
    assert panel.heard == []  # not before OK
    press(qtbot, dialog.buttons.button(QDialogButtonBox.StandardButton.Ok))
    assert panel.heard == [PolicySpec(reject=0.5, thresholds=((2, 0.0), (6, 0.8)))]
    assert panel.thresholds.text() == "Set… (2 of 18)"
    assert panel.dialog is None


def test_enter_takes_the_dialog_over_with_what_was_typed_last(qtbot, panel):
    dialog = open_dialog(qtbot, panel)
    enter(qtbot, dialog.boxes[6], "0.7")
    assert panel.heard == [PolicySpec(thresholds=((6, 0.7),))]


def test_cancelled_thresholds_change_nothing(qtbot, panel):
    dialog = open_dialog(qtbot, panel)
    enter(qtbot, dialog.boxes[6], "0.8", Qt.Key.Key_Tab)
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert panel.heard == []
    assert panel.dialog is None
    assert open_dialog(qtbot, panel).thresholds == ()


def test_thresholds_that_are_taken_back(qtbot, panel):
    panel.show_policy(PolicySpec(thresholds=((6, 0.777777), (7, 0.5))))
    dialog = open_dialog(qtbot, panel)
    enter(qtbot, dialog.boxes[7], "0.6", Qt.Key.Key_Tab)
    assert dialog.thresholds == ((6, 0.777777), (7, 0.6))
    press(qtbot, dialog.unset)
    press(qtbot, dialog.buttons.button(QDialogButtonBox.StandardButton.Ok))
    assert panel.heard == [PolicySpec()]


def test_a_wheel_that_scrolls_past_sets_nothing(qtbot, panel):
    dialog = open_dialog(qtbot, panel)
    dialog.boxes[7].setFocus()
    turns = {label: wheel(dialog.boxes[label]) for label in (6, 7)}
    assert turns == {6: -0.05, 7: 0.0}


def wheel(box):
    centre = QPointF(box.rect().center())
    event = QWheelEvent(
        centre,
        box.mapToGlobal(centre),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(box, event)
    return round(box.value(), 2)


# ---------------------------------------------------------------------------- for everybody
def test_the_keyboard_reaches_everything(qtbot, panel):
    panel.activateWindow()
    panel.show_policy(PolicySpec(vote=2))
    panel.vote.setFocus()
    reached = []
    for _ in range(8):
        reached.append(QApplication.focusWidget())
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    wanted = [panel.vote, panel.reject, panel.thresholds, panel.hysteresis, panel.hold]
    assert reached[:7] == [*wanted, panel.rest_gate, panel.off]


def test_everything_has_a_name(qtbot, panel):
    controls = (panel.vote, panel.reject, panel.thresholds, panel.hysteresis, panel.hold)
    assert panel.accessibleName() == "decision policy"
    for control in (*controls, panel.rest_gate):
        assert control.accessibleName(), control
        assert control.accessibleDescription() == control.toolTip() != ""
    dialog = open_dialog(qtbot, panel)
    assert dialog.boxes[14].accessibleName() == "Reject wrist extension below"


@pytest.mark.parametrize("points", [9, 18])
def test_no_word_is_cut_at_the_smallest_size(qtbot, gated, points):
    panel = PolicyPanel(gated)
    qtbot.addWidget(panel)
    font = panel.font()
    font.setPointSize(points)
    panel.setFont(font)
    panel.show_policy(PolicySpec(99, 0.5, 1000, True, ((6, 0.5),), 99))
    panel.show()
    panel.resize(panel.minimumSizeHint())
    QApplication.processEvents()
    for part in (*panel.findChildren(QLabel), panel.thresholds, panel.off, panel.rest_gate):
        if part.isVisible():
            assert part.width() >= part.sizeHint().width(), part.text()
            assert panel.rect().contains(part.geometry()), part.text()


@pytest.mark.parametrize(("theme", "is_dark"), [(DARK, True), (LIGHT, False)])
def test_controls_and_dialog_take_on_the_theme(qtbot, gated, theme, is_dark):
    window = QMainWindow()
    qtbot.addWidget(window)
    window.setPalette(palette(theme))
    window.setStyleSheet(stylesheet(theme))
    panel = PolicyPanel(gated)
    window.setCentralWidget(panel)
    window.show()
    panel.dress(LIGHT if is_dark else DARK)
    dialog = open_dialog(qtbot, panel)
    panel.dress(theme)
    for part in (panel.vote, panel.thresholds, panel.rest_gate, dialog.boxes[6], dialog):
        assert (np.median(grey(part)) < 128) == is_dark, part
    dialog.reject()


def grey(widget: QWidget):
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_Grayscale8)
    raw = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return raw.reshape(image.height(), -1)[:, : image.width()]
