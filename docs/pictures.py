# ruff: noqa: T201 - a program: where the picture is goes to the terminal
"""A picture of the demo's window with a number on each of its parts, which docs/screen.md explains.

    python docs/annotate.py PICTURE.png

The numbers stand where the widgets are, so that they move with the window.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PyQt6.QtCore import QPoint, QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter
from PyQt6.QtWidgets import QApplication, QTabBar

from semgfin_rt import lsl
from semgfin_rt.app.scenario import changed, read_scenario
from semgfin_rt.app.session import Session
from semgfin_rt.app.studio import Stage, Studio
from semgfin_rt.folders import find_scenario
from semgfin_rt.qt.window import MainWindow

SECONDS = 12.0
"""Of signal: a movement and a rest before it."""
RADIUS = 9
PARTS = (
    "Menus",
    "Signal",
    "Movement",
    "Features",
    *("Policy", "Latency", "Record", "Events"),
    "Ribbon",
    "Scores",
    "Replay",
    "Status",
    "Message",
)
"""In the order of docs/screen.md."""


def places(window: MainWindow) -> dict[str, QPoint]:
    """Return a corner of each part, in pixels of the window."""
    found = {"Message": window.message.mapTo(window, window.message.rect().topRight())}
    menus = window.menuBar()
    if menus is not None:
        last = menus.actionGeometry(menus.actions()[-1])
        found["Menus"] = menus.mapTo(window, QPoint(last.right() + RADIUS, last.center().y()))
    for name, dock in window.docks.items():
        found[name] = dock.mapTo(window, QPoint(3, 0))
    for bar in window.findChildren(QTabBar):  # a dock behind a tab is where its tab is
        for i in range(bar.count()):
            if i != bar.currentIndex():
                found[bar.tabText(i)] = bar.mapTo(window, bar.tabRect(i).topRight())
    return found


def main() -> None:
    """Play the demo in a window and save its picture."""
    lsl.configure()
    path = find_scenario("demo")
    scenario = changed(read_scenario(path), {"seconds": SECONDS, "expect": None}, {})
    application = QApplication([])
    QApplication.setStyle("Fusion")
    with Session(scenario.settings(path.parent), scenario.replay(path.parent)) as session:
        studio = Studio(Stage.start(session, "demo"))
        window = MainWindow(studio, "dark")
        window.ended.connect(application.quit)
        window.show()
        application.exec()
        picture = window.grab()
        found = places(window)
        window.close()
        studio.close()
        if session.failure is not None:
            raise SystemExit(session.failure)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for number, name in enumerate(PARTS, 1):
        circle = QRectF(0, 0, 2 * RADIUS, 2 * RADIUS)
        circle.moveCenter(QPointF(found[name]))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor("#f0e442"))
        painter.drawEllipse(circle)
        painter.setPen(QColor("black"))
        painter.drawText(circle, Qt.AlignmentFlag.AlignCenter, str(number))
    painter.end()
    out = Path(sys.argv[1])
    if not picture.save(str(out)):
        raise SystemExit(f"'{out}' cannot be written.")
    print(f"{len(PARTS)} parts: {out}")


if __name__ == "__main__":
    main()
