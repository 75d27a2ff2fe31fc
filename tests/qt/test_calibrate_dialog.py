"""The calibration dialog, clicked from the plan to a kept checkpoint, with a real fine-tuning."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QDialog

from semgfin_rt.app.comparison import Comparison
from semgfin_rt.app.preferences import CalibrationChoice, Preferences
from semgfin_rt.app.prompted import SyntheticPerson
from semgfin_rt.app.session import Session
from semgfin_rt.app.settings import Live, Settings
from semgfin_rt.app.studio import Stage, Studio
from semgfin_rt.contracts import NO_LABEL, REST, Event
from semgfin_rt.engine.commands import Note, SwapModel
from semgfin_rt.engine.snapshot import NO_HEALTH, Snapshot
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.qt.application import offer_calibration
from semgfin_rt.qt.calibrate import CalibrateDialog
from semgfin_rt.qt.calibrate_pages import result_words
from semgfin_rt.qt.source_dialog import SourceDialog
from semgfin_rt.qt.theme import DARK, LIGHT
from semgfin_rt.qt.window import MainWindow
from semgfin_rt.train.options import FinetuneOptions

DEMO = Path(__file__).parents[2] / "models" / "demo"
CHOSEN = (6, 13)
QUICK = FinetuneOptions(shorten=0.02)
PATIENCE_MS = 120_000  # a busy core loads torch
EVERY = 200  # samples in a snapshot


class Desk:
    """A dialog with its engine's ear, and somebody who follows its prompts."""

    def __init__(self, qtbot, folder):
        self.qtbot = qtbot
        self.sent = []
        self.place = folder / "models"
        self.dialog = CalibrateDialog(
            load_contract(DEMO),
            DEMO,
            self.sent.append,
            CalibrationChoice(subject=99),
            place=self.place,
            options=QUICK,
        )
        self.dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        qtbot.addWidget(self.dialog)
        self.dialog.show()
        self.dialog.activateWindow()  # or its shortcuts would not be heard
        qtbot.waitUntil(self.dialog.isActiveWindow, timeout=5000)
        self.sample = 40_000

    def click(self, button):
        assert button.isEnabled()
        assert button.isVisible()
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def choose(self):
        """Two movements, two repetitions, in 1 s and 1 s of rest."""
        page = self.dialog.plan_page
        self.click(page.none)
        for label in CHOSEN:
            page.movements[label].setChecked(True)
        page.repetitions.setValue(2)
        page.movement_s.setValue(1)
        page.rest_s.setValue(1)
        page.order.setCurrentIndex(1)

    def start(self):
        self.choose()
        self.click(self.dialog.plan_page.start)

    def perform(self, take=0):
        """Return the signal that the prompts to come ask for."""
        return SyntheticPerson(99).perform(self.dialog.calibration, take).samples

    def feed(self, signal, **fields):
        for start in range(0, len(signal), EVERY):
            part = signal[start : start + EVERY]
            self.dialog.take(self.snapshot(part, **fields))
            self.sample += len(part)

    def snapshot(self, signal=None, **fields):
        signal = np.empty((0, 12), np.float32) if signal is None else signal
        now = Snapshot("running", "", self.sample, signal, (), None, (), NO_HEALTH)
        return replace(now, **fields)

    @property
    def page(self):
        return self.dialog.pages.currentWidget()

    @property
    def prompts(self):
        return [json.loads(c.text) for c in self.sent if isinstance(c, Note)]

    @property
    def swaps(self):
        return [c.model for c in self.sent if isinstance(c, SwapModel)]


@pytest.fixture
def desk(qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMGFIN_MODELS", str(tmp_path / "models"))
    desk = Desk(qtbot, tmp_path)
    yield desk
    desk.dialog.reject()


def tuned(desk):
    """Go on to the result."""
    desk.start()
    desk.feed(desk.perform())
    assert desk.page is desk.dialog.tuning_page
    desk.qtbot.waitUntil(lambda: desk.page is desk.dialog.result_page, timeout=PATIENCE_MS)
    return desk.dialog.tuning


# ---------------------------------------------------------------------------- the plan
def test_the_plan_says_what_it_takes_and_what_it_lacks(desk):
    page = desk.dialog.plan_page
    assert page.takes.text() == "51 movements, 6.8 minutes"
    desk.click(page.none)
    assert not page.start.isEnabled()
    assert page.message.text() == "Choose two movements or more."
    desk.choose()
    assert page.takes.text() == "4 movements, 0.1 minutes"
    assert page.plan.movements == CHOSEN
    assert page.start.isEnabled()
    assert not desk.dialog.isModal()


def test_a_folder_that_cannot_be_written_is_found_before_anybody_moves(desk):
    desk.place.write_text("a file")
    desk.start()
    assert desk.page is desk.dialog.plan_page
    assert "set SEMGFIN_MODELS to a folder that can" in desk.dialog.plan_page.message.text()
    assert desk.dialog.calibration is None


def test_pages_that_were_not_seen_yet_take_on_the_theme_too(desk):
    desk.dialog.dress(DARK)
    desk.dialog.dress(LIGHT)
    desk.start()
    role = QPalette.ColorRole.Button
    assert desk.dialog.prompt_page.pause.palette().color(role).name() == LIGHT.panel
    assert desk.dialog.prompt_page.movement.theme is LIGHT


# ------------------------------------------------------------------------- the prompts
def test_prompts_follow_the_samples_and_are_told_to_the_recording_where_they_change(desk):
    desk.start()
    page, begin = desk.dialog.prompt_page, desk.sample
    assert page.message.text() == "Waiting for the signal."
    signal = desk.perform()
    desk.feed(signal[:1900])
    assert (page.movement.text, page.left.format()) == ("rest", "1 s")
    assert page.next.text() == "next: fingers flexed together in fist"
    assert page.left.value() == 50
    desk.feed(signal[1900:2500])  # a snapshot reaches over the change
    assert page.movement.text == "fingers flexed together in fist"
    assert page.next.text() == "next: rest, then wrist flexion"
    assert page.number.text() == "1 of 4, repetition 1"
    desk.feed(signal[2500:])
    told = desk.prompts
    labels = [p["label"] for p in told]
    assert labels == [REST, 6, REST, 13, REST, 6, REST, 13, REST, NO_LABEL]
    assert [p["sample"] - begin for p in told[:9]] == [2000 * k for k in range(9)]
    assert told[5] == {"label": 6, "repetition": 2, "attempt": 1, "sample": begin + 10_000}
    assert page.verdict.text() == "wrist flexion: good"


def test_lost_samples_are_told_and_r_prompts_a_movement_once_more(desk):
    desk.start()
    page = desk.dialog.prompt_page
    signal = desk.perform()
    desk.feed(signal[:2600])
    desk.sample += 200  # nobody has seen these
    assert page.redo.isEnabled()
    desk.feed(signal[2800:5000])
    assert page.verdict.text() == (
        "fingers flexed together in fist: 200 samples were lost or not finite; "
        "it will be prompted again"
    )
    assert page.number.text() == "2 of 5, repetition 1"
    assert not page.redo.isEnabled()  # it is to come already
    desk.feed(signal[5000:6500])
    assert page.movement.text == "wrist flexion"
    desk.qtbot.keyClick(desk.dialog, Qt.Key.Key_R)
    desk.qtbot.waitUntil(lambda: page.number.text() == "2 of 6, repetition 1", timeout=5000)
    assert page.next.text() == "next: rest, then wrist flexion"
    assert not page.redo.isEnabled()
    samples = [p["sample"] for p in desk.prompts]
    assert samples == [40_000 + 2000 * k for k in range(4)]


def test_esc_pauses_first_and_what_was_cut_off_is_prompted_again(desk):
    desk.start()
    page = desk.dialog.prompt_page
    signal = desk.perform()
    desk.feed(signal[:6100])
    desk.qtbot.keyClick(desk.dialog, Qt.Key.Key_Escape)
    assert desk.dialog.isVisible()
    assert desk.dialog.paused
    assert desk.prompts[-1]["label"] == NO_LABEL
    desk.feed(signal[6100:])
    assert (page.movement.text, page.number.text()) == ("wrist flexion", "2 of 4, repetition 1")
    desk.click(page.pause)
    desk.feed(desk.perform()[:100])
    assert (page.movement.text, page.number.text()) == ("rest", "2 of 4, repetition 1")
    desk.sample = 0  # the stream was connected again
    desk.feed(desk.perform()[:2100])
    assert (page.movement.text, page.number.text()) == ("wrist flexion", "2 of 4, repetition 1")
    desk.qtbot.keyClick(desk.dialog, Qt.Key.Key_Escape)
    desk.qtbot.keyClick(desk.dialog, Qt.Key.Key_Escape)
    assert not desk.dialog.isVisible()
    assert desk.dialog.result() == QDialog.DialogCode.Rejected
    assert not desk.place.exists()


def test_a_signal_that_ends_is_told_and_stop_goes_back(desk):
    desk.start()
    desk.feed(desk.perform()[:2100])
    desk.dialog.take(desk.snapshot(phase="ended"))
    assert "The signal has ended" in desk.dialog.prompt_page.message.text()
    assert desk.dialog.paused
    desk.click(desk.dialog.prompt_page.stop)
    assert desk.page is desk.dialog.plan_page
    assert desk.dialog.calibration is None


def test_nobody_who_moves_leaves_nothing_to_learn_from(desk):
    desk.start()
    for _ in range(3):  # twice again at the end
        rest = np.random.default_rng(0).standard_normal((20_000, 12)).astype(np.float32)
        desk.feed(1e-6 * rest)
    assert desk.page is desk.dialog.plan_page
    words = desk.dialog.plan_page.message.text()
    assert words.startswith("Nothing was learnt: no trial of repetition 1 can be learnt from")
    assert desk.swaps == []


# ------------------------------------------------------------------- training and result
def test_the_result_decides_at_once_is_kept_and_undone(desk):
    tuning = tuned(desk)
    dialog, page = desk.dialog, desk.dialog.result_page
    found = tuning.comparison
    assert page.figures["before"].text() == f"{100 * found.before:.1f} %"
    assert page.figures["after"].text() == f"{100 * found.after:.1f} %"
    assert page.words.text() == result_words(found)
    assert not found.is_worse, "this seed is to show what is kept"
    trial = tuning.checkpoint
    assert desk.swaps == [trial]
    assert load_contract(trial).history[-1].subjects == (99,)
    dialog.take(desk.snapshot(model=str(trial)))
    assert page.deciding.text() == "Now the checkpoint of this person decides."
    refused = Event(0.0, "model", "'x' takes another window.")
    dialog.take(desk.snapshot(model=str(DEMO), events=(refused,)))
    assert page.deciding.text() == "'x' takes another window."

    assert page.name.text() == "demo-person99"
    (desk.place / "taken").mkdir()
    page.name.setText("taken")
    assert not page.keep.isEnabled()
    assert "'taken' already: choose another name" in page.message.text()
    page.name.setText("")
    assert not page.keep.isEnabled()
    page.name.setText("mine")
    desk.qtbot.keyClick(page.name, Qt.Key.Key_Return)
    kept = desk.place / "mine"
    assert desk.swaps == [trial, kept]
    assert sorted(p.name for p in desk.place.iterdir()) == ["mine", "taken"]
    assert page.message.text() == f"Kept as 'mine' in {desk.place}."
    assert {t.repetition for t in dialog.plan_page.calibration().timetable().trials} == {3, 4}
    assert not page.keep.isEnabled()

    desk.click(page.undo)
    assert desk.swaps == [trial, kept, DEMO]
    assert "'mine' stays in" in page.message.text()
    dialog.take(desk.snapshot(model=str(DEMO)))
    assert page.deciding.text() == "Now the checkpoint as it was decides."
    assert load_contract(kept).history[-1].subjects == (99,)
    dialog.reject()
    assert len(desk.swaps) == 3


def test_closing_while_it_learns_ends_the_process_and_leaves_nothing(desk):
    desk.start()
    desk.feed(desk.perform())
    child = psutil.Process(desk.dialog.tuning.pid)
    assert desk.dialog.tuning_page.cancel.isVisible()
    desk.qtbot.keyClick(desk.dialog, Qt.Key.Key_Escape)
    assert not desk.dialog.isVisible()
    assert not child.is_running()
    assert list(desk.place.iterdir()) == []
    assert desk.swaps == []


def test_a_killed_process_is_a_sentence_and_cancel_goes_back(desk):
    desk.start()
    desk.feed(desk.perform())
    psutil.Process(desk.dialog.tuning.pid).kill()
    page = desk.dialog.tuning_page
    desk.qtbot.waitUntil(lambda: "ended unexpectedly" in page.message.text(), timeout=10_000)
    desk.click(page.cancel)
    assert desk.page is desk.dialog.plan_page
    assert list(desk.place.iterdir()) == []


@pytest.mark.parametrize("worse", [True, False])
def test_what_is_not_kept_is_gone_and_what_is_worse_never_decides(desk, worse):
    desk.start()
    desk.feed(desk.perform())
    dialog, page = desk.dialog, desk.dialog.result_page
    dialog.timer.stop()
    tuning = dialog.tuning
    tuning._hear(Comparison(0.75, 0.5 if worse else 0.8, 0.7, 2, 100, 3.0))
    dialog._hear()
    assert desk.page is page
    assert page.keep.isEnabled() is not worse
    assert page.undo.isEnabled() is not worse
    assert ("That is worse, so it cannot be kept" in page.words.text()) is worse
    assert desk.swaps == ([] if worse else [tuning.checkpoint])
    trial = tuning.checkpoint
    dialog.reject()
    assert desk.swaps == ([] if worse else [trial, DEMO])
    assert list(desk.place.iterdir()) == []


@pytest.mark.parametrize(
    ("after", "lda", "words"),
    [
        (0.8, 0.7, "Better than before, and not below an LDA; it took 3 s"),
        (0.8, 0.9, "and an LDA on 90.0 %. You can keep it all the same"),
        (None, 0.9, "Before and after cannot be compared. You can keep it"),
    ],
)
def test_a_result_in_words(after, lda, words):
    assert words in result_words(Comparison(0.75, after, lda, 2, 100, 3.0))


# ------------------------------------------------------------------------- in the window
def test_the_window_opens_it_for_a_live_stream_and_feeds_it(qtbot, feed, desk):
    session = Session(Settings(DEMO), Live("nobody"))
    studio = Studio(Stage("live", session.contract, feed, session))
    remembered = CalibrationChoice(
        subject=7, movements=CHOSEN, repetitions=2, movement_s=2, rest_s=1.5, order="contract"
    )
    window = MainWindow(studio, "light", Preferences(calibration=remembered))
    qtbot.addWidget(window)
    window.timer.stop()
    offer_calibration(window)
    window.calibrate_wanted.emit()
    window.calibrate_wanted.emit()  # once is enough
    (dialog,) = window.findChildren(CalibrateDialog)
    assert not dialog.isModal()
    assert dialog.plan_page.choice == remembered
    dialog.plan_page.person.setValue(8)
    assert dialog.prompt_page.movement.theme is LIGHT
    window.switch_theme()
    assert dialog.prompt_page.movement.theme is DARK
    dialog._place = desk.place
    dialog.start()
    prompt = {"label": REST, "repetition": 1, "attempt": 1, "sample": desk.sample}
    signal = np.zeros((500, 12), np.float32)
    feed.snapshots.append(desk.snapshot(signal))
    window.tick()
    assert dialog.calibration.prompt.left_s == 1.25
    assert window.preferences.calibration == remembered.model_copy(update={"subject": 8})
    assert feed.sent == [Note("prompt", json.dumps(prompt))]
    studio.stage = None
    window.tick()
    assert not dialog.isVisible()
    window.calibrate_wanted.emit()
    assert "connect a live stream first" in window.message.text()
    source = window.findChild(SourceDialog)
    assert source.isVisible()
    assert source.page is source.stream_page
    window.close()
