"""How a session is run, with a window or without, and how the command ends."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from semgfin_rt.cli.common import NOT_KEPT, require_writable, write_json
from semgfin_rt.errors import OptionError, StreamError

if TYPE_CHECKING:
    from semgfin_rt.app.scenario import Check, Scenario
    from semgfin_rt.app.session import Session
    from semgfin_rt.app.studio import Studio
    from semgfin_rt.app.summary import Summary
    from semgfin_rt.contracts import Decision, Event

PICTURE_S = 5.0
"""Of signal, for a screenshot."""
INTERRUPTED = 130


def own_id() -> str:
    """Return the source_id of this process's decisions."""
    return f"semgfin-decisions-{os.getpid()}"


class View:
    """With a window or without: how a session is run, and how the command ends.

    Parameters
    ----------
    headless : bool
    json_file, screenshot : Path or None
    theme : {"dark", "light"} or None
        None: as the window had it last.

    Attributes
    ----------
    last : Session or None
        That was open last: in a window another source may be opened.
    first_picture_s : float or None
        From the start of the process until a decision was painted beside its truth.
    """

    def __init__(
        self, headless: bool, json_file: Path | None, screenshot: Path | None, theme: str | None
    ) -> None:
        from semgfin_rt.qt.require import has_display  # loads no Qt

        if headless and screenshot is not None:
            raise OptionError("--screenshot needs the window: leave --headless out.")
        if theme not in ("dark", "light", None):
            raise OptionError(f"--theme '{theme}' is not known: choose dark or light.")
        require_writable(json_file)
        require_writable(screenshot)
        self.json_file, self.screenshot, self.theme = json_file, screenshot, theme
        self.headless = headless
        self.last: Session | None = None
        self.first_picture_s: float | None = None
        if not headless and screenshot is None and not has_display():
            print("No display was found: running without a window.", flush=True)
            self.headless = True

    def picture_seconds(self, seconds: float | None) -> float | None:
        """Return how much signal to take: a picture does not wait for a recording's end."""
        return PICTURE_S if self.screenshot is not None and seconds is None else seconds

    def replay(
        self,
        scenario: Scenario,
        folder: Path,
        outputs: Mapping[str, Any],
        *,
        as_written: bool = False,
    ) -> None:
        """Play a scenario whose paths count from `folder`, and check its result."""
        from semgfin_rt.app.scenario import SYNTHETIC, check
        from semgfin_rt.app.session import Session, begin_replay

        if math.isinf(scenario.speed):
            self._require_full_speed(scenario, outputs)
            outputs = {**outputs, "publish_id": None}
        settings = scenario.settings(folder, **outputs)
        settings.check()
        if scenario.about:
            print(scenario.about)
        early = nullcontext() if self.headless else begin_replay(settings)
        with early as engine:
            source = scenario.replay(folder)
            if scenario.recording != SYNTHETIC:  # which has no file that one could look at
                for note in source.recording.notes:
                    print(f"{source.recording.path}: {note}")
            with Session(settings, source, engine) as session:
                summary = self.run(session, f"replay: {source.recording.path}")
                if self.last is session and scenario.expect is not None and summary["complete"]:
                    _judge(check(scenario.expect, summary, as_written=as_written), summary)
                self.end(summary)

    def _require_full_speed(self, scenario: Scenario, outputs: Mapping[str, Any]) -> None:
        """Refuse what has no sense without a clock."""
        if not self.headless:
            raise OptionError("there is no window at --speed max: add --headless.")
        if scenario.loop:
            raise OptionError("there is no loop at --speed max: play it once, or at most at 8.")
        if outputs["publish_id"] != own_id() or outputs["udp_port"] is not None:
            raise OptionError("nothing is sent at --speed max: leave --publish and --udp out.")

    def run(self, session: Session, title: str) -> Summary:
        """Run a session, in a window also those opened after it; print the last one's summary."""
        from semgfin_rt.app.summary import summary_lines

        self._introduce(session)
        if not self.headless:
            session = self._run_window(session, title)
        summary = self._run_headless(session) if self.headless else session.summary()
        if session.failure is not None and not summary["decisions"]:
            raise StreamError(session.failure)
        print("", *summary_lines(summary), sep="\n", flush=True)
        summary["first_picture_s"] = self.first_picture_s
        if self.first_picture_s is not None:
            seen = f"{self.first_picture_s:.1f} s after the start of the program"
            print(f"The first decision stood on the screen beside its truth {seen}.", flush=True)
        self.last = session
        return summary

    def end(self, summary: Summary) -> None:
        """Write the summary, and end the command as the session that was open last ended."""
        from semgfin_rt.app.summary import shortfall

        session = self.last
        if self.json_file is not None:
            write_json(self.json_file, summary)
        if session is None:
            return
        if session.failure is not None:
            raise StreamError(session.failure)
        if session.interrupted:
            raise typer.Exit(INTERRUPTED)
        if summary["complete"] and not summary["ok"]:
            judged = "checks" in summary and summary["decisions"]
            what = "the scenario's expectations were not met." if judged else ""
            typer.echo(f"semgfin-rt: {what or shortfall(summary)}", err=True)
            raise typer.Exit(NOT_KEPT)

    def _introduce(self, session: Session) -> None:
        settings, contract = session.settings, session.contract
        ways = [] if settings.publish_id is None else [f"the LSL stream '{settings.publish_id}'"]
        if settings.udp_port is not None:
            ways.append(f"JSON to UDP port {settings.udp_port}")
        print(
            f"Checkpoint {settings.model} ({contract.preset}), horizons "
            f"{', '.join(map(str, contract.horizons_ms))} ms"
            f"{'; decisions are ' + ', and '.join(ways) if ways else ''}.",
            flush=True,
        )

    def _run_headless(self, session: Session) -> Summary:
        from semgfin_rt.app.announce import Announcer
        from semgfin_rt.app.ends import source_text

        if session.signal_s is not None:
            return self._run_at_full_speed(session, session.signal_s)
        announcer = Announcer(session.contract, session.truth_at)

        def say(decision: Decision) -> None:
            line = announcer.line(decision)
            if line is not None:
                print(line, flush=True)

        def note() -> None:
            if session.origin is not None:
                print(source_text(session.origin), flush=True)
            for sentence in session.notes:
                print(sentence, flush=True)

        return session.run(lambda: _say_backend(session), say, note, _say_event)

    def _run_at_full_speed(self, session: Session, signal_s: float) -> Summary:
        """Show a bar in place of decisions, which nobody could read."""
        from semgfin_rt.cli.progress import progress_bars

        rate = session.contract.rate
        with progress_bars() as report:
            said = 0

            def count(decision: Decision) -> None:
                nonlocal said
                second = int((decision.sample + 1) / rate)
                if second > said:
                    said = second
                    report("seconds of signal", second, int(signal_s), 0.0)

            return session.run(lambda: _say_backend(session), count, on_event=_say_event)

    def _run_window(self, session: Session, title: str) -> Session:
        """Show a window on a session; return the one that was open last."""
        from semgfin_rt.qt.require import has_display, require_qt

        if not has_display():
            os.environ["QT_QPA_PLATFORM"] = "offscreen"
        require_qt()
        import psutil

        from semgfin_rt.app.studio import Stage, Studio
        from semgfin_rt.qt.application import run_window

        studio = Studio(Stage.start(session, title))
        with _noting_ctrl_c(studio):  # which closes the window
            painted = run_window(
                studio,
                seconds=session.settings.seconds,
                screenshot=self.screenshot,
                theme=self.theme,
            )
        if painted is not None:
            self.first_picture_s = round(painted - psutil.Process().create_time(), 2)
        return studio.session or session


def _say_backend(session: Session) -> None:
    print(f"Running on {session.backend}.", flush=True)


def _say_event(event: Event) -> None:
    from semgfin_rt import lsl
    from semgfin_rt.app.announce import event_line

    line = event_line(event, time.time() - lsl.local_clock())
    if line is not None:
        print(line, flush=True)


def _judge(checks: Sequence[Check], summary: Summary) -> None:
    """Print what came of a scenario's expectations, and add it to the summary."""
    summary["ok"] = summary["decisions"] > 0 and all(c.ok is not False for c in checks)
    summary["checks"] = [vars(c) for c in checks]
    for c in checks:
        print(c.line)


@contextmanager
def _noting_ctrl_c(studio: Studio) -> Iterator[None]:
    def note(number: int, frame: FrameType | None) -> None:
        if studio.session is not None:
            studio.session.interrupted = True
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
