"""The first kind of source: a stream, and where none is found, what may keep it away."""

from __future__ import annotations

from concurrent.futures import Future

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
)

from semgfin_rt.app.choice import HELP_NO_STREAM, UNITS, Fit, SourceChoice, fit_stream
from semgfin_rt.app.discovery import SeenStream, StreamWatch
from semgfin_rt.app.doctor import Finding, examine_machine
from semgfin_rt.app.studio import in_background
from semgfin_rt.errors import SemgfinError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.panel import plain_tip
from semgfin_rt.qt.source_pages import Page
from semgfin_rt.texts import printable

_ENOUGH_LOOKS = 2
_FRESH_S = 3.0
"""A stream that was not seen for longer is probably gone."""
_COLUMNS = ("name", "type", "source_id", "host", "channels", "rate", "unit", "seen")
_UID = Qt.ItemDataRole.UserRole


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
        self._examined: Future[list[Finding]] | None = None
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
        self.help.setTextFormat(Qt.TextFormat.PlainText)
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
        if not some:
            words = "Looking for streams …" if looking else f"{HELP_NO_STREAM}\n{self._findings()}"
            self.help.setText(self._watch.trouble or words)
        self.help.setVisible(not some)
        self.list.setVisible(some)

    def _findings(self) -> str:
        """Return what `doctor` finds, once it has; the first call lets it look."""
        if self._examined is None:
            self._examined = in_background(examine_machine)
        if not self._examined.done():
            return "looking at it …"
        try:
            return "\n".join(f"{f.level} · {f.what}: {f.text}" for f in self._examined.result())
        except (SemgfinError, RuntimeError) as error:  # the latter from liblsl
            return str(error)


def _fill(item: QTreeWidgetItem, seen: SeenStream) -> None:
    stream = seen.stream
    rate = f"{stream.rate:g} Hz" if stream.rate else "irregular"
    unit = seen.unit or ("?" if seen.usable else "")
    age = "now" if seen.age_s() < _FRESH_S else f"{seen.age_s():.0f} s ago"
    texts = (stream.name, stream.type, stream.source_id, stream.host)
    for column, text in enumerate(texts):  # of an unknown sender
        item.setText(column, printable(text, 40))
        item.setToolTip(column, plain_tip(printable(text, 500)))
    for column, text in enumerate((str(seen.n_channels), rate, unit, age), start=len(texts)):
        item.setText(column, text)
    item.setDisabled(not seen.usable)
    if seen.problem:
        item.setToolTip(0, plain_tip(seen.problem))
