"""From a link to a window: the application around it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import pyqtgraph as pg
from PyQt6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler
from PyQt6.QtWidgets import QApplication

from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.link import Link
from semgfin_rt.qt.window import MainWindow

_log = logging.getLogger(__name__)


def run_window(
    contract: ModelContract,
    link: Link,
    *,
    title: str,
    seconds: float | None = None,
    screenshot: Path | None = None,
    theme: str = "dark",
) -> None:
    """Show a window until it is closed, or until the engine has ended where nobody watches.

    Parameters
    ----------
    contract : ModelContract
    link : Link
        Closed on the way out.
    title : str
    seconds : float, optional
        The engine was told to stop after so much signal: close the window when it has.
    screenshot : Path, optional
        PNG of the last picture; implies the same.
    theme : {"dark", "light"}

    Raises
    ------
    OptionError
        The screenshot cannot be written.
    """
    pg.setConfigOptions(useOpenGL=False, antialias=False)
    application = QApplication.instance() or QApplication(["semgfin-rt"])
    QApplication.setStyle("Fusion")
    window = MainWindow(contract, link, title, theme)
    unattended = seconds is not None or screenshot is not None
    if unattended:
        window.ended.connect(window.timer.stop)
        window.ended.connect(application.quit)
    try:
        with _errors_shown_in(window):
            window.show()
            application.exec()
        if screenshot is not None and window.view.phase != "failed":
            save(window, screenshot)
    finally:
        link.close()
        window.close()


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
    handler = qInstallMessageHandler(_log_qt)
    try:
        yield
    finally:
        sys.excepthook = before
        qInstallMessageHandler(handler)


def _log_qt(kind: QtMsgType, _: QMessageLogContext, words: str | None) -> None:
    """Log what Qt would write to stderr; most of its warnings mean nothing to a user."""
    serious = kind in (QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg)
    _log.log(logging.ERROR if serious else logging.DEBUG, "Qt: %s", words)
