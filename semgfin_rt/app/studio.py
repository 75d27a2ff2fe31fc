"""What a window has open, and how another is opened without the window waiting.

Two threads take part: the window's, which calls everything here, and one at a time in the
background, which reads a recording (`open`, while the old session still runs) and then closes the
old session and starts the new one. A session that is left (`leave`) is closed by a third, which the
next start waits for. The window's thread waits in `close` alone, for the processes to end. Between
the two steps nobody polls: `poll` hands the old stage back first.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol, TypeVar

from semgfin_rt.app.display import LiveView
from semgfin_rt.app.running import Scores
from semgfin_rt.app.session import Session
from semgfin_rt.decision import PolicySpec
from semgfin_rt.engine.commands import Command, SetPolicy
from semgfin_rt.engine.snapshot import Snapshot
from semgfin_rt.errors import SemgfinError
from semgfin_rt.model_contract import ModelContract

T = TypeVar("T")


class Link(Protocol):
    """The window's end of an engine. Only `close` may block: the engine takes a while to end.

    Attributes
    ----------
    accuracy : float or None
        Running accuracy at the first horizon; None while nothing is scored.
    """

    @property
    def accuracy(self) -> float | None:
        """See above."""

    def poll(self) -> Snapshot | None:
        """Return the oldest snapshot not yet taken, or None."""

    @property
    def scores(self) -> Scores | None:
        """Running figures of a replay (about 0.2 ms); None where there is no truth."""

    def truth_at(self, sample: int) -> int | None:
        """Label of a sample in a replay; None where none is known."""

    def send(self, command: Command) -> None:
        """Tell the engine something; it acts within 0.1 s."""

    def close(self) -> None:
        """Let the engine go. May be called again."""


class Stage:
    """One session on screen: everything that a panel is built from, and shows.

    Parameters
    ----------
    title : str
    contract : ModelContract
        With the horizons that the decisions have.
    link : Link
    session : Session, optional

    Attributes
    ----------
    view : LiveView
        What is known, drawn or not.
    transport : Transport or None
        The controls of a replay.
    """

    def __init__(
        self, title: str, contract: ModelContract, link: Link, session: Session | None = None
    ) -> None:
        self.title, self.contract, self.link, self.session = title, contract, link, session
        self.transport = None if session is None else session.transport
        self.view = LiveView(contract)

    @classmethod
    def start(cls, session: Session, title: str) -> Stage:
        """Start the processes of a session; blocks until its player's streams are there.

        Raises
        ------
        StreamError
            If the player does not come up.
        """
        return cls(title, session.contract, session.link(), session)

    @property
    def kind(self) -> str:
        """``"replay"`` or ``"live"``: they have different panels."""
        return "live" if self.transport is None else "replay"

    @property
    def own_streams(self) -> frozenset[str]:
        """source_ids of the streams that this session itself sends."""
        if self.session is None:
            return frozenset()
        ids = {self.session.settings.publish_id}
        player = self.session.player
        if player is not None:
            ids |= {player.source_id, player.truth_id}
        return frozenset(i for i in ids if i)

    def set_policy(self, policy: PolicySpec) -> None:
        """Decide by another policy, in this session and in those opened after it."""
        self.link.send(SetPolicy(policy))
        if self.session is not None:
            self.session.settings = self.session.settings.with_policy(policy, self.contract)

    def close(self) -> None:
        """End the processes; may take seconds. May be called again."""
        self.link.close()
        if self.session is not None:
            self.session.close()


def in_background(work: Callable[[], T]) -> Future[T]:
    """Run `work` in a thread of its own; at its end Python waits for it."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="semgfin background")
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future


def _close_once_started(started: Future[Stage]) -> None:
    if started.exception() is None:  # what does not start has closed itself
        started.result().close()


@dataclass(frozen=True)
class _Opening:
    title: str
    prepare: Callable[[], Session]
    what: str


class Studio:
    """Which session is open.

    Parameters
    ----------
    stage : Stage, optional
        Open already.

    Attributes
    ----------
    stage : Stage or None
        To poll and to draw; None while nothing is open.
    session : Session or None
        Open now, or the last that was: the one a summary is of.
    doing : str
        What happens in the background, for people; empty while nothing does.
    trouble : str
        Why the last opening failed; empty once another begins.
    """

    def __init__(self, stage: Stage | None = None) -> None:
        self.stage = stage
        self.session: Session | None = None if stage is None else stage.session
        self.doing = ""
        self.trouble = ""
        self._opening: _Opening | None = None
        self._prepared: Future[Session] | None = None
        self._started: Future[Stage] | None = None
        self._left: Future[None] | None = None

    def open(self, prepare: Callable[[], Session], title: str, what: str) -> None:
        """Open another session in the background, in the place of the one that is open.

        The old one goes on until the new one is prepared, and stays if that fails.

        Parameters
        ----------
        prepare : callable
            Returns the session, nothing of it started; runs in the background.
        title : str
        what : str
            What `prepare` does, such as ``"Reading the recording"``.
        """
        if self._started is not None:
            self.trouble = "another source is being opened: wait until it is there."
            return
        self.trouble, self.doing = "", f"{what} …"
        self._opening = _Opening(title, prepare, what)
        self._prepared = in_background(prepare)

    def cancel(self) -> None:
        """Leave all as it is; what is being read is dropped when it has been."""
        if self._prepared is not None:
            self._prepared, self._opening, self.doing = None, None, ""

    def poll(self) -> bool:
        """Take the next step if it is due; true when `stage` became another."""
        if self._prepared is not None and self._prepared.done():
            return self._begin_start(self._prepared)
        if self._started is not None and self._started.done():
            return self._finish_start(self._started)
        return False

    def leave(self) -> None:
        """Close what is open, or what is being started once it is there, in the background."""
        old, self.stage = self.stage, None
        started, self._started = self._started, None
        if old is not None:
            self._left = in_background(old.close)
        elif started is not None:
            self._opening, self.doing = None, ""
            self._left = in_background(lambda: _close_once_started(started))

    def close(self) -> None:
        """End everything; waits for the processes. May be called again."""
        self.cancel()
        if self._started is not None:
            try:
                self.stage = self._started.result()
            except SemgfinError as error:
                self.trouble = str(error)
            self._started = None
        if self.stage is not None:
            self.stage.close()
        if self._left is not None:
            wait([self._left])

    def _begin_start(self, prepared: Future[Session]) -> bool:
        opening, self._prepared = self._opening, None
        self.doing = ""
        try:
            session = prepared.result()
        except SemgfinError as error:
            self.trouble = str(error)
            return False
        if opening is None:
            return False
        old, self.stage = self.stage, None
        left = self._left
        self.session, self.doing = session, f"Starting {opening.title} …"

        def start() -> Stage:
            if left is not None:
                wait([left])
            if old is not None:
                old.close()
            try:
                return Stage.start(session, opening.title)
            except BaseException:
                session.close()
                raise

        self._started = in_background(start)
        return True

    def _finish_start(self, started: Future[Stage]) -> bool:
        self._started, self._opening, self.doing = None, None, ""
        try:
            self.stage = started.result()
        except SemgfinError as error:
            self.trouble = str(error)
        return True
