"""The window: it polls snapshots on a timer, hands them to the view, and draws the view.

One thread, Qt's. The engine lives in another process, so nothing drawn here delays a decision.
"""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QMainWindow, QVBoxLayout, QWidget

from semgfin_rt.app.display import LiveView
from semgfin_rt.app.readout import status_tiles
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.features import FeaturesPanel
from semgfin_rt.qt.link import Link
from semgfin_rt.qt.movement import MovementPanel
from semgfin_rt.qt.panel import ElidedLabel
from semgfin_rt.qt.ribbon import RibbonPanel
from semgfin_rt.qt.status import StatusTiles
from semgfin_rt.qt.theme import DARK, LIGHT, THEMES, palette, stylesheet
from semgfin_rt.qt.traces import TracesPanel

FRAME_MS = 33
RIBBON_EVERY = 2
"""Frames from one picture of the ribbon to the next: it moves 4 pixels a frame at most."""
WORDS_EVERY = 3
"""Frames from one change of words and figures to the next: 10 a second can still be read."""
SNAPSHOTS_A_FRAME = 20
"""More than come in a frame; bounds a frame after a stall."""
KEYS = "Space pause · + − gain · D dark/light · F11 full screen · Q quit"  # noqa: RUF001


class MainWindow(QMainWindow):
    """Everything on screen.

    Parameters
    ----------
    contract : ModelContract
    link : Link
        Polled 30 times a second.
    title : str
    theme : {"dark", "light"}

    Attributes
    ----------
    view : LiveView
        What is known, drawn or not.
    paused : bool
        The picture stands still; snapshots are taken in all the same.
    """

    ended = pyqtSignal(str)
    """The phase became ``"ended"`` or ``"failed"``; the last picture is drawn."""
    trouble = pyqtSignal(str)
    """Something went wrong in a slot; may be emitted from any thread."""

    def __init__(self, contract: ModelContract, link: Link, title: str, theme: str) -> None:
        super().__init__()
        self.view = LiveView(contract)
        self.paused = False
        self._link, self._hop_ms = link, 1000 * contract.hop / contract.rate
        self._theme = THEMES[theme]
        self._frame = 0
        self._title = title

        self.traces = TracesPanel(contract)
        self.movement = MovementPanel(contract)
        self.features = FeaturesPanel(contract)
        self.ribbon = RibbonPanel(contract)
        self.tiles = StatusTiles(self._hop_ms)
        self.message = ElidedLabel()
        self.message.setAccessibleName("Message")
        self._lay_out()
        self._bind_keys()
        self._dress()
        self.setWindowTitle(title)
        self.resize(1280, 800)

        self.trouble.connect(self._show_trouble)
        self.timer = QTimer(self)
        self.timer.timeout.connect(self.tick)
        self.timer.start(FRAME_MS)

    def tick(self) -> None:
        """Take in what has come and draw a frame."""
        was = self.view.phase
        for _ in range(SNAPSHOTS_A_FRAME):
            snapshot = self._link.poll()
            if snapshot is None:
                break
            self.view.update(snapshot)
        over = self.view.phase in ("ended", "failed")
        if not self.paused:
            self.draw(0 if over else self._frame)
        self._frame += 1
        if over and self.view.phase != was:
            self.ended.emit(self.view.phase)

    def draw(self, frame: int = 0) -> None:
        """Draw the view: the traces in each frame, the rest when its turn comes, all in frame 0."""
        view = self.view
        self.traces.show_traces(view.traces)
        if frame % RIBBON_EVERY == 0:
            self.ribbon.show_ribbon(view.ribbon)
        if frame % WORDS_EVERY == 0:
            truth = self._link.truth_at(view.decision.sample) if view.decision else None
            self.movement.show_decision(view.decision, truth)
            if view.message and (view.decision is None or view.phase == "failed"):
                self.movement.headline.say(view.message)  # large, and whole: it wraps
            self.features.show_features(view.features)
            self.tiles.show_tiles(status_tiles(view.health, self._link.accuracy, self._hop_ms))
            self._say(f"{view.phase}: {view.message}" if view.message else view.phase)

    def pause(self) -> None:
        """Freeze the picture, or let it go on."""
        self.paused = not self.paused
        self.setWindowTitle(f"{self._title} (paused)" if self.paused else self._title)
        self._say("paused: the engine goes on; Space shows the present again")

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

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Stop polling before the engine is let go."""
        self.timer.stop()
        super().closeEvent(event)

    def _lay_out(self) -> None:
        right = QVBoxLayout()
        right.addWidget(self.movement, stretch=2)
        right.addWidget(self.features, stretch=3)
        upper = QHBoxLayout()
        upper.addWidget(self.traces, stretch=3)
        upper.addLayout(right, stretch=2)
        whole = QVBoxLayout()
        whole.setContentsMargins(8, 8, 8, 0)
        whole.setSpacing(8)
        whole.addLayout(upper, stretch=7)
        whole.addWidget(self.ribbon, stretch=2)
        whole.addWidget(self.tiles)
        centre = QWidget()
        centre.setLayout(whole)
        self.setCentralWidget(centre)
        bar = self.statusBar()
        if bar is not None:
            bar.setContentsMargins(8, 0, 0, 0)
            bar.addWidget(self.message, 1)
            bar.addPermanentWidget(QLabel(KEYS))

    def _bind_keys(self) -> None:
        actions: dict[str, Callable[[], object]] = {
            "Space": self.pause,
            "+": lambda: self.traces.zoom(1),
            "=": lambda: self.traces.zoom(1),
            "-": lambda: self.traces.zoom(-1),
            "D": self.switch_theme,
            "F11": self.toggle_full_screen,
            "Q": self.close,
            "Ctrl+Q": self.close,
        }
        for key, action in actions.items():
            QShortcut(QKeySequence(key), self).activated.connect(action)

    def _dress(self) -> None:
        self.setPalette(palette(self._theme))
        self.setStyleSheet(stylesheet(self._theme))
        for panel in (self.traces, self.movement, self.features, self.ribbon):
            panel.dress(self._theme)

    def _say(self, text: str) -> None:
        if not self.message.property("alarm"):
            self.message.say(text)

    def _show_trouble(self, text: str) -> None:
        """Show an error and keep it: what follows would wipe it away in a tenth of a second."""
        self.message.setProperty("alarm", True)
        self.message.say(text)
        self.setStyleSheet(stylesheet(self._theme))
