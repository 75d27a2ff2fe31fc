"""`semgfin-rt faults`: do it harm, and see whether it keeps its promises."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semgfin_rt.cli.common import NOT_KEPT, choose_numbers, require_writable, write_json
from semgfin_rt.errors import OptionError

if TYPE_CHECKING:
    from semgfin_rt.app.faults.rows import Measured


def faults(
    row: Annotated[
        str | None, typer.Option(help="Which rows, such as 3 or 1,5-9; by default all.")
    ] = None,
    long: Annotated[
        bool, typer.Option("--long", help="As often and as long as the promises say: hours.")
    ] = False,
    model: Annotated[
        str, typer.Option(help="Checkpoint that decides meanwhile.", metavar="MODEL")
    ] = "demo",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the findings here.", metavar="FILE")
    ] = None,
) -> None:
    """Try every fault of the table of faults on this machine, and say which promise it kept."""
    numbers = choose_numbers(row)
    require_writable(json_file)
    from semgfin_rt import lsl
    from semgfin_rt.folders import find_model

    folder = find_model(model)
    lsl.configure(False)
    from semgfin_rt.app.faults.finding import Scale
    from semgfin_rt.app.faults.rows import ROWS, measure
    from semgfin_rt.cli.progress import progress_bars

    chosen = [r for r in ROWS if numbers is None or r.number in numbers]
    if not chosen or (numbers is not None and len(chosen) < len(numbers)):
        raise OptionError(f"--row {row} is not in the table: choose among 1 to {len(ROWS)}.")
    found: list[Measured] = []
    with progress_bars() as report:
        for number, each in enumerate(chosen):
            report("faults", number, len(chosen), 0.0)
            how = each.long if long else each.short
            print(
                f"{each.number:2}  {each.fault} ({how})\n    promised: {each.promise}", flush=True
            )
            found.append(measure(each, Scale(long, folder.absolute())))
            print(
                f"    measured: {found[-1].finding.measured}\n    {_verdict(found[-1])};", end=" "
            )
            late = found[-1].late
            print(f"the scheduler was late by {late.worst_ms:.0f} ms at worst, ", end="")
            print(f"and this command waited {late.waited_s:.1f} s for a core", flush=True)
        report("faults", len(chosen), len(chosen), 0.0)
    ok = all(m.finding.ok for m in found)
    _print_table(found)
    if json_file is not None:
        write_json(json_file, {"rows": [m.record() for m in found], "ok": ok, "long": long})
    if not ok:
        raise typer.Exit(NOT_KEPT)


def _verdict(measured: Measured) -> str:
    finding = measured.finding
    word = "kept" if finding.ok else "NOT KEPT" if finding.skipped is None else "SKIPPED"
    return f"{word}, {measured.seconds:.0f} s"


def _print_table(found: list[Measured]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("row", "fault", "verdict")
    for measured in found:
        table.add_row(str(measured.row.number), measured.row.fault, _verdict(measured))
    console = Console()
    console.print(table)
    kept = sum(m.finding.ok for m in found)
    seconds = sum(m.seconds for m in found)
    console.print(f"{kept} of {len(found)} promises kept, in {seconds:.0f} s.")
