"""Class against time: truth, decision, and every forecast at the time it speaks of."""

from __future__ import annotations

from collections import defaultdict

from PyQt6.QtCore import QEvent, QRect, QRectF, QSize, Qt
from PyQt6.QtGui import QBrush, QColor, QHelpEvent, QPainter, QPaintEvent, QStaticText
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from semgfin_rt.app.ribbon import Check, Ribbon, Run, row_name
from semgfin_rt.contracts import NO_LABEL, State
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.panel import Panel
from semgfin_rt.qt.theme import DARK, Theme, class_colours, text_on

_REJECTED, _STALE = Qt.BrushStyle.BDiagPattern, Qt.BrushStyle.DiagCrossPattern
_HELD, _FAILED = 2, 5  # px: thickness tells them apart without their colour
_MOST_TEXTS = 500
_ELLIPSIS = Qt.TextElideMode.ElideRight
_LEGEND = """Hatched: rejected. Pale: the last label is held. Crossed: stale, no signal came.
Empty: nothing was decided. Below a forecast, once its future is there: a thin line where it was
right, a thick one where it was wrong; against the truth of a replay, live against the decision."""


class RibbonPanel(Panel):
    """The ribbon in its frame."""

    def __init__(self, contract: ModelContract) -> None:
        super().__init__("movement against time")
        self.note.setText(
            "hatched: rejected · pale: held · crossed: stale · line: was right, thick: wrong"
        )
        self.note.setToolTip(_LEGEND)
        self.strip = Strip(contract)
        self.content.addWidget(self.strip, stretch=1)

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self.strip.dress(theme)

    def show_ribbon(self, ribbon: Ribbon) -> None:
        """Draw the last seconds."""
        self.strip.rows = {row: ribbon.segments(row) for row in ribbon.rows}
        self.strip.checks = {row: ribbon.checks(row) for row in ribbon.rows}
        self.strip.update()


class Strip(QWidget):
    """A row of coloured runs for each of the ribbon's rows, with a time axis below."""

    def __init__(self, contract: ModelContract) -> None:
        super().__init__()
        empty = Ribbon(contract)
        self.rows: dict[str, list[Run]] = {row: [] for row in empty.rows}
        self.checks: dict[str, list[Check]] = {row: [] for row in empty.rows}
        self._forecasts = frozenset(row_name(ms) for ms in contract.horizons_ms if ms)
        self._contract = contract
        self._seconds, self._ahead = empty.seconds, empty.ahead
        self.dress(DARK)
        self.setAccessibleName("Movement ribbon")
        self.setAccessibleDescription(_LEGEND)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self.theme = theme
        self._texts: dict[tuple[str, int], QStaticText] = {}
        self._colours = class_colours(self._contract, theme)
        self._pale = defaultdict(lambda: _pale(QColor(theme.rest)))
        for label, colour in self._colours.items():
            self._pale[label] = _pale(colour)
        self.update()

    def minimumSizeHint(self) -> QSize:
        """Return room for a line of text in each row, and the axis."""
        line = self.fontMetrics().height()
        return QSize(400, len(self.rows) * (line + _FAILED + 4) + line + 4)

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
        for i, (name, runs) in enumerate(self.rows.items()):
            top = int(bars.top() + i * height) + 1
            row = QRect(int(bars.left()), top, int(bars.width()), int(height) - 2)
            painter.setPen(QColor(self.theme.text))
            self._write(painter, QRect(0, top, row.left() - 8, row.height()), name, place=1)
            painter.fillRect(row, QColor(self.theme.window))
            if name in self._forecasts:
                self._draw_checks(painter, row, self.checks[name], bars)
                row.setHeight(row.height() - _FAILED - 1)
            for run in runs:
                left = int(self.pixel(run.start, bars))
                right = int(self.pixel(run.stop, bars))
                self._draw_run(painter, left, max(right - left, 1), row, run)
        self._draw_axis(painter, bars)

    def pixel(self, seconds: float, bars: QRectF) -> float:
        """Return where a time lies, in seconds from now, given `bars()`."""
        share = (seconds + self._seconds) / (self._seconds + self._ahead)
        return bars.left() + share * bars.width()

    def _draw_checks(
        self, painter: QPainter, row: QRect, checks: list[Check], bars: QRectF
    ) -> None:
        """Draw, at the bottom of a row, whether its forecasts held."""
        colours = {True: QColor(self.theme.good), False: QColor(self.theme.warning)}
        for start, stop, held in checks:
            left, height = int(self.pixel(start, bars)), _HELD if held else _FAILED
            width = max(int(self.pixel(stop, bars)) - left, 1)
            painter.fillRect(left, row.bottom() + 1 - height, width, height, colours[held])

    def _draw_run(self, painter: QPainter, left: int, width: int, row: QRect, run: Run) -> None:
        top, height = row.top(), row.height()
        if run.label != NO_LABEL:
            pale = run.state is State.HOLD or run.state is State.STALE
            colour = (self._pale if pale else self._colours)[run.label]
            painter.fillRect(left, top, width, height, colour)
            if width > 3 * height:
                self._draw_name(painter, QRect(left + 5, top, width - 8, height), run, colour)
        if run.state is State.STALE:
            painter.fillRect(left, top, width, height, QBrush(QColor(self.theme.warning), _STALE))
        elif run.state is State.REJECT:
            painter.fillRect(left, top, width, height, QBrush(QColor(self.theme.muted), _REJECTED))

    def _draw_name(self, painter: QPainter, room: QRect, run: Run, colour: QColor) -> None:
        painter.setPen(text_on(colour.rgb()))
        self._write(painter, room, self._contract.class_name(run.label))

    def _write(self, painter: QPainter, room: QRect, words: str, place: float = 0.0) -> None:
        """Write words in the middle of the height; `place` is 0 for the left, 1 for the right."""
        text = self._laid_out(words, room.width())
        left = room.left() + int(place * (room.width() - text.size().width()))
        top = room.top() + (room.height() - int(text.size().height())) // 2
        painter.drawStaticText(left, top, text)

    def _laid_out(self, words: str, width: int) -> QStaticText:
        """Return words, cut where there is no room; laid out once and not in every frame."""
        whole = self._texts.get((words, 0))
        if whole is None:
            self._texts[words, 0] = whole = QStaticText(words)
            whole.prepare(font=self.font())
        if whole.size().width() <= width:
            return whole
        cut = self._texts.get((words, width))
        if cut is None:
            if len(self._texts) > _MOST_TEXTS:  # the runs at both ends have another width each time
                self._texts.clear()
            shown = self.fontMetrics().elidedText(words, _ELLIPSIS, width)
            self._texts[words, width] = cut = QStaticText(shown)
            cut.prepare(font=self.font())
        return cut

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
            top = int(bars.bottom()) + 2
            below = QRect(int(left), top, width, self.height() - top)
            self._write(painter, below, word, place=0.5)

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
        row = int((y - bars.top()) / bars.height() * len(self.rows))
        name = list(self.rows)[min(row, len(self.rows) - 1)]  # the lowest line is within the bars
        for run in self.rows[name]:
            if self.pixel(run.start, bars) <= x <= self.pixel(run.stop, bars):
                state = f", {run.state}" if run.state else ""
                words = f"{name}: {self._contract.class_name(run.label)}{state}"
                return words + self._check_words(name, x, bars)
        return ""

    def _check_words(self, name: str, x: float, bars: QRectF) -> str:
        for start, stop, held in self.checks[name]:
            if self.pixel(start, bars) <= x <= self.pixel(stop, bars):
                return ", was right" if held else ", was wrong"
        return ""


def _pale(colour: QColor) -> QColor:
    pale = QColor(colour)
    pale.setAlphaF(0.45)
    return pale
