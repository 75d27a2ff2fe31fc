"""The calibration dialog: prompts, fine-tuning, and keeping the result, beside a running window.

Qt's thread is the only one here. The fine-tuning is a process of its own, which a timer asks for
news; nothing here waits for it, but for its end when it is told to end at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QDialog, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from semgfin_rt.app.calibration import Calibration
from semgfin_rt.app.choice import models_found
from semgfin_rt.app.preferences import CalibrationChoice
from semgfin_rt.app.prompts import Trial
from semgfin_rt.app.tuning import Tuning, require_place
from semgfin_rt.contracts import NO_LABEL, REST, FloatArray
from semgfin_rt.engine.commands import Command, Note, SwapModel
from semgfin_rt.engine.snapshot import Snapshot
from semgfin_rt.errors import CheckpointError, SemgfinError
from semgfin_rt.folders import places
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.qt.calibrate_pages import Page, PromptPage, ResultPage, TuningPage
from semgfin_rt.qt.calibrate_plan import PlanPage
from semgfin_rt.qt.policy import dress_controls
from semgfin_rt.qt.shortcuts import fit_on_screen
from semgfin_rt.qt.theme import DARK, Theme, stylesheet
from semgfin_rt.train.options import FinetuneOptions

_NEWS_MS = 100


class CalibrateDialog(QDialog):
    """Take a person through a calibration while the window goes on. Not modal.

    Parameters
    ----------
    contract : ModelContract
        Of the checkpoint that decides.
    checkpoint : Path
        Its folder, which is adapted and not changed.
    send : callable
        Tells the engine a command.
    last : CalibrationChoice, optional
        What the plan begins with.
    parent : QWidget, optional
    place : Path, optional
        Folder of the new checkpoint's; the user's models by default.
    options : FinetuneOptions, optional

    Attributes
    ----------
    calibration : Calibration or None
        While prompts run.
    tuning : Tuning or None
        From the last prompt on.
    paused : bool
        The prompts wait.
    """

    begun = pyqtSignal(object)
    """Prompts begin, with a `CalibrationChoice`."""

    def __init__(
        self,
        contract: ModelContract,
        checkpoint: Path,
        send: Callable[[Command], None],
        last: CalibrationChoice | None = None,
        parent: QWidget | None = None,
        *,
        place: Path | None = None,
        options: FinetuneOptions | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Calibrate")
        self.setAccessibleName("Calibrate")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._contract, self._checkpoint, self._send = contract, checkpoint, send
        self._base = self._deciding = checkpoint
        self._place = places("models")[0] if place is None else place
        self._options = options
        self.calibration: Calibration | None = None
        self.tuning: Tuning | None = None
        self.paused = False
        self._next = -1  # index of the sample that comes next; none has come
        self._told: tuple[int, Trial | None] | None = None
        self._made: Trial | None = None  # the movement that was prompted last
        self._again: set[Trial] = set()  # those that are prompted once more already
        self.plan_page = PlanPage(contract, last or CalibrationChoice())
        self.prompt_page, self.tuning_page = PromptPage(contract), TuningPage()
        self.result_page = ResultPage()
        self.pages = QStackedWidget()
        for page in (self.plan_page, self.prompt_page, self.tuning_page, self.result_page):
            self.pages.addWidget(page)
        layout = QVBoxLayout(self)
        layout.addWidget(self.pages)
        self.timer = QTimer(self)
        self.timer.setInterval(_NEWS_MS)
        self.timer.timeout.connect(self._hear)
        self._connect()
        self.dress(DARK)
        self._turn_to(self.plan_page, self.plan_page.start)
        fit_on_screen(self, 560, 640)

    # ------------------------------------------------------------------- with the window
    def take(self, snapshot: Snapshot) -> None:
        """Take what the window takes: the samples are the clock of the prompts."""
        if self._page is self.result_page:
            self.result_page.show_deciding(snapshot, self._deciding, self._checkpoint)
        if self.calibration is None or self.paused:
            return
        if snapshot.phase in ("ended", "failed"):
            self.pause()
            self.prompt_page.say("The signal has ended: stop, and open a source.", alarm=True)
        elif snapshot.stale is not None:
            self.prompt_page.say("No signal comes: the prompts wait for it.", alarm=True)
        if len(snapshot.signal):
            if snapshot.stale is None:
                self.prompt_page.say("")
            self._feed(snapshot.signal, snapshot.first)

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self._theme = self.prompt_page.movement.theme = theme
        self.setStyleSheet(f"QDialog {{ background: {theme.panel}; }}{stylesheet(theme)}")
        self._dress_page()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Let Esc pause before it closes: one slip must not cost minutes of prompts."""
        running = self.calibration is not None and not self.paused
        if event is not None and event.key() == Qt.Key.Key_Escape and running:
            self.pause()
            self.prompt_page.say("Paused. Esc closes, and forgets what was recorded.")
        else:
            super().keyPressEvent(event)

    def done(self, result: int) -> None:
        """Close in any state: what is not kept goes, and the engine has its checkpoint back."""
        self._forget()
        super().done(result)

    # ----------------------------------------------------------------------- the prompts
    def start(self) -> None:
        """Begin the prompts with the next sample."""
        out = self._place / self._free_name()
        try:
            require_place(out)
            self.calibration = self.plan_page.calibration()
        except CheckpointError:
            self.plan_page.say(
                f"{self._place} cannot be written: set SEMGFIN_MODELS to a folder that can.",
                alarm=True,
            )
            return
        self.begun.emit(self.plan_page.choice)
        self._next, self._told, self._made, self.paused = -1, None, None, False
        self._again.clear()
        self.prompt_page.verdict.clear()
        self.prompt_page.redo.setEnabled(False)
        self.prompt_page.pause.setText("&Pause")
        self.prompt_page.show_prompt(self.calibration.prompt, self.calibration.plan.timing)
        self.prompt_page.say("Waiting for the signal.")
        self._turn_to(self.prompt_page, self.prompt_page.pause)

    def pause(self) -> None:
        """Let the prompts wait, or go on: the trial that was cut off is prompted again."""
        if self.calibration is None:
            return
        self.paused = not self.paused
        self.prompt_page.pause.setText("&Go on" if self.paused else "&Pause")
        self.prompt_page.redo.setEnabled(False)
        if self.paused:
            self.prompt_page.say("Paused.")
            self._tell_prompt(NO_LABEL, None)
        else:
            self.prompt_page.say("")
            self._resume()

    def redo(self) -> None:
        """Prompt the last movement once more, next."""
        if self.calibration is not None and self._made is not None:
            self._again.add(self._made)
            self.calibration.redo(self._made)
            self._show_prompt()

    def stop(self) -> None:
        """Forget what was recorded, or learnt, and go back to the plan."""
        self._forget()
        self.plan_page.judge()
        self._turn_to(self.plan_page, self.plan_page.start)

    def _feed(self, signal: FloatArray, first: int) -> None:
        """Hand samples over, cut where the prompt changes, so that none is passed over."""
        calibration = self.calibration
        if calibration is None:
            return
        if first < self._next:  # another connection counts from the beginning
            self._resume()
        if self._told is None:
            self._next = first
            self._show_prompt()
        while len(signal) and not calibration.over:
            left = round(calibration.prompt.left_s * self._contract.rate) - (first - self._next)
            part, signal = signal[: max(1, left)], signal[max(1, left) :]
            for verdict in calibration.take(part, first):
                self.prompt_page.show_verdict(verdict)
                if verdict.redo:
                    self._again.add(verdict.trial)
            self._next = first = first + len(part)
            self._show_prompt()
        if calibration.over:
            self._train(calibration)

    def _resume(self) -> None:
        if self.calibration is not None:
            self.calibration.resume()
            self._made = self._told = None
            self._next = -1

    def _show_prompt(self) -> None:
        calibration = self.calibration
        if calibration is None:
            return
        prompt = calibration.prompt
        self.prompt_page.show_prompt(prompt, calibration.plan.timing)
        if prompt.movement != REST:
            self._made = prompt.trial
        self.prompt_page.redo.setEnabled(self._made is not None and self._made not in self._again)
        if (now := (prompt.movement, prompt.trial)) != self._told:
            self._told = now
            self._tell_prompt(prompt.movement, prompt.trial)

    def _tell_prompt(self, label: int, trial: Trial | None) -> None:
        """Let a recording know what is shown from here on, as it knows a replay's truth."""
        prompt: dict[str, int] = {"label": label}
        if trial is not None:
            prompt |= {"repetition": trial.repetition, "attempt": trial.attempt}
        if self._next >= 0:
            prompt["sample"] = self._next
        self._send(Note("prompt", json.dumps(prompt)))

    # -------------------------------------------------------------------- the fine-tuning
    def _train(self, calibration: Calibration) -> None:
        self._tell_prompt(NO_LABEL, None)
        self.calibration = None
        try:
            recording = calibration.recording()
            out = self._place / self._free_name()
            self.tuning = Tuning(self._base, recording, out, self._options)
            self.tuning.start()
        except SemgfinError as error:
            self.stop()
            self.plan_page.say(f"Nothing was learnt: {error}", alarm=True)
            return
        self.tuning_page.begin()
        self._turn_to(self.tuning_page)
        self.timer.start()

    def _hear(self) -> None:
        tuning = self.tuning
        if tuning is None:
            return
        state = tuning.poll()
        self.tuning_page.show_progress(tuning.progress)
        if state != "running":
            self.timer.stop()
        if state == "failed":
            self.tuning_page.say(tuning.failure, alarm=True)
        elif state == "done":
            self._show_result(tuning)

    # ------------------------------------------------------------------------- the result
    def _show_result(self, tuning: Tuning) -> None:
        found, page = tuning.comparison, self.result_page
        if found is None:
            return
        page.show_comparison(found)
        page.deciding.clear()
        page.name.setText(tuning.out.name)
        notes = " ".join(tuning.recording.notes)
        page.say(notes or "Closing without keeping goes back to the checkpoint as it was.")
        page.name.setEnabled(not found.is_worse)
        page.undo.setEnabled(not found.is_worse)
        self._allow_keeping()
        self._turn_to(page, page.again if found.is_worse else page.keep)
        if not found.is_worse:
            self._swap(tuning.checkpoint)

    def keep(self) -> None:
        """Write the new checkpoint under its name; it goes on deciding."""
        tuning, page = self.tuning, self.result_page
        if tuning is None:
            return
        tuning.out = self._place / page.name.text().strip()
        try:
            kept = tuning.keep()
            self.plan_page.take_contract(load_contract(kept))
        except SemgfinError as error:
            page.say(str(error), alarm=True)
            return
        self._swap(kept)
        self._base = kept
        self._allow_keeping()
        page.name.setEnabled(False)
        page.say(f"Kept as '{kept.name}' in {kept.parent}.")

    def undo(self) -> None:
        """Give the engine its checkpoint back; what was kept stays in its folder."""
        tuning, page = self.tuning, self.result_page
        if tuning is None:
            return
        kept = tuning.state == "kept"
        self._base = self._checkpoint
        self.plan_page.take_contract(self._contract)
        self._forget()
        for control in (page.keep, page.undo, page.name):
            control.setEnabled(False)
        words = f"'{tuning.out.name}' stays in {tuning.out.parent}." if kept else "Nothing is kept."
        page.say(f"Undone: the checkpoint as it was decides. {words}")

    def _allow_keeping(self) -> None:
        """Enable the button where there is a result under a name that is free."""
        tuning, page = self.tuning, self.result_page
        if tuning is None or tuning.comparison is None or tuning.state != "done":
            page.keep.setEnabled(False)
            return
        name = page.name.text().strip()
        taken = bool(name) and (name in models_found() or (self._place / name).exists())
        page.keep.setEnabled(
            page.name.hasAcceptableInput() and not taken and not tuning.comparison.is_worse
        )
        if taken:
            page.say(f"There is a checkpoint '{name}' already: choose another name.", alarm=True)
        elif page.message.property("alarm"):
            page.say("")

    # ------------------------------------------------------------------------------ parts
    @property
    def _page(self) -> QWidget | None:
        return self.pages.currentWidget()

    def _turn_to(self, page: Page, default: QPushButton | None = None) -> None:
        self.pages.setCurrentWidget(page)
        self._dress_page()
        if default is not None:
            default.setDefault(True)
            default.setFocus()

    def _dress_page(self) -> None:
        """Dress what is seen: a style forgets the palettes of what was never shown."""
        dress_controls(self.pages, self._theme)
        self.plan_page.dress_boxes(self._theme)

    def _swap(self, model: Path) -> None:
        if model != self._deciding:
            self._deciding = model
            self._send(SwapModel(model))

    def _forget(self) -> None:
        """End what runs; the engine has back what decided before, but for what was kept."""
        self.timer.stop()
        if self.calibration is not None:
            self.calibration = None
            self._tell_prompt(NO_LABEL, None)
        self._swap(self._base)
        if self.tuning is not None:
            self.tuning.close()
            self.tuning = None

    def _free_name(self) -> str:
        stem, found = (
            f"{self._checkpoint.name}-person{self.plan_page.person.value()}",
            models_found(),
        )
        names = [stem, *(f"{stem}-{k}" for k in range(2, 1000))]
        return next(n for n in names if n not in found and not (self._place / n).exists())

    def _connect(self) -> None:
        self.plan_page.start.clicked.connect(self.start)
        self.prompt_page.redo.clicked.connect(self.redo)
        self.prompt_page.pause.clicked.connect(self.pause)
        self.prompt_page.stop.clicked.connect(self.stop)
        self.tuning_page.cancel.clicked.connect(self.stop)
        self.result_page.keep.clicked.connect(self.keep)
        self.result_page.undo.clicked.connect(self.undo)
        self.result_page.again.clicked.connect(self.stop)
        self.result_page.name_changed.connect(self._allow_keeping)
