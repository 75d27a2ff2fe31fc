"""The menu bar: every action of the window that has a name, and its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QMainWindow, QMenu

from semgfin_rt.qt.docks import Dock

NAMES = ("Source", "View", "Decision", "Record", "Calibrate", "Help")


class Menus:
    """The menus of a window, by name; those without anything in them are not seen.

    Parameters
    ----------
    window : QMainWindow
    """

    def __init__(self, window: QMainWindow) -> None:
        self._window = window
        self._own: dict[str, list[QAction]] = {name: [] for name in NAMES}
        self._of_docks: dict[str, list[QAction]] = {name: [] for name in NAMES}
        bar = window.menuBar()
        self.menus: dict[str, QMenu] = {}
        for name in NAMES if bar is not None else ():
            menu = QMenu(f"&{name}", window)
            menu.setToolTipsVisible(True)
            bar.addMenu(menu)  # type: ignore[union-attr]
            self.menus[name] = menu
        self._fill()

    def add(
        self, menu: str, name: str, keys: Iterable[str], do: Callable[[], object], tip: str = ""
    ) -> QAction:
        """Add an action to a menu, and to the window, so that its keys work everywhere in it."""
        action = QAction(name, self._window)
        action.setShortcuts([QKeySequence(key) for key in keys])
        action.setToolTip(tip or name.replace("&", ""))
        action.triggered.connect(lambda _checked: do())
        self._window.addAction(action)
        self._own[menu].append(action)
        self._fill()
        return action

    def separate(self, menu: str) -> None:
        """Draw a line below what is in a menu now."""
        line = QAction(self._window)
        line.setSeparator(True)
        self._own[menu].append(line)

    def take_docks(self, docks: Iterable[Dock]) -> None:
        """Offer to show and hide these docks, each in the menu of its entry."""
        self._of_docks = {name: [] for name in NAMES}
        for dock in docks:
            action = dock.toggleViewAction()
            if action is not None:
                self._window.addAction(action)
                self._of_docks[dock.entry.menu].append(action)
        self._fill()

    def groups(self, docks: Iterable[Dock]) -> list[tuple[str, list[QAction]]]:
        """Return all actions, by menu, then by panel."""
        groups = [(name, self._of_docks[name] + self._own[name]) for name in NAMES]
        return groups + [(dock.entry.name, dock.panel.actions()) for dock in docks]

    def _fill(self) -> None:
        for name, menu in self.menus.items():
            menu.clear()
            menu.addActions(self._of_docks[name])
            if self._of_docks[name] and self._own[name]:
                menu.addSeparator()
            menu.addActions(self._own[name])
            action = menu.menuAction()
            if action is not None:
                action.setVisible(not menu.isEmpty())
