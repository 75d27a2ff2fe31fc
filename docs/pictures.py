# ruff: noqa: T201 - a program: where the pictures are goes to the terminal
"""The pictures of the manual that show the window of the demo, and its dialogs.

    python docs/pictures.py FOLDER

screen.png     the window, a number on each of its parts, which docs/screen.md explains
light.png      light, 1920 x 1080, with the features as they were forecast
source.png     the source dialog, which has found docs/examples/lsl_outlet.py
calibrate.png  the first two pages of the calibration dialog
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PyQt6.QtCore import QPoint, QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QPixmap
from PyQt6.QtWidgets import QApplication, QTabBar

from semgfin_rt import lsl
from semgfin_rt.app.preferences import CalibrationChoice
from semgfin_rt.app.scenario import changed, read_scenario
from semgfin_rt.app.session import Session
from semgfin_rt.app.studio import Stage, Studio
from semgfin_rt.folders import find_scenario
from semgfin_rt.qt.calibrate import CalibrateDialog
from semgfin_rt.qt.features import FeaturesPanel
from semgfin_rt.qt.theme import DARK
from semgfin_rt.qt.window import MainWindow

SECONDS = 12.0
"""Of signal: a movement and a rest before it."""
LARGE = (1920, 1080)
AHEAD_MS = 100
PATIENCE_S = 120.0
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


def numbered(window: MainWindow) -> QPixmap:
    """Return the window with a number on each part: it moves with the part."""
    picture, found = window.grab(), places(window)
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
    return picture


def light(window: MainWindow) -> QPixmap:
    """Return the window light and large; it stays so."""
    window.switch_theme()
    window.resize(*LARGE)
    window.reset_layout()
    features = window.docks["Features"].panel
    if isinstance(features, FeaturesPanel):
        features.horizon.setCurrentIndex(features.horizon.findData(AHEAD_MS))
    QApplication.processEvents()
    window.draw()
    return window.grab()


def source(window: MainWindow) -> QPixmap:
    """Return the source dialog, a stream chosen that fits."""
    outlet = Path(__file__).parent / "examples" / "lsl_outlet.py"
    configured = "from semgfin_rt import lsl; lsl.configure(); import runpy; "
    command = [sys.executable, "-c", f"{configured}runpy.run_path({str(outlet)!r})"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as amplifier:
        dialog = window.open_source("stream")
        streams = dialog.stream_page.list
        try:
            wait(lambda: bool(streams.findItems("amplifier", Qt.MatchFlag.MatchExactly)))
            streams.setCurrentItem(streams.findItems("amplifier", Qt.MatchFlag.MatchExactly)[0])
            wait(dialog.open_button.isEnabled)
            return dialog.grab()
        finally:
            dialog.reject()
            amplifier.kill()


def side_by_side(left: QPixmap, right: QPixmap) -> QPixmap:
    """Return both in one picture."""
    both = QPixmap(left.width() + right.width() + RADIUS, left.height())
    both.fill(QColor(DARK.window))
    painter = QPainter(both)
    painter.drawPixmap(0, 0, left)
    painter.drawPixmap(left.width() + RADIUS, 0, right)
    painter.end()
    return both


def few_colours(picture: QPixmap) -> QImage:
    """Return a picture of its 256 commonest colours: half the size, and nobody sees it."""
    image = picture.toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels = image.constBits()
    if pixels is None:
        raise SystemExit("The window is empty.")
    colours = np.frombuffer(pixels.asstring(image.sizeInBytes()), np.uint32)
    found, count = np.unique(colours, return_counts=True)
    commonest = found[np.argsort(count)[-256:]].tolist()
    nearest = Qt.ImageConversionFlag.ThresholdDither
    return image.convertToFormat(QImage.Format.Format_Indexed8, commonest, nearest)


def wait(condition: Callable[[], bool]) -> None:
    """Let the window live until something is so."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"Nothing came in {PATIENCE_S:g} s: is the machine busy?")
        QApplication.processEvents()
        time.sleep(0.02)


def main() -> None:
    """Play the demo in a window and save its pictures."""
    os.environ[lsl.SESSION_VARIABLE] = f"pictures-{os.getpid()}"  # no other program's streams
    lsl.configure()
    path = find_scenario("demo")
    scenario = changed(read_scenario(path), {"seconds": SECONDS, "expect": None}, {})
    settings = scenario.settings(path.parent)
    application = QApplication([])  # noqa: F841 - Qt's while it lives
    QApplication.setStyle("Fusion")
    with (
        TemporaryDirectory() as models,
        Session(settings, scenario.replay(path.parent)) as session,
    ):
        stage = Stage.start(session, "demo")
        studio, view = Studio(stage), stage.view
        window = MainWindow(studio, "dark")
        calibration = CalibrateDialog(
            session.contract,
            settings.model,
            lambda _: None,  # the demo's person follows no prompts: nothing is to come of them
            CalibrationChoice(order="contract"),
            window,
            place=Path(models),
        )
        window.taken.connect(calibration.take)
        window.show()
        calibration.show()
        plan = calibration.grab()
        calibration.start()
        rest = calibration.prompt_page.movement.text
        wait(lambda: calibration.prompt_page.movement.text != rest)
        prompt = calibration.grab()
        calibration.reject()
        wait(lambda: view.phase in ("ended", "failed"))
        if session.failure is not None:
            raise SystemExit(session.failure)
        if view.health is None or view.health.skipped:
            raise SystemExit("The machine was too busy for the demo: try again.")
        pictures = {
            "calibrate.png": side_by_side(plan, prompt),
            "screen.png": numbered(window),
            "source.png": source(window),
            "light.png": light(window),
        }
        window.close()
        studio.close()
    for name, picture in pictures.items():
        out = Path(sys.argv[1]) / name
        if not few_colours(picture).save(str(out)):
            raise SystemExit(f"'{out}' cannot be written.")
        print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
