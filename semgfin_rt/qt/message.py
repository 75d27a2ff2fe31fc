"""The line at the bottom: what goes on, a question for the operator, and both ends of the run."""

from __future__ import annotations

from html import escape

from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QMenu, QPushButton, QStatusBar

from semgfin_rt.app.display import LiveView
from semgfin_rt.app.ends import candidate_text, ends_text, published_text, source_text
from semgfin_rt.app.readout import silence_text
from semgfin_rt.app.studio import Stage
from semgfin_rt.engine.commands import AcceptSource
from semgfin_rt.qt.panel import ElidedLabel
from semgfin_rt.qt.theme import mark

_LISTED = 20
"""Candidates that are offered, however many claim to be the stream."""
_FROZEN = "the picture is frozen, the engine goes on: F shows the present again"


class MessageLine(QStatusBar):
    """What goes on, on the left; who sends and where decisions go, on the right.

    Between them stands a button while streams answer in the place of the missing one.

    Attributes
    ----------
    message : ElidedLabel
    confirm : QPushButton
    ends : ElidedLabel
    """

    def __init__(self) -> None:
        super().__init__()
        self.setContentsMargins(8, 0, 0, 0)
        self.message = ElidedLabel()
        self.message.setAccessibleName("Message")
        self.confirm = QPushButton("Confirm the source …")
        self.confirm.setToolTip("Another stream answers in its place: choose who is the right one")
        self.confirm.clicked.connect(self.open_choice)
        self.ends = ElidedLabel()
        self.ends.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.addWidget(self.message, 1)
        self.addPermanentWidget(self.confirm)
        self.addPermanentWidget(self.ends, 1)
        self.choice = QMenu(self)
        self.choice.setAccessibleName("Streams that can be confirmed")
        self.show_stage(None)

    @property
    def asks(self) -> bool:
        """Whether there is somebody to confirm."""
        return self._stage is not None and bool(self._stage.view.asking)

    def say(self, text: str, *, alarm: bool = False) -> None:
        """Show a message."""
        if text != self.message.text():
            self.message.say(text)
        mark(self.message, "alarm", alarm)

    def say_now(self, view: LiveView, *, paused: bool) -> None:
        """Say the newest trouble, or else what the engine does."""
        failed = view.phase == "failed"
        if view.alert:
            self.say(view.alert, alarm=True)
        elif paused and not failed:
            self.say(_FROZEN)
        else:
            now = f"{view.phase}: {view.message}" if view.message else view.phase
            silence = silence_text(view.stale)
            self.say(f"{silence} · {now}" if silence else now, alarm=failed)

    def show_stage(self, stage: Stage | None) -> None:
        """Show both ends of what is open, and the question if there is one."""
        settings = None if stage is None or stage.session is None else stage.session.settings
        out = (None, None) if settings is None else (settings.publish_id, settings.udp_port)
        origin = None if stage is None else stage.view.origin
        self._stage = stage
        self.confirm.setVisible(self.asks)
        short = ends_text(origin, *out)
        who = "No stream is connected." if origin is None else source_text(origin)
        whole = f"{who}\n{published_text(*out)}"
        if whole != self.ends.accessibleName():
            self.ends.setText(short)
            self.ends.setAccessibleName(whole)
            self.ends.setToolTip(f"<p>{escape(whole)}</p>".replace("\n", "<br>"))

    def open_choice(self) -> None:
        """Let the operator say who is the right one; what is offered stays while it is open."""
        stage = self._stage
        self.choice.clear()
        for candidate in () if stage is None else stage.view.asking[:_LISTED]:
            action = self.choice.addAction(candidate_text(candidate).replace("&", "&&"))
            if action is not None and stage is not None:
                word, send = AcceptSource(candidate.uid), stage.link.send
                action.triggered.connect(lambda _, word=word, send=send: send(word))
        self.choice.popup(self.confirm.mapToGlobal(QPoint(0, 0)))
