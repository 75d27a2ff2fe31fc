"""Calibration from the plan to undo: a live engine on a stream of its own, and no short cut."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDialog, QToolButton

from semgfin_rt import lsl
from semgfin_rt.app.preferences import CalibrationChoice, Preferences
from semgfin_rt.app.session import Session
from semgfin_rt.app.settings import Live, Settings
from semgfin_rt.app.studio import Stage, Studio
from semgfin_rt.contracts import REST
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.qt.application import offer_calibration
from semgfin_rt.qt.calibrate import CalibrateDialog
from semgfin_rt.qt.source_dialog import SourceDialog
from semgfin_rt.qt.window import MainWindow
from semgfin_rt.recordings.synthetic import Cue, synthetic_performance
from semgfin_rt.train.options import FinetuneOptions

DEMO = Path(__file__).parents[2] / "models" / "demo"
RATE = 2000
FIST, FLEXION = 6, 13
PATIENCE_MS = 400_000  # a busy machine leaves little to a process of low priority


class Person(threading.Thread):
    """Sends what a synthetic person's electrodes give, in real time.

    `prompted` says what is prompted at a time of the LSL clock: this person follows the prompts to
    the sample, however late a busy machine shows them.
    """

    def __init__(self) -> None:
        super().__init__(name="person", daemon=True)
        self.source_id = f"person-{uuid.uuid4()}"
        self.prompted: Callable[[float], int] = lambda _time: REST
        self.gone = False
        cues = [Cue(FIST, 1, 4000, 12_000), Cue(FLEXION, 1, 20_000, 28_000)]
        signal = 1e6 * synthetic_performance(99, 0, cues, 32_000).samples  # in uV
        self._does = {
            REST: signal[:4000],
            FIST: signal[5000:11_000],
            FLEXION: signal[21_000:27_000],
        }

    def run(self) -> None:
        pylsl = lsl.api()
        info = pylsl.StreamInfo("amplifier", "EMG", 12, RATE, "float32", self.source_id)
        channels = info.desc().append_child("channels")
        for name in load_contract(DEMO).channels:
            channel = channels.append_child("channel")
            channel.append_child_value("label", name)
            channel.append_child_value("unit", "microvolts")
        outlet, began, sent = pylsl.StreamOutlet(info), lsl.local_clock(), 0
        while not self.gone:
            time.sleep(0.005)
            n = int((lsl.local_clock() - began) * RATE) - sent
            for _ in range(n // 10):
                sent += 10
                part = self._does[self.prompted(began + sent / RATE)]
                at = sent % len(part)
                outlet.push_chunk(part[at : at + 10].copy(), began + sent / RATE)


class Room:
    """A window on the person's stream, who follows the prompts of its calibration dialog."""

    def __init__(self, qtbot) -> None:
        self.qtbot, self.person, self.idle = qtbot, Person(), set()
        self.opened: CalibrateDialog | None = None
        self.person.start()
        session = Session(Settings(DEMO), Live(source_id=self.person.source_id, wait_s=20.0))
        studio = Studio(Stage.start(session, "live: amplifier"))
        self.stage, self.studio = studio.stage, studio
        self.window = MainWindow(studio, "dark", Preferences())
        qtbot.addWidget(self.window)
        offer_calibration(self.window)
        self.window.show()
        self.wait(lambda: self.stage.view.decision is not None)
        self.person.prompted = self._prompted

    def _prompted(self, time: float) -> int:
        """Called by the person's thread, which must not touch Qt."""
        known = self.stage.view.decision
        calibration = None if self.opened is None else self.opened.calibration
        if calibration is None or not calibration._begun:
            return REST
        prompt = calibration._schedule.at(known.sample + round((time - known.time) * RATE))
        if prompt.trial is None or (prompt.movement, prompt.trial.attempt) in self.idle:
            return REST
        return prompt.movement

    def wait(self, condition) -> None:
        self.qtbot.waitUntil(condition, timeout=PATIENCE_MS)

    def click(self, button) -> None:
        assert button.isVisible()
        assert button.isEnabled()
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def calibrate(self) -> CalibrateDialog:
        self.window.calibrate_wanted.emit()
        self.opened = self.window.findChildren(CalibrateDialog)[-1]
        assert self.opened.isVisible()
        return self.opened

    def plan(self, dialog: CalibrateDialog) -> None:
        page = dialog.plan_page
        self.click(page.none)
        for label in (FIST, FLEXION):
            page.movements[label].setChecked(True)
        page.person.setValue(99)
        page.repetitions.setValue(2)
        page.movement_s.setValue(1.5)
        page.rest_s.setValue(1.0)
        page.order.setCurrentIndex(1)


@pytest.fixture
def room(qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMGFIN_MODELS", str(tmp_path / "models"))
    room = Room(qtbot)
    yield room
    room.window.close()
    room.studio.close()
    room.person.gone = True
    room.person.join()


@pytest.mark.long
def test_from_the_plan_to_undo_on_a_live_stream_without_a_missed_decision(room, tmp_path):
    view = room.stage.view
    dialog = room.calibrate()
    room.plan(dialog)
    dialog._options = FinetuneOptions(shorten=0.1)
    room.idle = {(FIST, 1)}  # in both repetitions nothing is done at first
    room.click(dialog.plan_page.start)
    page = dialog.prompt_page
    room.wait(lambda: page.movement.text == "fingers flexed together in fist")
    room.wait(lambda: "it will be prompted again" in page.verdict.text())
    assert "dB over rest" in page.verdict.text()
    assert page.number.text().split(",")[0].endswith(" of 5")
    room.wait(lambda: page.movement.text == "wrist flexion")
    room.click(page.redo)  # once more, by hand
    room.wait(lambda: dialog.pages.currentWidget() is dialog.tuning_page)
    assert dialog.tuning.recording.notes == ()
    room.wait(lambda: dialog.tuning.state != "running")
    assert dialog.tuning.state == "done", dialog.tuning.failure
    room.wait(lambda: dialog.pages.currentWidget() is dialog.result_page)
    page, trial = dialog.result_page, dialog.tuning.checkpoint
    found = dialog.tuning.comparison
    assert not found.is_worse
    assert page.figures["after"].text() == f"{100 * found.after:.1f} %"
    room.wait(lambda: page.deciding.text() == "Now the checkpoint of this person decides.")
    assert view.model == str(trial)

    page.name.setText("mine")
    room.click(page.keep)
    kept = tmp_path / "models" / "mine"
    room.wait(lambda: view.model == str(kept))
    assert not trial.exists()
    room.click(page.undo)
    room.wait(lambda: view.model == str(DEMO))
    assert load_contract(kept).history[-1].subjects == (99,)
    dialog.reject()

    for kind in ("stream", "recording", "synthetic"):
        room.window.open_source(kind)
        room.qtbot.wait(300)
        for opened in room.window.findChildren(QDialog):
            opened.reject()
    room.window.show_shortcuts()
    room.qtbot.wait(300)
    room.window.findChildren(QDialog)[-1].reject()
    before = view.decision.sample
    room.wait(lambda: view.decision.sample > before + RATE)
    health = view.health  # what a busy machine passes over it says; nothing else may be missing
    assert health.lost == 0
    assert health.decisions + health.skipped >= health.expected

    again = CalibrationChoice(
        subject=99,
        movements=(FIST, FLEXION),
        repetitions=2,
        movement_s=1.5,
        rest_s=1,
        order="contract",
    )
    assert room.window.preferences.calibration == again
    dialog = room.calibrate()
    assert dialog.plan_page.choice == again


def test_without_a_stream_calibrate_asks_for_one_and_goes_on_once_it_is_there(room):
    room.window.close_source()
    room.wait(room.window.placeholder.isVisible)
    buttons = room.window.placeholder.findChildren(QToolButton)
    room.click(next(b for b in buttons if b.accessibleName() == "Calibrate …"))
    source = room.window.findChild(SourceDialog)
    page = source.stream_page
    room.wait(lambda: bool(page.list.findItems("amplifier", Qt.MatchFlag.MatchExactly)))
    page.list.setCurrentItem(page.list.findItems("amplifier", Qt.MatchFlag.MatchExactly)[0])
    room.wait(source.open_button.isEnabled)
    room.click(source.open_button)
    room.wait(lambda: room.window.findChild(CalibrateDialog) is not None)
    dialog = room.window.findChild(CalibrateDialog)
    assert dialog.isVisible()
    room.opened, room.stage = dialog, room.studio.stage
    room.wait(lambda: room.stage.view.decision is not None)
    room.plan(dialog)
    room.click(dialog.plan_page.start)
    room.wait(lambda: dialog.prompt_page.movement.text == "fingers flexed together in fist")


def test_a_stream_that_stops_is_told_and_closing_half_way_leaves_nothing(room, tmp_path):
    dialog = room.calibrate()
    room.plan(dialog)
    room.click(dialog.plan_page.start)
    page = dialog.prompt_page
    room.wait(lambda: page.movement.text == "fingers flexed together in fist")
    room.person.gone = True
    room.wait(lambda: page.message.text() == "No signal comes: the prompts wait for it.")
    shown = page.number.text()
    room.qtbot.wait(300)
    assert page.number.text() == shown
    room.qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.paused
    room.qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not [d for d in room.window.findChildren(CalibrateDialog) if d.isVisible()]
    assert not (tmp_path / "models").exists()
    assert room.stage.view.model == str(DEMO)
