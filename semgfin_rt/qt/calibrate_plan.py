"""The first page of the calibration dialog: what is to be prompted."""

from __future__ import annotations

from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from semgfin_rt.app.calibration import Calibration, Plan
from semgfin_rt.app.preferences import CalibrationChoice
from semgfin_rt.app.prompts import LONGEST_S, MOST_REPETITIONS, SHORTEST_S, Timing
from semgfin_rt.contracts import REST
from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.calibrate_pages import Page, words_label
from semgfin_rt.qt.theme import Theme, palette


class PlanPage(Page):
    """Movements, repetitions, timing and order, and what they take.

    Parameters
    ----------
    contract : ModelContract
    last : CalibrationChoice
        What to begin with.
    """

    def __init__(self, contract: ModelContract, last: CalibrationChoice) -> None:
        super().__init__("1 of 4 · plan")
        self._contract = contract
        self.movements = {c.id: QCheckBox(c.name) for c in contract.classes if c.id != REST}
        self.person = _count(1, 9999, last.subject, "")
        self.repetitions = _count(2, MOST_REPETITIONS, last.repetitions, " of each")
        self.movement_s, self.rest_s = _seconds(last.movement_s), _seconds(last.rest_s)
        self.order = QComboBox()
        self.order.addItem("random in each repetition", "random")
        self.order.addItem("as in the list", "contract")
        self.order.setCurrentIndex(self.order.findData(last.order))
        self.takes = words_label("")
        self.takes.setAccessibleName("What it takes")
        self.all = self.button("&All", "Choose every movement")
        self.none = self.button("&None", "Choose no movement")
        self.start = self.button("&Start", "Begin with the first rest")
        self._lay_out()
        chosen = set(last.movements) & set(self.movements) or set(self.movements)
        for label, box in self.movements.items():
            box.setChecked(label in chosen)
            box.toggled.connect(self.judge)
        for spin in (self.person, self.repetitions, self.movement_s, self.rest_s):
            spin.valueChanged.connect(self.judge)
        self.order.currentIndexChanged.connect(self.judge)
        self.all.clicked.connect(lambda: self._choose(True))
        self.none.clicked.connect(lambda: self._choose(False))
        self.judge()

    @property
    def plan(self) -> Plan:
        """What is asked for."""
        return Plan(
            tuple(label for label, box in self.movements.items() if box.isChecked()),
            self.repetitions.value(),
            Timing(self.movement_s.value(), self.rest_s.value()),
            self.order.currentData(),
        )

    @property
    def choice(self) -> CalibrationChoice:
        """The same, and the person, to be remembered."""
        plan, timing = self.plan, self.plan.timing
        everything = len(plan.movements or ()) == len(self.movements)
        return CalibrationChoice(
            subject=self.person.value(),
            movements=() if everything else plan.movements or (),
            repetitions=plan.repetitions,
            movement_s=timing.movement_s,
            rest_s=timing.rest_s,
            order=plan.order,
        )

    def calibration(self) -> Calibration:
        """Return a session of this plan.

        Raises
        ------
        OptionError
            If there is too little to prompt.
        """
        return Calibration(self._contract, self.plan, self.person.value())

    def take_contract(self, contract: ModelContract) -> None:
        """Go by another checkpoint of the same classes: its history numbers the repetitions."""
        self._contract = contract

    def judge(self) -> None:
        """Say what it takes, or that it is too little."""
        try:
            timetable = self.calibration().timetable()
        except OptionError:  # the boxes allow nothing else that is wrong
            self.takes.clear()
            self.say("Choose two movements or more.", alarm=True)
            self.start.setEnabled(False)
            return
        minutes = timetable.end / self._contract.rate / 60
        self.takes.setText(f"{len(timetable.trials)} movements, {minutes:.1f} minutes")
        self.say(
            "Sit as you will sit later, the arm supported; hold each movement at a comfortable "
            "force while it is shown. The last repetition is held out, to see what it brought."
        )
        self.start.setEnabled(True)

    def dress_boxes(self, theme: Theme) -> None:
        """Let an empty box be seen in the dark as well."""
        colours = palette(theme)
        colours.setColor(QPalette.ColorRole.Base, QColor(theme.border))
        for box in self.movements.values():
            box.setPalette(colours)

    def _choose(self, chosen: bool) -> None:
        for box in self.movements.values():
            box.setChecked(chosen)

    def _lay_out(self) -> None:
        listed = QWidget()
        column = QVBoxLayout(listed)
        for box in self.movements.values():
            box.setAccessibleName(f"Prompt {box.text()}")
            column.addWidget(box)
        column.addStretch(1)
        area = QScrollArea()
        area.setAccessibleName("Movements")
        area.setWidget(listed)
        area.setWidgetResizable(True)
        form = QFormLayout()
        rows: dict[str, QWidget] = {
            "&Person": self.person,
            "&Repetitions": self.repetitions,
            "&Movement": self.movement_s,
            "Rest &between": self.rest_s,
            "&Order": self.order,
        }
        for words, control in rows.items():
            control.setAccessibleName(words.replace("&", ""))
            form.addRow(words, control)
        form.addRow("It takes", self.takes)
        self.person.setToolTip("A number for each person, so that repetitions are told apart")
        self.repetitions.setToolTip("The last one is held out for the comparison")
        self.content.addWidget(area, stretch=1)
        self.content.addLayout(form)


def _count(least: int, most: int, value: int, suffix: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(least, most)
    box.setValue(value)
    box.setSuffix(suffix)
    return box


def _seconds(value: float) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(SHORTEST_S, LONGEST_S)
    box.setDecimals(1)
    box.setSingleStep(0.5)
    box.setSuffix(" s")
    box.setValue(value)
    return box
