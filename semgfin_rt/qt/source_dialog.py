"""Choosing what to open: the source, the checkpoint, and whether the two fit."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QScrollArea,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from semgfin_rt.app.choice import Fit, SourceChoice, models_found
from semgfin_rt.app.discovery import StreamWatch
from semgfin_rt.app.readout import UNKNOWN
from semgfin_rt.contracts import Recording
from semgfin_rt.errors import CheckpointError
from semgfin_rt.folders import find_model
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.qt.panel import plain_tip
from semgfin_rt.qt.shortcuts import fit_on_screen, without_icons
from semgfin_rt.qt.source_pages import Page, RecordingPage, SyntheticPage
from semgfin_rt.qt.source_stream import StreamPage
from semgfin_rt.qt.theme import mark

_REFRESH_MS = 250
KINDS = ("stream", "recording", "synthetic")


class SourceDialog(QDialog):
    """Choose a source and a checkpoint; OK is enabled when the two fit.

    Parameters
    ----------
    parent : QWidget
    choice : SourceChoice
        What is chosen at first.
    folder : str
        Where to look for files first.
    own : frozenset of str
        source_ids of streams not to list.
    """

    def __init__(
        self, parent: QWidget | None, choice: SourceChoice, folder: str, own: frozenset[str]
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open a source")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._watch = StreamWatch()
        self.stream_page = StreamPage(choice, self._watch, own)
        self.recording_page = RecordingPage(choice, folder)
        self.synthetic_page = SyntheticPage(choice)
        self.pages: tuple[Page, ...] = (
            self.stream_page,
            self.recording_page,
            self.synthetic_page,
        )
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName("Kind of source")
        for page, name in zip(
            self.pages, ("LSL &stream", "&Recording", "S&ynthetic person"), strict=True
        ):
            self.tabs.addTab(page, name)
            page.changed.connect(self.judge)
        self.tabs.setCurrentIndex(KINDS.index(choice.kind))
        self.model = QComboBox()
        self.verdict = QLabel()
        self.verdict.setTextFormat(Qt.TextFormat.PlainText)
        self.channels = QTableWidget(0, 3)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel
        )
        without_icons(self.buttons)
        self._models = models_found()
        self._contract: ModelContract | CheckpointError | None = None
        self._shown: Fit | None = None
        self._fill_models(choice.model)
        self._lay_out()
        self._connect()
        self._watch.start()
        self.timer = QTimer(self)
        self.timer.timeout.connect(self.refresh)
        self.timer.start(_REFRESH_MS)
        self._turn_page()

    @property
    def choice(self) -> SourceChoice:
        """What is chosen."""
        chosen = SourceChoice(model=self.model.currentData() or "demo")
        return self.page.put(chosen)

    @property
    def recording(self) -> Recording | None:
        """What was read of it already."""
        return self.recording_page.recording if self.page is self.recording_page else None

    @property
    def folder(self) -> str:
        """Where a file was chosen last."""
        return self.recording_page.folder

    @property
    def page(self) -> Page:
        """The kind of source that is seen."""
        return self.pages[self.tabs.currentIndex()]

    @property
    def open_button(self) -> QPushButton:
        """The button that opens it."""
        button = self.buttons.button(QDialogButtonBox.StandardButton.Open)
        if button is None:
            raise RuntimeError("the dialog was made without a button to open")
        return button

    def refresh(self) -> None:
        """Look for news: streams, and the end of a reading."""
        self.page.refresh()
        if self.page is self.stream_page:
            self.judge()  # a stream grows old

    def judge(self) -> None:
        """Say whether what is chosen fits the checkpoint."""
        contract = self._contract
        if contract is None or isinstance(contract, CheckpointError):
            found = Fit(False, str(contract or "Choose a checkpoint."))
        else:
            found = self.page.fits(contract)
        if found == self._shown:
            return
        self._shown = found
        words = " ".join((found.words, *found.notes))
        self.verdict.setText(words[:1].upper() + words[1:])
        mark(self.verdict, "alarm", not found.ok and bool(found.rows))
        mark(self.verdict, "good", found.ok)
        self.open_button.setEnabled(found.ok)
        self.open_button.setToolTip("" if found.ok else plain_tip(found.words))
        self._show_channels(found)

    def done(self, result: int) -> None:
        """Look for streams no longer."""
        self.timer.stop()
        self._watch.close()
        super().done(result)

    # -------------------------------------------------------------------------- parts
    def _fill_models(self, wanted: str) -> None:
        for name, folder in self._models.items():
            self.model.addItem(name, name)
            self.model.setItemData(self.model.count() - 1, str(folder), Qt.ItemDataRole.ToolTipRole)
        if wanted not in self._models:
            self.model.addItem(wanted, wanted)
        self.model.setCurrentIndex(self.model.findData(wanted))
        self.model.setAccessibleName("Checkpoint")
        self.model.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )

    def _lay_out(self) -> None:
        browse = QPushButton("Other …")
        browse.setAccessibleName("Other checkpoint")
        browse.clicked.connect(self._browse_model)
        row = QHBoxLayout()
        row.addWidget(QLabel("Checkpoint"))
        row.addWidget(self.model, stretch=1)
        row.addWidget(browse)
        self.verdict.setWordWrap(True)
        self.verdict.setAccessibleName("Whether it fits")
        self.channels.setAccessibleName("Channels of the source and of the checkpoint")
        self.channels.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.channels.setMinimumHeight(7 * self.fontMetrics().height())
        side = self.channels.verticalHeader()
        if side is not None:
            side.setDefaultSectionSize(round(1.4 * self.fontMetrics().height()))
        head = self.channels.horizontalHeader()
        if head is not None:
            head.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.addWidget(self.tabs, stretch=3)
        layout.addLayout(row)
        layout.addWidget(self.channels, stretch=2)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidget(inside)
        whole = QVBoxLayout(self)
        whole.addWidget(scroll, stretch=1)
        whole.addWidget(self.verdict)
        whole.addWidget(self.buttons)
        fit_on_screen(self, 820, 680)

    def _connect(self) -> None:
        self.tabs.currentChanged.connect(lambda _: self._turn_page())
        self.model.currentIndexChanged.connect(lambda _: self._take_model())
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._take_model()

    def _turn_page(self) -> None:
        if self.page is self.recording_page:
            self.recording_page.read()
        self.refresh()
        self.judge()

    def _take_model(self) -> None:
        try:
            self._contract = load_contract(find_model(self.model.currentData()))
        except CheckpointError as error:
            self._contract = error
        self.judge()

    def _browse_model(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose the folder of a checkpoint")
        if folder:
            if self.model.findData(folder) < 0:
                self.model.addItem(Path(folder).name, folder)
            self.model.setCurrentIndex(self.model.findData(folder))

    def _show_channels(self, found: Fit) -> None:
        contract = self._contract
        self.channels.setVisible(bool(found.rows))
        if isinstance(contract, ModelContract):
            names = [f"source ({found.unit})", f"checkpoint ({contract.unit})", "by name"]
            self.channels.setHorizontalHeaderLabels(names)
        self.channels.setRowCount(len(found.rows))
        alarm = self.palette().brightText()
        for i, row in enumerate(found.rows):
            for column, text in enumerate((row.source, row.checkpoint, row.words)):
                item = QTableWidgetItem(text or UNKNOWN)
                if not row.fits:
                    item.setForeground(alarm)
                self.channels.setItem(i, column, item)
