"""From a link to a window: the application around it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import pyqtgraph as pg
from PyQt6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler
from PyQt6.QtWidgets import QApplication

from semgfin_rt.app.preferences import (
    CalibrationChoice,
    load_preferences,
    preferences_file,
    save_preferences,
)
from semgfin_rt.app.studio import Stage, Studio
from semgfin_rt.errors import OptionError
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.qt.calibrate import CalibrateDialog
from semgfin_rt.qt.movement import MovementPanel
from semgfin_rt.qt.window import MainWindow

_log = logging.getLogger(__name__)


def run_window(
    studio: Studio,
    *,
    seconds: float | None = None,
    screenshot: Path | None = None,
    theme: str | None = None,
) -> float | None:
    """Show a window until it is closed, or until the engine has ended where nobody watches.

    Returns when, as `time.time` counts, the first decision stood on the screen beside its truth;
    None if none did.

    Where somebody watches, theme and layout are those of the last time, and are remembered for the
    next; where nobody does they are those of a first time.

    Parameters
    ----------
    studio : Studio
        Closed on the way out.
    seconds : float, optional
        The engine was told to stop after so much signal: close the window when it has.
    screenshot : Path, optional
        PNG of the last picture; implies the same.
    theme : {"dark", "light"}, optional
        By default the remembered one.

    Raises
    ------
    OptionError
        The screenshot cannot be written.
    """
    with _qt_logged():
        pg.setConfigOptions(useOpenGL=False, antialias=False)
        application = QApplication.instance() or QApplication(["semgfin-rt"])
        QApplication.setStyle("Fusion")
        unattended = seconds is not None or screenshot is not None
        file = preferences_file()
        preferences, problem = (None, "") if unattended else load_preferences(file)
        remembered = "dark" if preferences is None else preferences.theme
        window = MainWindow(studio, theme or remembered, preferences)
        offer_calibration(window)
        first_seen = _note_first_picture(window)
        if unattended:
            window.ended.connect(window.timer.stop)
            window.ended.connect(application.quit)
        if problem:
            _log.warning("%s", problem)
            window.trouble.emit(problem)
        try:
            with _errors_shown_in(window):
                window.show()
                application.exec()
            stage = studio.stage
            if screenshot is not None and stage is not None and stage.view.phase != "failed":
                save(window, screenshot)
        finally:
            window.close()
            studio.close()
            problem = "" if preferences is None else save_preferences(preferences, file)
            if problem:
                _log.warning("%s", problem)
    return next(iter(first_seen), None)


def _note_first_picture(window: MainWindow) -> list[float]:
    """Return a list that gets the time at which a decision has been painted beside its truth.

    That is the frame after the one that drew it: what a frame asks for is painted before the next.
    """
    seen: list[float] = []

    def look(_: object) -> None:
        dock = window.docks.get("Movement")
        if dock is not None and isinstance(dock.panel, MovementPanel) and dock.panel.tells_truth:
            seen.append(time.time())
            window.taken.disconnect(look)

    window.taken.connect(look)
    return seen


def offer_calibration(window: MainWindow) -> None:
    """Let the window open the calibration dialog, which takes whatever the window takes.

    Where no live stream is open, one is asked for first; the dialog follows once it is there.
    """
    awaited = ""  # title of the stream that was chosen for it

    def begin() -> None:
        dialog, stage = window.findChild(CalibrateDialog), window.studio.stage
        if dialog is not None and dialog.isVisible():
            dialog.activateWindow()
            return
        if stage is None or stage.session is None or stage.kind != "live":
            window.trouble.emit(
                "calibration is for a person who follows prompts: connect a live stream first."
            )
            chooser = window.open_source("stream")
            chooser.accepted.connect(lambda: wait(chooser.choice.title))
            chooser.rejected.connect(window.calm)
            return
        checkpoint = Path(stage.view.model or stage.session.settings.model)
        last = None if window.preferences is None else window.preferences.calibration
        dialog = CalibrateDialog(
            load_contract(checkpoint), checkpoint, stage.link.send, last, window
        )
        dialog.begun.connect(remember)
        window.taken.connect(dialog.take)
        window.dressed.connect(dialog.dress)
        window.stage_changed.connect(dialog.reject)
        dialog.dress(window.theme)
        dialog.show()

    def remember(choice: CalibrationChoice) -> None:
        if window.preferences is not None:
            window.preferences.calibration = choice

    def wait(title: str) -> None:
        nonlocal awaited
        awaited = title

    def go_on(stage: Stage | None) -> None:
        nonlocal awaited
        if stage is not None:
            chosen, awaited = stage.title == awaited, ""
            if chosen and stage.kind == "live":
                begin()

    window.calibrate_wanted.connect(begin)
    window.stage_changed.connect(go_on)


def save(window: MainWindow, path: Path) -> None:
    """Write the window as a PNG.

    Raises
    ------
    OptionError
        The file cannot be written.
    """
    window.draw()
    if not window.grab().save(str(path), "PNG"):
        raise OptionError(
            f"the screenshot '{path}' cannot be written: name a file in a folder that exists "
            "and that you may write to."
        )


@contextmanager
def _errors_shown_in(window: MainWindow) -> Iterator[None]:
    """Turn an exception in a slot into a message: PyQt would end the process."""
    before = sys.excepthook
    logged: set[str] = set()

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            window.close()
            return
        words = f"{kind.__name__}: {error}"
        if words not in logged:  # a slot that fails does so 30 times a second
            logged.add(words)
            _log.error("the window goes on after %s", words, exc_info=(kind, error, trace))
        window.trouble.emit(f"the window goes on after {words}")

    sys.excepthook = hook
    try:
        yield
    finally:
        sys.excepthook = before


@contextmanager
def _qt_logged() -> Iterator[None]:
    """Log what Qt says on the way."""
    before = qInstallMessageHandler(_log_qt)
    try:
        yield
    finally:
        qInstallMessageHandler(before)


def _log_qt(kind: QtMsgType, _: QMessageLogContext, words: str | None) -> None:
    """Log what Qt would write to stderr; most of its warnings mean nothing to a user."""
    serious = kind in (QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg)
    _log.log(logging.ERROR if serious else logging.DEBUG, "Qt: %s", words)
