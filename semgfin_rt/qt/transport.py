"""The controls of a replay: play, step, seek, jump, loop and speed, by mouse and by key."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PyQt6.QtCore import QEvent, QRectF, QSize, Qt
from PyQt6.QtGui import (
    QAction,
    QColor,
    QHelpEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
)
from PyQt6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QSizePolicy,
    QSlider,
    QToolButton,
    QToolTip,
)

from semgfin_rt.app.transport import SEEK_S, SPEEDS, Transport
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.panel import Panel, caption_label
from semgfin_rt.qt.theme import DARK, Theme, class_colours

_PAGE_S = 30.0
_HANDLE = 4  # pixels


class TransportPanel(Panel):
    """A bar with the movements to seek in, and buttons below; `refresh` shows where it is.

    Parameters
    ----------
    transport : Transport
    contract : ModelContract
        For the colours of the movements.

    Attributes
    ----------
    commands : list of QAction
        Everything that has a key. They act while the panel is seen; a window that adds them to
        itself has the keys in any case.
    """

    def __init__(self, transport: Transport, contract: ModelContract) -> None:
        super().__init__("replay")
        self.transport = transport
        self.commands: list[QAction] = []
        self.bar = SeekBar(transport, contract)
        self.bar.actionTriggered.connect(lambda _: transport.seek(self.bar.sliderPosition()))
        self.play = self._command("Play or pause", "Pause", "Space", transport.toggle)
        step = self._command("Step one decision", "Step", ".", transport.step)
        self.loop = self._command("Play round and round", "Loop", "L", self._set_loop)
        self.loop.setCheckable(True)
        jumps = {
            what: (
                self._command(f"Previous {what}", "◀", f"{shift}P", partial(go, -1)),
                self._command(f"Next {what}", "▶", f"{shift}N", partial(go, 1)),
            )
            for what, go, shift in (
                ("movement", transport.next_movement, ""),
                ("repetition", transport.next_repetition, "Shift+"),
            )
        }
        for name, key, seconds in (("Back", "Left", -SEEK_S), ("On", "Right", SEEK_S)):
            self._command(f"{name} {SEEK_S:g} s", key, key, partial(transport.seek_by, seconds))
        self._command("To the beginning", "Home", "Home", transport.home)
        self.speeds = sorted({*SPEEDS, transport.speed})
        self.speed = _choice("Speed", [f"{speed:g} ×" for speed in self.speeds])  # noqa: RUF001
        self.speed.activated.connect(lambda i: transport.set_speed(self.speeds[i]))
        self.jump = _choice(
            "Jump to",
            [f"{m.name}, {m.repetition}  ({transport.clock(m.start)})" for m in transport.marks],
        )
        self.jump.activated.connect(self._jump_to)
        self._lay_out([self.play, step], jumps)
        self.dress(DARK)
        self.refresh()

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self.bar.dress(theme)
        self.setStyleSheet(f"""
            QToolButton, QComboBox {{ color: {theme.text}; background: {theme.window};
                border: 1px solid {theme.border}; border-radius: 4px; padding: 3px 8px; }}
            QToolButton:hover, QToolButton:focus, QComboBox:hover, QComboBox:focus {{
                border-color: {theme.low}; }}
            QToolButton:pressed, QToolButton:checked {{ background: {theme.low}; color: white; }}
            QComboBox QAbstractItemView {{ color: {theme.text}; background: {theme.panel};
                selection-background-color: {theme.low}; }}
        """)

    def refresh(self) -> None:
        """Show where the replay is, and how it plays; some times a second."""
        transport = self.transport
        self.play.setIconText("Play" if transport.paused else "Pause")
        self.loop.setChecked(transport.loop)
        self.speed.setCurrentIndex(self.speeds.index(transport.speed))
        if not self.bar.isSliderDown():
            self.bar.setValue(transport.position)
        told = f"{transport.time_text} · {transport.now_text}"
        self.note.setText(told)
        self.bar.setAccessibleDescription(told)

    def _command(self, name: str, short: str, key: str, do: Callable[[], object]) -> QAction:
        action = QAction(name, self)
        action.setIconText(short)
        action.setShortcut(QKeySequence(key))
        action.setToolTip(f"{name} ({key})")
        action.triggered.connect(lambda _checked: self._do(do))
        self.addAction(action)
        self.commands.append(action)
        return action

    def _do(self, do: Callable[[], object]) -> None:
        do()
        self.refresh()

    def _set_loop(self) -> None:
        self.transport.set_loop(not self.transport.loop)

    def _jump_to(self, index: int) -> None:
        self.transport.jump(self.transport.marks[index])
        self.jump.setCurrentIndex(-1)

    def _lay_out(self, left: list[QAction], jumps: dict[str, tuple[QAction, QAction]]) -> None:
        row = QHBoxLayout()
        row.setSpacing(6)
        for action in left:
            row.addWidget(_button(action))
        for what, (back, on) in jumps.items():
            row.addSpacing(8)
            row.addWidget(_button(back))
            row.addWidget(caption_label(what))
            row.addWidget(_button(on))
        row.addSpacing(8)
        row.addWidget(self.jump, stretch=1)
        row.addStretch(1)
        row.addWidget(_button(self.loop))
        row.addWidget(caption_label("speed"))
        row.addWidget(self.speed)
        self.content.addWidget(self.bar)
        self.content.addLayout(row)


def _button(action: QAction) -> QToolButton:
    button = QToolButton()
    button.setDefaultAction(action)
    button.setAccessibleName(action.text())
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def _choice(name: str, items: list[str]) -> QComboBox:
    """Return a list to choose from that can be narrower than its longest item."""
    choice = QComboBox()
    choice.addItems(items)
    choice.setAccessibleName(name)
    choice.setToolTip(name)
    choice.setPlaceholderText(name.lower())
    choice.setCurrentIndex(-1)
    choice.setMaxVisibleItems(20)
    choice.setMinimumContentsLength(7)
    choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return choice


class SeekBar(QSlider):
    """The whole recording from left to right, its movements in their colours.

    It is told where the replay is by `setValue`, and tells by `actionTriggered` where a person
    wants it to be.
    """

    def __init__(self, transport: Transport, contract: ModelContract) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._transport, self._contract = transport, contract
        rate = contract.rate
        self.setRange(0, max(transport.length - 1, 0))
        self.setSingleStep(round(SEEK_S * rate))
        self.setPageStep(round(_PAGE_S * rate))
        self.setAccessibleName("Position in the recording")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.dress(DARK)

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self._theme = theme
        self._colours = class_colours(self._contract, theme)
        self.update()

    def sizeHint(self) -> QSize:
        """Return a line of text."""
        return QSize(400, self.fontMetrics().height() + 6)

    def minimumSizeHint(self) -> QSize:
        """Return a line of text, shorter."""
        return QSize(200, self.sizeHint().height())

    def pixel(self, sample: float) -> float:
        """Return where a sample lies."""
        return _HANDLE / 2 + sample / max(self.maximum(), 1) * (self.width() - _HANDLE)

    def sample(self, x: float) -> int:
        """Return what lies at pixel `x`."""
        share = (x - _HANDLE / 2) / max(self.width() - _HANDLE, 1)
        return round(min(max(share, 0.0), 1.0) * self.maximum())

    def words_at(self, x: float) -> str:
        """Return the time at pixel `x`, and the movement there."""
        sample = self.sample(x)
        names = [
            f" · {m.name}, repetition {m.repetition}"
            for m in self._transport.marks
            if m.start <= sample < m.stop
        ]
        return self._transport.clock(sample) + "".join(names)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the movements, and a line where the replay is."""
        painter = QPainter(self)
        height = self.height()
        painter.fillRect(QRectF(0, 3, self.width(), height - 6), QColor(self._theme.window))
        for mark in self._transport.marks:
            left, right = self.pixel(mark.start), self.pixel(mark.stop)
            box = QRectF(left, 3, max(right - left, 1), height - 6)
            painter.fillRect(box, self._colours[mark.label])
        left = self.pixel(self.sliderPosition()) - _HANDLE / 2
        # An edge in the colour of the ground, so that it is seen on every movement.
        painter.fillRect(QRectF(left - 2, 0, _HANDLE + 4, height), QColor(self._theme.panel))
        painter.fillRect(QRectF(left, 0, _HANDLE, height), QColor(self._theme.text))
        if self.hasFocus():
            painter.setPen(QColor(self._theme.low))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def mousePressEvent(self, ev: QMouseEvent | None) -> None:
        """Take the line to the pointer."""
        if ev is not None and ev.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self.setSliderPosition(self.sample(ev.position().x()))

    def mouseMoveEvent(self, ev: QMouseEvent | None) -> None:
        """Let the line follow the pointer."""
        if ev is not None and self.isSliderDown():
            self.setSliderPosition(self.sample(ev.position().x()))

    def mouseReleaseEvent(self, ev: QMouseEvent | None) -> None:
        """Let go."""
        self.setSliderDown(False)

    def event(self, event: QEvent | None) -> bool:
        """Say what lies under the pointer."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.words_at(event.pos().x()), self)
            return True
        return super().event(event)
