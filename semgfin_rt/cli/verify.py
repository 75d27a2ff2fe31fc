"""`semgfin-rt verify`: a stream against offline evaluation, to the bit."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semgfin_rt.cli.common import (
    NOT_KEPT,
    choose_numbers,
    require_finite,
    require_writable,
    write_json,
)
from semgfin_rt.cli.run_options import Unit
from semgfin_rt.errors import OptionError

if TYPE_CHECKING:
    from semgfin_rt.app.verify import Comparison


def verify(
    checkpoint: Annotated[str, typer.Argument(help="Folder or name.", metavar="CHECKPOINT")],
    recording: Annotated[
        str,
        typer.Argument(
            help="A recorded session or other .xdf, a DB2 file, zip or folder, or a 3DC folder.",
            metavar="RECORDING",
        ),
    ],
    subject: Annotated[int | None, typer.Option(help="Which, where there are several.")] = None,
    repetitions: Annotated[
        str | None,
        typer.Option(help="Such as 2,5; of 3DC by default 4-7, else all.", metavar="N,N,…"),
    ] = None,
    unit: Unit = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.01, help="Of them; all by default.", metavar="S")
    ] = None,
    backend: Annotated[str, typer.Option(help="auto, onnx, torch or cuda.")] = "auto",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the result here.", metavar="FILE")
    ] = None,
) -> None:
    """Compare, to the bit, decisions with offline evaluation, or with what was published live."""
    require_finite(seconds=seconds)
    require_writable(json_file)
    from semgfin_rt.app.scenario import Scenario
    from semgfin_rt.app.verify import verify as compare
    from semgfin_rt.app.verify_session import is_session
    from semgfin_rt.cli.progress import progress_bars
    from semgfin_rt.folders import find_model
    from semgfin_rt.nn.backend import require_backend

    require_backend(backend)
    model = find_model(checkpoint)
    if is_session(Path(recording)):
        _require_whole(recording, subject=subject, repetitions=repetitions, unit=unit)
        _verify_session(model, Path(recording), backend, seconds, json_file)
        return
    played = Scenario(
        recording=os.path.join(".", recording),
        subject=subject,
        repetitions=choose_numbers(repetitions),
        unit=unit,
        model=str(model.absolute()),
    ).replay(Path())
    for note in played.recording.notes:
        print(f"{played.recording.path}: {note}")
    with progress_bars() as report:
        found = compare(model, played.recording, backend, seconds, report)
    _print(found, "offline evaluation")
    print(
        f"Batches on torch, as `semgfin-train evaluate` computes them: probabilities within "
        f"{found.rounding:.1e}, {found.other_labels} labels different."
    )
    if found.untrusted:
        print(
            f"{found.untrusted} windows were of bad quality, {found.not_finite} of them with NaN "
            "or infinity: there the stream must be rejected."
        )
    _end(found, json_file)


def _require_whole(session: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise OptionError(
                f"--{name} {value} was given for the session '{session}', which is decided again "
                "as it was recorded: leave it out."
            )


def _verify_session(
    model: Path, session: Path, backend: str, seconds: float | None, json_file: Path | None
) -> None:
    from semgfin_rt.app.verify_session import verify_session
    from semgfin_rt.cli.progress import progress_bars

    with progress_bars() as report:
        found = verify_session(model, session, backend, seconds, report)
    _print(found, "what was published live")
    _end(found, json_file)


def _print(found: Comparison, what: str) -> None:
    print(
        f"{found.compared} decisions compared on {found.backend}, "
        f"{found.different} different from {what}."
    )
    if found.first is not None:
        print(f"The first: {', '.join(f'{k} {v}' for k, v in found.first.items())}.")
    for note in found.notes:
        print(note)


def _end(found: Comparison, json_file: Path | None) -> None:
    if json_file is not None:
        write_json(json_file, asdict(found) | {"same": found.same})
    if not found.same:
        raise typer.Exit(NOT_KEPT)
