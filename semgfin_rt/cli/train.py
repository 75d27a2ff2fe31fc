"""`semgfin-train`: recordings -> checkpoints -> figures."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from semgfin_rt.cli.common import choose_numbers, new_app, require_writable, run, write_json
from semgfin_rt.cli.export import export
from semgfin_rt.cli.figures import print_figures
from semgfin_rt.cli.options import Checkpoint, Data, Device, Json, Out, Repetitions, Seed, Subjects
from semgfin_rt.cli.progress import load_recordings, progress_bars
from semgfin_rt.cli.protocol import protocol
from semgfin_rt.cli.training import adapt, finetune, fit
from semgfin_rt.errors import OptionError
from semgfin_rt.folders import find_model

app = new_app("Train Feature-Imitating Networks on sEMG recordings, adapt and evaluate them.")


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
    with progress_bars() as report:
        for subject in range(1, subjects + 1):
            path = write_subject(out, subject, seed, movements=movements, repetitions=repetitions)
            report("synthesise", subject, subjects, 0.0)
            print(f"wrote {path}")


app.command()(fit)
app.command()(finetune)
app.command()(adapt)


@app.command()
def evaluate(
    checkpoint: Checkpoint,
    data: Data,
    subjects: Subjects = None,
    repetitions: Repetitions = None,
    device: Device = "auto",
    json_file: Json = None,
) -> None:
    """Score a checkpoint on test repetitions, its controls beside it."""
    from semgfin_rt.nn.checkpoint import load_checkpoint
    from semgfin_rt.nn.checkpoint_folder import sha256
    from semgfin_rt.nn.reference import TorchBackend, choose_device
    from semgfin_rt.train.evaluate import evaluate as score

    require_writable(json_file)
    folder = find_model(checkpoint)
    network, contract = load_checkpoint(folder)
    backend = TorchBackend(network, contract, choose_device(device))
    recordings = load_recordings(data, subjects)
    with progress_bars() as report:
        figures = score(contract, backend, recordings, choose_numbers(repetitions), report)
    figures |= {"checkpoint": str(folder), "sha256": sha256(folder)}
    print_figures(figures)
    if json_file is not None:
        write_json(json_file, figures)


app.command()(protocol)


@app.command()
def inspect(checkpoint: Checkpoint, json_file: Json = None) -> None:
    """Check a checkpoint and print its card, its size and its SHA-256."""
    from semgfin_rt.nn.checkpoint_folder import check_folder, sha256

    require_writable(json_file)
    folder = find_model(checkpoint)
    check_folder(folder)  # before torch is loaded: what is none is refused within a second
    from semgfin_rt.nn.checkpoint import count_parameters, load_checkpoint
    from semgfin_rt.train.card import model_card

    network, contract = load_checkpoint(folder)
    if json_file is not None:
        write_json(json_file, contract.model_dump(mode="json"))
    print(model_card(contract))
    for part, count in count_parameters(network).items():
        print(f"{part}: {count} parameters")
    print(f"SHA-256 {sha256(folder)}")


app.command()(export)


def main() -> None:
    """Entry point of `semgfin-train`."""
    # Threads of torch that wait sleep instead of spinning: beside one other busy program on two
    # cores a smoke run takes 44 s, and 98 s otherwise; alone it is a tenth slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    run(app, "semgfin-train")
