"""The sign of a light: a shape for each level, so that it reads without its colour."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPen, QPolygonF

from semgfin_rt.app.lights import Level
from semgfin_rt.qt.theme import Theme


def sign_size(measure: QFontMetrics) -> float:
    """Return the width of a sign beside text."""
    return 0.6 * measure.height()


def draw_sign(painter: QPainter, centre: QPointF, size: float, level: Level, theme: Theme) -> None:
    """Draw a disc where all is good, a triangle as a warning, a cross where it is bad."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    half = size / 2
    colour = QColor({"good": theme.good, "warn": theme.high, "bad": theme.warning}[level])
    painter.setBrush(colour)
    painter.setPen(Qt.PenStyle.NoPen)
    box = QRectF(centre.x() - half, centre.y() - half, size, size)
    if level == "good":
        painter.drawEllipse(box.adjusted(1, 1, -1, -1))
    elif level == "warn":
        top = QPointF(centre.x(), box.top())
        painter.drawPolygon(QPolygonF([top, box.bottomRight(), box.bottomLeft()]))
    else:
        painter.setPen(QPen(colour, max(2.0, size / 4)))
        box.adjust(1, 1, -1, -1)
        painter.drawLine(box.topLeft(), box.bottomRight())
        painter.drawLine(box.topRight(), box.bottomLeft())
    painter.restore()
