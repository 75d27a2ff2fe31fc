"""`semgfin-train fit`, `finetune` and `adapt`: recordings -> a checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semgfin_rt.cli.common import choose_numbers
from semgfin_rt.cli.config import Config, checked, write_config
from semgfin_rt.cli.figures import print_estimate
from semgfin_rt.cli.options import (
    QUICK,
    Checkpoint,
    Data,
    Device,
    DryRun,
    Out,
    Quick,
    Repetitions,
    Resume,
    Seed,
    Subjects,
    model_options,
    takes,
)
from semgfin_rt.cli.progress import load_recordings, progress_bars, resumable
from semgfin_rt.errors import OptionError
from semgfin_rt.folders import find_model

if TYPE_CHECKING:
    from semgfin_rt.contracts import Recording
    from semgfin_rt.model_contract import ModelContract


@takes(model_options)
def fit(
    context: typer.Context,
    data: Data,
    out: Out,
    *,
    subjects: Subjects = None,
    repetitions: Repetitions = None,
    seed: Seed = 0,
    devices: Annotated[
        int, typer.Option(help="GPUs (processes on a CPU) of each node, for FIN pre-training.")
    ] = 1,
    nodes: Annotated[int, typer.Option(help="Nodes of a SLURM job, for FIN pre-training.")] = 1,
    quick: Quick = False,
    dry_run: DryRun = False,
    resume: Resume = True,
    config: Config = None,
    model_options: dict[str, Any],
) -> None:
    """Train a checkpoint. Interrupted, the same command goes on where it was."""
    from semgfin_rt.train.options import FitOptions

    values = model_options | {
        "repetitions": choose_numbers(repetitions),
        "seed": seed,
        "devices": devices,
        "nodes": nodes,
        "shorten": QUICK if quick else 1.0,
    }
    options = checked(context, FitOptions, values)
    recordings = load_recordings(data, subjects)
    if dry_run:
        from semgfin_rt.train.estimate import estimate_fit

        with progress_bars() as report:
            estimate = estimate_fit(recordings, options, report)
        return print_estimate(estimate, out)
    from semgfin_rt.train.fit import fit as train
    from semgfin_rt.train.processes import one_voice

    if not resume:
        _start_afresh(out, alone=devices * nodes == 1)
    with one_voice(options), resumable() as report:
        contract = train(recordings, out, options, report)
    if contract.history:  # one of several processes writes and tells
        _print_chosen(contract)
        _written(context, out, {"data": str(data), "out": str(out)})


def finetune(
    context: typer.Context,
    checkpoint: Checkpoint,
    data: Data,
    out: Out,
    subjects: Subjects = None,
    repetitions: Repetitions = None,
    tune: Annotated[
        str | None,
        typer.Option(help="head: the classifiers alone; all: the FIN as well (default for a CNN)."),
    ] = None,
    replay: Annotated[
        bool,
        typer.Option(
            "--replay/--no-replay",
            help="Draw the closed-form head towards other people's statistics; not for a CNN.",
        ),
    ] = True,
    new_session: Annotated[
        bool,
        typer.Option("--new-session", help="Recorded after all that the checkpoint has learnt."),
    ] = False,
    keep_worse: Annotated[
        bool, typer.Option("--keep-worse", help="Write it even if it is worse than before.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    quick: Quick = False,
    dry_run: DryRun = False,
    resume: Resume = True,
    config: Config = None,
) -> None:
    """Adapt a checkpoint to a person with labelled repetitions; the checkpoint itself stays."""
    from semgfin_rt.nn.checkpoint_folder import load_contract
    from semgfin_rt.train.options import FinetuneOptions

    values = {
        "repetitions": choose_numbers(repetitions),
        "tune": tune,
        "replay": replay,
        "new_session": new_session,
        "keep_worse": keep_worse,
        "seed": seed,
        "device": device,
        "shorten": QUICK if quick else 1.0,
    }
    options = checked(context, FinetuneOptions, values)
    base = find_model(checkpoint)
    contract = load_contract(base)  # before the recordings, which may take long to read
    recordings = load_recordings(data, subjects)
    if dry_run:
        from semgfin_rt.train.estimate import estimate_finetune

        with progress_bars() as report:
            estimate = estimate_finetune(contract, recordings, options, report)
        return print_estimate(estimate, out)
    from semgfin_rt.train.finetune import finetune as train

    if not resume:
        _start_afresh(out)
    with resumable() as report:
        contract = train(base, recordings, out, options, report)
    _print_chosen(contract)
    _print_before_and_after(contract)
    about = {"checkpoint": str(base), "data": str(data), "out": str(out)}
    _written(context, out, about)


def adapt(
    context: typer.Context,
    checkpoint: Checkpoint,
    data: Data,
    out: Out,
    subjects: Subjects = None,
    seconds: Annotated[
        float, typer.Option(help="How much signal of the person is looked at, in s.")
    ] = 10.0,
    repetition: Annotated[
        int | None,
        typer.Option(min=0, help="Of which it is; by default the first that is not for testing."),
    ] = None,
    device: Device = "auto",
    config: Config = None,
) -> None:
    """Adapt a checkpoint to a person from some seconds of signal without labels (zero-shot)."""
    from semgfin_rt.nn.checkpoint_folder import load_contract
    from semgfin_rt.train.adapt import adapt as adapt_to
    from semgfin_rt.train.options import AdaptOptions

    options = checked(context, AdaptOptions, {"seconds": seconds, "device": device})
    base = find_model(checkpoint)
    contract = load_contract(base)
    recording = _one_person(data, subjects)
    excerpt = _excerpt(recording, contract, repetition, seconds)
    with progress_bars() as report:
        contract = adapt_to(base, excerpt, out, options, report)
    _print_ring(contract)
    about = {"checkpoint": str(base), "data": str(data), "out": str(out)}
    _written(context, out, about)


def _one_person(data: Path, subjects: str | None) -> Recording:
    first, *more = islice(load_recordings(data, subjects), 2)
    if more:
        raise OptionError(
            f"a checkpoint is adapted to one person and {data} holds more: choose one with "
            "--subjects."
        )
    return first


def _excerpt(
    recording: Recording, contract: ModelContract, repetition: int | None, seconds: float
) -> Recording:
    """Cut the signal as the protocols do, and say so."""
    from semgfin_rt.train.preparation import training_repetitions
    from semgfin_rt.train.protocols.shares import unlabelled_excerpt

    contract.require_fit(recording.spec, recording.path)
    if repetition is None:
        there = set(recording.repetitions[recording.labels > 0].tolist())
        repetition = min(there - recording.test_repetitions, default=0)
    training_repetitions([recording], (repetition,))  # refuses one that is for testing
    excerpt = unlabelled_excerpt(recording, repetition, seconds, contract.class_ids)
    print(
        f"{len(excerpt.samples) / recording.spec.rate:.1f} s of repetition {repetition} of "
        f"{recording.path}, in {len(excerpt.stretches)} pieces from the middle of every movement: "
        "labels served to cut these pieces and for nothing else."
    )
    return excerpt


def _start_afresh(out: Path, *, alone: bool = True) -> None:
    """Delete what an unfinished run has left."""
    unfinished = out.with_name(out.name + ".resume")
    if not unfinished.exists():
        return
    if not alone:
        raise OptionError(f"--no-resume needs one process: delete {unfinished} yourself.")
    shutil.rmtree(unfinished)


def _written(context: typer.Context, out: Path, about: Mapping[str, object]) -> None:
    write_config(out.with_name(out.name + ".run.toml"), context, about)
    print(f"wrote {out} and the options of this run, {out}.run.toml")


def _print_chosen(contract: ModelContract) -> None:
    for name, value in contract.history[-1].chosen.items():
        print(f"  {name}: {value:g}")
    print("Held-out training repetition, not test data: run `semgfin-train evaluate` for that.")


def _print_before_and_after(contract: ModelContract) -> None:
    before = contract.metrics.get("before_held_out_accuracy")
    after = contract.metrics.get(f"held_out_accuracy_{contract.horizons_ms[0]}ms")
    held = contract.history[-1].held_out
    if not held:
        print("One repetition: nothing was held out, so before and after cannot be compared.")
    elif before is None:
        print(
            f"The checkpoint has learnt a repetition {held[0]} of a subject of this number: before "
            "and after are not compared, and nothing is chosen on it. The numbers cannot tell "
            "another session: if this is one, say --new-session."
        )
    elif after is None:
        print(f"Repetition {held[0]}: {100 * before:.1f} % right before; trained on, too, after.")
    else:
        print(
            f"Held-out repetition {held[0]}, {contract.horizons_ms[0]} ms ahead: "
            f"{100 * before:.1f} % right before, {100 * after:.1f} % after."
        )


def _print_ring(contract: ModelContract) -> None:
    if not contract.ring:
        print("The channels are no ring: level and scale were adapted.")
        return
    print(
        f"The ring is turned by {contract.rotation} of {len(contract.ring)} electrodes and "
        f"{'' if contract.mirrored else 'not '}mirrored, against the people of the first training."
    )
