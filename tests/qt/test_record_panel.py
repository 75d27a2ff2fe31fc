"""The record panel, used as a person uses it; a real recorder writes what it asks for."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication, QFileDialog, QLabel, QLineEdit, QPushButton
from sessions import HEADER, chunk_at

from semgfin_rt import lsl
from semgfin_rt.app.display import LiveView
from semgfin_rt.app.preferences import Preferences
from semgfin_rt.contracts import Event
from semgfin_rt.engine.commands import Note, SaveBlackBox, StartRecording, StopRecording
from semgfin_rt.engine.snapshot import NO_HEALTH, Snapshot
from semgfin_rt.qt.recording import RecordPanel
from semgfin_rt.qt.theme import DARK, LIGHT, stylesheet
from semgfin_rt.recordings.xdf import read_session
from semgfin_rt.sinks.recorder import Recorder

RATE = 2000


@pytest.fixture
def panel(qtbot, tmp_path):
    made = RecordPanel(RATE)
    made.kept = Preferences(record_folder=str(tmp_path), subject="Anna B/7")
    made.remember_in(made.kept)
    made.setStyleSheet(stylesheet(DARK))
    made.heard = []
    made.command.connect(made.heard.append)
    qtbot.addWidget(made)
    made.resize(500, 260)
    made.show()
    qtbot.waitExposed(made)
    return made


class Told:
    """A view, and what the engine tells it."""

    def __init__(self, contract):
        self.view = LiveView(contract)

    def tell(self, panel, *texts, kind="record", recording="", received=0):
        self.hear(
            *(Event(lsl.local_clock(), kind, text) for text in texts),
            recording=recording,
            received=received,
        )
        panel.show_recording(self.view)

    def hear(self, *events, recording="", received=0):
        health = replace(NO_HEALTH, received=received)
        self.view.update(
            Snapshot(
                "running",
                "",
                0,
                [],
                (),
                None,
                (),
                health,
                events=events,
                recording=str(recording or ""),
            )
        )


@pytest.fixture
def told(contract):
    return Told(contract)


def press(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def answer(qtbot, panel, name=None):
    """Press Record; write another name, if given; press Enter."""
    press(qtbot, panel.record)
    qtbot.waitUntil(lambda: panel.dialog is not None and panel.dialog.isVisible())
    field = panel.dialog.findChild(QLineEdit, "fileNameEdit")
    offered = field.text()
    if name is not None:
        field.setFocus()
        field.selectAll()
        qtbot.keyClicks(field, name)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: panel.dialog is None)
    return offered


# ------------------------------------------------------------------------- what is asked
def test_record_asks_for_a_file_and_offers_a_name(qtbot, panel, tmp_path):
    offered = answer(qtbot, panel)
    assert offered.startswith(f"Anna-B-7_{time.strftime('%Y-%m-')}")
    assert offered.endswith(".xdf")
    assert panel.heard == [StartRecording(tmp_path / offered)]


def test_another_folder_is_remembered(qtbot, panel, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    answer(qtbot, panel, "elsewhere/b")
    assert panel.heard == [StartRecording(tmp_path / "elsewhere" / "b.xdf")]
    assert panel.kept.record_folder == str(tmp_path / "elsewhere")
    press(qtbot, panel.record)
    assert panel.dialog.directory().absolutePath() == str(tmp_path / "elsewhere")
    panel.dialog.reject()


def test_escape_records_nothing(qtbot, panel):
    press(qtbot, panel.record)
    qtbot.keyClick(panel.dialog, Qt.Key.Key_Escape)
    assert panel.dialog is None
    assert panel.heard == []


def test_the_same_button_stops(qtbot, panel, told, tmp_path):
    assert panel.record.text() == "● Record …"
    told.tell(panel, recording=tmp_path / "a.xdf")
    assert panel.record.text() == "■ Stop recording"
    assert panel.record.accessibleName() == "Stop recording"
    press(qtbot, panel.record)
    assert panel.heard == [StopRecording()]
    told.tell(panel)
    assert panel.record.text() == "● Record …"


def test_one_click_saves_the_black_box(qtbot, panel, tmp_path):
    press(qtbot, panel.black_box)
    (command,) = panel.heard
    assert isinstance(command, SaveBlackBox)
    assert command.path.parent == tmp_path
    assert command.path.name.startswith("Anna-B-7_")
    assert command.path.name.endswith("_last-60-s.xdf")


def test_a_mark_with_and_without_a_text(qtbot, panel, told):
    press(qtbot, panel.mark)
    qtbot.keyClicks(panel.mark_text, " electrode 3 pressed ")
    qtbot.keyClick(panel.mark_text, Qt.Key.Key_Return)
    assert panel.heard == [Note("mark", "mark"), Note("mark", "electrode 3 pressed")]
    assert panel.mark_text.text() == ""
    told.tell(panel, "electrode 3 pressed", kind="mark")
    assert panel.news.text() == "Marked 'electrode 3 pressed'."


def test_the_subject_is_remembered(qtbot, panel, tmp_path):
    panel.subject.selectAll()
    qtbot.keyClicks(panel.subject, "Ben")
    qtbot.keyClick(panel.subject, Qt.Key.Key_Return)
    assert (panel.kept.record_folder, panel.kept.subject) == (str(tmp_path), "Ben")
    press(qtbot, panel.black_box)
    assert panel.heard[0].path.name.startswith("Ben_")


def test_a_folder_that_is_gone_is_replaced_by_one_that_is_there(qtbot, tmp_path):
    panel = RecordPanel(RATE)
    panel.remember_in(Preferences(record_folder=str(tmp_path / "gone")))
    qtbot.addWidget(panel)
    assert panel.folder.is_dir()
    assert panel.folder.is_relative_to(Path.home())


# -------------------------------------------------------------------------- what is shown
def test_length_and_size(panel, told, tmp_path):
    file = tmp_path / "a.xdf"
    file.write_bytes(bytes(2_345_678))
    told.tell(panel, recording=file, received=10 * RATE)  # it begins 10 s into the stream
    told.tell(panel, recording=file, received=(10 + 125) * RATE)
    assert panel.note.text() == "● 2:05"
    assert panel.state.text() == f"● 2:05   2.3 MB   {file}"
    told.tell(panel, received=200 * RATE)
    assert panel.note.text() == ""
    assert panel.state.text() == f"nothing is recorded; files go into {tmp_path}"


def test_a_panel_that_was_hidden_knows_when_the_recording_began(panel, told, tmp_path):
    file = tmp_path / "a.xdf"
    told.hear(recording=file, received=90 * RATE)  # the view knows, the panel is not called
    told.tell(panel, recording=file, received=150 * RATE)
    assert panel.note.text() == "● 1:00"


def test_a_file_that_is_not_there_yet_has_no_size(panel, told, tmp_path):
    told.tell(panel, recording=tmp_path / "missing.xdf")
    assert panel.state.text() == f"● 0:00      {tmp_path / 'missing.xdf'}"


def test_other_events_are_not_the_recorders(panel, told):
    told.tell(panel, "Recording into 'a.xdf'.")
    told.tell(panel, "17 samples are missing before sample 99.", kind="loss")
    assert panel.news.text() == "Recording into 'a.xdf'."


def obey(recorder, command):
    """Do as the engine does."""
    match command:
        case StartRecording(path):
            recorder.start(path)
        case StopRecording():
            recorder.stop()
        case SaveBlackBox(path):
            recorder.save_black_box(path)
        case Note(kind, text):
            recorder.event(Event(lsl.local_clock(), kind, text))


def test_with_a_recorder_troubles_are_told_from_news(qtbot, panel, told, tmp_path):
    recorder = Recorder()
    recorder.describe(HEADER)
    panel.command.connect(lambda command: obey(recorder, command))

    def said(word):
        told.hear(*recorder.news(), recording=recorder.recording)
        panel.show_recording(told.view)
        return word in panel.news.text()

    def alarm():
        return bool(panel.news.property("alarm"))

    try:
        for first in range(0, 2000, 20):
            recorder.chunk(chunk_at(first))
        (tmp_path / "mine.xdf").write_text("mine")
        answer(qtbot, panel, "mine")
        qtbot.waitUntil(lambda: said("exists and is not overwritten"), timeout=30_000)
        assert alarm()
        assert panel.record.text() == "● Record …"  # nothing is
        answer(qtbot, panel, "new")
        qtbot.waitUntil(lambda: said("Recording into"))
        assert not alarm()
        assert panel.record.text() == "■ Stop recording"
        recorder.chunk(chunk_at(2000))
        press(qtbot, panel.record)
        qtbot.waitUntil(lambda: said("were recorded into"))
        assert not alarm()
        press(qtbot, panel.black_box)
        qtbot.waitUntil(lambda: said("The last 1.0 s are in"))
        assert not alarm()
        (box,) = tmp_path.glob("Anna-B-7_*_last-60-s.xdf")
        assert len(read_session(box).samples) == 2020
        os.kill(recorder.pid, 9)
        qtbot.waitUntil(lambda: said("ended unexpectedly"))
        assert alarm()
        assert panel.record.text() == "● Record …"
        press(qtbot, panel.black_box)
        qtbot.waitUntil(lambda: said("The last 60 s were lost"))
        assert alarm()
    finally:
        recorder.close()


# -------------------------------------------------------------------------- for everybody
def test_the_keyboard_reaches_everything(qtbot, panel):
    panel.activateWindow()
    panel.record.setFocus()
    reached = []
    for _ in range(5):
        reached.append(QApplication.focusWidget())
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    assert reached == [panel.record, panel.black_box, panel.subject, panel.mark_text, panel.mark]


def test_everything_has_a_name(panel):
    for part in (*panel.findChildren(QPushButton), panel.subject, panel.mark_text, panel.news):
        assert part.accessibleName(), part


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_placeholders_do_not_look_like_contents(panel, theme):
    panel.dress(theme)
    colours = panel.mark_text.palette()
    assert colours.placeholderText().color().name() == theme.muted
    assert colours.text().color().name() == theme.text


@pytest.mark.parametrize("points", [9, 18])
def test_no_word_is_cut_at_the_smallest_size(qtbot, tmp_path, told, points):
    panel = RecordPanel(RATE)
    panel.remember_in(Preferences(record_folder=str(tmp_path)))
    qtbot.addWidget(panel)
    font = panel.font()
    font.setPointSize(points)
    panel.setFont(font)
    told.tell(panel, "Recording into 'a.xdf'.", recording=tmp_path / "a.xdf")
    panel.show()
    panel.resize(panel.minimumSizeHint())
    QApplication.processEvents()
    for part in panel.findChildren(QPushButton) + panel.findChildren(QLabel):
        if part not in (panel.state, panel.news) and part.isVisible():  # cut or wrapped on purpose
            assert part.width() >= part.sizeHint().width(), part.text()


def test_the_dialog_asks_nothing_about_overwriting(qtbot, panel):
    press(qtbot, panel.record)
    assert panel.dialog.testOption(QFileDialog.Option.DontConfirmOverwrite)
    panel.dialog.reject()
