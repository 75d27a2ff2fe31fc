"""The kinds of source that are played, a page each: a recording, and a synthetic person.

A page says how its choice fits a checkpoint, and puts it into a `SourceChoice`. Recordings are
read in the background, so that the window stays alive.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from semgfin_rt.app.choice import (
    SYNTHETIC_SPEC,
    Fit,
    SourceChoice,
    fit,
    fit_recording,
    read_recording,
)
from semgfin_rt.app.studio import in_background
from semgfin_rt.app.transport import SPEEDS
from semgfin_rt.contracts import Recording
from semgfin_rt.errors import SemgfinError
from semgfin_rt.model_contract import ModelContract


class Page(QWidget):
    """One kind of source."""

    changed = pyqtSignal()

    def refresh(self) -> None:
        """Look whether something has come; a few times a second."""

    def fits(self, contract: ModelContract) -> Fit:
        """Say how what is chosen fits a checkpoint."""
        raise NotImplementedError

    def put(self, choice: SourceChoice) -> SourceChoice:
        """Return `choice` with what is chosen here."""
        raise NotImplementedError


# --------------------------------------------------------------------------- recordings
class PlayOptions(QWidget):
    """What recordings and synthetic persons have in common."""

    changed = pyqtSignal()

    def __init__(self, choice: SourceChoice) -> None:
        super().__init__()
        self.subject = QSpinBox()
        self.subject.setRange(0, 10_000)
        self.subject.setSpecialValueText("the first")
        self.subject.setValue(choice.subject or 0)
        self.subject.setKeyboardTracking(False)
        self.subject.setAccessibleName("Subject")
        self.test_only = QCheckBox("only the repetitions that are kept for testing")
        self.test_only.setChecked(choice.test_only)
        self.loop = QCheckBox("round and round")
        self.loop.setChecked(choice.loop)
        self.speed = QComboBox()
        self.speed.setAccessibleName("Speed")
        for speed in SPEEDS:
            self.speed.addItem(f"{speed:g} ×", speed)  # noqa: RUF001
        self.speed.setCurrentIndex(max(0, self.speed.findData(choice.speed)))
        self.subject.valueChanged.connect(lambda _: self.changed.emit())
        self.test_only.toggled.connect(lambda _: self.changed.emit())
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.FieldsStayAtSizeHint)
        form.addRow("Subject", self.subject)
        form.addRow("Play", self.test_only)
        form.addRow("", self.loop)
        form.addRow("Speed", self.speed)

    def put(self, choice: SourceChoice) -> SourceChoice:
        """Return `choice` with what is chosen here."""
        return choice.model_copy(
            update={
                "subject": self.subject.value() or None,
                "test_only": self.test_only.isChecked(),
                "loop": self.loop.isChecked(),
                "speed": self.speed.currentData(),
            }
        )


class RecordingPage(Page):
    """A file or folder, read in the background as soon as it is named.

    Parameters
    ----------
    choice : SourceChoice
    folder : str
        Where to look for files first.
    """

    def __init__(self, choice: SourceChoice, folder: str) -> None:
        super().__init__()
        self.folder = folder
        self.recording: Recording | None = None
        self._read_of: SourceChoice | None = None
        self._reading: Future[Recording] | None = None
        self._since, self._problem = 0.0, ""
        self.path = QLineEdit(choice.path)
        self.path.setAccessibleName("File or folder")
        self.path.setPlaceholderText("a DB2 .mat or .zip, an .xdf, or a folder of DB2 or 3DC")
        self.file, self.browse = QPushButton("File …"), QPushButton("Folder …")
        self.options = PlayOptions(choice if choice.kind == "recording" else SourceChoice())
        self.progress = QProgressBar()
        self.progress.setRange(0, 0)
        self.progress.setAccessibleName("Reading")
        self.stop = QPushButton("Stop reading")
        self.told = QLabel()
        row = QHBoxLayout()
        row.addWidget(self.path, stretch=1)
        row.addWidget(self.file)
        row.addWidget(self.browse)
        busy = QHBoxLayout()
        busy.addWidget(self.told)
        busy.addWidget(self.progress, stretch=1)
        busy.addWidget(self.stop)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.options)
        layout.addLayout(busy)
        layout.addStretch(1)
        self.path.textChanged.connect(self.stop_reading)
        self.path.editingFinished.connect(self.read)
        self.options.changed.connect(self.read)
        self.file.clicked.connect(lambda: self._browse(QFileDialog.getOpenFileName))
        self.browse.clicked.connect(lambda: self._browse(QFileDialog.getExistingDirectory))
        self.stop.clicked.connect(self.stop_reading)
        self._show_progress()

    def read(self) -> None:
        """Read what is named, unless that is what was read."""
        wanted = self.put(SourceChoice())
        if not wanted.path or wanted.model_copy(update=_SAME) == self._read_of:
            return
        self._read_of = wanted.model_copy(update=_SAME)
        self.recording, self._problem, self._since = None, "", time.monotonic()
        self._reading = in_background(lambda: read_recording(wanted))
        self._show_progress()
        self.changed.emit()

    def stop_reading(self) -> None:
        """Forget what was read; what is being read is dropped when it has been."""
        self._reading, self._read_of = None, None
        self.recording, self._problem = None, ""
        self._show_progress()
        self.changed.emit()

    def refresh(self) -> None:
        """Take the recording when it has been read."""
        if self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            try:
                self.recording = reading.result()
            except SemgfinError as error:
                self._problem, self._read_of = str(error), None
            self.changed.emit()
        self._show_progress()

    def fits(self, contract: ModelContract) -> Fit:
        """See `Page`."""
        if self._reading is not None:
            return Fit(False, "The recording is being read.")
        if self._problem:
            return Fit(False, self._problem)
        if self.recording is None:
            return Fit(False, "Choose a file or folder; it is read before it is opened.")
        return fit_recording(contract, self.recording)

    def put(self, choice: SourceChoice) -> SourceChoice:
        """See `Page`."""
        path = self.path.text().strip()
        return self.options.put(choice).model_copy(update={"path": path, "kind": "recording"})

    def _browse(self, ask: Callable[..., str | tuple[str, str]]) -> None:
        answer = ask(self, "Choose a recording", self.folder)
        path = answer if isinstance(answer, str) else answer[0]
        if path:
            self.folder = str(Path(path).parent)
            self.path.setText(path)
            self.read()

    def _show_progress(self) -> None:
        busy = self._reading is not None
        for widget in (self.told, self.progress, self.stop):
            widget.setVisible(busy)
        if busy:
            self.told.setText(f"Reading, {time.monotonic() - self._since:.0f} s")


_SAME = {"speed": 1.0, "loop": True}
"""What makes no other recording of a choice."""


# ---------------------------------------------------------------------------- synthetic
class SyntheticPage(Page):
    """A person who does not exist."""

    def __init__(self, choice: SourceChoice) -> None:
        super().__init__()
        self.options = PlayOptions(choice if choice.kind == "synthetic" else SourceChoice())
        self.options.subject.setRange(1, 10_000)
        self.options.subject.setSpecialValueText("")
        about = QLabel(
            "Signals of a person who does not exist, in the schema and timing of Ninapro DB2. The "
            "shipped checkpoint is adapted to subject 1. Accuracy here says nothing about people."
        )
        about.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(about)
        layout.addWidget(self.options)
        layout.addStretch(1)

    def fits(self, contract: ModelContract) -> Fit:
        """See `Page`."""
        return fit(contract, SYNTHETIC_SPEC, "the synthetic person")

    def put(self, choice: SourceChoice) -> SourceChoice:
        """See `Page`."""
        return self.options.put(choice).model_copy(update={"kind": "synthetic"})
