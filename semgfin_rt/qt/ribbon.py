"""Class against time: truth, decision, and every forecast at the time it speaks of."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QRectF, QSize, Qt
from PyQt6.QtGui import QBrush, QColor, QHelpEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from semgfin_rt.app.ribbon import Ribbon, Run
from semgfin_rt.contracts import NO_LABEL, State
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.panel import Panel
from semgfin_rt.qt.theme import DARK, Theme, class_colours, text_on

_HATCH = Qt.BrushStyle.BDiagPattern
_ELLIPSIS = Qt.TextElideMode.ElideRight


class RibbonPanel(Panel):
    """The ribbon in its frame."""

    def __init__(self, contract: ModelContract) -> None:
        super().__init__("movement against time; each forecast stands where it speaks of")
        self.note.setText("hatched: rejected · pale: held · empty: nothing decided")
        self.strip = Strip(contract)
        self.content.addWidget(self.strip, stretch=1)

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self.strip.dress(theme)

    def show_ribbon(self, ribbon: Ribbon) -> None:
        """Draw the last seconds."""
        self.strip.rows = {row: ribbon.segments(row) for row in ribbon.rows}
        self.strip.update()


class Strip(QWidget):
    """A row of coloured runs for each of the ribbon's rows, with a time axis below."""

    def __init__(self, contract: ModelContract) -> None:
        super().__init__()
        empty = Ribbon(contract)
        self.rows: dict[str, list[Run]] = {row: [] for row in empty.rows}
        self._contract = contract
        self._seconds, self._ahead = empty.seconds, empty.ahead
        self.dress(DARK)
        self.setAccessibleName("Movement ribbon")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self.theme = theme
        self._colours = class_colours(self._contract, theme)
        self.update()

    def minimumSizeHint(self) -> QSize:
        """Return room for a line of text in each row, and the axis."""
        line = self.fontMetrics().height()
        return QSize(400, len(self.rows) * (line + 5) + line + 4)

    def bars(self) -> QRectF:
        """Return where the runs lie; row names stand to the left, the axis below."""
        measure = self.fontMetrics()
        left = max(measure.horizontalAdvance(row) for row in self.rows) + 10
        below = measure.height() + 4
        return QRectF(left, 0, self.width() - left, self.height() - below)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw rows, the line that is now, and the axis."""
        painter = QPainter(self)
        bars = self.bars()
        height = bars.height() / len(self.rows)
        beside = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        for i, (name, runs) in enumerate(self.rows.items()):
            row = QRectF(bars.left(), bars.top() + i * height + 1, bars.width(), height - 3)
            painter.setPen(QColor(self.theme.text))
            painter.drawText(QRectF(0, row.top(), bars.left() - 8, row.height()), beside, name)
            painter.fillRect(row, QColor(self.theme.window))
            for run in runs:
                left, right = self.pixel(run.start, bars), self.pixel(run.stop, bars)
                box = QRectF(left, row.top(), max(right - left, 1), row.height())
                self._draw_run(painter, box, run)
        self._draw_axis(painter, bars)

    def pixel(self, seconds: float, bars: QRectF) -> float:
        """Return where a time lies, in seconds from now, given `bars()`."""
        share = (seconds + self._seconds) / (self._seconds + self._ahead)
        return bars.left() + share * bars.width()

    def _draw_run(self, painter: QPainter, box: QRectF, run: Run) -> None:
        if run.label == NO_LABEL:
            if run.state is not None:
                painter.fillRect(box, QBrush(QColor(self.theme.muted), _HATCH))
            return
        colour = self._colours[run.label]
        if run.state in (State.HOLD, State.STALE):
            colour = QColor(colour)
            colour.setAlphaF(0.45)
        painter.fillRect(box, colour)
        if box.width() > 3 * box.height():
            name = self._contract.class_name(run.label)
            room = box.adjusted(5, 0, -3, 0)
            name = painter.fontMetrics().elidedText(name, _ELLIPSIS, int(room.width()))
            painter.setPen(text_on(colour.rgb()))
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, name)

    def _draw_axis(self, painter: QPainter, bars: QRectF) -> None:
        painter.setPen(QColor(self.theme.text))
        now = self.pixel(0, bars)
        painter.drawLine(int(now), int(bars.top()), int(now), int(bars.bottom()) + 3)
        painter.setPen(QColor(self.theme.muted))
        for seconds in range(-int(self._seconds), 1, 2):
            word = f"{seconds} s" if seconds else "now"
            width = painter.fontMetrics().horizontalAdvance(word) + 4
            left = min(
                max(self.pixel(seconds, bars) - width / 2, bars.left()), self.width() - width
            )
            below = QRectF(left, bars.bottom() + 2, width, self.height() - bars.bottom() - 2)
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, word)

    def event(self, event: QEvent | None) -> bool:
        """Name the run under the pointer."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(
                event.globalPos(), self.words_at(event.pos().x(), event.pos().y()), self
            )
            return True
        return super().event(event)

    def words_at(self, x: float, y: float) -> str:
        """Return what the run at pixel (x, y) says; empty where there is none."""
        bars = self.bars()
        if not bars.contains(x, y):
            return ""
        name = list(self.rows)[int((y - bars.top()) / bars.height() * len(self.rows))]
        for run in self.rows[name]:
            if self.pixel(run.start, bars) <= x <= self.pixel(run.stop, bars):
                state = f", {run.state}" if run.state else ""
                return f"{name}: {self._contract.class_name(run.label)}{state}"
        return ""
