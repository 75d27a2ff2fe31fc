"""Choosing a source, clicked as a person clicks it, up to a real session."""

import time
import uuid

import pytest
from PyQt6 import sip
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QApplication, QFileDialog, QLabel, QToolButton

from semgfin_rt import lsl
from semgfin_rt.app.choice import SourceChoice
from semgfin_rt.app.preferences import Preferences
from semgfin_rt.app.studio import Studio
from semgfin_rt.contracts import SignalSpec
from semgfin_rt.decision import PolicySpec
from semgfin_rt.qt import source_pages
from semgfin_rt.qt.source_dialog import SourceDialog
from semgfin_rt.qt.window import MainWindow
from semgfin_rt.recordings.db2_schema import channel_names
from semgfin_rt.recordings.synthetic import write_subject

PATIENCE_MS = 60_000
EMG12 = SignalSpec(channel_names(12), 2000.0, "V")


@pytest.fixture(scope="module")
def db2(tmp_path_factory):
    """A folder with short synthetic sessions of subjects 1 and 2, in the schema of DB2."""
    folder = tmp_path_factory.mktemp("db2")
    for subject in (1, 2):
        write_subject(folder, subject, 1, movements=2, repetitions=2, movement_s=1, rest_s=1)
    return folder


@pytest.fixture
def open_dialog(qapp):
    made = []

    def make(choice=SourceChoice(), own=frozenset(), folder=""):  # noqa: B008 - frozen
        dialog = SourceDialog(None, choice, folder, own)
        made.append(dialog)
        dialog.show()
        return dialog

    yield make
    for dialog in made:
        if not sip.isdeleted(dialog):
            dialog.reject()
    QApplication.processEvents()


def names(page):
    return [page.list.topLevelItem(i).text(0) for i in range(page.list.topLevelItemCount())]


def row(page, name):
    return page.list.topLevelItem(names(page).index(name))


# ----------------------------------------------------------------------------- streams
@pytest.fixture
def outlets():
    """Streams of an amplifier that fits, one of 8 channels, one without unit, and markers."""
    pylsl = lsl.api()
    key = uuid.uuid4().hex[:8]
    made = {
        "fits": lsl.make_info(f"fits {key}", "EMG", f"a-{key}", EMG12),
        "eight": lsl.make_info(
            f"eight {key}", "EMG", f"b-{key}", SignalSpec(channel_names(8), 1000.0, "V")
        ),
        "silent": pylsl.StreamInfo(f"silent {key}", "EMG", 12, 2000.0, "float32", f"c-{key}"),
        "marks": pylsl.StreamInfo(f"marks {key}", "Markers", 1, 0.0, "string", f"d-{key}"),
    }
    alive = {
        name: (info.name(), info.source_id(), pylsl.StreamOutlet(info))
        for name, info in made.items()
    }
    yield alive
    alive.clear()


def test_streams_are_listed_checked_and_chosen(open_dialog, outlets, qtbot):
    dialog = open_dialog(SourceChoice(kind="stream"))
    page = dialog.stream_page
    wanted = {name: outlets[name][0] for name in outlets}
    qtbot.waitUntil(lambda: set(wanted.values()) <= set(names(page)), timeout=PATIENCE_MS)
    assert not dialog.open_button.isEnabled()
    assert dialog.verdict.text() == "Choose a stream."
    assert [row(page, wanted["eight"]).text(c) for c in range(4, 8)] == ["8", "1000 Hz", "V", "now"]
    assert row(page, wanted["marks"]).isDisabled()

    page.list.setCurrentItem(row(page, wanted["eight"]))
    assert not dialog.open_button.isEnabled()
    assert "has 8 channels and the checkpoint was trained on 12" in dialog.open_button.toolTip()
    assert dialog.channels.rowCount() == 12
    assert dialog.channels.item(8, 2).text() == "the source has no emg9"

    page.list.setCurrentItem(row(page, wanted["silent"]))
    assert dialog.verdict.text().startswith("The stream states no unit")
    assert not dialog.open_button.isEnabled()
    qtbot.keyClicks(page.unit, "uV")
    assert dialog.open_button.isEnabled()
    assert "names no channels: taken as emg1, emg2" in dialog.verdict.text()
    assert dialog.channels.horizontalHeaderItem(0).text() == "source (uV)"

    page.unit.setCurrentIndex(0)
    page.list.setCurrentItem(row(page, wanted["fits"]))
    assert dialog.open_button.isEnabled()
    qtbot.mouseClick(dialog.open_button, Qt.MouseButton.LeftButton)
    assert dialog.result() == SourceDialog.DialogCode.Accepted
    assert dialog.choice == SourceChoice(
        kind="stream", name=wanted["fits"], source_id=outlets["fits"][1]
    )
    assert dialog.recording is None


def test_own_streams_are_left_out_and_the_last_choice_is_chosen_again(open_dialog, outlets, qtbot):
    name, source_id, _ = outlets["fits"]
    choice = SourceChoice(kind="stream", name=name, source_id=source_id)
    dialog = open_dialog(choice, own=frozenset({outlets["eight"][1]}))
    qtbot.waitUntil(dialog.open_button.isEnabled, timeout=PATIENCE_MS)
    assert dialog.choice.source_id == source_id
    assert outlets["eight"][0] not in names(dialog.stream_page)


def test_help_when_nothing_is_found(open_dialog, qtbot):
    dialog = open_dialog(SourceChoice(kind="stream"))
    page = dialog.stream_page
    assert page.help.text() == "Looking for streams …"
    qtbot.waitUntil(lambda: "No stream is seen" in page.help.text(), timeout=PATIENCE_MS)
    for word in ("--lan", "16571", "VPN", "Docker", "semgfin-rt doctor"):
        assert word in page.help.text()
    assert page.help.isVisible()
    assert not page.list.isVisible()
    qtbot.waitUntil(lambda: "ok · loopback: " in page.help.text(), timeout=PATIENCE_MS)
    for finding in ("ok · scope: streams of this machine only", "interface: ", "ports: "):
        assert finding in page.help.text()
    looks = dialog._watch.looks
    qtbot.waitUntil(lambda: dialog._watch.looks > looks + 1, timeout=PATIENCE_MS)
    assert page.help.isVisible()  # the doctor's own stream is none to choose


# -------------------------------------------------------------------------- recordings
def test_recording_is_read_in_the_background_and_checked(open_dialog, qtbot, db2, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(db2))
    dialog = open_dialog(SourceChoice(kind="recording"))
    page = dialog.recording_page
    assert dialog.verdict.text().startswith("Choose a file or folder")
    qtbot.mouseClick(page.browse, Qt.MouseButton.LeftButton)
    assert dialog.verdict.text() == "The recording is being read."
    assert page.progress.isVisible()
    assert not dialog.open_button.isEnabled()
    qtbot.waitUntil(dialog.open_button.isEnabled, timeout=PATIENCE_MS)
    assert not page.progress.isVisible()
    assert dialog.recording.subject == 1
    assert dialog.folder == str(db2.parent)
    page.options.subject.setValue(2)
    assert dialog.recording is None
    qtbot.waitUntil(dialog.open_button.isEnabled, timeout=PATIENCE_MS)
    assert dialog.recording.subject == dialog.choice.subject == 2
    page.options.subject.setValue(9)
    qtbot.waitUntil(lambda: "holds no subject 9" in dialog.verdict.text(), timeout=PATIENCE_MS)
    assert not dialog.open_button.isEnabled()


def test_recording_that_is_not_there_and_one_that_is_no_longer_waited_for(
    open_dialog, qtbot, monkeypatch, tmp_path
):
    dialog = open_dialog(SourceChoice(kind="recording"))
    page = dialog.recording_page
    qtbot.keyClicks(page.path, str(tmp_path / "no.mat"))
    qtbot.keyClick(page.path, Qt.Key.Key_Tab)
    page.path.editingFinished.emit()
    qtbot.waitUntil(lambda: "does not exist" in dialog.verdict.text(), timeout=PATIENCE_MS)

    monkeypatch.setattr(source_pages, "read_recording", lambda _: time.sleep(0.5))
    page.path.setText("slow.mat")
    page.path.editingFinished.emit()
    assert page.stop.isVisible()
    qtbot.mouseClick(page.stop, Qt.MouseButton.LeftButton)
    assert not page.progress.isVisible()
    assert dialog.verdict.text().startswith("Choose a file or folder")


def test_path_that_is_taken_away_takes_its_recording_with_it(open_dialog, qtbot, db2):
    dialog = open_dialog(SourceChoice(kind="recording", path=str(db2)))
    page = dialog.recording_page
    qtbot.waitUntil(dialog.open_button.isEnabled, timeout=PATIENCE_MS)
    page.path.setFocus()
    page.path.selectAll()
    qtbot.keyClick(page.path, Qt.Key.Key_Delete)
    page.path.editingFinished.emit()
    assert not dialog.open_button.isEnabled()
    assert dialog.recording is None
    assert dialog.verdict.text().startswith("Choose a file or folder")
    qtbot.keyClicks(page.path, str(db2))  # the same again is read again
    page.path.editingFinished.emit()
    qtbot.waitUntil(dialog.open_button.isEnabled, timeout=PATIENCE_MS)


def test_checkpoint_that_is_none_is_a_sentence(open_dialog, monkeypatch, tmp_path):
    dialog = open_dialog(SourceChoice(kind="synthetic"))
    assert dialog.open_button.isEnabled()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    dialog._browse_model()
    assert not dialog.open_button.isEnabled()
    assert "is not a checkpoint" in dialog.verdict.text()
    dialog.model.setCurrentIndex(dialog.model.findData("demo"))
    assert dialog.open_button.isEnabled()


def test_dialog_fits_a_small_screen_and_names_its_parts(open_dialog):
    dialog = open_dialog(SourceChoice(kind="synthetic"))
    assert dialog.minimumSizeHint().height() <= 360  # of 400 at 200 %, with a frame
    assert dialog.minimumSizeHint().width() <= 600
    for widget in (dialog.tabs, dialog.model, dialog.verdict, dialog.channels):
        assert widget.accessibleName()


# ------------------------------------------------------------------------ the whole way
def test_from_nothing_to_decisions_to_another_source(qtbot, db2):
    """Real processes: the demo checkpoint on a synthetic subject's recording."""
    preferences = Preferences()
    studio = Studio()
    window = MainWindow(studio, "dark", preferences)
    qtbot.addWidget(window)
    window.show()
    try:
        (button,) = [
            b
            for b in window.placeholder.findChildren(QToolButton)
            if b.accessibleName().startswith("Replay")
        ]
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        dialog = window.findChild(SourceDialog)
        dialog.recording_page.path.setText(str(db2))
        dialog.recording_page.path.editingFinished.emit()
        qtbot.waitUntil(dialog.open_button.isEnabled, timeout=PATIENCE_MS)
        qtbot.mouseClick(dialog.open_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: has_decided(studio), timeout=PATIENCE_MS)
        assert window.windowTitle() == f"replay: {db2} · semgfin-rt"
        assert window.placeholder.isHidden()
        assert "Replay" in window.docks
        assert preferences.source.path == str(db2)
        truth = window.docks["Movement"].panel.truth
        qtbot.waitUntil(lambda: truth.text() != "truth now: –", timeout=PATIENCE_MS)  # noqa: RUF001
        window.docks["Policy"].panel.vote.setValue(5)
        qtbot.waitUntil(
            lambda: any(e.kind == "policy" for e in studio.stage.view.events), timeout=PATIENCE_MS
        )
        first = studio.stage
        window.close_source()
        qtbot.waitUntil(window.placeholder.isVisible, timeout=PATIENCE_MS)
        assert window.message.text() == "Nothing is open."
        assert window.docks == {}
        assert first.link.last.health.decisions > 0

        # another source begins with the policy that was set
        dialog = window.open_source("recording")
        qtbot.waitUntil(dialog.open_button.isEnabled, timeout=PATIENCE_MS)
        qtbot.mouseClick(dialog.open_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: has_decided(studio), timeout=PATIENCE_MS)
        assert studio.stage is not first
        assert studio.session.policy == PolicySpec(vote=5)
        assert window.docks["Policy"].panel.vote.value() == 5
    finally:
        window.close()
        studio.close()


def test_source_that_is_closed_while_it_starts_is_not_opened(qtbot, db2):
    studio = Studio()
    source = SourceChoice(kind="recording", path=str(db2))
    window = MainWindow(studio, "dark", Preferences(source=source))
    qtbot.addWidget(window)
    window.show()
    try:
        dialog = window.open_source("recording")
        qtbot.waitUntil(dialog.open_button.isEnabled, timeout=PATIENCE_MS)
        qtbot.mouseClick(dialog.open_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: "Starting" in window.message.text(), timeout=PATIENCE_MS)
        actions = {action.text(): action for action in window.findChildren(QAction)}
        actions["C&lose the source"].trigger()
        qtbot.waitUntil(lambda: window.message.text() == "Nothing is open.", timeout=PATIENCE_MS)
        qtbot.waitUntil(studio._left.done, timeout=PATIENCE_MS)
        qtbot.wait(300)
        assert (studio.stage, window.docks) == (None, {})
    finally:
        window.close()
        studio.close()


def has_decided(studio):
    return studio.stage is not None and studio.stage.view.decision is not None


def test_source_that_cannot_be_opened_leaves_the_window_usable(qtbot, db2):
    window = MainWindow(Studio(), "dark", Preferences())
    qtbot.addWidget(window)
    window.show()
    dialog = window.open_source("synthetic")
    dialog.synthetic_page.put = lambda _: SourceChoice(kind="recording", path=str(db2 / "no"))
    dialog.accept()
    qtbot.waitUntil(lambda: "does not exist" in window.message.text(), timeout=PATIENCE_MS)
    assert window.placeholder.findChild(QLabel).text() == window.message.text()
    assert window.message.property("alarm")
    again = window.open_source("synthetic")
    assert again.isVisible()
    window.close()  # and with it the dialog, whose thread would keep the process
    assert not again.isVisible()
    assert again._watch._over.is_set()
