"""The keys, in a list."""

from __future__ import annotations

from collections.abc import Iterable

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction, QIcon, QKeySequence
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)


def keys_of(action: QAction) -> str:
    """Return the keys of an action for people, as in ``"F1 or ?"``."""
    native = QKeySequence.SequenceFormat.NativeText
    return " or ".join(key.toString(native) for key in action.shortcuts())


class ShortcutsDialog(QDialog):
    """Every action that has a key, by where it belongs.

    Parameters
    ----------
    parent : QWidget
    groups : iterable of (str, iterable of QAction)
        Name of a menu or panel, and its actions.
    """

    def __init__(self, parent: QWidget, groups: Iterable[tuple[str, Iterable[QAction]]]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.table = QTreeWidget()
        self.table.setHeaderLabels(["what", "keys"])
        self.table.setAccessibleName("Keyboard shortcuts")
        self.table.setRootIsDecorated(False)
        for name, actions in groups:
            rows = [(a.text().replace("&", ""), keys_of(a)) for a in actions]
            rows = [row for row in rows if row[1]]
            if rows:
                group = QTreeWidgetItem(self.table, [name, ""])
                font = group.font(0)
                font.setBold(True)
                group.setFont(0, font)
                group.addChildren([QTreeWidgetItem(list(row)) for row in rows])
        self.table.expandAll()
        self.table.resizeColumnToContents(0)
        self.table.setColumnWidth(0, self.table.columnWidth(0) + 24)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        without_icons(buttons)
        layout = QVBoxLayout(self)
        layout.addWidget(self.table)
        layout.addWidget(buttons)
        fit_on_screen(self, 520, 620)


def fit_on_screen(dialog: QDialog, width: int, height: int) -> None:
    """Give a dialog a size, as far as the screen has room for it and its frame."""
    screen = dialog.screen()
    if screen is not None:
        room = screen.availableGeometry()
        width, height = min(width, room.width() - 16), min(height, room.height() - 48)
    dialog.resize(width, height)


def without_icons(buttons: QDialogButtonBox) -> None:
    """Take away the pictures that some desktops put on buttons: they are not of this theme."""
    for button in buttons.buttons():
        button.setIcon(QIcon())
