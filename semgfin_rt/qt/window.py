"""The window: it polls snapshots on a timer, hands them to the view, and draws the view.

One thread, Qt's. The engine lives in another process, so nothing drawn here delays a decision;
another source is opened by the `Studio` in the background.
"""

from __future__ import annotations

import logging
import time
from base64 import b64decode, b64encode
from collections import deque

from PyQt6.QtCore import QByteArray, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QAction, QCloseEvent, QKeySequence, QShowEvent
from PyQt6.QtWidgets import QApplication, QDialog, QMainWindow, QTabWidget, QWidget

from semgfin_rt.app.choice import Kind, build_session
from semgfin_rt.app.preferences import Preferences
from semgfin_rt.app.settings import Settings
from semgfin_rt.app.studio import Stage, Studio
from semgfin_rt.folders import find_model
from semgfin_rt.qt.docks import Dock, arrange, build_docks
from semgfin_rt.qt.latency import LatencyPanel
from semgfin_rt.qt.menus import Menus
from semgfin_rt.qt.message import MessageLine
from semgfin_rt.qt.recording import RecordPanel
from semgfin_rt.qt.shortcuts import ShortcutsDialog
from semgfin_rt.qt.source_dialog import SourceDialog
from semgfin_rt.qt.theme import DARK, LIGHT, THEMES, Theme, palette, stylesheet
from semgfin_rt.qt.traces import TracesPanel
from semgfin_rt.qt.welcome import Placeholder, WelcomeBar

FRAME_MS = 33
SNAPSHOTS_A_FRAME = 20
"""More than come in a frame; bounds a frame after a stall."""
SIZE = (1280, 800)
_LAYOUT_VERSION = 1
_log = logging.getLogger(__name__)


class MainWindow(QMainWindow):
    """Everything on screen.

    Parameters
    ----------
    studio : Studio
        What is open; polled 30 times a second.
    theme : {"dark", "light"}
    preferences : Preferences, optional
        What is remembered, brought up to date when the window closes. Without it (nobody watches)
        the window looks as it does at first, without a welcome.

    Attributes
    ----------
    docks : dict of str to Dock
        By the names in `docks.PANELS`; those of the stage that is open.
    paused : bool
        The picture stands still; snapshots are taken in all the same.
    frame_ms : deque of float
        Intervals between the last frames, in ms.
    """

    ended = pyqtSignal(str)
    """The phase became ``"ended"`` or ``"failed"``; the last picture is drawn."""
    trouble = pyqtSignal(str)
    """Something went wrong in a slot; may be emitted from any thread."""
    calibrate_wanted = pyqtSignal()
    """Connect a handler, and the actions that emit it are enabled."""
    stage_changed = pyqtSignal(object)
    """Another `Stage` is on screen, or None."""
    taken = pyqtSignal(object)
    """A `Snapshot` was taken in, drawn or not."""
    dressed = pyqtSignal(object)
    """Another `Theme` is on."""

    def __init__(
        self, studio: Studio, theme: str = "dark", preferences: Preferences | None = None
    ) -> None:
        super().__init__()
        self.studio, self.preferences = studio, preferences
        self.docks: dict[str, Dock] = {}
        self.paused = False
        self.frame_ms: deque[float] = deque(maxlen=2000)
        self._theme = THEMES[theme]
        self._frame, self._drawn_at = 0, 0.0
        self._alarm, self._shown = "", False
        self._stage: Stage | None = None

        self.setAccessibleName("semgfin-rt")
        self.setDockNestingEnabled(True)
        self.setContentsMargins(6, 0, 6, 0)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.line = MessageLine()
        self.message = self.line.message
        self.setStatusBar(self.line)
        dismiss = self._add_actions()
        self.placeholder = Placeholder(self._begin)
        self.setCentralWidget(self.placeholder)
        self.welcome = WelcomeBar(self._begin, dismiss)
        self.addToolBar(self.welcome)
        self._choose_size()
        self._set_stage()

        self.trouble.connect(self._show_trouble)
        self.timer = QTimer(self)
        self.timer.timeout.connect(self.tick)
        self.timer.start(FRAME_MS)

    @property
    def theme(self) -> Theme:
        """Its colours."""
        return self._theme

    # ------------------------------------------------------------------------- frames
    def tick(self) -> None:
        """Take in what has come and draw a frame."""
        now = time.perf_counter()
        if self._drawn_at:
            self.frame_ms.append(1000 * (now - self._drawn_at))
        self._drawn_at = now
        if self.studio.poll() or self.studio.stage is not self._stage:
            self._set_stage()
        stage = self._stage
        if stage is None:
            self._say_words()
            return
        was = stage.view.phase
        for _ in range(SNAPSHOTS_A_FRAME):
            snapshot = stage.link.poll()
            if snapshot is None:
                break
            stage.view.update(snapshot)
            self.taken.emit(snapshot)
        over = stage.view.phase in ("ended", "failed")
        if not self.paused:
            begin = time.perf_counter()
            self.draw(0 if over else self._frame)
            self._note_cost(1000 * (time.perf_counter() - begin))
        elif over or self._frame % 3 == 0:
            self._say_words()
        self._frame += 1
        if over and stage.view.phase != was:
            self.ended.emit(stage.view.phase)

    def draw(self, frame: int = 0) -> None:
        """Draw the panels that are seen, each when its turn comes; all of them in frame 0."""
        stage = self._stage
        if stage is not None:
            for dock in self.docks.values():
                if frame % dock.entry.every == 0 and not dock.panel.visibleRegion().isEmpty():
                    dock.entry.show(dock.panel, stage)
        if frame % 3 == 0:
            self._say_words()

    def _note_cost(self, draw_ms: float) -> None:
        latency = self.docks["Latency"].panel if "Latency" in self.docks else None
        if isinstance(latency, LatencyPanel):
            latency.frame(draw_ms)

    # ------------------------------------------------------------------------ actions
    def pause(self) -> None:
        """Freeze the picture, or let it go on."""
        self.paused = not self.paused
        self._say_words()

    def switch_theme(self) -> None:
        """Go from dark to light and back."""
        self._theme = LIGHT if self._theme is DARK else DARK
        self._dress()

    def toggle_full_screen(self) -> None:
        """Fill the screen, or no longer."""
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()

    def reset_layout(self) -> None:
        """Place the panels as they are at first."""
        if self.preferences is not None:
            self.preferences.layouts.clear()
        arrange(self, self.docks.values(), self.size())

    def toggle_welcome(self) -> None:
        """Take the welcome away, for good, or show it again."""
        if self.preferences is not None:
            self.preferences.welcome = not self.preferences.welcome
        self._show_welcome()

    def show_shortcuts(self) -> None:
        """List the keys."""
        ShortcutsDialog(self, self.menus.groups(self.docks.values())).open()

    def open_source(self, kind: Kind) -> SourceDialog:
        """Let a person choose another source, of this kind to begin with."""
        preferences = self.preferences or Preferences()
        stage = self._stage
        dialog = SourceDialog(
            self,
            preferences.source.model_copy(update={"kind": kind}),
            preferences.folder,
            frozenset() if stage is None else stage.own_streams,
        )
        dialog.accepted.connect(lambda: self._take_source(dialog))
        dialog.open()
        return dialog

    def close_source(self) -> None:
        """End the session; the window stays."""
        self.studio.cancel()
        self.studio.leave()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Stop polling before the engine is let go; remember what is to be remembered."""
        self.timer.stop()
        for dialog in self.findChildren(QDialog):
            dialog.reject()  # one that looks for streams has a thread
        preferences = self.preferences
        if preferences is not None:
            self._remember_layout()
            preferences.theme = "dark" if self._theme is DARK else "light"
            preferences.geometry = _text(self.saveGeometry())
        super().closeEvent(event)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Share the room out once it is known."""
        super().showEvent(event)
        if not self._shown:
            self._shown = True
            self._place_docks()

    # -------------------------------------------------------------------------- parts
    def _add_actions(self) -> QAction:
        """Fill the menus; return the action that shows and hides the welcome."""
        self.menus = menus = Menus(self)
        recording = menus.add(
            "Source", "&Replay a file …", ["Ctrl+O"], lambda: self.open_source("recording")
        )
        stream = menus.add(
            "Source", "&Connect a stream …", ["Ctrl+L"], lambda: self.open_source("stream")
        )
        menus.add(
            "Source", "&Synthetic person …", ["Ctrl+Y"], lambda: self.open_source("synthetic")
        )
        menus.separate("Source")
        self._ask = menus.add(
            "Source", "Con&firm another stream …", ["Ctrl+Return"], self.line.open_choice
        )
        menus.add("Source", "C&lose the source", ["Ctrl+W"], self.close_source)
        menus.add("Source", "&Quit", ["Ctrl+Q", "Q"], self.close)
        self._freeze = menus.add("View", "&Freeze the picture", ["F"], self.pause)
        self._freeze.setCheckable(True)
        menus.add("View", "&Larger traces", ["+", "="], lambda: self._zoom(1))
        menus.add("View", "&Smaller traces", ["-"], lambda: self._zoom(-1))
        menus.separate("View")
        menus.add("View", "&Dark or light", ["D"], self.switch_theme)
        menus.add("View", "F&ull screen", ["F11"], self.toggle_full_screen)
        menus.add("View", "&Reset the layout", ["Ctrl+Shift+R"], self.reset_layout)
        self._calibrate = menus.add(
            "Calibrate", "&Calibrate …", ["Ctrl+K"], self.calibrate_wanted.emit
        )
        menus.add("Help", "&Keyboard shortcuts", ["F1", "?"], self.show_shortcuts)
        welcome = "Show or hide where to begin"
        dismiss = menus.add("Help", "&Welcome", [], self.toggle_welcome, welcome)
        self._begin = (recording, stream, self._calibrate)
        self._offer()
        return dismiss

    def _offer(self) -> None:
        heard = self.receivers(self.calibrate_wanted) > 0
        self._calibrate.setEnabled(heard)
        tip = "Train on your own movements" if heard else "comes with calibration"
        self._calibrate.setToolTip(tip)

    def _zoom(self, steps: int) -> None:
        traces = self.docks["Signal"].panel if "Signal" in self.docks else None
        if isinstance(traces, TracesPanel):
            traces.zoom(steps)

    def _take_source(self, dialog: SourceDialog) -> None:
        choice, recording = dialog.choice, dialog.recording
        if self.preferences is not None:
            self.preferences.source, self.preferences.folder = choice, dialog.folder
        session = self.studio.session
        settings = Settings(find_model(choice.model)) if session is None else session.settings
        what = "Reading the recording" if choice.kind == "recording" else "Generating a person"
        self._alarm = ""
        self.studio.open(
            lambda: build_session(choice, settings, recording),
            choice.title,
            "Looking at the checkpoint" if choice.kind == "stream" or recording else what,
        )

    def _set_stage(self) -> None:
        """Build the panels of what is open now, in the place of those before."""
        self._remember_layout()
        for dock in self.docks.values():
            self.removeDockWidget(dock)
            dock.deleteLater()
        self._stage = stage = self.studio.stage
        self.docks = {} if stage is None else build_docks(stage)
        record = self.docks["Record"].panel if "Record" in self.docks else None
        if isinstance(record, RecordPanel) and self.preferences is not None:
            record.remember_in(self.preferences)
        self.menus.take_docks(self.docks.values())
        keys = {key.toString() for d in self.docks.values() for key in _keys(d.panel)}
        free = [key for key in ("F", "Space") if key not in keys]  # a replay's own pause has Space
        self._freeze.setShortcuts([QKeySequence(key) for key in free])
        for dock in self.docks.values():
            self.addActions(dock.panel.actions())
        self.placeholder.setVisible(stage is None)
        self._dress()  # before they are placed: a style needs room
        self._place_docks()
        if stage is not None:
            self.setWindowTitle(f"{stage.title} · semgfin-rt")
            self._alarm = ""
        self._frame = 0
        self.stage_changed.emit(stage)

    def _place_docks(self) -> None:
        arrange(self, self.docks.values(), self.size())
        if self.preferences is not None and self._stage is not None:
            saved = self.preferences.layouts.get(self._stage.kind, "")
            if saved and not self.restoreState(_bytes(saved), _LAYOUT_VERSION):
                _log.warning("the remembered layout does not fit these panels: it is left aside.")
        self._show_welcome()

    def _show_welcome(self) -> None:
        """Show where to begin, unless it was dismissed; an empty window says so itself."""
        wanted = self.preferences is not None and self.preferences.welcome
        self.welcome.setVisible(wanted and self._stage is not None)

    def _remember_layout(self) -> None:
        if self.preferences is not None and self._stage is not None and self._shown:
            self.preferences.layouts[self._stage.kind] = _text(self.saveState(_LAYOUT_VERSION))

    def _choose_size(self) -> None:
        width, height = SIZE
        screen = self.screen()
        if self.preferences is not None:
            if self.restoreGeometry(_bytes(self.preferences.geometry)):
                return
            if screen is not None:
                room = screen.availableGeometry()
                width, height = min(width, room.width()), min(height, room.height())
        self.resize(width, height)

    def _dress(self) -> None:
        style = stylesheet(self._theme)
        if style != self.styleSheet():  # which polishes every widget again: 60 ms
            QApplication.setPalette(palette(self._theme))
            self.setStyleSheet(style)
        for dock in self.docks.values():
            dock.panel.dress(self._theme)  # type: ignore[attr-defined]
        self.dressed.emit(self._theme)

    def _say_words(self) -> None:
        """Bring the line below, and what stands in an empty window, up to date."""
        self._offer()
        studio = self.studio
        stage, alarm = self._stage, self._alarm or studio.trouble
        text = self._alarm or studio.doing or studio.trouble
        if stage is None:
            words = studio.doing or alarm or "Nothing is open."
            self.placeholder.say(words, bool(alarm) and not studio.doing)
            text = text or words
        pressing = stage is not None and (stage.view.alert or stage.view.phase == "failed")
        if stage is not None and (pressing or not text):
            self.line.say_now(stage.view, paused=self.paused)
        else:
            self.line.say(text, alarm=bool(alarm) and text == alarm)
        self.line.show_stage(stage)
        self._ask.setEnabled(self.line.asks)
        self._freeze.setChecked(self.paused)

    def calm(self) -> None:
        """Forget the error that is shown."""
        self._alarm = ""

    def _show_trouble(self, text: str) -> None:
        """Show an error and keep it: what follows would wipe it away in a tenth of a second."""
        self._alarm = text
        self._say_words()


def _keys(panel: QWidget) -> list[QKeySequence]:
    return [key for action in panel.actions() for key in action.shortcuts()]


def _text(state: QByteArray) -> str:
    return b64encode(state.data()).decode()


def _bytes(text: str) -> QByteArray:
    try:
        return QByteArray(b64decode(text, validate=True))
    except ValueError:  # somebody edited the file: Qt takes nothing for nothing
        return QByteArray()
