"""Where to begin: the bar of the first run, and what is seen while nothing is open."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from semgfin_rt.qt.panel import ElidedLabel
from semgfin_rt.qt.theme import mark


class WelcomeBar(QToolBar):
    """A sentence, the things to begin with, and a button that dismisses the bar.

    Parameters
    ----------
    begin : sequence of QAction
        Things to begin with.
    dismiss : QAction
    """

    def __init__(self, begin: Sequence[QAction], dismiss: QAction) -> None:
        super().__init__("Welcome")
        self.setObjectName("Welcome")
        self.setAccessibleName("Where to begin")
        self.setMovable(False)
        self.toggleViewAction().setVisible(False)  # type: ignore[union-attr]
        words = ElidedLabel()
        words.say("This is what a recognised movement looks like. Begin with your own:")
        words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.addWidget(words, stretch=1)
        for button in begin_buttons(begin):
            layout.addWidget(button)
        close = QToolButton()
        close.setDefaultAction(dismiss)
        close.setText("✕")
        close.setAutoRaise(True)
        close.setAccessibleName("Dismiss the welcome")
        layout.addWidget(close)
        self.addWidget(row)


class Placeholder(QWidget):
    """What happens, or why nothing does, in the middle of a window that has nothing open."""

    def __init__(self, begin: Sequence[QAction]) -> None:
        super().__init__()
        self.setAccessibleName("Nothing is open")
        self.words = QLabel()
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self.words.setProperty("role", "headline")
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.words.setAccessibleName("What happens")
        row = QHBoxLayout()
        row.addStretch(1)
        for button in begin_buttons(begin):
            row.addWidget(button)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(40, 20, 40, 20)
        layout.setSpacing(20)
        layout.addStretch(1)
        layout.addWidget(self.words)
        layout.addLayout(row)
        layout.addStretch(1)

    def say(self, words: str, alarm: bool) -> None:
        """Show a sentence."""
        if self.words.text() != words:
            self.words.setText(words)
        mark(self.words, "alarm", alarm)


def begin_buttons(actions: Sequence[QAction]) -> list[QToolButton]:
    """Return a button for each action; it is enabled when the action is."""
    buttons = []
    for action in actions:
        button = QToolButton()
        button.setDefaultAction(action)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setAccessibleName(action.text().replace("&", ""))
        button.setProperty("role", "begin")
        buttons.append(button)
    return buttons
