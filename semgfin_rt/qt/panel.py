"""The frame that every part of the window sits in, and two labels that never overflow."""

from __future__ import annotations

from html import escape

from PyQt6.QtCore import QRect, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from semgfin_rt.qt.theme import DARK, Theme

_HEADLINE_SIZES = (3.6, 2.8, 2.3, 1.9, 1.6, 1.3, 1.0)
"""Tried in this order, as multiples of the normal text."""


class Panel(QFrame):
    """A framed part of the window: a caption, a note on the right, and content below.

    Parameters
    ----------
    caption : str
        Also the accessible name.
    """

    def __init__(self, caption: str) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAccessibleName(caption)
        self.caption = caption_label(caption)
        self.note = caption_label("")
        self.note.setAlignment(Qt.AlignmentFlag.AlignRight)
        head = QHBoxLayout()
        head.addWidget(self.caption)
        head.addWidget(self.note, stretch=1)
        self.content = QVBoxLayout(self)
        self.content.setContentsMargins(10, 6, 10, 8)
        self.content.setSpacing(4)
        self.content.addLayout(head)


def caption_label(text: str) -> QLabel:
    """Return a label in the muted colour of captions."""
    label = QLabel(text)
    label.setProperty("role", "caption")
    return label


def plain_tip(text: str) -> str:
    """Return a text for a tooltip in which Qt finds no markup, whoever wrote it."""
    return f"<p>{escape(text)}</p>" if "<" in text else text


class ElidedLabel(QLabel):
    """One line that ends in an ellipsis where it does not fit; the tooltip has it whole."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw as much of the text as fits."""
        painter = QPainter(self)
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(self.rect(), int(self.alignment()), text)

    def say(self, text: str) -> None:
        """Show `text`."""
        self.setText(text)
        self.setToolTip(plain_tip(text))


class Headline(QWidget):
    """Text in the largest size that fits, wrapped at words."""

    def __init__(self) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self._text = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    @property
    def text(self) -> str:
        """What is shown."""
        return self._text

    def say(self, text: str) -> None:
        """Show `text`."""
        if text != self._text:
            self._text = text
            self.setAccessibleDescription(text)
            self.update()

    def minimumSizeHint(self) -> QSize:
        """Room for two lines of an ordinary size."""
        return QSize(120, int(3.2 * self.fontMetrics().height()))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the text in the first of the sizes that fits."""
        painter = QPainter(self)
        flags = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        flags |= int(Qt.TextFlag.TextWordWrap)
        font = self.font()
        points = font.pointSizeF()
        font.setBold(True)
        for size in _HEADLINE_SIZES:
            font.setPointSizeF(points * size)
            painter.setFont(font)
            needed: QRect = painter.boundingRect(self.rect(), flags, self._text)
            if needed.width() <= self.width() and needed.height() <= self.height():
                break
        painter.setPen(QColor(self.theme.text))
        painter.drawText(self.rect(), flags, self._text)
