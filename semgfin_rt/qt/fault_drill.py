"""Row 20 of the table of faults: every slot raises once, and then the window stands still.

``python -m semgfin_rt.qt.fault_drill MODEL SECONDS`` opens the real window on a replayed stream,
lets an exception happen in each Python slot of the window and of every dialog, blocks Qt's thread
for so long, and prints a line of JSON: what was raised, and what the engine lost meanwhile.

One thread, Qt's; player and engine are processes of their own, as ever.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from PyQt6 import sip
from PyQt6.QtCore import QMetaMethod, QObject, QTimer
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QAbstractButton, QApplication, QDialog, QDockWidget, QWidget

from semgfin_rt.app.session import Session
from semgfin_rt.app.settings import Replay, Settings
from semgfin_rt.app.studio import Stage, Studio
from semgfin_rt.app.timing import noise
from semgfin_rt.errors import SemgfinError, StreamError
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.qt.application import run_window
from semgfin_rt.qt.window import MainWindow

_PACKAGE = str(Path(__file__).parents[1])
_NOISE_S = 10.0
_START_S = 120.0  # of the engine, on a busy machine
_OPENS_MS = 300  # until a dialog is there
_CATCHES_UP_MS = 2000
_VALUES: dict[str, object] = {  # of signals; no slot comes to look at them
    "bool": False,
    "int": 0,
    "double": 0.0,
    "QString": "",
    "PyQt_PyObject": None,
}


class DrillError(Exception):
    """What the slots raise."""


class Drill:
    """Raises in slots, and counts.

    Attributes
    ----------
    raised : set of str
        Slots that were left by an exception, by name.
    dialogs : set of str
        Kinds of dialogs that were opened.
    """

    def __init__(self) -> None:
        self.raised: set[str] = set()
        self.dialogs: set[str] = set()
        self._caller: FrameType | None = None

    def shake(self, root: QObject) -> None:
        """Emit every signal of the object and of all below it, while their slots raise."""
        for thing in [root, *root.findChildren(QObject)]:
            if not sip.isdeleted(thing) and _is_ours(thing):
                for name, values in _signals(thing):
                    self._emit(thing, name, values)

    def _emit(self, thing: QObject, name: str, values: list[object]) -> None:
        if sip.isdeleted(thing):  # with the dialog that a signal before has closed
            return
        signal: Any = getattr(thing, name, None)
        if not hasattr(signal, "emit") or not _is_heard(thing, name, signal):
            return
        self._caller = sys._getframe()
        with self._armed():
            signal.emit(*values)

    @contextmanager
    def _armed(self) -> Iterator[None]:
        """Raise in every function of this package that Qt calls; Python disarms at each."""
        hook = sys.excepthook

        def survive(
            kind: type[BaseException], error: BaseException, trace: TracebackType | None
        ) -> None:
            hook(kind, error, trace)
            sys.settrace(self._raise)

        sys.excepthook = survive
        sys.settrace(self._raise)
        try:
            yield
        finally:
            sys.settrace(None)
            sys.excepthook = hook

    def _raise(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and frame.f_back is self._caller and _PACKAGE in code.co_filename:
            name = f"{Path(code.co_filename).stem}.{code.co_qualname}:{code.co_firstlineno}"
            self.raised.add(name)
            raise DrillError(name)


def _is_ours(thing: QObject) -> bool:
    """Whether what a signal of it would do is ours to try."""
    if isinstance(thing, QAction) and isinstance(thing.parent(), QDockWidget):
        return False  # Qt's own: it hides the panel
    return isinstance(thing, (QAction, QWidget, QTimer)) or type(thing).__module__.startswith(
        "semgfin_rt"
    )


def _is_heard(thing: QObject, name: str, signal: Any) -> bool:
    try:
        return thing.receivers(signal) > 0
    except RuntimeError:  # Qt made it, and does not say: of those only buttons reach our slots
        return isinstance(thing, QAbstractButton) and name in ("clicked", "toggled")


def _signals(thing: QObject) -> list[tuple[str, list[object]]]:
    """Return name and some values of each signal that has values of simple types only."""
    meta = thing.metaObject()
    found: list[tuple[str, list[object]]] = []
    if meta is None:
        return found
    for method in map(meta.method, range(meta.methodCount())):
        types = [bytes(t.data()).decode() for t in method.parameterTypes()]
        name = bytes(method.name().data()).decode()
        is_signal = method.methodType() is QMetaMethod.MethodType.Signal
        if is_signal and name != "destroyed" and all(t in _VALUES for t in types):
            found.append((name, [_VALUES[t] for t in types]))
    return found


# ------------------------------------------------------------------------------ the story
class Story:
    """The drill as a sequence of steps in the window's own event loop.

    Parameters
    ----------
    studio : Studio
    blocked_s : float

    Attributes
    ----------
    found : dict
        What to print.
    """

    def __init__(self, studio: Studio, blocked_s: float) -> None:
        self.found: dict[str, object] = {}
        self._studio, self._blocked_s = studio, blocked_s
        self._drill = Drill()
        self._steps = self._tell()

    def go_on(self) -> None:
        """Take the next step, and the one after it when it is time."""
        try:
            wait_ms = next(self._steps)
        except StopIteration:
            return
        except BaseException:
            the_window().close()
            raise
        QTimer.singleShot(wait_ms, self.go_on)

    def _tell(self) -> Iterator[int]:
        window = the_window()
        stage = self._studio.stage
        assert stage is not None
        end = time.monotonic() + _START_S
        while stage.view.health is None or not stage.view.health.decisions:
            if time.monotonic() > end:
                raise StreamError(f"nothing was decided: {stage.view.message}")
            yield 100
        self._drill.shake(window)
        for opener in openers(window):
            if sip.isdeleted(opener) or not opener.isEnabled():
                continue
            # Some dialogs wait in here until they are closed.
            QTimer.singleShot(0, opener.trigger if isinstance(opener, QAction) else opener.click)
            yield _OPENS_MS
            self._shake_dialogs()
            yield 0
        frames = len(window.frame_ms)
        time.sleep(self._blocked_s)
        yield _CATCHES_UP_MS
        health = stage.view.health
        self.found = {
            "slots": sorted(self._drill.raised),
            "dialogs": sorted(self._drill.dialogs),
            "lost": health.lost,
            "missed": health.expected - health.decisions,
            "frames_after": len(window.frame_ms) - frames,
            "phase": stage.view.phase,
        }
        window.close()

    def _shake_dialogs(self) -> None:
        for widget in QApplication.topLevelWidgets():
            if isinstance(widget, QDialog) and widget.isVisible():
                self._drill.dialogs.add(type(widget).__name__)
                self._drill.shake(widget)
                if not sip.isdeleted(widget):
                    widget.reject()


def openers(window: MainWindow) -> list[QAction | QAbstractButton]:
    """Return what opens a dialog, by the dots behind its name; and the list of keys."""
    things: list[QAction | QAbstractButton] = [
        *window.findChildren(QAction),
        *window.findChildren(QAbstractButton),
    ]
    return [t for t in things if "…" in t.text() or "shortcuts" in t.text()]


def the_window() -> MainWindow:
    """Return the application's window."""
    return next(w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow))


def main() -> None:
    """Run the drill."""
    model, blocked_s = Path(sys.argv[1]), float(sys.argv[2])
    logging.disable(logging.ERROR)  # hundreds of them, each as it should be
    contract = load_contract(model)
    settings = Settings(model, publish_id="semgfin-fault-drill")
    application = QApplication(["semgfin-rt"])
    with Session(settings, Replay(noise(contract, _NOISE_S), loop=True)) as session:
        studio = Studio(Stage.start(session, "fault drill"))
        story = Story(studio, blocked_s)
        QTimer.singleShot(500, story.go_on)
        run_window(studio)
    sys.stdout.write(json.dumps(story.found))
    del application


if __name__ == "__main__":
    try:
        main()
    except SemgfinError as trouble:
        sys.exit(str(trouble))
