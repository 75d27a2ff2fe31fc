"""The running scores of a replay: figures, forecasts by horizon, and the confusion matrix."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PyQt6.QtCore import QEvent, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QHelpEvent, QImage, QPainter, QPaintEvent
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QToolTip, QWidget

from semgfin_rt.app.readout import UNKNOWN, share
from semgfin_rt.app.ribbon import row_name
from semgfin_rt.app.running import RECENT_S, HorizonScore, Scores
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.panel import Panel, caption_label
from semgfin_rt.qt.theme import DARK, Theme

_FIGURES = {
    "accuracy": "Share of right decisions so far, transitions and rest included",
    "steady": "Accuracy of the windows that lie inside one label",
    "onset delay": "Median time from a change to a movement to the first of 5 equal correct "
    "decisions, and the share of changes that were missed",
    "false / min": "Changes from no movement to a movement, a minute of rest; none counts within "
    "300 ms of the end of a movement",
}
_COLUMNS = {
    "accuracy": "Share of right forecasts so far",
    f"last {RECENT_S:g} s": f"Share of right forecasts over the last {RECENT_S:g} s of signal",
    "persistence": f"Share over the last {RECENT_S:g} s for which the present decision, taken as "
    "the forecast, was right",
    "skill": "Forecast less persistence: below 0 the forecast is worse than none",
    "lead ms": "True lead: how much earlier the forecast shows a new movement in 5 windows in a "
    "row than the present decision does, both watched from the first window whose forecast speaks "
    "of it (median)",
}


class ScoresPanel(Panel):
    """Figures on the left, the confusion matrix on the right."""

    def __init__(self, contract: ModelContract) -> None:
        super().__init__("score of the replay")
        self.figures = {name: _figure(name, _FIGURES[name]) for name in _FIGURES}
        self.cells = {
            (ms, column): _figure(f"{column}, {row_name(ms)}", why)
            for ms in contract.horizons_ms
            for column, why in _COLUMNS.items()
        }
        self.matrix = ConfusionMatrix(contract)
        left = QGridLayout()
        left.setHorizontalSpacing(14)
        left.setVerticalSpacing(2)
        for column, (name, figure) in enumerate(self.figures.items()):
            left.addWidget(caption_label(name), 0, column + 1)
            left.addWidget(figure, 1, column + 1)
        left.setRowMinimumHeight(2, 10)
        for column, name in enumerate(_COLUMNS):
            left.addWidget(caption_label(name), 3, column + 1)
        for row, ms in enumerate(contract.horizons_ms):
            left.addWidget(QLabel(row_name(ms)), row + 4, 0)
            for column, name in enumerate(_COLUMNS):
                left.addWidget(self.cells[ms, name], row + 4, column + 1)
        left.setRowStretch(len(contract.horizons_ms) + 4, 1)
        whole = QHBoxLayout()
        whole.setSpacing(20)
        whole.addLayout(left)
        whole.addWidget(self.matrix, stretch=1)
        self.content.addLayout(whole, stretch=1)

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self.matrix.theme = theme
        self.matrix.update()

    def show_scores(self, scores: Scores) -> None:
        """Show the figures; a few times a second are enough."""
        self.note.setText(f"{scores.scored:,} decisions scored, {scores.onsets:,} movements")
        missed = "" if not scores.onsets_missed else f", {scores.onsets_missed:.0%} missed"
        delay = _number(scores.onset_delay_ms)
        texts = (
            share(scores.accuracy),
            share(scores.accuracy_steady),
            f"{delay} ms{missed}" if scores.onsets else UNKNOWN,
            _number(scores.false_activations, 1),
        )
        for figure, text in zip(self.figures.values(), texts, strict=True):
            figure.setText(text)
        for horizon in scores.horizons:
            for column, text in zip(_COLUMNS, _row(horizon), strict=True):
                self.cells[horizon.horizon_ms, column].setText(text)
        self.matrix.show_counts(scores.confusion)


def _row(score: HorizonScore) -> tuple[str, ...]:
    """Texts of `_COLUMNS`; the present is no forecast."""
    forecast = score.horizon_ms > 0
    known = forecast and score.skill is not None
    skill = f"{round(score.skill or 0.0, 2) + 0.0:+.2f}" if known else UNKNOWN  # never -0.00
    return (
        share(score.accuracy),
        share(score.recent),
        share(score.persistence) if forecast else UNKNOWN,
        skill,
        _number(score.lead_ms) if forecast else UNKNOWN,
    )


def _number(value: float | None, digits: int = 0) -> str:
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def _figure(name: str, why: str) -> QLabel:
    figure = QLabel(UNKNOWN)
    figure.setProperty("role", "figure")
    figure.setAccessibleName(name)
    figure.setToolTip(why)
    return figure


class ConfusionMatrix(QWidget):
    """True class down, decided class across, the last column for rejected; a row sums to 1.

    One hue from the ground to full, so that only its lightness has to be seen.
    """

    def __init__(self, contract: ModelContract) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self._names = [c.name for c in contract.classes]
        self._ids = [str(c.id) for c in contract.classes]
        n = len(self._names)
        self.counts: npt.NDArray[np.int64] = np.zeros((n, n + 1), dtype=np.int64)
        self.setAccessibleName("Confusion matrix")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_counts(self, counts: npt.NDArray[np.int64]) -> None:
        """Draw (n_classes, n_classes + 1) counts."""
        self.counts = counts
        self.update()

    def minimumSizeHint(self) -> QSize:
        """Return a small line of text for each class, and one for the axis."""
        line = round(0.8 * self.fontMetrics().height())
        return QSize(260, (len(self._names) + 1) * line)

    def cells(self) -> QRectF:
        """Return where the cells lie; names stand to the left, numbers below."""
        measure = self.fontMetrics()
        widest = max(measure.horizontalAdvance(f"{name} 00") for name in self._names) + 8
        left = min(widest, self.width() // 3)
        return QRectF(left, 0, self.width() - left - 1, self.height() - measure.height() - 2)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw names, cells and the diagonal."""
        painter = QPainter(self)
        cells = self.cells()
        n = len(self._names)
        painter.drawImage(cells, _image(self._shares(), self.theme))
        height, width = cells.height() / n, cells.width() / (n + 1)
        small = painter.font()
        small.setPixelSize(max(6, min(self.fontMetrics().height(), int(height)) - 2))
        painter.setFont(small)
        measure = painter.fontMetrics()
        beside = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        room = cells.left() - 6
        painter.setPen(QColor(self.theme.text))
        for row, (name, number) in enumerate(zip(self._names, self._ids, strict=True)):
            fits = measure.horizontalAdvance(number + "  ")
            short = measure.elidedText(name, Qt.TextElideMode.ElideRight, int(room - fits))
            line = QRectF(0, cells.top() + row * height, room, height)
            painter.drawText(line, beside, f"{short} {number}")
        under = Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter
        for column, number in enumerate([*self._ids, "×"]):  # noqa: RUF001
            below = QRectF(cells.left() + column * width - 20, cells.bottom() + 1, width + 40, 99)
            painter.drawText(below, under, number)
        painter.setPen(QColor(self.theme.muted))
        for i in range(n):  # where the right decisions lie
            painter.drawRect(QRectF(cells.left() + i * width, i * height, width, height))

    def _shares(self) -> npt.NDArray[np.float64]:
        """Share of each true class that was decided to be each class; 0 where there is none."""
        return np.asarray(self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1))

    def event(self, event: QEvent | None) -> bool:
        """Say a cell in words where the pointer rests."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            words = self.words_at(event.pos().x(), event.pos().y())
            QToolTip.showText(event.globalPos(), words, self)
            return True
        return super().event(event)

    def words_at(self, x: float, y: float) -> str:
        """Return what the cell at pixel (x, y) holds; empty outside the cells."""
        cells = self.cells()
        if not cells.contains(x, y):
            return ""
        n = len(self._names)
        row = min(int((y - cells.top()) / cells.height() * n), n - 1)
        column = min(int((x - cells.left()) / cells.width() * (n + 1)), n)
        decided = self._names[column] if column < n else "rejected"
        count = int(self.counts[row, column])
        return (
            f"{self._names[row]}, decided {decided}: {count:,} of "
            f"{int(self.counts[row].sum()):,} ({self._shares()[row, column]:.0%})"
        )


def _image(shares: npt.NDArray[np.float64], theme: Theme) -> QImage:
    """Return one pixel for each cell."""
    ground, full = QColor(theme.window), QColor(theme.high)
    channels = [
        np.interp(shares, (0, 1), (getattr(ground, name)(), getattr(full, name)()))
        for name in ("red", "green", "blue")
    ]
    rgb: npt.NDArray[np.uint8] = np.ascontiguousarray(np.stack(channels, axis=2), dtype=np.uint8)
    height, width, _ = rgb.shape
    image = QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return image.copy()  # its own memory: the bytes above go away
