"""Where the time of a decision goes, against the hop that it must not exceed."""

from __future__ import annotations

from collections import deque

import numpy as np
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QWidget

from semgfin_rt.app.readout import UNKNOWN
from semgfin_rt.contracts import Decision
from semgfin_rt.engine.snapshot import Health, Percentiles
from semgfin_rt.qt.panel import Panel, caption_label
from semgfin_rt.qt.theme import DARK, Theme, mark

FRAMES = 1800
"""Frame times kept: a minute, as the engine does of its stages."""
_RANKS = {"p50": "half of all", "p95": "95 of 100", "p99": "99 of 100"}
_STAGES = {
    "acquire": ("acquire", "#56B4E9", "Newest sample pushed to its arrival here"),
    "filter": ("filter", "#009E73", "Causal filter and scaling of the new samples"),
    "fin": ("FIN", "#0072B2", "Features of the window, now and ahead"),
    "cnn": ("CNN", "#E69F00", "Probabilities of the movements"),
    "policy": ("policy", "#CC79A7", "Signal quality, vote, thresholds, hysteresis and hold"),
    "publish": ("publish", "#994F00", "Hand-out to the streams and the recorder"),
}
_WHOLE, _DRAW = "end to end", "draw"
_COLUMNS = {
    **{stage: why for stage, (_, _, why) in _STAGES.items()},
    _WHOLE: "Newest sample pushed to decision pushed, measured as a whole: percentiles of stages "
    "do not add up to it",
    _DRAW: "A frame of this window, which delays no decision: the engine is another process",
}
_COUNTS = {
    "late": "Decisions published later than one hop after their newest sample",
    "skipped": "Windows passed over because the decider was behind",
    "age ms": "Age of the newest sample when the last decision was published",
}
_SCALES = (1.25, 2.5, 5.0, 10.0, 25.0, 50.0)  # hops


class LatencyPanel(Panel):
    """Percentiles of every stage over the last minute, as bars and figures.

    Parameters
    ----------
    hop_ms : float
        The time there is for a decision.

    Attributes
    ----------
    figures : dict of (stage, rank) to QLabel
        In ms; stages as in `Health.latency_ms`, besides ``"end to end"`` and ``"draw"``.
    counts : dict of str to QLabel
    """

    def __init__(self, hop_ms: float) -> None:
        super().__init__("latency of a decision, ms")
        self._hop_ms = hop_ms
        self._frames: deque[float] = deque(maxlen=FRAMES)
        self.bars = LatencyBars(hop_ms)
        self.figures: dict[tuple[str, str], QLabel] = {}
        self.counts: dict[str, QLabel] = {}
        self.content.addWidget(self.bars)
        self.content.addLayout(self._table())
        self.content.addLayout(self._line())
        self.content.addStretch(1)
        self.show_health(None)

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self.bars.theme = theme
        self.bars.update()

    def frame(self, ms: float) -> None:
        """Take the time that drawing a frame took."""
        self._frames.append(ms)

    def show_health(self, health: Health | None, stale: Decision | None = None) -> None:
        """Show what the engine told of itself; a few times a second are enough."""
        found = dict(health.latency_ms) if health is not None else {}
        whole = found.get("end_to_end")
        if whole is not None:
            found[_WHOLE] = whole
        if self._frames:
            found[_DRAW] = Percentiles(*np.percentile(self._frames, (50, 95, 99)).tolist())
        for (stage, rank), figure in self.figures.items():
            _say(figure, _figure(found.get(stage), rank))
        over = whole is not None and whole.p95 > self._hop_ms
        mark(self.figures[_WHOLE, "p95"], "alarm", over)
        mark(self.note, "alarm", over)
        _say(self.note, self._note(whole))
        self.bars.show_latency(found)
        age_ms = stale.age_ms if stale is not None else np.nan if health is None else health.age_ms
        _say(self.counts["age ms"], f"{age_ms:,.1f}" if np.isfinite(age_ms) else UNKNOWN)
        mark(self.counts["age ms"], "alarm", stale is not None)
        for name in ("late", "skipped"):
            _say(self.counts[name], UNKNOWN if health is None else f"{getattr(health, name):,}")
        mark(self.counts["skipped"], "alarm", health is not None and health.skipped > 0)

    def _note(self, whole: Percentiles | None) -> str:
        hop = f"of a hop of {self._hop_ms:g} ms"
        if whole is None or not np.isfinite(whole.p95):
            return hop
        verdict = "late" if whole.p95 > self._hop_ms else "in time"
        return f"{verdict}: p95 {whole.p95:.1f} ms {hop}"

    def _table(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(0)
        for column, (stage, why) in enumerate(_COLUMNS.items(), start=1):
            name, colour, _ = _STAGES.get(stage, (stage, "", ""))
            head = caption_label(
                f'<span style="color:{colour}">■</span> {name}' if colour else name
            )
            head.setToolTip(why)
            grid.addWidget(head, 0, column, Qt.AlignmentFlag.AlignRight)
            grid.setColumnStretch(column, 1)
            for row, (rank, share) in enumerate(_RANKS.items(), start=1):
                figure = QLabel(UNKNOWN)
                figure.setAccessibleName(f"{name}, {rank}, ms")
                figure.setToolTip(f"{why}; {share} took no longer")
                figure.setAlignment(Qt.AlignmentFlag.AlignRight)
                self.figures[stage, rank] = figure
                grid.addWidget(figure, row, column)
        for row, rank in enumerate(_RANKS, start=1):
            grid.addWidget(caption_label(rank), row, 0)
        return grid

    def _line(self) -> QHBoxLayout:
        line = QHBoxLayout()
        for name, why in _COUNTS.items():
            figure = QLabel(UNKNOWN)
            figure.setProperty("role", "figure")
            figure.setAccessibleName(name)
            figure.setToolTip(why)
            self.counts[name] = figure
            line.addWidget(caption_label(name))
            line.addWidget(figure)
            line.addSpacing(18)
        line.addStretch(1)
        return line


def _figure(found: Percentiles | None, rank: str) -> str:
    value = np.nan if found is None else getattr(found, rank)
    return f"{value:.2f}" if np.isfinite(value) else UNKNOWN


def _say(label: QLabel, text: str) -> None:
    if label.text() != text:
        label.setText(text)


class LatencyBars(QWidget):
    """A bar for each percentile: its stages one behind the other, a line where the hop ends.

    A short upright stroke is the percentile of end to end.
    """

    def __init__(self, hop_ms: float) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.latency: dict[str, Percentiles] = {}
        self._hop_ms = hop_ms
        self.setAccessibleName("Latency within one hop")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Return a line of text for each percentile and one for the axis."""
        return QSize(320, (len(_RANKS) + 1) * (self.fontMetrics().height() + 3))

    def minimumSizeHint(self) -> QSize:
        """Return the same height on less width."""
        return QSize(200, self.sizeHint().height())

    def show_latency(self, latency: dict[str, Percentiles]) -> None:
        """Show percentiles by stage."""
        if latency != self.latency:
            self.latency = latency
            parts = (f"{s} {p.p95:.1f}" for s, p in latency.items() if s in _COLUMNS)
            self.setAccessibleDescription(f"p95 in ms: {', '.join(parts)}")
            self.update()

    @property
    def scale_ms(self) -> float:
        """What the whole width stands for: somewhat more than a hop, and more where needed."""
        whole = self.latency.get(_WHOLE)
        longest = max(sum(self._parts("p99").values()), 0 if whole is None else whole.p99)
        hops = (n for n in _SCALES if longest <= n * self._hop_ms)
        return next(hops, _SCALES[-1]) * self._hop_ms

    def _parts(self, rank: str) -> dict[str, float]:
        """Ms of each stage."""
        return {s: getattr(self.latency[s], rank) for s in _STAGES if s in self.latency}

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the bars and the axis."""
        painter = QPainter(self)
        measure = self.fontMetrics()
        room = measure.horizontalAdvance("p99") + 10
        height = self.height() / (len(_RANKS) + 1)
        per_ms = (self.width() - room) / self.scale_ms
        whole = self.latency.get(_WHOLE)
        for i, rank in enumerate(_RANKS):
            bar = QRectF(room, i * height + 2, self.width() - room, height - 4)
            painter.fillRect(bar, QColor(self.theme.window))
            painter.setPen(QColor(self.theme.muted))
            painter.drawText(QRectF(0, bar.top(), room - 6, bar.height()), _BESIDE, rank)
            left = bar.left()
            for stage, ms in self._parts(rank).items():
                part = QRectF(left, bar.top() + 2, ms * per_ms, bar.height() - 4)
                painter.fillRect(part & bar, QColor(_STAGES[stage][1]))
                left = part.right()
            if whole is not None:
                ms = getattr(whole, rank)
                late = ms > self._hop_ms
                stroke = QRectF(room + ms * per_ms - 1.5, bar.top(), 3, bar.height())
                colour = self.theme.warning if late else self.theme.text
                painter.fillRect(stroke & bar, QColor(colour))
        self._draw_axis(painter, room, per_ms, len(_RANKS) * height)

    def _draw_axis(self, painter: QPainter, room: float, per_ms: float, bottom: float) -> None:
        end = room + self._hop_ms * per_ms
        painter.fillRect(QRectF(end - 1, 0, 2, bottom), QColor(self.theme.warning))
        painter.setPen(QColor(self.theme.muted))
        for ms, word in ((0.0, "0"), (self._hop_ms, f"one hop, {self._hop_ms:g} ms")):
            width = painter.fontMetrics().horizontalAdvance(word) + 4
            left = min(room + ms * per_ms - width / 2, self.width() - width)
            below = QRectF(max(left, 0), bottom, width, self.height() - bottom)
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, word)


_BESIDE = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
