"""Colours: a dark and a light theme, and one colour for each class."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from itertools import cycle

from PyQt6.QtGui import QColor, QPalette

from semgfin_rt.contracts import REST, State
from semgfin_rt.model_contract import ModelContract

# Okabe and Ito's set, then those of Tol's sets that stay apart from it and from the backgrounds.
_OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
_TOL = ("#44AA99", "#AA4499", "#999933", "#7A6FF0", "#882255", "#88CCEE", "#117733", "#DDCC77")
_CLASSES = (*_OKABE_ITO, *_TOL, "#994F00", "#FFAABB")


@dataclass(frozen=True)
class Theme:
    """Colours of the window, as ``#rrggbb``."""

    name: str
    window: str
    panel: str
    border: str
    text: str
    muted: str
    rest: str
    traces: tuple[str, str]
    warning: str
    low: str
    """Feature values far below the training mean; `window` is the mean, `high` far above."""
    high: str


DARK = Theme(
    name="dark",
    window="#14181d",
    panel="#1c2229",
    border="#323b46",
    text="#e8ecf0",
    muted="#9aa7b4",
    rest="#3d4854",
    traces=("#7cc7f2", "#f2c063"),
    warning="#ff8a5c",
    low="#3f8fe0",
    high="#f0a020",
)
LIGHT = Theme(
    name="light",
    window="#eef1f4",
    panel="#ffffff",
    border="#c9d1d9",
    text="#14181d",
    muted="#56626e",
    rest="#b9c3cd",
    traces=("#0060a0", "#8a4b00"),
    warning="#b83200",
    low="#1f6fc4",
    high="#d57c00",
)
THEMES = {theme.name: theme for theme in (DARK, LIGHT)}


def class_colours(contract: ModelContract, theme: Theme) -> defaultdict[int, QColor]:
    """Return the colour of each label; rest and labels the model lacks are grey."""
    colours = defaultdict(lambda: QColor(theme.rest))
    movements = [label for label in contract.class_ids if label != REST]
    for label, colour in zip(movements, cycle(_CLASSES)):
        colours[label] = QColor(colour)
    return colours


@cache
def text_on(rgb: int) -> QColor:
    """Return black or white, whichever reads better on ``QColor.rgb()`` `rgb`."""
    colour = QColor(rgb)
    light = 0.299 * colour.red() + 0.587 * colour.green() + 0.114 * colour.blue()
    return QColor("#101418" if light > 120 else "#ffffff")


def state_colour(state: State, theme: Theme) -> QColor:
    """Return the colour of a state's word."""
    colours = {
        State.VALID: "#009E73",
        State.HOLD: "#0072B2",
        State.REJECT: theme.rest,
        State.STALE: "#D55E00",
    }
    return QColor(colours[state])


def palette(theme: Theme) -> QPalette:
    """Return Qt's palette for the parts that the style draws (status bar, tooltips)."""
    roles = {
        QPalette.ColorRole.Window: theme.window,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Base: theme.panel,
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.ToolTipBase: theme.panel,
        QPalette.ColorRole.ToolTipText: theme.text,
        QPalette.ColorRole.Highlight: theme.low,
    }
    filled = QPalette()
    for role, colour in roles.items():
        filled.setColor(role, QColor(colour))
    return filled


def stylesheet(theme: Theme) -> str:
    """Return the style of panels, captions and figures."""
    return f"""
        QMainWindow, QStatusBar {{ background: {theme.window}; color: {theme.text}; }}
        QStatusBar::item {{ border: none; }}
        QStatusBar QLabel {{ color: {theme.muted}; }}
        QFrame#panel {{ background: {theme.panel}; border: 1px solid {theme.border};
                        border-radius: 6px; }}
        QLabel {{ color: {theme.text}; background: transparent; }}
        QLabel[role="caption"] {{ color: {theme.muted}; }}
        QLabel[role="figure"] {{ font-weight: 600; }}
        QLabel[alarm="true"] {{ color: {theme.warning}; }}
        QToolTip {{ background: {theme.panel}; color: {theme.text};
                    border: 1px solid {theme.border}; }}
    """
