"""Latency, loss and score, a tile each."""

from __future__ import annotations

from PyQt6.QtCore import QSize
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QLabel, QVBoxLayout, QWidget

from semgfin_rt.app.readout import Tile, status_tiles
from semgfin_rt.qt.panel import caption_label
from semgfin_rt.qt.theme import Theme, mark

_GAP = 24


class StatusTiles(QFrame):
    """The status line; a figure that is bad news is drawn in the warning colour.

    Tiles that do not fit into one line go on in the next.
    """

    def __init__(self, hop_ms: float) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAccessibleName("Latency and loss")
        self.figures: dict[str, QLabel] = {}
        self._tiles: list[QWidget] = []
        for tile in status_tiles(None, None, hop_ms):
            figure = QLabel(tile.value)
            figure.setProperty("role", "figure")
            figure.setAccessibleName(tile.caption)
            box = QWidget()
            column = QVBoxLayout(box)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(0)
            column.addWidget(caption_label(tile.caption))
            column.addWidget(figure)
            self._tiles.append(box)
            self.figures[tile.caption] = figure
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(10, 4, 10, 4)
        self._grid.setHorizontalSpacing(_GAP)
        self._grid.setVerticalSpacing(4)
        self._columns = 0
        self._flow(len(self._tiles))

    def dress(self, theme: Theme) -> None:
        """Nothing has colours of its own."""

    def sizeHint(self) -> QSize:
        """Return one line of tiles."""
        tallest = max(tile.sizeHint().height() for tile in self._tiles)
        return QSize(600, tallest + 10)

    def minimumSizeHint(self) -> QSize:
        """Return the lines that the tiles take at this width."""
        lines = -(-len(self._tiles) // self._columns)
        return QSize(self._widest() + 20, lines * self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Put as many tiles side by side as fit."""
        super().resizeEvent(event)
        self._reflow()

    def show_tiles(self, tiles: list[Tile]) -> None:
        """Show the figures."""
        for tile in tiles:
            figure = self.figures[tile.caption]
            if figure.text() != tile.value:
                figure.setText(tile.value)
                widest = max(figure.minimumWidth(), figure.sizeHint().width())
                figure.setMinimumWidth(widest)  # never narrower again: figures must not dance
            figure.setToolTip(tile.explanation)
            mark(figure, "alarm", tile.alarm)
        self._reflow()

    def _widest(self) -> int:
        return max(tile.sizeHint().width() for tile in self._tiles)

    def _reflow(self) -> None:
        room = self.width() - 20
        widths = [tile.sizeHint().width() for tile in self._tiles]
        if sum(widths) + _GAP * (len(widths) - 1) <= room:
            columns = len(widths)
        else:  # columns align, so each must be as wide as the widest
            columns = max(1, (room + _GAP) // (max(widths) + _GAP))
        if columns != self._columns:
            self._flow(columns)

    def _flow(self, columns: int) -> None:
        self._grid.setColumnStretch(self._columns, 0)
        self._columns = columns
        for i, tile in enumerate(self._tiles):
            self._grid.addWidget(tile, i // columns, i % columns)
        self._grid.setColumnStretch(columns, 1)
        self.updateGeometry()
