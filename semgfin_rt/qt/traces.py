"""The scrolling signal, a lane for each channel, with its name, its light and why beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetrics, QHelpEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QHBoxLayout, QSizePolicy, QToolTip, QWidget

from semgfin_rt.app.display import TRACE_SECONDS, TraceRing, first_lane, lanes, step_lane
from semgfin_rt.app.lights import Light
from semgfin_rt.app.readout import lane_text
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.panel import Panel
from semgfin_rt.qt.signs import draw_sign, sign_size
from semgfin_rt.qt.theme import DARK, Theme

_ELIDED = Qt.TextElideMode.ElideRight
_BESIDE = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_TOP = 0.6  # of the picture, in lanes above the middle of the first
_WORDS_EVERY = 10  # calls: three times a second, figures can still be read


class _Lane(pg.PlotCurveItem):  # type: ignore[misc]
    """A curve as large as the picture: nobody looks for its bounds in every frame."""

    def __init__(self, picture: QRectF) -> None:
        super().__init__()
        self._picture = picture
        self.setSegmentedLineMode("on")  # a third cheaper than a path of all points

    def boundingRect(self) -> QRectF:
        """Return the whole picture, in lanes and seconds."""
        return self._picture


class TracesPanel(Panel):
    """All channels of the last 5 s; curves are made once and refilled.

    Parameters
    ----------
    contract : ModelContract
    """

    def __init__(self, contract: ModelContract) -> None:
        super().__init__(f"signal, last {TRACE_SECONDS:g} s")
        self._unit = contract.unit
        self.half_lane = first_lane(contract)
        n_channels = len(contract.channels)

        self.plot = pg.PlotWidget()
        self.plot.setAntialiasing(False)
        # All curves change in every frame: working out which pixels did costs 15 % of a core.
        self.plot.setViewportUpdateMode(self.plot.ViewportUpdateMode.FullViewportUpdate)
        self.plot.setMenuEnabled(False)
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.hideButtons()
        self.plot.setFrameShape(self.plot.Shape.NoFrame)
        picture = QRectF(-1.03 * TRACE_SECONDS, _TOP - n_channels, 1.06 * TRACE_SECONDS, n_channels)
        self.plot.setRange(picture, padding=0)
        self.plot.hideAxis("left")
        self.plot.getAxis("bottom").setTicks(
            [[(s, "now" if s == 0 else f"{s} s") for s in range(-int(TRACE_SECONDS), 1)]]
        )
        self.curves = [_Lane(picture) for _ in contract.channels]
        for curve in self.curves:
            self.plot.addItem(curve)
        self.labels = ChannelLabels(contract.channels, self.plot)
        row = QHBoxLayout()
        row.setSpacing(0)
        row.addWidget(self.labels)
        row.addWidget(self.plot, stretch=1)
        self.content.addLayout(row, stretch=1)
        self._say_scale()

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self.plot.setBackground(theme.panel)
        axis = self.plot.getAxis("bottom")
        axis.setPen(theme.border)
        axis.setTextPen(theme.text)
        self.labels.theme = theme
        self.labels.update()
        for i, curve in enumerate(self.curves):
            curve.setPen(pg.mkPen(theme.traces[i % 2], width=1))

    def show_traces(self, traces: TraceRing) -> None:
        """Draw the envelope of the last seconds; lost samples are holes."""
        placed = lanes(traces.envelope(), self.half_lane)
        for curve, column in zip(self.curves, placed.T, strict=True):
            whole = bool(np.isfinite(column).all())
            curve.setData(
                traces.times, column, connect="all" if whole else "finite", skipFiniteCheck=whole
            )

    def show_lights(self, lights: Sequence[Light]) -> None:
        """Show the light of each channel; one that changes at once, its words 3 times a second."""
        self.labels.show_lights(lights)

    def zoom(self, steps: int) -> None:
        """Enlarge the traces by `steps` of 1, 2, 5, 10; negative ones make them smaller."""
        self.half_lane = step_lane(self.half_lane, -steps)
        self._say_scale()

    def _say_scale(self) -> None:
        self.note.setText(lane_text(self.half_lane, self._unit))


class ChannelLabels(QWidget):
    """A name for each lane, a light before it, and below it the number behind the light.

    Parameters
    ----------
    channels : sequence of str
    plot : pg.PlotWidget
        The lanes that it stands beside.

    Attributes
    ----------
    lights : tuple of Light
        Those shown; empty while nothing is known.
    """

    def __init__(self, channels: Sequence[str], plot: pg.PlotWidget) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.lights: tuple[Light, ...] = ()
        self._channels, self._plot = tuple(channels), plot
        self._calls = 0
        self.setAccessibleName("Channels and their quality")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        plot.getViewBox().sigResized.connect(lambda _box: self.update())

    def sizeHint(self) -> QSize:
        """Return room for the longest name, or the beginning of a sentence."""
        name = max(self.fontMetrics().horizontalAdvance(name) for name in self._channels)
        words = QFontMetrics(self._small()).horizontalAdvance("50 Hz is 97 % of the")
        return QSize(int(sign_size(self.fontMetrics())) + max(name, words) + 12, 100)

    def show_lights(self, lights: Sequence[Light]) -> None:
        """See `TracesPanel.show_lights`."""
        due = self._calls % _WORDS_EVERY == 0
        self._calls += 1
        if not due and [n.level for n in lights] == [n.level for n in self.lights]:
            return
        if tuple(lights) != self.lights:
            self.lights = tuple(lights)
            troubles = [light.text for light in lights if light.level != "good"]
            self.setAccessibleDescription(". ".join(troubles) or "all good")
            self.update()

    def _small(self) -> QFont:
        font = self.font()
        font.setPointSizeF(0.88 * font.pointSizeF())
        return font

    def lanes(self) -> QRectF:
        """Return where the lanes lie, whole, in pixels of this widget."""
        box = self._plot.getViewBox().sceneBoundingRect()
        return QRectF(0, box.top(), self.width() - 4, box.height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw sign, name and words of each lane; words only where there is a line for them."""
        painter = QPainter(self)
        line, sign = self.fontMetrics().height(), sign_size(self.fontMetrics())
        lanes = self.lanes()
        height = lanes.height() / len(self._channels)
        two = height >= 1.7 * line
        for i, name in enumerate(self._channels):
            middle = lanes.top() + (_TOP + i) * height
            light = self.lights[i] if i < len(self.lights) else None
            troubled = light is not None and light.level != "good"
            if light is not None:
                at = QPointF(sign / 2 + 1, middle - line / 2 * two)
                draw_sign(painter, at, sign, light.level, self.theme)
            box = QRectF(sign + 6, middle - line * (1 if two else 0.5), 0, line)
            box.setRight(lanes.right())
            painter.setFont(self.font())
            painter.setPen(QColor(self.theme.warning if troubled else self.theme.text))
            self._draw_line(painter, box, name)
            if light is not None and two:
                painter.setFont(self._small())
                painter.setPen(QColor(self.theme.text if troubled else self.theme.muted))
                words = light.text.removeprefix(f"{name}: ")
                self._draw_line(painter, box.translated(0, 0.85 * line), words)

    @staticmethod
    def _draw_line(painter: QPainter, box: QRectF, text: str) -> None:
        cut = painter.fontMetrics().elidedText(text, _ELIDED, int(box.width()))
        painter.drawText(box, _BESIDE, cut)

    def event(self, event: QEvent | None) -> bool:
        """Say the whole sentence where the pointer rests."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.words_at(event.pos().y()), self)
            return True
        return super().event(event)

    def words_at(self, y: float) -> str:
        """Return what is known of the channel whose lane has the pixel row y."""
        lanes = self.lanes()
        i = round((y - lanes.top()) / lanes.height() * len(self._channels) - _TOP)
        return self.lights[i].text if 0 <= i < len(self.lights) else ""
