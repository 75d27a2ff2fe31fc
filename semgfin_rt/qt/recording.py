"""Record what comes in and goes out, keep the last minute, put a mark.

What is shown is the engine's word (its snapshots), what is asked for goes out as a command.
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
)

from semgfin_rt.app.display import LiveView
from semgfin_rt.app.preferences import Preferences
from semgfin_rt.app.record_names import (
    file_name,
    first_folder,
    length_text,
    size_text,
)
from semgfin_rt.engine.commands import Note, SaveBlackBox, StartRecording, StopRecording
from semgfin_rt.qt.panel import ElidedLabel, Panel
from semgfin_rt.qt.policy import dress_controls
from semgfin_rt.qt.theme import DARK, Theme, mark

_SIZE_EVERY_S = 1.0  # the disk may be slow


class RecordPanel(Panel):
    """Start and stop, the black box, marks, and what the recorder has to say.

    Parameters
    ----------
    rate : float
        Of the signal, in Hz.

    Attributes
    ----------
    folder : Path
    dialog : QFileDialog or None
        While it is open.
    """

    command = pyqtSignal(object)
    """Something for the engine: a `Command`."""

    def __init__(self, rate: float) -> None:
        super().__init__("record")
        self._rate = rate
        self._theme = DARK
        self.folder = first_folder()
        self.dialog: QFileDialog | None = None
        self._preferences: Preferences | None = None
        self._file = ""
        self._sized_at = 0.0
        self._size = ""
        self._seen = 0  # events

        self.record = QPushButton()
        self.black_box = QPushButton("Save the last 60 s")
        self.subject = QLineEdit()
        self.mark_text = QLineEdit()
        self.mark = QPushButton("Mark")
        self.state, self.news = ElidedLabel(), QLabel()
        self._lay_out()
        self._connect()
        self.dress(DARK)
        self._show_file("")

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self._theme = theme
        dress_controls(self, theme)
        for field in (self.subject, self.mark_text):
            colours = field.palette()
            colours.setColor(QPalette.ColorRole.PlaceholderText, QColor(theme.muted))
            field.setPalette(colours)

    def remember_in(self, preferences: Preferences) -> None:
        """Go on with folder (if it is still there) and subject of last time; keep new ones."""
        self._preferences = preferences
        if preferences.record_folder and Path(preferences.record_folder).is_dir():
            self.folder = Path(preferences.record_folder)
        self.subject.setText(preferences.subject)
        self._show_file(self._file)

    # ---------------------------------------------------------------- what is going on
    def show_recording(self, view: LiveView) -> None:
        """Show what is being recorded, and what the recorder said; a few times a second."""
        received = 0 if view.health is None else view.health.received
        if view.recording != self._file:
            self._sized_at = 0.0
            self._show_file(view.recording)
        fresh = min(view.n_events - self._seen, len(view.events))
        self._seen = view.n_events
        for event in list(view.events)[len(view.events) - fresh :]:
            if event.kind == "record":
                self._say(event.text, trouble=event.trouble)
            elif event.kind == "mark":
                self._say(f"Marked '{event.text}'.")
        if self._file:
            self._show_length(received - view.recorded_from)

    def _show_file(self, file: str) -> None:
        self._file = file
        self.record.setText("■ Stop recording" if file else "● Record …")
        self.record.setToolTip("Finish the file" if file else "Choose a file and record into it")
        self.record.setAccessibleName("Stop recording" if file else "Record")
        if not file:
            self.state.say(f"nothing is recorded; files go into {self.folder}")
            self.note.setText("")

    def _show_length(self, n_samples: int) -> None:
        now = time.monotonic()
        if now - self._sized_at >= _SIZE_EVERY_S:
            self._sized_at, self._size = now, size_text(Path(self._file))
        length = length_text(n_samples / self._rate)
        self.note.setText(f"● {length}")
        self.state.say(f"● {length}   {self._size}   {self._file}")

    def _say(self, text: str, *, trouble: bool = False) -> None:
        self.news.setText(text)
        mark(self.news, "alarm", trouble)

    # -------------------------------------------------------------------- what is done
    def start_or_stop(self) -> None:
        """Ask for a file and record into it, or finish the one that is being recorded."""
        if self._file:
            self.command.emit(StopRecording())
        elif self.dialog is None:
            self._ask()

    def save_black_box(self) -> None:
        """Write the last 60 s into a new file, without asking: what matters is leaving memory."""
        path = self.folder / file_name(self.subject.text(), datetime.now(), "last-60-s")
        self.command.emit(SaveBlackBox(path))

    def put_mark(self) -> None:
        """Put what is in the field into the recording and the black box."""
        self.command.emit(Note("mark", self.mark_text.text().strip() or "mark"))
        self.mark_text.clear()

    def _ask(self) -> None:
        dialog = QFileDialog(self, "Record into", str(self.folder), "XDF (*.xdf)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("xdf")
        # The recorder overwrites nothing: it would be wrong to ask whether it should.
        dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)
        dialog.selectFile(file_name(self.subject.text(), datetime.now()))
        dialog.fileSelected.connect(self._start)
        dialog.finished.connect(self._forget_dialog)
        self.dialog = dialog
        dialog.open()

    def _start(self, chosen: str) -> None:
        path = Path(chosen)
        self.folder = path.parent
        self._remember()
        self.command.emit(StartRecording(path))

    def _forget_dialog(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
        self.dialog = None

    def _remember(self) -> None:
        if self._preferences is not None:
            self._preferences.record_folder = str(self.folder)
            self._preferences.subject = self.subject.text()

    # -------------------------------------------------------------------------- layout
    def _connect(self) -> None:
        self.record.clicked.connect(self.start_or_stop)
        self.black_box.clicked.connect(self.save_black_box)
        self.mark.clicked.connect(self.put_mark)
        self.mark_text.returnPressed.connect(self.put_mark)
        self.subject.editingFinished.connect(self._remember)

    def _lay_out(self) -> None:
        self.black_box.setToolTip("Write the last 60 s, with settings and versions, into a file")
        self.black_box.setAccessibleName("Save the last 60 s")
        self.mark.setToolTip("Put a mark with this text into the recording and the black box")
        self.mark.setAccessibleName("Mark")
        self.subject.setAccessibleName("Subject")
        self.subject.setPlaceholderText("subject, for the name of the file")
        self.mark_text.setAccessibleName("Text of the mark")
        self.mark_text.setPlaceholderText("text of a mark")
        self.state.setAccessibleName("State of the recording")
        self.news.setAccessibleName("News of the recorder")
        self.news.setWordWrap(True)
        self.news.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        buttons = QHBoxLayout()
        buttons.addWidget(self.record)
        buttons.addWidget(self.black_box)
        buttons.addStretch(1)
        grid = QGridLayout()
        for row, (name, field) in enumerate((("Subject", self.subject), ("Mark", self.mark_text))):
            label = QLabel(name)
            label.setBuddy(field)
            grid.addWidget(label, row, 0)
            grid.addWidget(field, row, 1)
        grid.addWidget(self.mark, 1, 2)
        grid.setColumnStretch(1, 1)
        self.content.addLayout(buttons)
        self.content.addWidget(self.state)
        self.content.addLayout(grid)
        self.content.addWidget(self.news)
        self.content.addStretch(1)
