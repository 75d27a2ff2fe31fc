"""`semgfin-rt`: a checkpoint on a live or replayed stream.

Nothing heavy is imported up here: the processes that a session starts import this module again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from semgfin_rt.cli.bench import bench
from semgfin_rt.cli.common import choose_numbers, new_app, run
from semgfin_rt.cli.doctor import doctor
from semgfin_rt.cli.verify import verify
from semgfin_rt.cli.view import View, own_id
from semgfin_rt.errors import OptionError

DEMO_S = 20.0
"""Of signal, for a demo that nobody watches."""

app = new_app("Decide on movements, now and ahead, from live or replayed sEMG.")

Model = Annotated[str | None, typer.Option(help="Checkpoint: folder or name.", metavar="MODEL")]
Headless = Annotated[bool, typer.Option("--headless", help="No window: print decisions.")]
Seconds = Annotated[float | None, typer.Option(help="End after so much signal, in s.", metavar="S")]
Json = Annotated[
    Path | None, typer.Option("--json", help="Write the summary here.", metavar="FILE")
]
Screenshot = Annotated[
    Path | None,
    typer.Option(help="PNG of the window at the end; needs no display.", metavar="FILE"),
]
Theme = Annotated[str, typer.Option(help="Of the window: dark or light.")]
Backend = Annotated[str, typer.Option(help="auto (the fastest that agrees), onnx, torch or cuda.")]
Horizons = Annotated[
    str | None,
    typer.Option(help="Which of the checkpoint's horizons, such as 0,100.", metavar="MS,MS,…"),
]
Vote = Annotated[int | None, typer.Option(help="Decisions whose mean decides; 1 is off.")]
Reject = Annotated[float | None, typer.Option(help="Confidence below which there is no label.")]
Hold = Annotated[
    float | None, typer.Option(help="How long a rejected decision repeats the last, in ms.")
]
RestGate = Annotated[
    bool | None,
    typer.Option(
        "--rest-gate/--no-rest-gate", help="Silence at rest, for a model without rest class."
    ),
]
Publish = Annotated[
    str | None,
    typer.Option(help="source_id of the published decisions.", metavar="ID"),
]
Lan = Annotated[bool, typer.Option("--lan", help="Also see, and be seen by, other machines.")]


@app.command()
def demo(
    model: Model = None,
    headless: Headless = False,
    seconds: Seconds = None,
    speed: Annotated[float | None, typer.Option(help="1 is real time.")] = None,
    json_file: Json = None,
    screenshot: Screenshot = None,
    theme: Theme = "dark",
    backend: Backend = "auto",
) -> None:
    """Replay a synthetic subject: a window, or 20 s of decisions where there is no display."""
    from semgfin_rt.app.scenario import changed, read_scenario
    from semgfin_rt.folders import find_scenario

    path = find_scenario("demo")
    view = View(headless, json_file, screenshot, theme)
    if seconds is None and view.headless:
        seconds = DEMO_S
    seconds = view.picture_seconds(seconds)
    options = _given(model=_from_here(model), speed=speed) | {
        "seconds": seconds,
        "loop": seconds is None,  # until the window is closed
        "expect": None,
    }
    scenario = changed(read_scenario(path), options, {})
    view.replay(scenario, path.parent, backend)


@app.command()
def replay(
    recording: Annotated[
        str,
        typer.Argument(
            help="A DB2 file, zip or folder, a 3DC folder, or a scenario (.toml).",
            metavar="FILE|FOLDER|SCENARIO",
        ),
    ],
    model: Model = None,
    subject: Annotated[int | None, typer.Option(help="Which, where there are several.")] = None,
    repetitions: Annotated[
        str | None,
        typer.Option(help="Those to play, such as 2,5; of 3DC by default 4-7.", metavar="N,N,…"),
    ] = None,
    speed: Annotated[float | None, typer.Option(help="1 is real time; at most 8.")] = None,
    loop: Annotated[bool | None, typer.Option("--loop", help="Begin again at the end.")] = None,
    headless: Headless = False,
    seconds: Seconds = None,
    json_file: Json = None,
    screenshot: Screenshot = None,
    theme: Theme = "dark",
    backend: Backend = "auto",
    horizons: Horizons = None,
    vote: Vote = None,
    reject: Reject = None,
    hold: Hold = None,
    rest_gate: RestGate = None,
    publish: Publish = None,
) -> None:
    """Play a recording through LSL and decide on it, or play a scenario and check its result."""
    from semgfin_rt.app.scenario import Scenario, changed, read_scenario
    from semgfin_rt.folders import find_scenario

    is_scenario = recording.lower().endswith(".toml")
    path = find_scenario(recording) if is_scenario else Path()
    written = (
        read_scenario(path) if is_scenario else Scenario(recording=os.path.join(".", recording))
    )
    view = View(headless, json_file, screenshot, theme)
    options = _given(
        model=_from_here(model),
        subject=subject,
        repetitions=choose_numbers(repetitions),
        seconds=view.picture_seconds(seconds if seconds is not None else written.seconds),
        horizons_ms=choose_numbers(horizons),
    )
    policy = _given(vote=vote, reject=reject, hold_ms=hold, rest_gate=rest_gate)
    scenario = changed(written, options, policy)
    as_written = scenario == written
    scenario = changed(scenario, _given(speed=speed, loop=loop), {})
    folder = path.parent if is_scenario else Path()
    view.replay(scenario, folder, backend, publish, as_written=as_written)


@app.command()
def live(
    name: Annotated[str | None, typer.Option(help="Of the stream.")] = None,
    source_id: Annotated[str | None, typer.Option(help="Of the stream.")] = None,
    model: Annotated[
        str, typer.Option(help="Checkpoint: folder or name.", metavar="MODEL")
    ] = "demo",
    unit: Annotated[
        str | None, typer.Option(help="V, mV, uV or count, for a stream that does not say.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0.1, max=3600, help="How long to look for it, in s.", metavar="S")
    ] = 5.0,
    headless: Headless = False,
    seconds: Seconds = None,
    json_file: Json = None,
    screenshot: Screenshot = None,
    theme: Theme = "dark",
    backend: Backend = "auto",
    horizons: Horizons = None,
    vote: Vote = None,
    reject: Reject = None,
    hold: Hold = None,
    rest_gate: RestGate = None,
    publish: Publish = None,
    lan: Lan = False,
) -> None:
    """Decide on an LSL stream."""
    from semgfin_rt import lsl
    from semgfin_rt.folders import find_model

    if name is None and source_id is None:
        raise OptionError("no stream was given: pass --name or --source-id.")
    view = View(headless, json_file, screenshot, theme)
    lsl.configure(lan)
    from semgfin_rt.app.session import Live, Session, Settings

    settings = Settings(
        find_model(model),
        backend,
        choose_numbers(horizons),
        seconds=view.picture_seconds(seconds),
        publish_id=publish or own_id(),
        **_given(vote=vote, reject=reject, hold_ms=hold, rest_gate=rest_gate),
    )
    with Session(settings, Live(name, source_id, unit, wait)) as session:
        view.end(session, view.run(session, f"live: {name or source_id}"))


@app.command()
def streams(
    seconds: Annotated[float, typer.Option(min=0.1, max=60, help="How long to look.")] = 1.0,
    lan: Lan = False,
) -> None:
    """List the LSL streams."""
    from rich.console import Console
    from rich.table import Table

    from semgfin_rt import lsl

    lsl.configure(lan)
    found = lsl.find_streams(seconds)
    if not found:
        where = "on the network" if lan else "on this machine (--lan looks further)"
        print(f"No LSL stream was found {where} within {seconds:g} s.")
        return
    table = Table("name", "type", "source_id", "host", "channels", "rate")
    for s in found:
        rate = f"{s.rate:g} Hz" if s.rate else "irregular"
        table.add_row(s.name, s.type, s.source_id, s.host, str(s.n_channels), rate)
    Console().print(table)


app.command()(bench)
app.command()(doctor)
app.command()(verify)


def main() -> None:
    """Entry point of `semgfin-rt`."""
    run(app, "semgfin-rt")


def _given(**options: Any) -> dict[str, Any]:
    """Those options that the user gave."""
    return {name: value for name, value in options.items() if value is not None}


def _from_here(model: str | None) -> str | None:
    """Find a model that the user named: scenarios count from their own folder."""
    from semgfin_rt.folders import find_model

    return None if model is None else str(find_model(model).absolute())
