"""`semgfin-rt`: a checkpoint on a live or replayed stream.

Nothing heavy is imported up here: the processes that a session starts import this module again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from semgfin_rt.cli.bench import bench
from semgfin_rt.cli.calibrate import calibrate
from semgfin_rt.cli.common import (
    choose_numbers,
    new_app,
    require_finite,
    require_writable,
    run,
    write_json,
)
from semgfin_rt.cli.doctor import doctor
from semgfin_rt.cli.faults import faults
from semgfin_rt.cli.options import Json, takes
from semgfin_rt.cli.run_options import (
    Horizons,
    Lan,
    Model,
    Seconds,
    Speed,
    Unit,
    given,
    output_options,
    policy_options,
    view_options,
)
from semgfin_rt.cli.verify import verify
from semgfin_rt.cli.view import View
from semgfin_rt.errors import OptionError
from semgfin_rt.texts import printable

DEMO_S = 20.0
"""Of signal, for a demo that nobody watches."""

app = new_app("Decide on movements, now and ahead, from live or replayed sEMG.")


@app.command()
@takes(view_options)
@takes(output_options)
def demo(
    model: Model = None,
    seconds: Seconds = None,
    speed: Speed = None,
    *,
    view_options: dict[str, Any],
    output_options: dict[str, Any],
) -> None:
    """Replay a synthetic subject: a window, or 20 s of decisions where there is no display."""
    from semgfin_rt.app.scenario import changed, read_scenario
    from semgfin_rt.folders import find_scenario

    path = find_scenario("demo")
    view: View = view_options["view"]
    if seconds is None and view.headless:
        seconds = DEMO_S
    seconds = view.picture_seconds(seconds)
    options = given(model=_from_here(model), speed=speed) | {
        "seconds": seconds,
        "loop": seconds is None,  # until the window is closed
        "expect": None,
    }
    scenario = changed(read_scenario(path), options, {})
    view.replay(scenario, path.parent, output_options)


@app.command()
@takes(view_options)
@takes(output_options)
@takes(policy_options)
def replay(
    recording: Annotated[
        str,
        typer.Argument(
            help="A DB2 file, zip or folder, a 3DC folder, a session (.xdf) or a scenario (.toml).",
            metavar="FILE|FOLDER|SCENARIO",
        ),
    ],
    model: Model = None,
    subject: Annotated[int | None, typer.Option(help="Which, where there are several.")] = None,
    repetitions: Annotated[
        str | None,
        typer.Option(help="Those to play, such as 2,5; of 3DC by default 4-7.", metavar="N,N,…"),
    ] = None,
    unit: Unit = None,
    speed: Speed = None,
    loop: Annotated[bool | None, typer.Option("--loop", help="Begin again at the end.")] = None,
    seconds: Seconds = None,
    horizons: Horizons = None,
    *,
    view_options: dict[str, Any],
    output_options: dict[str, Any],
    policy_options: dict[str, Any],
) -> None:
    """Play a recording through LSL and decide on it, or play a scenario and check its result."""
    from semgfin_rt.app.scenario import Scenario, changed, read_scenario
    from semgfin_rt.folders import find_scenario

    is_scenario = recording.lower().endswith(".toml")
    path = find_scenario(recording) if is_scenario else Path()
    written = (
        read_scenario(path) if is_scenario else Scenario(recording=os.path.join(".", recording))
    )
    view: View = view_options["view"]
    options = given(
        model=_from_here(model),
        subject=subject,
        repetitions=choose_numbers(repetitions),
        unit=unit,
        seconds=view.picture_seconds(seconds if seconds is not None else written.seconds),
        horizons_ms=choose_numbers(horizons),
    )
    scenario = changed(written, options, policy_options)
    as_written = scenario == written
    scenario = changed(scenario, given(speed=speed, loop=loop), {})
    folder = path.parent if is_scenario else Path()
    view.replay(scenario, folder, output_options, as_written=as_written)


@app.command()
@takes(view_options)
@takes(output_options)
@takes(policy_options)
def live(
    name: Annotated[str | None, typer.Option(help="Of the stream.")] = None,
    source_id: Annotated[str | None, typer.Option(help="Of the stream.")] = None,
    model: Model = "demo",
    unit: Unit = None,
    wait: Annotated[
        float, typer.Option(min=0.1, max=3600, help="How long to look for it, in s.", metavar="S")
    ] = 5.0,
    seconds: Seconds = None,
    horizons: Horizons = None,
    *,
    view_options: dict[str, Any],
    output_options: dict[str, Any],
    policy_options: dict[str, Any],
) -> None:
    """Decide on an LSL stream."""
    from semgfin_rt.folders import find_model

    if name is None and source_id is None:
        raise OptionError("no stream was given: pass --name or --source-id.")
    view: View = view_options["view"]
    from semgfin_rt.app.session import Session
    from semgfin_rt.app.settings import Live, Settings

    settings = Settings(
        find_model(model or "demo"),
        horizons_ms=choose_numbers(horizons),
        seconds=view.picture_seconds(seconds),
        **output_options,
        **policy_options,
    )
    with Session(settings, Live(name, source_id, unit, wait)) as session:
        view.end(view.run(session, f"live: {name or source_id}"))


@app.command()
def streams(
    seconds: Annotated[float, typer.Option(min=0.1, max=60, help="How long to look.")] = 1.0,
    lan: Lan = False,
    json_file: Json = None,
) -> None:
    """List the LSL streams."""
    require_finite(seconds=seconds)
    require_writable(json_file)
    from concurrent.futures import ThreadPoolExecutor

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from semgfin_rt import lsl
    from semgfin_rt.app.discovery import see

    lsl.configure(lan)
    found = lsl.find_streams(seconds)
    with ThreadPoolExecutor() as asking:  # behind a firewall, none of them answers
        seen = list(asking.map(see, found))
    if json_file is not None:
        write_json(json_file, {"streams": [each.record() for each in seen]})
    if not seen:
        where = "on the network" if lan else "on this machine (--lan looks further)"
        print(f"No LSL stream was found {where} within {seconds:g} s.")
        return
    table = Table("name", "type", "source_id", "host", "channels", "rate", "unit", "seen")
    for each in seen:
        s = each.stream
        texts = (s.name, s.type, s.source_id, s.host)  # of an unknown sender: shown, not obeyed
        shown = [Text(printable(text)) for text in texts]
        rate = f"{s.rate:g} Hz" if s.rate else "irregular"
        age = f"{each.age_s():.1f} s ago"
        table.add_row(*shown, str(each.n_channels), rate, each.unit or "-", age)
    Console().print(table)


app.command()(calibrate)
app.command()(bench)
app.command()(doctor)
app.command()(faults)
app.command()(verify)


def main() -> None:
    """Entry point of `semgfin-rt`."""
    run(app, "semgfin-rt")


def _from_here(model: str | None) -> str | None:
    """Find a model that the user named: scenarios count from their own folder."""
    from semgfin_rt.folders import find_model

    return None if model is None else str(find_model(model).absolute())
