"""The docks that panels sit in, and where they stand at first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import (
    QDockWidget,
    QFrame,
    QHBoxLayout,
    QMainWindow,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from semgfin_rt.app.studio import Stage
from semgfin_rt.qt import panels
from semgfin_rt.qt.panel import ElidedLabel, Panel
from semgfin_rt.qt.panels import BOTTOM, LEFT, RIGHT, Entry

_DOWN = Qt.Orientation.Vertical
_BARS = 90
"""Pixels of a window that no dock has: menus, the welcome, messages, the lines between docks."""
_TABS = 30
"""Pixels of the tabs above a dock."""
_ANY = 16_777_215  # Qt's own bound


class Dock(QDockWidget):
    """A panel that can be moved, resized, floated and closed; it scrolls where it is too small.

    Parameters
    ----------
    entry : Entry
    panel : QWidget
    """

    def __init__(self, entry: Entry[Any], panel: QWidget) -> None:
        super().__init__(entry.name)
        self.setObjectName(entry.name)
        self.setAccessibleName(f"{entry.name} panel")
        self.entry, self.panel = entry, panel
        scroll = _Scroll(panel)
        if entry.share == 0:  # one line: a title above it would be as high as itself
            self.setFeatures(self.features() | self.DockWidgetFeature.DockWidgetVerticalTitleBar)
            self.setTitleBarWidget(_grip())
        elif isinstance(panel, Panel):
            panel.setProperty("docked", True)
            self.setTitleBarWidget(TitleBar(self, panel))
        self.setWidget(scroll)
        action = self.toggleViewAction()
        if action is not None:
            action.setShortcut(entry.key)
            action.setToolTip(f"Show or hide the panel {entry.name}")


class _Scroll(QScrollArea):
    def __init__(self, panel: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(self.Shape.NoFrame)
        self.setWidget(panel)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        view = self.viewport()
        if view is not None:
            view.setAutoFillBackground(False)

    def sizeHint(self) -> QSize:
        """Return what the panel wants."""
        panel = self.widget()
        return super().sizeHint() if panel is None else panel.sizeHint()

    def minimumSizeHint(self) -> QSize:
        """Return room for a line and the scroll bar."""
        return QSize(120, 3 * self.fontMetrics().height())


class TitleBar(QFrame):
    """Caption and note of a panel, taken out of it, and two buttons."""

    def __init__(self, dock: QDockWidget, panel: Panel) -> None:
        super().__init__()
        self.setObjectName("title")
        caption = ElidedLabel()
        caption.setProperty("role", "caption")
        caption.say(panel.caption.text())
        panel.caption.hide()
        panel.content.setContentsMargins(10, 2, 10, 6)
        note = panel.note
        note.setMinimumWidth(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 3, 4, 0)
        row.addWidget(caption, stretch=1)
        row.addWidget(note)
        name = dock.windowTitle()
        float_ = _button("❐", f"Float the panel {name}, or dock it")
        float_.clicked.connect(lambda: dock.setFloating(not dock.isFloating()))
        hide = _button("✕", f"Hide the panel {name}")
        hide.clicked.connect(dock.close)
        row.addWidget(float_)
        row.addWidget(hide)


def _button(sign: str, name: str) -> QToolButton:
    button = QToolButton()
    button.setText(sign)
    button.setToolTip(name)
    button.setAccessibleName(name)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # menus are for the keyboard
    return button


def _grip() -> QWidget:
    """Return something narrow to drag a dock by."""
    around = QWidget()
    layout = QVBoxLayout(around)
    layout.setContentsMargins(2, 4, 3, 4)
    grip = QFrame()
    grip.setObjectName("grip")
    grip.setFixedWidth(5)
    layout.addWidget(grip)
    around.setToolTip("Drag to move this panel")
    return around


def build_docks(stage: Stage) -> dict[str, Dock]:
    """Return the docks of a stage, by name, in the order of `PANELS`."""
    built = ((entry, entry.build(stage)) for entry in panels.PANELS)
    return {entry.name: Dock(entry, panel) for entry, panel in built if panel is not None}


def arrange(window: QMainWindow, docks: Iterable[Dock], size: QSize) -> None:
    """Place docks as `PANELS` has them; on a small window those of a column become tabs.

    Parameters
    ----------
    window : QMainWindow
    docks : iterable of Dock
    size : QSize
        Of the window.
    """
    compact = size.width() < 900 or size.height() < 600
    docks = list(docks)
    for dock in docks:  # from nothing: what lies in tabs already cannot be split
        dock.setFloating(False)
        window.removeDockWidget(dock)
    by_name = {dock.entry.name: dock for dock in docks}
    columns: dict[Qt.DockWidgetArea, list[Dock]] = {}
    tabs: list[tuple[Dock, Dock]] = []
    for dock in docks:
        area = dock.entry.area
        column = columns.setdefault(area, [])
        host = by_name.get(dock.entry.beside) or (column[0] if compact and column else None)
        if host is not None:
            tabs.append((host, dock))
            continue
        window.addDockWidget(area, dock)
        if column:
            window.splitDockWidget(column[-1], dock, _DOWN)
        column.append(dock)
    for host, dock in tabs:
        window.addDockWidget(dock.entry.area, dock)
        window.tabifyDockWidget(columns[dock.entry.area][0] if compact else host, dock)
    for dock in docks:
        thin = dock.entry.share == 0 and not compact
        dock.setMaximumHeight(_needed(dock) if thin else _ANY)
        dock.show()
    for column in columns.values():
        for dock in column:
            dock.raise_()
    layout = window.layout()
    if layout is not None:
        layout.activate()  # or the sizes below are those of docks that lie nowhere yet
    _share_out(window, columns, size, compact)


def _share_out(
    window: QMainWindow,
    columns: dict[Qt.DockWidgetArea, list[Dock]],
    size: QSize,
    compact: bool,
) -> None:
    """Give each column its width, and each dock its share of the height."""
    sides = [columns[area] for area in (LEFT, RIGHT) if area in columns]
    fifths = (2.5, 2.5) if compact else (3, 2)
    widths = [round(share * size.width() / 5) for share in fifths[: len(sides)]]
    window.resizeDocks([column[0] for column in sides], widths, Qt.Orientation.Horizontal)
    low = columns.get(BOTTOM, [])
    below = [
        _height(dock, size, compact) + (_TABS if window.tabifiedDockWidgets(dock) else 0)
        for dock in low
    ]
    rest = max(0, size.height() - _BARS - sum(below))
    for column in sides:
        if len(column) > 1:
            window.resizeDocks(column, _heights(column, rest), _DOWN)
    if sides:  # last: each call moves the line between the columns and what is below
        window.resizeDocks([sides[0][0], *low], [rest, *below], _DOWN)


def _heights(column: list[Dock], rest: int) -> list[int]:
    """Share the height of a column; where it is scarce, the last dock of it has to scroll."""
    needs = [_needed(dock) for dock in column]
    total = sum(dock.entry.share for dock in column)
    spare = max(0, rest - _TABS - sum(needs))
    heights = [
        need + spare * dock.entry.share // total for need, dock in zip(needs, column, strict=True)
    ]
    return [*heights[:-1], max(rest - _TABS - sum(heights[:-1]), 1)]


def _height(dock: Dock, size: QSize, compact: bool) -> int:
    """Return how high a dock at the bottom is: what it needs, or a fifth of the window."""
    if compact:
        return size.height() // 4
    return _needed(dock) if dock.entry.share == 0 else max(_needed(dock), size.height() // 5)


def _needed(dock: Dock) -> int:
    """Return the least height that needs no scroll bar."""
    title = dock.titleBarWidget()
    above = 0 if dock.entry.share == 0 or title is None else title.sizeHint().height()
    hints = dock.panel.sizeHint(), dock.panel.minimumSizeHint()
    high = max(h.height() for h in hints) if dock.entry.share == 0 else hints[1].height()
    return high + above + 4
