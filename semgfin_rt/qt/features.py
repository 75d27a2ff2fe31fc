"""Imitated features beside the computed ones: whether the network still knows what it sees.

And whether it knew what it would see: the features that were forecast, once they can be computed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QHelpEvent, QImage, QPainter, QPaintEvent, QWheelEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolTip,
    QWidget,
)

from semgfin_rt.app.forecasts import Forecasts, ForecastScore
from semgfin_rt.app.imitation import BAD_FROM, ERROR_S, WARN_FROM, FeatureComparison, Imitation
from semgfin_rt.app.lights import Level
from semgfin_rt.app.readout import UNKNOWN, feature_text, share
from semgfin_rt.app.ribbon import row_name
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.panel import Panel, caption_label
from semgfin_rt.qt.policy import dress_controls
from semgfin_rt.qt.signs import draw_sign, sign_size
from semgfin_rt.qt.theme import DARK, Theme, mark
from semgfin_rt.train.r2 import Values

SPAN = 3.0
"""Training standard deviations at which a colour is at its end."""
_ERROR, _R2 = "error SD", "R²"
_SKILL = "skill"
_ROWS = {
    "forecast R²": "Forecast features against the closed form once it can be computed: median over "
    "features, last 30 s",
    "as now R²": "The same had the present estimate been the forecast",
    _SKILL: "R² of the forecast above that of the present estimate",
}


class FeaturesPanel(Panel):
    """A cell for each feature and channel: its left half imitated, its right half computed.

    Where both halves have one colour the imitation holds. A light for each feature, its error and
    its R² stand to the right, the scores of the forecasts below. With a horizon chosen, the left
    half of a cell is what was forecast of this window so long before; lights are for the present.
    """

    def __init__(self, contract: ModelContract) -> None:
        super().__init__("features: FIN left, closed form right")
        scale = f"blue −{SPAN:g} SD · orange +{SPAN:g} SD"  # noqa: RUF001 - a minus
        self.note.setText(scale)
        self.horizon = _HorizonBox(contract.horizons_ms)
        self.lag = caption_label("")
        self.map = FeatureMap(contract)
        self.forecasts = ForecastTable(contract)
        self._seen: tuple[Imitation, Forecasts] | None = None
        self.horizon.currentIndexChanged.connect(self._show_map)
        self._show_map()
        above = QWidget()
        row = QHBoxLayout(above)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(caption_label("horizon"))
        row.addWidget(self.horizon)
        row.addWidget(self.lag, stretch=1)
        if len(contract.horizons_ms) == 1:
            above.hide()
        self.content.addWidget(above)
        self.content.addWidget(self.map, stretch=1)
        self.content.addWidget(self.forecasts)

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self.map.theme = theme
        self.map.update()
        dress_controls(self.horizon, theme)

    def show_features(self, imitation: Imitation, forecasts: Forecasts) -> None:
        """Draw the newest window's features, and how far they can be trusted."""
        self._seen = imitation, forecasts
        self.forecasts.show_scores(forecasts.scores())
        self._show_map()

    def _show_map(self) -> None:
        """Draw the newest window of the horizon that is chosen, unless it is drawn."""
        ms = self.horizon.ms
        self.lag.setText(f"left: forecast {ms} ms before" if ms else "")
        if self._seen is None:
            return
        imitation, forecasts = self._seen
        comparison = forecasts.comparisons.get(ms) if ms else imitation.comparison
        if (comparison, ms) == (self.map.comparison, self.map.horizon_ms):
            return
        if ms:
            r2 = next(s.r2 for s in forecasts.scores() if s.horizon_ms == ms)
            self.map.show_features(comparison, forecasts.error(ms), r2, (), ms)
        else:
            self.map.show_features(comparison, imitation.error, imitation.r2, imitation.levels)


class _HorizonBox(QComboBox):
    """The horizons of a checkpoint, of which one is looked at: the present, if it has one."""

    def __init__(self, horizons_ms: tuple[int, ...]) -> None:
        super().__init__()
        for ms in horizons_ms:
            self.addItem(row_name(ms), ms)
        self.setCurrentIndex(max(self.findData(0), 0))
        self.setAccessibleName("Horizon of the feature map")
        self.setToolTip("Compare the present imitation, or what was forecast so long before")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    @property
    def ms(self) -> int:
        """The horizon that is chosen."""
        ms: int = self.currentData()
        return ms

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Turn only where a person works: the panel scrolls, too."""
        if self.hasFocus():
            super().wheelEvent(event)
        elif event is not None:
            event.ignore()


class FeatureMap(QWidget):
    """The cells, feature names to the left, channels below, error of each feature to the right."""

    def __init__(self, contract: ModelContract) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.comparison: FeatureComparison | None = None
        self.horizon_ms = 0
        self.levels: tuple[Level, ...] = ()
        self.error: list[float] = []
        self.r2: list[float] = []
        self._features, self._channels = contract.features, contract.channels
        self.setAccessibleName("Feature map")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_features(
        self,
        comparison: FeatureComparison | None,
        error: npt.NDArray[np.float32] | None,
        r2: Values,
        levels: tuple[Level, ...],
        horizon_ms: int = 0,
    ) -> None:
        """Draw a window, and what is known of each feature over the last seconds.

        Parameters
        ----------
        comparison : FeatureComparison or None
        error : (n_features,) float32 or None
            In training standard deviations.
        r2 : (n_features,) float64
        levels : tuple of Level
            A light for each feature, or none.
        horizon_ms : int
            How long before the estimate was made.
        """
        self.comparison, self.levels, self.horizon_ms = comparison, levels, horizon_ms
        self.error = [] if error is None else error.tolist()
        self.r2 = r2.tolist()
        bad = [f for f, n in zip(self._features, levels, strict=False) if n != "good"]
        words = f"badly imitated: {', '.join(bad)}" if bad else "all good"
        ahead = f"as it was forecast {horizon_ms} ms before"
        self.setAccessibleDescription(ahead if horizon_ms else words)
        self.update()

    def minimumSizeHint(self) -> QSize:
        """Return a line of text for each feature."""
        return QSize(300, (len(self._features) + 1) * self.fontMetrics().height())

    def cells(self) -> QRectF:
        """Return where the cells lie; names and errors stand around them."""
        measure = self.fontMetrics()
        left = max(measure.horizontalAdvance(name) for name in self._features) + 8
        right = sign_size(measure) + sum(self._columns()) + 10
        below = measure.height() + 2
        return QRectF(left, 0, self.width() - left - right, self.height() - below)

    def _columns(self) -> tuple[float, float]:
        """Widths of error and R²."""
        measure = self.fontMetrics()
        return measure.horizontalAdvance(_ERROR) + 4, measure.horizontalAdvance("-0.00") + 10

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
        beside = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
        beside |= int(Qt.TextFlag.TextDontClip)  # a row may be lower than an underscore
        error, r2 = self._columns()
        sign = sign_size(self.fontMetrics())
        edge = cells.right() + sign + 10  # of the sign's column; those of the figures follow
        for row, name in enumerate(self._features):
            line = QRectF(0, cells.top() + row * height, cells.left() - 6, height)
            painter.setPen(QColor(self.theme.text))
            painter.drawText(line, beside, name)
            level = self.levels[row] if self.levels else None
            if level is not None:
                centre = QPointF(cells.right() + 6 + sign / 2, line.center().y())
                draw_sign(painter, centre, sign, level, self.theme)
            if self.error:
                alarm = level in ("warn", "bad")
                painter.setPen(QColor(self.theme.warning if alarm else self.theme.text))
                figure = QRectF(edge, line.top(), error, height)
                painter.drawText(figure, beside, share(self.error[row]))
                painter.setPen(QColor(self.theme.text))
                figure.setWidth(error + r2)
                painter.drawText(figure, beside, share(self.r2[row]))
        painter.setPen(QColor(self.theme.muted))
        under = Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignRight
        for word, end in ((_ERROR, error), (_R2, error + r2)):
            painter.drawText(QRectF(edge, cells.bottom(), end, 99), under, word)
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
        """Return what stands at pixel (x, y): a cell, or the figures of a feature."""
        cells = self.cells()
        if x > cells.right() and cells.top() <= y < cells.bottom():
            return self._trust_words(int((y - cells.top()) / cells.height() * len(self._features)))
        if self.comparison is None or not cells.contains(x, y):
            return ""
        row = int((y - cells.top()) / cells.height() * len(self._features))
        column = int((x - cells.left()) / cells.width() * len(self._channels))
        row, column = min(row, len(self._features) - 1), min(column, len(self._channels) - 1)
        words = feature_text(
            self._features[row],
            self._channels[column],
            float(self.comparison.estimate[row, column]),
            float(self.comparison.closed_form[row, column]),
        )
        return f"{words}; forecast {self.horizon_ms} ms before" if self.horizon_ms else words

    def _trust_words(self, row: int) -> str:
        if not self.error:
            return ""
        if self.horizon_ms:
            return (
                f"{self._features[row]}: what was forecast {self.horizon_ms} ms before is "
                f"{self.error[row]:.2f} SD off over the last {ERROR_S:g} s, R² of the last 30 s "
                f"{share(self.r2[row])}"
            )
        return (
            f"{self._features[row]}: the FIN is {self.error[row]:.2f} SD off over the last "
            f"{ERROR_S:g} s (warning from {WARN_FROM:g}, bad from {BAD_FROM:g} SD of the training "
            f"data), R² of the last 30 s {share(self.r2[row])}"
        )


class ForecastTable(QWidget):
    """R² of the forecast features by horizon, beside the present ones taken for the forecast.

    Medians over the features, of which the tooltips give each.
    """

    def __init__(self, contract: ModelContract) -> None:
        super().__init__()
        self.setAccessibleName("Forecasts of features that could be checked")
        self._features = contract.features
        self.cells: dict[tuple[int, str], QLabel] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 2, 0, 0)
        grid.setVerticalSpacing(0)
        horizons = [ms for ms in contract.horizons_ms if ms]
        for row, (name, why) in enumerate(_ROWS.items(), start=1):
            caption = caption_label(name)
            caption.setToolTip(why)
            grid.addWidget(caption, row, 0)
            for column, ms in enumerate(horizons, start=1):
                cell = QLabel(UNKNOWN)
                cell.setAccessibleName(f"{name}, {row_name(ms)}")
                cell.setAlignment(Qt.AlignmentFlag.AlignRight)
                grid.addWidget(cell, row, column)
                self.cells[ms, name] = cell
        for column, ms in enumerate(horizons, start=1):
            head = caption_label(row_name(ms))
            head.setAlignment(Qt.AlignmentFlag.AlignRight)
            grid.addWidget(head, 0, column)
            grid.setColumnStretch(column, 1)
        if not horizons:
            self.hide()

    def show_scores(self, scores: tuple[ForecastScore, ...]) -> None:
        """Show the scores; those of a second ago are the same."""
        for score in scores:
            for name, values in zip(_ROWS, (score.r2, score.persistence, score.skill), strict=True):
                cell = self.cells[score.horizon_ms, name]
                finite = values[np.isfinite(values)]
                known = len(finite) > 0
                middle = round(float(np.median(finite)), 2) + 0.0 if known else np.nan  # no -0.00
                skill = name == _SKILL
                text = f"{middle:+.2f}" if skill and known else share(middle)
                if cell.text() != text:
                    cell.setText(text)
                    each = zip(self._features, values.tolist(), strict=True)
                    cell.setToolTip(", ".join(f"{f} {share(value)}" for f, value in each))
                if skill:
                    mark(cell, "good", known and middle > 0)


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
