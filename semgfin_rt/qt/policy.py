"""The controls of the decision policy, each with the delay that it adds beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPalette, QWheelEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from semgfin_rt.app.policy_delay import delay_words, whole_delay
from semgfin_rt.decision import PolicySpec
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.panel import Panel, caption_label
from semgfin_rt.qt.theme import DARK, Theme, palette

_MOST = 1000  # decisions, of vote and hysteresis
_UNSET = -0.05  # one step of the box below 0
_EXPLANATIONS = {
    "vote": "Decisions whose mean log-probability decides",
    "reject": "Confidence below which there is no label",
    "thresholds": "Confidence below which a class is rejected, instead of the one for all",
    "hysteresis": "Decisions that a label must win in a row to be taken",
    "hold_ms": "How long a rejected decision repeats the last label",
    "rest_gate": "No label while the energy says rest, for a checkpoint without rest class",
}


class PolicyPanel(Panel):
    """Vote, thresholds, hysteresis, hold and rest gate of the running engine.

    Parameters
    ----------
    contract : ModelContract

    Attributes
    ----------
    spec : PolicySpec
        What is shown.
    delays : dict of str to QLabel
        What stands beside each control, by the field of `PolicySpec`.
    dialog : ThresholdsDialog or None
        While it is open.
    """

    changed = pyqtSignal(object)
    """A person has set another `PolicySpec`."""

    def __init__(self, contract: ModelContract) -> None:
        super().__init__("decision policy")
        self._contract = contract
        self._theme = DARK
        self.spec = PolicySpec()
        self.dialog: ThresholdsDialog | None = None
        self.vote = _count_box(" decisions")
        self.reject = _ProbabilityBox(0.0, "off")
        self.thresholds = QPushButton()
        self.hysteresis = _count_box(" in a row")
        self.hold = QDoubleSpinBox()
        self.hold.setRange(0, 60_000)
        self.hold.setDecimals(0)
        self.hold.setSingleStep(1000 * contract.hop / contract.rate)
        self.hold.setSuffix(" ms")
        self.hold.setSpecialValueText("off")
        self.hold.setKeyboardTracking(False)
        self.rest_gate = QCheckBox("silence at rest")
        self.rest_gate.setEnabled(contract.rest_gate is not None)
        self.off = QPushButton("Switch all off")
        self.delays = {name: caption_label("") for name in _EXPLANATIONS}
        self._lay_out()
        self._connect()
        self.dress(DARK)
        self.show_policy(PolicySpec())

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self._theme = theme
        dress_controls(self, theme)
        if self.dialog is not None:
            dress_controls(self.dialog, theme)

    def show_policy(self, spec: PolicySpec) -> None:
        """Show a policy, without saying that it has changed."""
        self.spec = spec
        boxes = (self.vote, self.reject, self.hysteresis, self.hold, self.rest_gate)
        silent = [QSignalBlocker(box) for box in boxes]
        self.vote.setValue(spec.vote)
        self.reject.setValue(spec.reject)
        self.hysteresis.setValue(spec.hysteresis)
        self.hold.setValue(spec.hold_ms)
        self.rest_gate.setChecked(spec.rest_gate)
        for blocker in silent:
            blocker.unblock()
        own, classes = len(spec.thresholds), len(self._contract.classes)
        self.thresholds.setText(f"Set… ({own} of {classes})" if own else "Set…")
        for name, words in delay_words(spec, self._contract).items():
            self.delays[name].setText(words)
        self.note.setText(f"a new movement: {whole_delay(spec, self._contract).words}")
        self.off.setEnabled(spec != PolicySpec())

    def ask_thresholds(self) -> None:
        """Open the dialog with a threshold for each class; the window goes on meanwhile."""
        dialog = ThresholdsDialog(self._contract, self.spec, self)
        dress_controls(dialog, self._theme)
        dialog.accepted.connect(lambda: self._edit(thresholds=dialog.thresholds))
        dialog.finished.connect(self._forget_dialog)
        self.dialog = dialog
        dialog.open()

    def _forget_dialog(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
        self.dialog = None

    def _edit(self, **fields: Any) -> None:
        """Take over what a person has set; the other fields stay as exact as they came."""
        spec = replace(self.spec, **fields)
        if spec != self.spec:
            self.show_policy(spec)
            self.changed.emit(spec)

    def _connect(self) -> None:
        self.vote.valueChanged.connect(lambda value: self._edit(vote=value))
        self.reject.valueChanged.connect(lambda value: self._edit(reject=round(value, 2)))
        self.thresholds.clicked.connect(self.ask_thresholds)
        self.hysteresis.valueChanged.connect(lambda value: self._edit(hysteresis=value))
        self.hold.valueChanged.connect(lambda value: self._edit(hold_ms=value))
        self.rest_gate.toggled.connect(lambda on: self._edit(rest_gate=on))
        self.off.clicked.connect(self._switch_off)

    def _switch_off(self) -> None:
        self.show_policy(PolicySpec())
        self.changed.emit(self.spec)

    def _lay_out(self) -> None:
        rows: dict[str, tuple[str, QWidget]] = {
            "vote": ("Vote over", self.vote),
            "reject": ("Reject below", self.reject),
            "thresholds": ("Per class", self.thresholds),
            "hysteresis": ("Hysteresis", self.hysteresis),
            "hold_ms": ("Hold for", self.hold),
            "rest_gate": ("Rest gate", self.rest_gate),
        }
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        for i, (name, (words, control)) in enumerate(rows.items()):
            label = QLabel(words)
            label.setBuddy(control)
            control.setAccessibleName(words)
            control.setAccessibleDescription(_EXPLANATIONS[name])
            control.setToolTip(_EXPLANATIONS[name])
            self.delays[name].setAccessibleName(f"Delay of: {words}")
            for column, part in enumerate((label, control, self.delays[name])):
                grid.addWidget(part, i, column)
        grid.setColumnStretch(2, 1)
        self.off.setAccessibleDescription("Decide by the most probable class alone")
        self.content.addLayout(grid)
        self.content.addWidget(self.off, alignment=Qt.AlignmentFlag.AlignLeft)
        self.content.addStretch(1)


class ThresholdsDialog(QDialog):
    """A threshold for each class; one that is not set is that of all classes.

    Parameters
    ----------
    contract : ModelContract
    spec : PolicySpec
        Where it begins.
    parent : QWidget, optional
    """

    def __init__(
        self, contract: ModelContract, spec: PolicySpec, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Reject below, for each class")
        self.boxes: dict[int, QDoubleSpinBox] = {}
        self._given = dict(spec.thresholds)
        common = f"as all: {spec.reject:g}" if spec.reject else "as all: off"
        form = QFormLayout()
        for c in contract.classes:
            box = _ProbabilityBox(_UNSET, common)
            box.setValue(self._given.get(c.id, _UNSET))
            box.setAccessibleName(f"Reject {c.name} below")
            form.addRow(c.name, box)
            self.boxes[c.id] = box
        classes = QWidget()
        classes.setLayout(form)
        area = QScrollArea()
        area.setWidget(classes)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setMinimumWidth(classes.sizeHint().width() + 40)
        standard = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(standard.Ok | standard.Cancel | standard.Reset)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.unset = buttons.button(standard.Reset)
        if self.unset is not None:
            self.unset.setText("As all")
            self.unset.clicked.connect(self._unset)
        self.buttons = buttons
        layout = QVBoxLayout(self)
        layout.addWidget(area)
        layout.addWidget(buttons)

    @property
    def thresholds(self) -> tuple[tuple[int, float], ...]:
        """What is set, as in `PolicySpec`; what was not touched is as exact as it came."""
        values = {label: round(box.value(), 2) for label, box in self.boxes.items()}
        shown = {label: round(value, 2) for label, value in self._given.items()}
        return tuple(
            (label, self._given[label] if value == shown.get(label) else value)
            for label, value in values.items()
            if value >= 0
        )

    def _unset(self) -> None:
        for box in self.boxes.values():
            box.setValue(box.minimum())


def dress_controls(root: QWidget, theme: Theme) -> None:
    """Give spin boxes, buttons and what they sit on the colours of `theme`.

    Each of them by itself: below a widget with a stylesheet palettes are not inherited.
    """
    filled = _control_palette(theme)
    for part in (root, *root.findChildren(QWidget)):
        part.setPalette(filled)


def _control_palette(theme: Theme) -> QPalette:
    filled = palette(theme)
    group, role = QPalette.ColorGroup, QPalette.ColorRole
    filled.setColor(role.Base, QColor(theme.window))
    filled.setColor(role.Button, QColor(theme.panel))
    for text in (role.ButtonText, role.HighlightedText, role.PlaceholderText):
        filled.setColor(text, QColor(theme.text))
    for text in (role.ButtonText, role.Text, role.WindowText):
        filled.setColor(group.Disabled, text, QColor(theme.muted))
    return filled


def _count_box(suffix: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(1, _MOST)
    box.setSuffix(suffix)
    box.setSpecialValueText("off")
    box.setKeyboardTracking(False)  # speak when a number is complete, not at each of its digits
    return box


class _ProbabilityBox(QDoubleSpinBox):
    """A probability below 1, or at its lowest value something else."""

    def __init__(self, lowest: float, lowest_means: str) -> None:
        super().__init__()
        self.setRange(lowest, 0.99)
        self.setSingleStep(0.05)
        self.setSpecialValueText(lowest_means)
        self.setKeyboardTracking(False)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Turn only where a person works: a wheel that scrolls past must not set thresholds."""
        if self.hasFocus():
            super().wheelEvent(event)
        elif event is not None:
            event.ignore()
