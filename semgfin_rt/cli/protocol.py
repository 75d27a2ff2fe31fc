"""`semgfin-train protocol`: an experiment with its controls, and its report."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from semgfin_rt.cli.common import choose_numbers
from semgfin_rt.cli.config import Config, checked, write_config
from semgfin_rt.cli.figures import print_estimate, print_protocol
from semgfin_rt.cli.options import (
    Data,
    DryRun,
    Out,
    Repetitions,
    Resume,
    Seed,
    Subjects,
    model_options,
    takes,
)
from semgfin_rt.cli.progress import progress_bars, resumable
from semgfin_rt.errors import OptionError


@takes(model_options)
def protocol(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(help="imitation, within, fewshot, loso, horizon or paper.", metavar="NAME"),
    ],
    data: Data,
    out: Out,
    *,
    subjects: Subjects = None,
    repetitions: Repetitions = None,
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 1,
    seed: Seed = 0,
    levels: Annotated[
        str, typer.Option(help="Shares of the data in %, for fewshot and paper; or none.")
    ] = "0.5,20,40,60,80,99.5",
    unlabelled: Annotated[
        float, typer.Option(help="Seconds of unlabelled signal of a new person.")
    ] = 10.0,
    workers: Annotated[
        int | None, typer.Option(help="Tasks at a time; by default one a processor core.")
    ] = None,
    executor: Annotated[str, typer.Option(help="local, or ray for a cluster.")] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="Of the cluster, host:port or auto.", metavar="ADDRESS")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoints and filtered signals that protocols on the same data share.",
            metavar="FOLDER",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A smoke run: few steps, few windows.")
    ] = False,
    dry_run: DryRun = False,
    resume: Resume = True,
    config: Config = None,
    model_options: dict[str, Any],
) -> None:
    """Run an experiment with its controls and write its report. Killed, it goes on."""
    from semgfin_rt.train.options import FitOptions
    from semgfin_rt.train.protocols.options import ProtocolOptions
    from semgfin_rt.train.protocols.plan import PROTOCOLS

    if name not in PROTOCOLS:
        raise OptionError(f"'{name}' is no protocol: choose among {', '.join(PROTOCOLS)}.")
    values = {
        "fit": checked(
            context, FitOptions, model_options | {"repetitions": choose_numbers(repetitions)}
        ),
        "subjects": choose_numbers(subjects),
        "seeds": seeds,
        "seed0": seed,
        "levels": _levels(levels),
        "unlabelled_s": unlabelled,
        "quick": quick,
        "executor": executor,
        "workers": workers if workers is not None else os.cpu_count() or 1,
        "ray_address": ray_address,
        "resume": resume,
        "cache": cache,
    }
    options = checked(context, ProtocolOptions, values)
    if dry_run:
        from semgfin_rt.train.estimate_protocol import estimate_protocol

        with progress_bars() as report:
            estimate = estimate_protocol(name, data, options, report)
        return print_estimate(estimate, out)
    from semgfin_rt.train.protocols.run import run_protocol

    about = {"protocol": name, "data": str(data), "out": str(out)}
    begin = partial(write_config, out / "run.toml", context, about)
    with resumable() as report:
        results = run_protocol(name, data, out, options, report, begin)
    print_protocol(out, results)


def _levels(text: str) -> tuple[float, ...]:
    if text == "none":
        return ()
    try:
        levels = tuple(float(part) for part in text.split(","))
    except ValueError:
        levels = (0.0,)
    if not all(0 < level <= 100 for level in levels):
        raise OptionError(
            f"--levels '{text}' are no shares in %: write 0.5,20 (each above 0, at most 100), or "
            "none."
        )
    return levels
