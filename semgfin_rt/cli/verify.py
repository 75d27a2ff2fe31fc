"""`semgfin-rt verify`: a stream against offline evaluation, to the bit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from semgfin_rt.cli.common import require_writable, write_json


def verify(
    checkpoint: Annotated[str, typer.Argument(help="Folder or name.", metavar="CHECKPOINT")],
    recording: Annotated[
        str,
        typer.Argument(help="A DB2 file, zip or folder, or a 3DC folder.", metavar="RECORDING"),
    ],
    subject: Annotated[int | None, typer.Option(help="Which, where there are several.")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.01, help="Of the recording; all by default.", metavar="S")
    ] = None,
    backend: Annotated[str, typer.Option(help="auto, onnx, torch or cuda.")] = "auto",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the result here.", metavar="FILE")
    ] = None,
) -> None:
    """Compare every decision on a recording with offline evaluation, to the bit."""
    require_writable(json_file)
    from semgfin_rt.app.scenario import Scenario
    from semgfin_rt.cli.progress import progress_bars
    from semgfin_rt.folders import find_model

    model = find_model(checkpoint)
    scenario = Scenario(recording=os.path.join(".", recording), subject=subject)
    from semgfin_rt.app.verify import verify as compare

    source = scenario.replay(Path())
    with progress_bars() as report:
        found = compare(model, source.recording, backend, seconds, report)
    _print(found)
    if json_file is not None:
        write_json(json_file, found)
    if found["different"] or found["other_labels"]:
        raise typer.Exit(1)


def _print(found: dict[str, Any]) -> None:
    print(
        f"{found['compared']} decisions compared on {found['backend']}, "
        f"{found['different']} different from offline evaluation."
    )
    if found["first"] is not None:
        print(f"The first: {', '.join(f'{k} {v}' for k, v in found['first'].items())}.")
    print(
        f"Batches on torch, as `semgfin-train evaluate` computes them: probabilities within "
        f"{found['rounding']:.1e}, {found['other_labels']} labels different."
    )
    if found["not_finite"]:
        print(f"{found['not_finite']} windows held NaN or infinity: rejected in both.")
