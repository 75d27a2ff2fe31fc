"""What happened, a line each: loss, quality, streams that come and go, recordings."""

from __future__ import annotations

import time

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem

from semgfin_rt import lsl
from semgfin_rt.app.display import EVENTS, LiveView
from semgfin_rt.app.readout import clock_text
from semgfin_rt.contracts import Event
from semgfin_rt.qt.panel import Panel, plain_tip
from semgfin_rt.qt.theme import Theme


class EventsPanel(Panel):
    """Time of day, kind and text, the newest on top; the newest 500 are kept."""

    def __init__(self) -> None:
        super().__init__("what happened, the newest first")
        self.lines = QTreeWidget()
        self.lines.setAccessibleName("Events")
        self.lines.setHeaderLabels(["time", "kind", "what"])
        self.lines.setRootIsDecorated(False)
        self.lines.setUniformRowHeights(True)
        self.lines.setSelectionMode(QAbstractItemView.SelectionMode.ContiguousSelection)
        self.lines.setFrameShape(self.lines.Shape.NoFrame)
        self.lines.setTextElideMode(Qt.TextElideMode.ElideRight)
        head = self.lines.header()
        if head is not None:
            head.setStretchLastSection(True)
            head.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
            head.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.content.addWidget(self.lines, stretch=1)
        self._shown = 0
        self._offset: float | None = None

    def dress(self, theme: Theme) -> None:
        """Nothing has colours of its own."""

    def show_events(self, view: LiveView) -> None:
        """Add the lines that are new."""
        fresh = min(view.n_events - self._shown, len(view.events))
        self._shown = view.n_events
        if not fresh:
            return
        for event in list(view.events)[-fresh:]:
            self.lines.insertTopLevelItem(0, self._line(event))
        while self.lines.topLevelItemCount() > EVENTS:
            self.lines.takeTopLevelItem(EVENTS)
        self.note.setText(f"{view.n_events:,}")

    def _line(self, event: Event) -> QTreeWidgetItem:
        if self._offset is None:  # not earlier: it loads liblsl
            self._offset = time.time() - lsl.local_clock()
        line = QTreeWidgetItem([clock_text(event.time, self._offset), event.kind, event.text])
        line.setToolTip(2, plain_tip(event.text))
        return line
