"""Latency, loss and score, a tile each."""

from __future__ import annotations

from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QStyle, QVBoxLayout

from semgfin_rt.app.readout import Tile, status_tiles
from semgfin_rt.qt.panel import caption_label


class StatusTiles(QFrame):
    """The status line; a figure that is bad news is drawn in the warning colour."""

    def __init__(self, hop_ms: float) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAccessibleName("Latency and loss")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.figures: dict[str, QLabel] = {}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 5, 10, 5)
        layout.setSpacing(26)
        for tile in status_tiles(None, None, hop_ms):
            figure = QLabel(tile.value)
            figure.setProperty("role", "figure")
            figure.setAccessibleName(tile.caption)
            column = QVBoxLayout()
            column.setSpacing(0)
            column.addWidget(caption_label(tile.caption))
            column.addWidget(figure)
            layout.addLayout(column)
            self.figures[tile.caption] = figure
        layout.addStretch(1)

    def show_tiles(self, tiles: list[Tile]) -> None:
        """Show the figures."""
        for tile in tiles:
            figure = self.figures[tile.caption]
            figure.setText(tile.value)
            figure.setToolTip(tile.explanation)
            widest = max(figure.minimumWidth(), figure.sizeHint().width())
            figure.setMinimumWidth(widest)  # never narrower again: figures must not dance
            if figure.property("alarm") != tile.alarm:
                figure.setProperty("alarm", tile.alarm)
                style: QStyle | None = figure.style()
                if style is not None:  # a stylesheet looks at properties only when polished
                    style.unpolish(figure)
                    style.polish(figure)
