"""The tables that commands print."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semgfin_rt.train.estimate import Estimate
    from semgfin_rt.train.report.summary import Results

_WIDE = 200  # columns, where nobody looks at a terminal


def print_figures(figures: dict[str, Any]) -> None:
    """Print what `evaluate` found: by subject, by horizon, by feature."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    controls = figures["controls"]

    def percent(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.1f} %"

    people = Table(title="Accuracy by subject, windows inside one label")
    for name in ("subject", "checkpoint", "LDA on rich8, this person's own repetitions"):
        people.add_column(name, justify="right")
    for subject, value in figures["accuracy_steady_by_subject"].items():
        people.add_row(subject, percent(value), percent(controls["lda_by_subject"][subject]))
    people.add_row("all", percent(figures["accuracy_steady"]), percent(controls["lda"]))
    console.print(people)

    ahead = Table(title="Accuracy by horizon, all windows")
    for name in ("horizon", "checkpoint", "persistence (its own present decision)"):
        ahead.add_column(name, justify="right")
    for ms, value in figures["accuracy_by_horizon"].items():
        ahead.add_row(f"{ms} ms", percent(value), percent(controls["persistence_by_horizon"][ms]))
    console.print(ahead)

    def short(value: float) -> str:
        return f"{value:.2f}".replace("0.", ".", 1)  # so that the table fits 80 columns

    imitation = Table(title="R² of the features: FIN (today's feature as the forecast)")
    imitation.add_column("feature", justify="right")
    horizons = list(figures["r2_by_horizon"])
    for ms in horizons:
        imitation.add_column(f"{ms} ms", justify="right")
    for name in figures["r2"]:
        cells = [
            "-" if fin is None or today is None else f"{short(fin)} ({short(today)})"
            for fin, today in (
                (figures["r2_by_horizon"][ms][name], figures["r2_persistence_by_horizon"][ms][name])
                for ms in horizons
            )
        ]
        imitation.add_row(name, *cells)
    console.print(imitation)

    print(
        f"{figures['windows']} windows of repetitions "
        f"{', '.join(map(str, figures['test_repetitions']))}: accuracy "
        f"{percent(figures['accuracy'])}, balanced {percent(figures['balanced_accuracy'])}, "
        f"majority class {percent(controls['majority'])}"
    )
    if figures["seen_in_training"]:
        print("These repetitions were trained on: this is not a test.")
    if figures["dataset"] == "synthetic":
        print("Synthetic subjects: this says nothing about people.")


def print_estimate(estimate: Estimate, out: Path) -> None:
    """Print what a run would do and take."""
    print(f"Dry run: nothing is trained or written; {out} would be the result.")
    for note in estimate.notes:
        print(note)
    rows = [(part.name, part.size, duration(part.seconds)) for part in estimate.parts]
    _print_table("What would be done", ("part", "size", "time on one worker"), rows)
    print(
        f"In all about {duration(estimate.seconds)} and {estimate.n_bytes / 1e9:.1f} GB of memory: "
        "an estimate, from a few steps timed on this machine as it is now; stages that may end "
        "early are counted in full."
    )


def duration(seconds: float) -> str:
    """Say a time in the unit that suits it."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def print_protocol(out: Path, found: Results) -> None:
    """Print the first tables of a report, and where the report is."""
    from semgfin_rt.train.report import tables

    chosen = {"imitation": tables.imitation, "horizon": tables.horizons}
    for table in chosen.get(found.run.protocol, tables.headline)(found):
        if not table.folded:
            _print_table(table.caption, table.header, table.rows)
    if found.run.dataset == "synthetic":
        print("Synthetic subjects: this says nothing about people.")
    if found.run.config.get("quick"):
        print("A smoke run: these figures mean nothing.")
    print(f"wrote {out / 'report.html'}")


def _print_table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=caption)
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)
