"""The panels of the window: another one is another line in `PANELS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from PyQt6.QtCore import Qt

from semgfin_rt.app.readout import silence_text, status_tiles
from semgfin_rt.app.studio import Stage
from semgfin_rt.qt.events import EventsPanel
from semgfin_rt.qt.features import FeaturesPanel
from semgfin_rt.qt.latency import LatencyPanel
from semgfin_rt.qt.movement import MovementPanel
from semgfin_rt.qt.policy import PolicyPanel
from semgfin_rt.qt.recording import RecordPanel
from semgfin_rt.qt.ribbon import RibbonPanel
from semgfin_rt.qt.scores import ScoresPanel
from semgfin_rt.qt.status import StatusTiles
from semgfin_rt.qt.traces import TracesPanel
from semgfin_rt.qt.transport import TransportPanel

EVERY_FRAME = 1
RIBBON_EVERY = 2
"""Frames from one picture of the ribbon to the next: it moves 4 pixels a frame at most."""
WORDS_EVERY = 3
"""Frames from one change of words and figures to the next: 10 a second can still be read."""
SCORES_EVERY = 15
"""The same for tables of figures."""

LEFT = Qt.DockWidgetArea.LeftDockWidgetArea
RIGHT = Qt.DockWidgetArea.RightDockWidgetArea
BOTTOM = Qt.DockWidgetArea.BottomDockWidgetArea


P = TypeVar("P")


@dataclass(frozen=True)
class Entry(Generic[P]):
    """One panel.

    Attributes
    ----------
    name : str
        Of the dock: in menus, on tabs, and in the saved layout.
    build : callable
        Makes the panel of a stage, or None where the session has no use for it.
    show : callable
        Draws what is known now. Called while the panel is seen.
    area : Qt.DockWidgetArea
        Where it stands at first: left, right or bottom, below those before it.
    key : str
        That shows and hides it.
    every : int
        Frames from one call of `show` to the next.
    beside : str
        Name of an earlier panel, on whose place it is another tab.
    share : int
        Of its column, against the others in it; 0 is as little as it needs.
    menu : str
        That offers to show and hide it.
    """

    name: str
    build: Callable[[Stage], P | None]
    show: Callable[[P, Stage], None]
    area: Qt.DockWidgetArea
    key: str
    every: int = WORDS_EVERY
    beside: str = ""
    share: int = 1
    menu: str = "View"


def hop_ms(stage: Stage) -> float:
    """Return the time from one decision to the next."""
    return 1000 * stage.contract.hop / stage.contract.rate


def show_signal(panel: TracesPanel, stage: Stage) -> None:
    """Draw the traces, and the light of each channel."""
    panel.show_traces(stage.view.traces)
    if stage.view.lights:
        panel.show_lights(stage.view.lights)


def show_movement(panel: MovementPanel, stage: Stage) -> None:
    """Show what was published last; while nothing was, what the engine does instead."""
    view = stage.view
    now = view.published
    panel.show_decision(now, None if now is None else stage.link.truth_at(now.sample))
    panel.note.setText(silence_text(view.stale))
    if view.message and (now is None or view.phase == "failed"):
        panel.headline.say(view.message)  # large, and whole: it wraps


def show_tiles(panel: StatusTiles, stage: Stage) -> None:
    """Show latency, loss and score."""
    view = stage.view
    panel.show_tiles(status_tiles(view.health, stage.link.accuracy, hop_ms(stage), view.stale))


def show_scores(panel: ScoresPanel, stage: Stage) -> None:
    """Show the running figures."""
    scores = stage.link.scores
    if scores is not None:
        panel.show_scores(scores)


def build_policy(stage: Stage) -> PolicyPanel | None:
    """Return the controls of the policy that the engine began with; they act at once."""
    if stage.session is None:
        return None
    panel = PolicyPanel(stage.session.contract)
    panel.show_policy(stage.session.policy)
    panel.changed.connect(stage.set_policy)
    return panel


def build_record(stage: Stage) -> RecordPanel:
    """Return the controls of the recorder."""
    panel = RecordPanel(stage.contract.rate)
    panel.command.connect(stage.link.send)
    return panel


def build_transport(stage: Stage) -> TransportPanel | None:
    """Return the controls of a replay."""
    return None if stage.transport is None else TransportPanel(stage.transport, stage.contract)


PANELS: tuple[Entry[Any], ...] = (
    Entry(
        "Signal",
        lambda stage: TracesPanel(stage.contract),
        show_signal,
        LEFT,
        "Alt+1",
        EVERY_FRAME,
    ),
    Entry("Movement", lambda s: MovementPanel(s.contract), show_movement, RIGHT, "Alt+2", share=2),
    Entry(
        "Features",
        lambda stage: FeaturesPanel(stage.contract),
        lambda panel, stage: panel.show_features(stage.view.imitation, stage.view.forecasts),
        RIGHT,
        "Alt+3",
        share=3,
    ),
    Entry(
        "Policy",
        build_policy,
        lambda _panel, _stage: None,
        RIGHT,
        "Alt+4",
        beside="Features",
        menu="Decision",
    ),
    Entry(
        "Latency",
        lambda stage: LatencyPanel(hop_ms(stage)),
        lambda panel, stage: panel.show_health(stage.view.health, stage.view.stale),
        RIGHT,
        "Alt+5",
        SCORES_EVERY,
        beside="Features",
    ),
    Entry(
        "Record",
        build_record,
        lambda panel, stage: panel.show_recording(stage.view),
        RIGHT,
        "Alt+6",
        beside="Features",
        menu="Record",
    ),
    Entry(
        "Events",
        lambda _: EventsPanel(),
        lambda panel, stage: panel.show_events(stage.view),
        RIGHT,
        "Alt+7",
        beside="Features",
    ),
    Entry(
        "Ribbon",
        lambda stage: RibbonPanel(stage.contract),
        lambda panel, stage: panel.show_ribbon(stage.view.ribbon),
        BOTTOM,
        "Alt+8",
        RIBBON_EVERY,
    ),
    Entry(
        "Scores",
        lambda stage: ScoresPanel(stage.contract) if stage.transport is not None else None,
        show_scores,
        BOTTOM,
        "Alt+9",
        SCORES_EVERY,
        beside="Ribbon",
    ),
    Entry("Replay", build_transport, lambda p, _: p.refresh(), BOTTOM, "Alt+0", share=0),
    Entry("Status", lambda s: StatusTiles(hop_ms(s)), show_tiles, BOTTOM, "Ctrl+Shift+S", share=0),
)
