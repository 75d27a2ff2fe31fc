"""`semgfin-rt doctor`: whether this machine keeps up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from semgfin_rt.cli.common import NOT_KEPT, require_finite, require_writable, write_json


def doctor(
    model: Annotated[
        str, typer.Option(help="Checkpoint: folder or name.", metavar="MODEL")
    ] = "demo",
    minutes: Annotated[
        float, typer.Option(min=0.01, max=600, help="Of signal, in real time.", metavar="M")
    ] = 1.0,
    backend: Annotated[str, typer.Option(help="auto, onnx, torch or cuda.")] = "auto",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here.", metavar="FILE")
    ] = None,
) -> None:
    """Judge whether this machine keeps up with a checkpoint: a stream of noise, in real time."""
    require_finite(minutes=minutes)
    require_writable(json_file)
    from semgfin_rt.app.readout import percentiles
    from semgfin_rt.app.timing import in_real_time
    from semgfin_rt.cli.progress import progress_bars
    from semgfin_rt.engine.snapshot import Percentiles
    from semgfin_rt.folders import find_model

    with progress_bars() as report:
        found = in_real_time(find_model(model), 60 * minutes, backend, report)
    print(
        f"{found['decisions']} decisions of {found['expected_decisions']} expected on "
        f"{found['backend']}, {found['lost_samples']} samples lost, {found['late']} late."
    )
    for name, stage in (*found["latency_ms"].items(), ("end to end", found["end_to_end_ms"])):
        if stage is not None:
            print(f"{name}: p50 / p95 / p99 {percentiles(Percentiles(**stage))} ms")
    if json_file is not None:
        write_json(json_file, found)
    for sentence in (*found["notes"], *found["reasons"]):
        print(sentence)
    if found["reasons"]:
        print(
            "This machine does not keep up as it is: close other programs, or choose a checkpoint "
            "of fewer channels or derived signals, or a shorter window."
        )
        raise typer.Exit(NOT_KEPT)
    print("This machine keeps up with this checkpoint.")
