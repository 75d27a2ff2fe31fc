"""`semgfin-rt bench`: what a decision costs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from semgfin_rt.cli.common import require_finite, require_writable, write_json

_SHORTEST_S, _LONGEST_S = 10.0, 60.0  # of signal that a checkpoint is tried with


def bench(
    channels: Annotated[int, typer.Option(min=1, max=1024, help="Of the signal.")] = 12,
    rate: Annotated[float, typer.Option(min=50, max=100_000, help="In Hz.")] = 2000.0,
    window: Annotated[int, typer.Option(min=10, max=5000, help="In ms.")] = 300,
    classes: Annotated[int, typer.Option(min=2, max=1000, help="Movements and rest.")] = 18,
    seconds: Annotated[
        float, typer.Option(min=0.01, max=3600, help="For each case.", metavar="S")
    ] = 5.0,
    curves: Annotated[
        bool, typer.Option(help="Also against channels, classes, horizons and window.")
    ] = True,
    model: Annotated[
        str,
        typer.Option(
            help="Checkpoint to try through LSL in real time, and at full speed.",
            metavar="MODEL",
        ),
    ] = "demo",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here.", metavar="FILE")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the curves here (.png or .svg).", metavar="FILE")
    ] = None,
) -> None:
    """Time a decision of every backend and preset, and a checkpoint on a stream."""
    require_finite(rate=rate, seconds=seconds)
    for file in (json_file, plot):
        require_writable(file)
    from semgfin_rt.app import bench as app
    from semgfin_rt.app.bench_plot import draw, require_picture
    from semgfin_rt.app.timing import at_full_speed, in_real_time, network_alone
    from semgfin_rt.cli.progress import progress_bars
    from semgfin_rt.folders import find_model

    require_picture(plot)
    signal = app.Signal(channels, classes, rate=rate, window_ms=window)
    signal.require_whole()
    folder = find_model(model)
    of_signal = min(max(2 * seconds, _SHORTEST_S), _LONGEST_S)
    with progress_bars() as report:
        tried = {
            "full_speed": at_full_speed(folder, of_signal, "auto", report),
            "network_ms": network_alone(folder, "auto"),
            "stream": in_real_time(folder, of_signal, "auto", report),
        }
        found = app.bench(signal, seconds, report, app.CURVES if curves or plot else ()) | tried
    _print(found, app.NAIVE)
    if json_file is not None:
        write_json(json_file, found)
    if plot is not None:
        draw(found["curves"], plot)


def _print(found: dict[str, Any], naive: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="One decision, in ms")
    table.add_column("network, backend")
    for name in ("median", "p95", "p99", "p99.9", "decisions", "times as fast"):
        table.add_column(name, justify="right")
    slowest = found["cases"][naive]["p50"]
    for name, timing in found["cases"].items():
        cells = [f"{timing[key]:.2f}" for key in ("p50", "p95", "p99", "p999")]
        table.add_row(name, *cells, str(timing["n"]), f"{slowest / timing['p50']:.1f}")
    Console().print(table)
    for name, curve in found["curves"].items():
        values = ", ".join(f"{value}: {ms:.2f}" for value, ms in curve.items())
        print(f"realtime on onnx against {name}, ms: {values}")
    for name, reason in found["refused"].items():
        print(f"{name}: not timed, {reason}")
    _print_checkpoint(found["stream"], found["network_ms"], found["full_speed"])
    for ours in (found["realtime"], found.get("realtime_cuda")):
        if ours is not None:
            print(
                f"{ours['backend']} decides with all horizons in {ours['ours_ms']:.2f} ms, "
                f"{ours['ratio']:.0f} times as fast as the published loop with one "
                f"({found['machine']})."
            )


def _print_checkpoint(
    stream: dict[str, Any], network_ms: dict[str, float], full_speed: dict[str, Any]
) -> None:
    from semgfin_rt.app.summary import pace_line

    end = stream["end_to_end_ms"]
    print(
        f"The checkpoint in real time on {stream['backend']}: {stream['decisions']} decisions of "
        f"{stream['expected_decisions']}, from push to publish p50 {end['p50']:.1f}, p95 "
        f"{end['p95']:.1f}, p99 {end['p99']:.1f} ms."
    )
    print(
        f"Its network alone: {network_ms['back_to_back']:.2f} ms back to back, "
        f"{network_ms['once_a_hop']:.2f} ms once a hop, with sleep in between."
    )
    print(pace_line(full_speed))
    for sentence in (*stream["notes"], *stream["reasons"]):
        print(sentence)
