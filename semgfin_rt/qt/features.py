"""Imitated features beside the computed ones: whether the network still knows what it sees."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PyQt6.QtCore import QEvent, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QHelpEvent, QImage, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from semgfin_rt.app.display import FeatureComparison
from semgfin_rt.app.readout import feature_text
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.panel import Panel
from semgfin_rt.qt.theme import DARK, Theme

SPAN = 3.0
"""Training standard deviations at which a colour is at its end."""
POOR = 0.5
"""Error, in training standard deviations, from which on it is written as a warning."""


class FeaturesPanel(Panel):
    """A cell for each feature and channel: its left half imitated, its right half computed.

    Where both halves have one colour the imitation holds.
    """

    def __init__(self, contract: ModelContract) -> None:
        super().__init__("features: FIN left, closed form right")
        self.note.setText(f"blue −{SPAN:g} SD · orange +{SPAN:g} SD")  # noqa: RUF001 - a minus
        self.map = FeatureMap(contract)
        self.content.addWidget(self.map, stretch=1)

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self.map.theme = theme
        self.map.update()

    def show_features(self, comparison: FeatureComparison | None) -> None:
        """Draw one window's features."""
        if comparison is not self.map.comparison:
            self.map.comparison = comparison
            self.map.update()


class FeatureMap(QWidget):
    """The cells, feature names to the left, channels below, error of each feature to the right."""

    def __init__(self, contract: ModelContract) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.comparison: FeatureComparison | None = None
        self._features, self._channels = contract.features, contract.channels
        self.setAccessibleName("Feature map")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def minimumSizeHint(self) -> QSize:
        """Return a line of text for each feature."""
        return QSize(300, (len(self._features) + 1) * self.fontMetrics().height())

    def cells(self) -> QRectF:
        """Return where the cells lie; names and errors stand around them."""
        measure = self.fontMetrics()
        left = max(measure.horizontalAdvance(name) for name in self._features) + 8
        right = measure.horizontalAdvance("error SD") + 8
        below = measure.height() + 2
        return QRectF(left, 0, self.width() - left - right, self.height() - below)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw names, cells and errors."""
        painter = QPainter(self)
        cells = self.cells()
        painter.fillRect(cells, QColor(self.theme.window))
        if self.comparison is not None:
            painter.drawImage(cells, _image(self.comparison, self.theme))
        self._draw_grid(painter, cells)
        self._draw_words(painter, cells)

    def _draw_grid(self, painter: QPainter, cells: QRectF) -> None:
        painter.setPen(QColor(self.theme.panel))
        for x in np.linspace(cells.left(), cells.right(), len(self._channels) + 1):
            painter.fillRect(QRectF(x - 1.5, cells.top(), 3, cells.height()), painter.pen().color())
        for y in np.linspace(cells.top(), cells.bottom(), len(self._features) + 1):
            painter.fillRect(QRectF(cells.left(), y - 1, cells.width(), 2), painter.pen().color())

    def _draw_words(self, painter: QPainter, cells: QRectF) -> None:
        height = cells.height() / len(self._features)
        width = cells.width() / len(self._channels)
        beside = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        for row, name in enumerate(self._features):
            line = QRectF(0, cells.top() + row * height, cells.left() - 6, height)
            painter.setPen(QColor(self.theme.text))
            painter.drawText(line, beside, name)
            if self.comparison is not None:
                error = float(self.comparison.error[row])
                poor = not error < POOR
                painter.setPen(QColor(self.theme.warning if poor else self.theme.text))
                line = QRectF(cells.right(), line.top(), self.width() - cells.right(), height)
                painter.drawText(line, beside, f"{error:.2f}")
        painter.setPen(QColor(self.theme.muted))
        below = QRectF(cells.right(), cells.bottom(), self.width() - cells.right(), 99)
        painter.drawText(below, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignRight, "error SD")
        small = painter.font()
        small.setPointSizeF(0.85 * small.pointSizeF())
        painter.setFont(small)
        widest = max(painter.fontMetrics().horizontalAdvance(name) for name in self._channels)
        every = -(-(widest + 3) // max(int(width), 1))  # as an axis leaves out labels
        under = Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter
        for column in range(0, len(self._channels), every):
            middle = cells.left() + (column + 0.5) * width
            below = QRectF(middle - widest, cells.bottom() + 1, 2 * widest, 99)
            painter.drawText(below, under, self._channels[column])

    def event(self, event: QEvent | None) -> bool:
        """Say a cell in words where the pointer rests."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(
                event.globalPos(), self.words_at(event.pos().x(), event.pos().y()), self
            )
            return True
        return super().event(event)

    def words_at(self, x: float, y: float) -> str:
        """Return what the cell at pixel (x, y) holds; empty outside the cells."""
        cells = self.cells()
        if self.comparison is None or not cells.contains(x, y):
            return ""
        row = int((y - cells.top()) / cells.height() * len(self._features))
        column = int((x - cells.left()) / cells.width() * len(self._channels))
        row, column = min(row, len(self._features) - 1), min(column, len(self._channels) - 1)
        return feature_text(
            self._features[row],
            self._channels[column],
            float(self.comparison.estimate[row, column]),
            float(self.comparison.closed_form[row, column]),
        )


def _image(comparison: FeatureComparison, theme: Theme) -> QImage:
    """Return one pixel for each half cell."""
    pairs = np.stack([comparison.estimate, comparison.closed_form], axis=2)
    values = pairs.reshape(len(pairs), -1)  # (n_features, 2 * n_channels)
    stops = [QColor(c) for c in (theme.low, theme.window, theme.high)]
    channels = [
        np.interp(values, (-SPAN, 0, SPAN), [getattr(stop, name)() for stop in stops])
        for name in ("red", "green", "blue")
    ]
    rgb: npt.NDArray[np.uint8] = np.ascontiguousarray(np.stack(channels, axis=2), dtype=np.uint8)
    height, width, _ = rgb.shape
    image = QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return image.copy()  # its own memory: the bytes above go away
