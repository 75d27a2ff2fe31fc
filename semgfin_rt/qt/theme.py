"""Colours: a dark and a light theme, and one colour for each class."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from itertools import cycle

from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import QWidget

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
    good: str
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
    good="#4cc38a",
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
    good="#00704a",
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
    """Return Qt's palette for the parts that the style draws: menus, dialogs, tables."""
    roles = {
        QPalette.ColorRole.Window: theme.window,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Base: theme.panel,
        QPalette.ColorRole.AlternateBase: theme.window,
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.PlaceholderText: theme.muted,
        QPalette.ColorRole.Button: theme.panel,
        QPalette.ColorRole.ButtonText: theme.text,
        QPalette.ColorRole.BrightText: theme.warning,
        QPalette.ColorRole.ToolTipBase: theme.panel,
        QPalette.ColorRole.ToolTipText: theme.text,
        QPalette.ColorRole.Highlight: theme.low,
        QPalette.ColorRole.HighlightedText: "#ffffff",
        QPalette.ColorRole.Link: theme.low,
    }
    filled = QPalette(QColor(theme.panel), QColor(theme.window))
    for role, colour in roles.items():
        filled.setColor(role, QColor(colour))
    for role in (
        QPalette.ColorRole.WindowText,
        QPalette.ColorRole.Text,
        QPalette.ColorRole.ButtonText,
    ):
        filled.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.muted))
    return filled


def stylesheet(theme: Theme) -> str:
    """Return the style of panels, docks, captions and figures."""
    return f"""
        QMainWindow, QStatusBar {{ background: {theme.window}; color: {theme.text}; }}
        QMainWindow::separator {{ background: {theme.window}; width: 6px; height: 6px; }}
        QMainWindow::separator:hover {{ background: {theme.border}; }}
        QStatusBar::item {{ border: none; }}
        QStatusBar QLabel {{ color: {theme.muted}; }}
        QMenuBar {{ background: {theme.window}; color: {theme.text}; }}
        QMenuBar::item {{ padding: 4px 10px; background: transparent; }}
        QMenuBar::item:selected {{ background: {theme.low}; color: white; }}
        QToolBar {{ background: {theme.window}; border: none; padding: 4px 6px; spacing: 8px; }}
        QFrame#panel {{ background: {theme.panel}; border: 1px solid {theme.border};
                        border-radius: 6px; }}
        QFrame#panel[docked="true"] {{ border-top: none; border-top-left-radius: 0;
                        border-top-right-radius: 0; }}
        QFrame#title {{ background: {theme.panel}; border: 1px solid {theme.border};
                        border-bottom: none; border-top-left-radius: 6px;
                        border-top-right-radius: 6px; }}
        QFrame#grip {{ background: {theme.border}; border-radius: 3px; }}
        QFrame#title QToolButton {{ color: {theme.muted}; background: transparent; border: none;
                        padding: 0 3px; }}
        QFrame#title QToolButton:hover {{ color: {theme.text}; background: {theme.border}; }}
        QScrollArea {{ background: transparent; border: none; }}
        QMainWindow > QTabBar {{ qproperty-elideMode: ElideNone; }}
        QMainWindow > QTabBar::tab {{ color: {theme.muted}; background: {theme.window};
                        padding: 4px 12px; border: 1px solid {theme.window};
                        border-top-left-radius: 6px; border-top-right-radius: 6px; }}
        QMainWindow > QTabBar::tab:selected {{ color: {theme.text}; background: {theme.panel};
                        border-color: {theme.border}; border-bottom-color: {theme.panel}; }}
        QMainWindow > QTabBar::tab:hover {{ color: {theme.text}; }}
        QLabel {{ color: {theme.text}; background: transparent; }}
        QLabel[role="caption"] {{ color: {theme.muted}; }}
        QLabel[role="figure"] {{ font-weight: 600; }}
        QLabel[role="headline"] {{ font-size: 20px; font-weight: 600; }}
        QLabel[alarm="true"] {{ color: {theme.warning}; }}
        QLabel[good="true"] {{ color: {theme.good}; }}
        QToolTip {{ background: {theme.panel}; color: {theme.text};
                    border: 1px solid {theme.border}; }}
    """


def mark(widget: QWidget, name: str, value: bool) -> None:
    """Set a property that the stylesheet looks at, which it does only when polished."""
    style = widget.style()
    if bool(widget.property(name)) != value and style is not None:
        widget.setProperty(name, value)
        style.unpolish(widget)
        style.polish(widget)
