"""The three kinds of source, a page each: a stream, a recording, a synthetic person.

A page says how its choice fits a checkpoint, and puts it into a `SourceChoice`. Recordings are
read in the background, so that the window stays alive.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from semgfin_rt.app.choice import (
    HELP_NO_STREAM,
    SYNTHETIC_SPEC,
    UNITS,
    Fit,
    SourceChoice,
    fit,
    fit_recording,
    fit_stream,
    read_recording,
)
from semgfin_rt.app.discovery import SeenStream, StreamWatch
from semgfin_rt.app.studio import in_background
from semgfin_rt.app.transport import SPEEDS
from semgfin_rt.contracts import Recording
from semgfin_rt.errors import SemgfinError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.texts import printable

_ENOUGH_LOOKS = 2
_FRESH_S = 3.0
"""A stream that was not seen for longer is probably gone."""
_COLUMNS = ("name", "type", "source_id", "host", "channels", "rate", "unit", "seen")
_UID = Qt.ItemDataRole.UserRole


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


# ----------------------------------------------------------------------------- streams
class StreamPage(Page):
    """The streams that are there, and the unit of one that states none.

    Parameters
    ----------
    choice : SourceChoice
        The stream chosen last is chosen again when it is seen.
    watch : StreamWatch
    own : frozenset of str
        source_ids of streams not to list: this program sends them itself.
    """

    def __init__(self, choice: SourceChoice, watch: StreamWatch, own: frozenset[str]) -> None:
        super().__init__()
        self._watch, self._own = watch, own
        self._wanted = (choice.name, choice.source_id)
        self._streams: dict[str, SeenStream] = {}
        self.list = QTreeWidget()
        self.list.setAccessibleName("Streams")
        self.list.setHeaderLabels(list(_COLUMNS))
        self.list.setRootIsDecorated(False)
        self.list.setAlternatingRowColors(True)
        head = self.list.header()
        if head is not None:
            head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            head.setStretchLastSection(False)
        self.list.currentItemChanged.connect(self._choose)
        self.help = QLabel("Looking for streams …")
        self.help.setAccessibleName("Help")
        self.help.setWordWrap(True)
        self.help.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.help.setContentsMargins(8, 8, 8, 8)
        self.help.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.unit = QComboBox()
        self.unit.setAccessibleName("Unit")
        self.unit.addItems(["as the stream says", *UNITS])
        self.unit.setCurrentIndex(UNITS.index(choice.unit) + 1 if choice.unit else 0)
        self.unit.currentIndexChanged.connect(lambda _: self.changed.emit())
        row = QHBoxLayout()
        row.addWidget(QLabel("Unit of its values"))
        row.addWidget(self.unit)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.list, stretch=1)
        layout.addWidget(self.help, stretch=1)
        layout.addLayout(row)

    def refresh(self) -> None:
        """List what is seen now; what was chosen stays chosen."""
        seen = [s for s in self._watch.seen() if s.stream.source_id not in self._own]
        before = self.chosen
        self._streams = {s.stream.uid: s for s in seen}
        there = [self.list.topLevelItem(i) for i in range(self.list.topLevelItemCount())]
        rows = {row.data(0, _UID): row for row in there if row is not None}
        for uid in rows.keys() - self._streams.keys():
            self.list.takeTopLevelItem(self.list.indexOfTopLevelItem(rows.pop(uid)))
        for stream in seen:
            uid = stream.stream.uid
            if uid not in rows:
                rows[uid] = QTreeWidgetItem(self.list)
                rows[uid].setData(0, _UID, uid)
            _fill(rows[uid], stream)
            if (stream.stream.name, stream.stream.source_id) == self._wanted:
                self._wanted = ("", "")  # once: a person may choose another
                self.list.setCurrentItem(rows[uid])
        self._say(bool(seen))
        if before != self.chosen:
            self.changed.emit()

    @property
    def chosen(self) -> SeenStream | None:
        """The stream that is chosen."""
        item = self.list.currentItem()
        return None if item is None else self._streams.get(item.data(0, _UID))

    def fits(self, contract: ModelContract) -> Fit:
        """See `Page`."""
        chosen = self.chosen
        if chosen is None:
            return Fit(False, "Choose a stream.")
        if chosen.problem:
            return Fit(False, chosen.problem)
        if chosen.xml is None:
            return Fit(False, f"The stream '{chosen.stream.name}' has not answered yet.")
        if chosen.age_s() > _FRESH_S:
            what = f"The stream '{chosen.stream.name}' was last seen {chosen.age_s():.0f} s ago"
            return Fit(False, f"{what}: see whether its program still runs.")
        return fit_stream(contract, chosen.xml, self._unit)

    def put(self, choice: SourceChoice) -> SourceChoice:
        """See `Page`."""
        chosen = self.chosen
        found = {} if chosen is None else vars(chosen.stream)
        update = {key: found.get(key, "") for key in ("name", "source_id")}
        return choice.model_copy(update={**update, "unit": self._unit, "kind": "stream"})

    @property
    def _unit(self) -> str:
        i = self.unit.currentIndex()
        return UNITS[i - 1] if i > 0 else ""

    def _choose(self) -> None:
        self._wanted = ("", "")
        self.changed.emit()

    def _say(self, some: bool) -> None:
        looking = self._watch.looks < _ENOUGH_LOOKS
        words = "Looking for streams …" if looking else HELP_NO_STREAM
        self.help.setText(self._watch.trouble or words)
        self.help.setVisible(not some)
        self.list.setVisible(some)


def _fill(item: QTreeWidgetItem, seen: SeenStream) -> None:
    stream = seen.stream
    rate = f"{stream.rate:g} Hz" if stream.rate else "irregular"
    unit = seen.unit or ("?" if seen.usable else "")
    age = "now" if seen.age_s() < _FRESH_S else f"{seen.age_s():.0f} s ago"
    texts = (stream.name, stream.type, stream.source_id, stream.host)
    for column, text in enumerate(texts):  # of an unknown sender
        item.setText(column, printable(text, 40))
        item.setToolTip(column, printable(text, 500))
    for column, text in enumerate((str(seen.n_channels), rate, unit, age), start=len(texts)):
        item.setText(column, text)
    item.setDisabled(not seen.usable)
    if seen.problem:
        item.setToolTip(0, seen.problem)


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
        """Wait no longer; what is being read is dropped when it has been."""
        self._reading, self._read_of = None, None
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
