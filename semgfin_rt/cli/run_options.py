"""Options of the commands that decide on a stream, each declared once; see `options.takes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from semgfin_rt.cli.common import choose_thresholds, require_writable
from semgfin_rt.cli.view import View, own_id
from semgfin_rt.errors import OptionError

Model = Annotated[str | None, typer.Option(help="Checkpoint: folder or name.", metavar="MODEL")]
Seconds = Annotated[float | None, typer.Option(help="End after so much signal, in s.", metavar="S")]
Unit = Annotated[
    str | None, typer.Option(help="V, mV, uV or count, for a signal that does not say.")
]
Speed = Annotated[
    str | None,
    typer.Option(help="1 is real time, at most 8; max: as fast as it goes, headless.", metavar="X"),
]
Horizons = Annotated[
    str | None,
    typer.Option(help="Which of the checkpoint's horizons, such as 0,100.", metavar="MS,MS,…"),
]
Lan = Annotated[bool, typer.Option("--lan", help="Also see, and be seen by, other machines.")]


def view_options(
    headless: Annotated[
        bool, typer.Option("--headless", help="No window: print decisions.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the summary here.", metavar="FILE")
    ] = None,
    screenshot: Annotated[
        Path | None,
        typer.Option(help="PNG of the window at the end; needs no display.", metavar="FILE"),
    ] = None,
    theme: Annotated[
        str | None, typer.Option(help="Of the window: dark or light; by default the last one.")
    ] = None,
) -> dict[str, Any]:
    """Say how a run is seen."""
    return {"view": View(headless, json_file, screenshot, theme)}


def output_options(
    backend: Annotated[
        str, typer.Option(help="auto (the fastest that agrees), onnx, torch or cuda.")
    ] = "auto",
    publish: Annotated[
        str | None, typer.Option(help="source_id of the published decisions.", metavar="ID")
    ] = None,
    udp: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, help="Also send decisions as JSON to this port.", metavar="PORT"
        ),
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Record everything into this XDF file.", metavar="FILE")
    ] = None,
    lan: Lan = False,
) -> dict[str, Any]:
    """Say what decides and where decisions go, as `Settings` names it; set LSL up so far."""
    from semgfin_rt import lsl

    lsl.configure(lan)
    require_writable(record)
    if record is not None and record.exists():
        raise OptionError(f"'{record}' exists: name a new file to record into.")
    return {
        "backend": backend,
        "publish_id": publish or own_id(),
        "udp_port": udp,
        "record": record,
    }


def policy_options(
    vote: Annotated[
        int | None, typer.Option(help="Decisions whose mean decides; 1 is off.")
    ] = None,
    reject: Annotated[
        float | None, typer.Option(help="Confidence below which there is no label.")
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            help="The same for a class, by number or name; may be repeated.", metavar="CLASS=P"
        ),
    ] = None,
    hysteresis: Annotated[
        int | None, typer.Option(help="Decisions that a label must win in a row; 1 is off.")
    ] = None,
    hold: Annotated[
        float | None, typer.Option(help="How long a rejected decision repeats the last, in ms.")
    ] = None,
    rest_gate: Annotated[
        bool | None,
        typer.Option(
            "--rest-gate/--no-rest-gate", help="Silence at rest, for a model without rest class."
        ),
    ] = None,
) -> dict[str, Any]:
    """Return those settings of the decision policy that were given."""
    return given(
        vote=vote,
        reject=reject,
        thresholds=choose_thresholds(threshold),
        hysteresis=hysteresis,
        hold_ms=hold,
        rest_gate=rest_gate,
    )


def given(**options: Any) -> dict[str, Any]:
    """Return those options that have a value."""
    return {name: value for name, value in options.items() if value is not None}
