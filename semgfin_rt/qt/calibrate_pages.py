"""The pages of the calibration dialog: what is to be made, the prompts, the training, the result.

They show and ask; what happens between them is the dialog's.
"""

from __future__ import annotations

import math
from pathlib import Path

from PyQt6.QtCore import QRegularExpression, Qt, pyqtSignal
from PyQt6.QtGui import QRegularExpressionValidator
from PyQt6.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from semgfin_rt.app.calibration import Verdict
from semgfin_rt.app.comparison import Comparison
from semgfin_rt.app.prompts import Prompt, Timing
from semgfin_rt.app.tuning import StageProgress
from semgfin_rt.contracts import REST
from semgfin_rt.engine.snapshot import Snapshot
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.panel import Headline, caption_label
from semgfin_rt.qt.theme import mark

_FINE = 1000  # steps of the countdown
NAME = QRegularExpression(r"\w[\w .-]*")
"""Of a checkpoint: what every file system takes as one plain name."""


class Page(QWidget):
    """One step: a caption, content, a message, and buttons in a row below.

    Parameters
    ----------
    caption : str
        Also the accessible name.
    """

    def __init__(self, caption: str) -> None:
        super().__init__()
        self.setAccessibleName(caption)
        self.content = QVBoxLayout()
        self.message = words_label("")
        self.message.setAccessibleName("Message")
        self.buttons = QHBoxLayout()
        self.buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.addWidget(caption_label(caption))
        layout.addLayout(self.content, stretch=1)
        layout.addWidget(self.message)
        layout.addLayout(self.buttons)

    def say(self, text: str, *, alarm: bool = False) -> None:
        """Show a sentence below."""
        self.message.setText(text)
        mark(self.message, "alarm", alarm)

    def button(self, text: str, does: str) -> QPushButton:
        """Add a button; `does` says in words what it is for."""
        button = QPushButton(text)
        button.setToolTip(does)
        button.setAccessibleDescription(does)
        button.setAutoDefault(False)
        self.buttons.addWidget(button)
        return button


class PromptPage(Page):
    """What to do now, what comes next, and how the last trial was."""

    def __init__(self, contract: ModelContract) -> None:
        super().__init__("2 of 4 · movements")
        self._contract = contract
        self.movement = Headline()
        self.movement.setAccessibleName("Movement to make now")
        self.movement.setMinimumHeight(150)
        self.next = words_label("")
        self.next.setAccessibleName("Next movement")
        self.left = QProgressBar()
        self.left.setRange(0, _FINE)
        self.left.setAccessibleName("Time left")
        self.number = caption_label("")
        self.number.setAccessibleName("Trial")
        self.verdict = words_label("")
        self.verdict.setAccessibleName("Last trial")
        self.verdict.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.verdict.setMinimumHeight(2 * self.verdict.fontMetrics().lineSpacing())  # always there
        self.redo = self.button("Redo (&R)", "Prompt this movement once more, next")
        self.redo.setShortcut("R")
        self.pause = self.button("&Pause", "Wait; the trial that is cut off is prompted again")
        self.stop = self.button("S&top", "Forget what was recorded and go back to the plan")
        for widget in (self.next, self.left, self.number, self.verdict):
            self.content.addWidget(widget)
        self.content.insertWidget(0, self.movement, stretch=1)

    def show_prompt(self, prompt: Prompt, timing: Timing) -> None:
        """Show what is to be done; the bar runs empty."""
        name = self._contract.class_name
        is_rest = prompt.movement == REST
        self.movement.say("rest" if is_rest else name(prompt.movement))
        coming = "the end" if prompt.next is None else name(prompt.next)
        self.next.setText(f"next: {coming}" if is_rest or prompt.next is None else "next: rest")
        if not is_rest and prompt.next is not None:
            self.next.setText(f"next: rest, then {coming}")
        whole = timing.rest_s if is_rest else timing.movement_s
        self.left.setValue(min(_FINE, round(_FINE * prompt.left_s / whole)))
        self.left.setFormat(f"{math.ceil(prompt.left_s)} s")
        repetition = "" if prompt.trial is None else f", repetition {prompt.trial.repetition}"
        self.number.setText(f"{prompt.number} of {prompt.total}{repetition}")

    def show_verdict(self, verdict: Verdict) -> None:
        """Say how a trial was."""
        name = self._contract.class_name(verdict.trial.movement)
        follows = "it will be prompted again" if verdict.redo else "it is left out"
        self.verdict.setText(
            f"{name}: good" if verdict.ok else f"{name}: {verdict.problem}; {follows}"
        )
        mark(self.verdict, "good", verdict.ok)
        mark(self.verdict, "alarm", not verdict.ok)


class TuningPage(Page):
    """How far the fine-tuning is."""

    def __init__(self) -> None:
        super().__init__("3 of 4 · fine-tuning")
        self.stage = words_label("")
        self.stage.setProperty("role", "headline")
        self.stage.setAccessibleName("Stage")
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the stage")
        self.past = words_label("")
        self.past.setAccessibleName("Stages that are done")
        self.cancel = self.button("&Cancel", "End it and go back to the plan")
        for widget in (self.stage, self.bar, self.past):
            self.content.addWidget(widget)
        self.content.addStretch(1)
        self.begin()

    def begin(self) -> None:
        """Show that nothing is done yet."""
        self._stages: list[str] = []
        self.show_progress(StageProgress("starting", 0, 1))
        self.say(
            "The checkpoint learns from what was recorded, in the background; the one you have "
            "goes on deciding meanwhile."
        )

    def show_progress(self, progress: StageProgress) -> None:
        """Show a stage and its steps."""
        if progress.stage not in self._stages:
            self._stages.append(progress.stage)
        self.stage.setText(progress.stage)
        self.bar.setRange(0, max(1, progress.steps))
        self.bar.setValue(progress.step)
        done = self._stages[:-1]
        self.past.setText(f"done: {', '.join(done)}" if done else "")


class ResultPage(Page):
    """What it brought, and whether it is kept."""

    name_changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__("4 of 4 · result")
        self.figures = {key: QLabel() for key in ("before", "after", "lda")}
        self.words = words_label("")
        self.words.setAccessibleName("Result")
        self.deciding = words_label("")
        self.deciding.setAccessibleName("Checkpoint that decides now")
        self.name = QLineEdit()
        self.name.setAccessibleName("Name of the new checkpoint")
        self.name.setValidator(QRegularExpressionValidator(NAME))
        self.name.textChanged.connect(self.name_changed)
        self.keep = self.button("&Keep", "Write the new checkpoint to your models")
        self.undo = self.button("&Undo", "Go on with the checkpoint as it was")
        self.again = self.button("Calibrate a&gain", "Back to the plan")
        self._caption = words_label("")
        form = QFormLayout()
        for key, words in (
            ("before", "before"),
            ("after", "after"),
            ("lda", "an LDA, from the same"),
        ):
            self.figures[key].setProperty("role", "headline")
            self.figures[key].setAccessibleName(words)
            form.addRow(words, self.figures[key])
        named = QFormLayout()
        named.addRow("Na&me", self.name)
        self.content.addWidget(self._caption)
        self.content.addLayout(form)
        self.content.addWidget(self.words)
        self.content.addLayout(named)
        self.content.addWidget(self.deciding)
        self.content.addStretch(1)

    def show_comparison(self, found: Comparison) -> None:
        """Show before, after and LDA, and say what to think of them."""
        self._caption.setText(
            f"Right decisions in repetition {found.held_out}, which was held out "
            f"({found.windows} windows):"
        )
        for key, value in (("before", found.before), ("after", found.after), ("lda", found.lda)):
            self.figures[key].setText("unknown" if value is None else f"{100 * value:.1f} %")
        self.words.setText(result_words(found))
        mark(self.words, "good", not found.shortfall)
        mark(self.words, "alarm", found.is_worse)

    def show_deciding(self, snapshot: Snapshot, wanted: Path, as_it_was: Path) -> None:
        """Say which checkpoint decides, or why the wanted one does not."""
        if snapshot.model == str(wanted):
            which = "as it was" if wanted == as_it_was else "of this person"
            self.deciding.setText(f"Now the checkpoint {which} decides.")
            mark(self.deciding, "alarm", False)
            return
        for event in snapshot.events:
            if event.kind == "model":
                self.deciding.setText(event.text)
                mark(self.deciding, "alarm", True)


def result_words(found: Comparison) -> str:
    """Say in words what a calibration brought."""
    if found.is_worse:
        return (
            f"{_sentence(found.shortfall)}. That is worse, so it cannot be kept: the checkpoint "
            "as it was goes on deciding. Look after the electrodes, and calibrate again."
        )
    if found.shortfall:
        return (
            f"{_sentence(found.shortfall)}. You can keep it all the same, or record more "
            "repetitions."
        )
    return (
        f"Better than before, and not below an LDA; it took {found.seconds:.0f} s of fine-tuning."
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def words_label(text: str) -> QLabel:
    """Make a label for sentences."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
