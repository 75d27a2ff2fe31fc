"""`semgfin-train`: recordings -> checkpoints -> figures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from semgfin_rt.cli.common import choose_numbers, new_app, require_writable, run, write_json
from semgfin_rt.errors import OptionError, RecordingError
from semgfin_rt.folders import find_model

if TYPE_CHECKING:
    from semgfin_rt.contracts import Recording
    from semgfin_rt.train.loop import Progress

app = new_app("Train Feature-Imitating Networks on sEMG recordings, adapt and evaluate them.")

Data = Annotated[
    Path,
    typer.Argument(help="A folder of DB2 files, a zip, a .mat, or a 3DC folder.", metavar="DATA"),
]
Subjects = Annotated[
    str | None, typer.Option(help="Subjects, such as 2,3,5-9; all by default.", metavar="N,N,…")
]
Repetitions = Annotated[
    str | None,
    typer.Option(
        help="Repetitions, such as 0,1 or 1-4; by default what the dataset's protocol says.",
        metavar="N,N,…",
    ),
]
Out = Annotated[Path, typer.Option(help="Folder of the result.", metavar="FOLDER")]
Checkpoint = Annotated[
    str, typer.Argument(help="Folder or name of a checkpoint.", metavar="CHECKPOINT")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random number.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Quick = Annotated[bool, typer.Option("--quick", help="A smoke run: 2 % of the steps.")]


@app.command()
def synth(
    out: Out,
    subjects: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 3,
    seed: Seed = 1,
    movements: Annotated[int, typer.Option(min=1, max=17, help="Of DB2 exercise B.")] = 17,
    repetitions: Annotated[int, typer.Option(min=2, max=20)] = 6,
) -> None:
    """Write synthetic subjects in the schema of DB2: S1_E1_A1.mat and so on."""
    from semgfin_rt.recordings.synthetic import write_subject

    if out.exists() and not out.is_dir():
        raise OptionError(f"{out} is a file: give a folder with --out.")
    with _progress() as report:
        for subject in range(1, subjects + 1):
            path = write_subject(out, subject, seed, movements=movements, repetitions=repetitions)
            report("synthesise", subject, subjects, 0.0)
            print(f"wrote {path}")


@app.command()
def fit(
    data: Data,
    out: Out,
    preset: Annotated[str, typer.Option(help="realtime or paper.")] = "realtime",
    subjects: Subjects = None,
    repetitions: Repetitions = None,
    horizons: Annotated[
        str, typer.Option(help="How far ahead to forecast, in ms; multiples of the hop.")
    ] = "0,50,100,200,300",
    window: Annotated[float, typer.Option(help="Window in ms.")] = 300.0,
    hop: Annotated[float, typer.Option(help="Hop in ms.")] = 10.0,
    rest: Annotated[bool | None, typer.Option("--rest/--no-rest", help="Rest as a class.")] = None,
    features: Annotated[
        str | None, typer.Option(help="What the FIN imitates, such as rms,var,ssi,ent.")
    ] = None,
    classifier: Annotated[str | None, typer.Option(help="cnn or mlp.")] = None,
    per_channel: Annotated[
        bool | None, typer.Option("--per-channel/--shared", help="Weights for each channel.")
    ] = None,
    band: Annotated[
        str | None, typer.Option(help="Band-pass in Hz, such as 20-450, or none.")
    ] = None,
    notch: Annotated[float | None, typer.Option(help="Mains frequency in Hz, 50 or 60.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    quick: Quick = False,
) -> None:
    """Train a checkpoint. Interrupted, the same command goes on where it was."""
    from pydantic import ValidationError

    from semgfin_rt.model_contract import first_problem
    from semgfin_rt.train.fit import fit as train
    from semgfin_rt.train.options import FitOptions

    try:
        options = FitOptions(
            preset=preset,
            repetitions=choose_numbers(repetitions),
            horizons_ms=choose_numbers(horizons) or (),
            window_ms=window,
            hop_ms=hop,
            rest=rest,
            features=tuple(features.split(",")) if features else None,
            classifier=classifier,
            per_channel=per_channel,
            band=_band(band),
            notch=notch,
            seed=seed,
            device=device,
            shorten=0.02 if quick else 1.0,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise OptionError(
            f"--{'-'.join(map(str, first['loc']))} {first['input']!r}: {first_problem(error)}."
        ) from error
    recordings = _load(data, subjects)
    with _resumable() as report:
        contract = train(recordings, out, options, report)
    _print_trained(out, contract.history[-1].chosen)


@app.command()
def finetune(
    checkpoint: Checkpoint,
    data: Data,
    out: Out,
    subjects: Subjects = None,
    repetitions: Repetitions = None,
    seed: Seed = 0,
    device: Device = "auto",
    quick: Quick = False,
) -> None:
    """Adapt a checkpoint to other people or another day; the checkpoint itself stays."""
    from semgfin_rt.nn.checkpoint_folder import load_contract
    from semgfin_rt.train.fit import finetune as adapt
    from semgfin_rt.train.options import FinetuneOptions

    options = FinetuneOptions(
        repetitions=choose_numbers(repetitions),
        seed=seed,
        device=device,
        shorten=0.02 if quick else 1.0,
    )
    base = find_model(checkpoint)
    load_contract(base)  # before the recordings, which may take long to read
    recordings = _load(data, subjects)
    with _resumable() as report:
        contract = adapt(base, recordings, out, options, report)
    _print_trained(out, contract.history[-1].chosen)


@app.command()
def evaluate(
    checkpoint: Checkpoint,
    data: Data,
    subjects: Subjects = None,
    repetitions: Repetitions = None,
    device: Device = "auto",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here.", metavar="FILE")
    ] = None,
) -> None:
    """Score a checkpoint on test repetitions, its controls beside it."""
    from semgfin_rt.nn.backends import make_backend
    from semgfin_rt.nn.checkpoint import load_checkpoint
    from semgfin_rt.nn.checkpoint_folder import sha256
    from semgfin_rt.train.evaluate import evaluate as score

    require_writable(json_file)
    folder = find_model(checkpoint)
    network, contract = load_checkpoint(folder)
    backend = make_backend(network, contract, device)
    recordings = _load(data, subjects)
    with _progress() as report:
        figures = score(contract, backend, recordings, choose_numbers(repetitions), report)
    figures |= {"checkpoint": str(folder), "sha256": sha256(folder)}
    _print_figures(figures)
    if json_file is not None:
        write_json(json_file, figures)


@app.command()
def inspect(
    checkpoint: Checkpoint,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the contract here.", metavar="FILE")
    ] = None,
) -> None:
    """Check a checkpoint and print its card, its size and its SHA-256."""
    from semgfin_rt.nn.checkpoint import count_parameters, load_checkpoint
    from semgfin_rt.nn.checkpoint_folder import sha256
    from semgfin_rt.train.card import model_card

    require_writable(json_file)
    folder = find_model(checkpoint)
    network, contract = load_checkpoint(folder)
    if json_file is not None:
        write_json(json_file, contract.model_dump(mode="json"))
    print(model_card(contract))
    for part, count in count_parameters(network).items():
        print(f"{part}: {count} parameters")
    print(f"SHA-256 {sha256(folder)}")


def main() -> None:
    """Entry point of `semgfin-train`."""
    run(app, "semgfin-train")


def _band(text: str | None) -> tuple[float, float] | Literal["none"] | None:
    if text is None:
        return None
    if text == "none":
        return "none"
    try:
        low, high = map(float, text.split("-"))
    except ValueError as error:
        raise OptionError(f"--band '{text}' is no band: write 20-450, or none.") from error
    return low, high


def _load(data: Path, subjects: str | None) -> list[Recording]:
    from semgfin_rt.recordings import load

    recordings = load(data, choose_numbers(subjects))
    for recording in recordings:
        for note in recording.notes:
            print(f"{recording.path}: {note}")
    if not recordings:
        raise RecordingError(f"{data} holds no recording: give a folder that does.")
    return recordings


@contextmanager
def _resumable() -> Iterator[Progress]:
    """Bars, and on Ctrl-C a word on how to go on."""
    try:
        with _progress() as report:
            yield report
    except KeyboardInterrupt:
        print("Interrupted: the same command goes on where it was.", file=sys.stderr)
        raise


@contextmanager
def _progress() -> Iterator[Progress]:
    """Bars with rate and time left, one a stage."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    tasks: dict[str, Any] = {}
    with Progress(*columns) as bars:

        def report(stage: str, step: int, steps: int, loss: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=steps, loss="", rate="")
            task = bars.tasks[tasks[stage]]
            rate = f"{task.speed:.1f}/s" if task.speed else ""
            text = f"loss {loss:.2f}" if loss else ""
            bars.update(tasks[stage], completed=step, loss=text, rate=rate)

        yield report


def _print_trained(out: Path, chosen: dict[str, float]) -> None:
    print(f"wrote {out}")
    for name, value in chosen.items():
        print(f"  {name}: {value:g}")
    print("Held-out training repetition, not test data: run `semgfin-train evaluate` for that.")


def _print_figures(figures: dict[str, Any]) -> None:
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
