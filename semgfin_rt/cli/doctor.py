"""`semgfin-rt doctor`: why a stream is not found, and whether this machine keeps up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from semgfin_rt.cli.common import NOT_KEPT, require_finite, require_writable, write_json


def doctor(
    timing: Annotated[
        bool, typer.Option("--timing", help="Also try a stream of noise in real time.")
    ] = False,
    model: Annotated[
        str, typer.Option(help="Checkpoint for --timing: folder or name.", metavar="MODEL")
    ] = "demo",
    minutes: Annotated[
        float, typer.Option(min=0.01, max=600, help="Of signal, for --timing.", metavar="M")
    ] = 1.0,
    backend: Annotated[str, typer.Option(help="auto, onnx, torch or cuda.")] = "auto",
    lan: Annotated[bool, typer.Option("--lan", help="Look at the network, too.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the findings here.", metavar="FILE")
    ] = None,
) -> None:
    """Say why a stream is not found; with --timing, whether this machine keeps up."""
    require_finite(minutes=minutes)
    require_writable(json_file)
    from semgfin_rt import lsl

    lsl.configure(lan)
    findings = _examine()
    found: dict[str, Any] = {"findings": [vars(f) for f in findings]}
    if timing:
        found |= _time(model, minutes, backend)
    if json_file is not None:
        write_json(json_file, found)
    if found.get("reasons") or any(f.level == "bad" for f in findings):
        raise typer.Exit(NOT_KEPT)


def _examine() -> list[Any]:
    from semgfin_rt.app.doctor import Finding, examine
    from semgfin_rt.errors import SystemLibraryError
    from semgfin_rt.qt.require import has_display, require_qt

    findings = examine()
    if not has_display():
        screen = Finding("screen", "warn", "there is no display: commands run without a window.")
    else:
        try:
            require_qt()
            screen = Finding("screen", "ok", "Qt opens a window.")
        except SystemLibraryError as error:
            screen = Finding("screen", "bad", str(error))
    findings.append(screen)
    for finding in findings:
        print(f"{finding.level:4}  {finding.what}: {finding.text}")
    return findings


def _time(model: str, minutes: float, backend: str) -> dict[str, Any]:
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
    for sentence in (*found["notes"], *found["reasons"]):
        print(sentence)
    print(
        "This machine does not keep up as it is: close other programs, or choose a checkpoint "
        "of fewer channels or derived signals, or a shorter window."
        if found["reasons"]
        else "This machine keeps up with this checkpoint."
    )
    return found
