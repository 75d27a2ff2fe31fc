"""The current movement, large, and what is expected next."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QWidget

from semgfin_rt.app.readout import UNKNOWN, forecast_text, share, spoken
from semgfin_rt.contracts import Decision, Movement
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.panel import ElidedLabel, Headline, Panel, caption_label
from semgfin_rt.qt.theme import DARK, Theme, class_colours, state_colour, text_on

_COLUMNS = 2


class MovementPanel(Panel):
    """Name, state and confidence of the decision, its truth in a replay, and the forecasts.

    Attributes
    ----------
    tells_truth : bool
        A decision is shown beside its truth.
    """

    def __init__(self, contract: ModelContract) -> None:
        self._first = contract.horizons_ms[0]
        super().__init__(f"movement in {self._first} ms" if self._first else "movement now")
        self._contract = contract
        self.headline = Headline()
        self.headline.setAccessibleName("Current movement")
        self._colours = class_colours(contract, DARK)
        self.state = Pill()
        self.truth = ElidedLabel()
        self.truth.setAccessibleName("Truth of the replay")
        self.confidence = ConfidenceBar()
        self.forecasts = {ms: Forecast(contract, ms) for ms in contract.horizons_ms[1:]}

        top = QHBoxLayout()
        top.addWidget(self.headline, stretch=1)
        top.addWidget(self.state, alignment=Qt.AlignmentFlag.AlignTop)
        self.content.addLayout(top, stretch=1)
        self.content.addWidget(self.confidence)
        self.content.addWidget(self.truth)
        if self.forecasts:
            self.content.addWidget(caption_label("forecasts"))
        grid = QGridLayout()
        grid.setSpacing(4)
        grid.setHorizontalSpacing(14)
        for i, forecast in enumerate(self.forecasts.values()):
            grid.addWidget(forecast, i // _COLUMNS, i % _COLUMNS)
        self.content.addLayout(grid)
        self.show_decision(None, None)

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self._colours = class_colours(self._contract, theme)
        parts: list[Headline | Pill | ConfidenceBar | Forecast] = [*self.forecasts.values()]
        for part in [*parts, self.headline, self.state, self.confidence]:
            part.theme = theme
            part.update()

    def show_decision(self, decision: Decision | None, truth: int | None) -> None:
        """Show a decision, and the true label of its newest sample where it is known."""
        movements = {m.horizon_ms: m for m in decision.movements} if decision else {}
        now = movements.get(self._first)
        name = spoken(now, self._contract)
        self.headline.say(name)
        self.state.show_state(now)
        self.confidence.show_value(now.confidence if now else None, self._colour(now))
        self.tells_truth = truth is not None
        told = UNKNOWN if truth is None else self._contract.class_name(truth)
        self.truth.say(f"truth now: {told}")
        for ms, forecast in self.forecasts.items():
            movement = movements.get(ms)
            forecast.show_movement(movement, self._colour(movement))

    def _colour(self, movement: Movement | None) -> QColor | None:
        return self._colours[movement.label] if movement else None


class Pill(QLabel):
    """The state in a coloured box."""

    def __init__(self) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self._colour: QColor | None = None
        self.setAccessibleName("State of the decision")
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)

    def sizeHint(self) -> QSize:
        """Return room for the longest state."""
        measure = self.fontMetrics()
        return QSize(measure.horizontalAdvance(" REJECT ") + 12, measure.height() + 6)

    def show_state(self, movement: Movement | None) -> None:
        """Show the state of `movement`."""
        self._colour = state_colour(movement.state, self.theme) if movement else None
        self.setText(str(movement.state) if movement else UNKNOWN)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the box and the word."""
        painter = QPainter(self)
        colour = self._colour or QColor(self.theme.rest)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(colour)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawRoundedRect(QRectF(self.rect()), 5, 5)
        painter.setPen(text_on(colour.rgb()))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.text())


class ConfidenceBar(QWidget):
    """The probability of the most probable class."""

    def __init__(self) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.value: float | None = None
        self._colour: QColor | None = None
        self.setAccessibleName("Confidence")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Return one line of text."""
        return QSize(200, self.fontMetrics().height() + 4)

    def show_value(self, value: float | None, colour: QColor | None) -> None:
        """Show a probability, in the colour of its class."""
        self.value, self._colour = value, colour
        self.setAccessibleDescription(share(value))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the bar and the figure beside it."""
        painter = QPainter(self)
        word = share(self.value)
        room = painter.fontMetrics().horizontalAdvance("0.00") + 8
        bar = QRectF(0, 3, self.width() - room, self.height() - 6)
        painter.fillRect(bar, QColor(self.theme.window))
        if self.value is not None and self._colour is not None:
            bar.setWidth(bar.width() * min(max(self.value, 0.0), 1.0))
            painter.fillRect(bar, self._colour)
        painter.setPen(QColor(self.theme.text))
        beside = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(self.rect(), beside, word)


class Forecast(QWidget):
    """One horizon: a swatch in the colour of the class, when and what, and how sure."""

    def __init__(self, contract: ModelContract, horizon_ms: int) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self._contract, self._ms = contract, horizon_ms
        self._colour: QColor | None = None
        self.words = ElidedLabel()
        self.confidence = QLabel()
        self.setAccessibleName(f"Forecast {horizon_ms} ms ahead")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 0, 0, 0)
        layout.addWidget(self.words, stretch=1)
        layout.addWidget(self.confidence)

    def show_movement(self, movement: Movement | None, colour: QColor | None) -> None:
        """Show what is forecast, in the colour of its class."""
        self._colour = colour
        self.words.say(forecast_text(self._ms, movement, self._contract))
        self.confidence.setText(share(movement.confidence) if movement else "")
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the swatch."""
        if self._colour is not None:
            QPainter(self).fillRect(QRectF(0, (self.height() - 10) / 2, 10, 10), self._colour)
