"""Arguments and options that several commands of `semgfin-train` take, each declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from semgfin_rt.cli.common import choose_numbers
from semgfin_rt.errors import OptionError

Data = Annotated[
    Path,
    typer.Argument(help="A folder of DB2 files, a zip, a .mat, or a 3DC folder.", metavar="DATA"),
]
Checkpoint = Annotated[
    str, typer.Argument(help="Folder or name of a checkpoint.", metavar="CHECKPOINT")
]
Out = Annotated[Path, typer.Option(help="Folder of the result.", metavar="FOLDER")]
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
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random number.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Quick = Annotated[bool, typer.Option("--quick", help="A smoke run: 2 % of the steps, few windows.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, how long and in how much memory.")
]
Resume = Annotated[
    bool,
    typer.Option("--resume/--no-resume", help="Go on with an unfinished run, or start afresh."),
]
Json = Annotated[
    Path | None, typer.Option("--json", help="Write the figures here.", metavar="FILE")
]

QUICK = 0.02
"""Share of the steps in a smoke run."""


def model_options(
    preset: Annotated[str, typer.Option(help="realtime or paper.")] = "realtime",
    window: Annotated[float, typer.Option(help="Window in ms.")] = 300.0,
    hop: Annotated[float, typer.Option(help="Hop in ms.")] = 10.0,
    horizons: Annotated[
        str, typer.Option(help="How far ahead to forecast, in ms; multiples of the hop.")
    ] = "0,50,100,200,300",
    rest: Annotated[bool | None, typer.Option("--rest/--no-rest", help="Rest as a class.")] = None,
    imitator: Annotated[
        str, typer.Option(help="fin, or closed_form: features computed, not imitated.")
    ] = "fin",
    pretrain: Annotated[
        bool,
        typer.Option("--pretrain/--no-pretrain", help="Without, the FIN learns from labels."),
    ] = True,
    features: Annotated[
        str | None, typer.Option(help="What the FIN imitates, such as rms,var,ssi,ent.")
    ] = None,
    derivations: Annotated[
        str | None,
        typer.Option(help="Of which signals: channel, and any of difference,average."),
    ] = None,
    classifier: Annotated[str | None, typer.Option(help="cnn or mlp.")] = None,
    per_channel: Annotated[
        bool | None, typer.Option("--per-channel/--shared", help="Weights for each channel.")
    ] = None,
    band: Annotated[
        str | None, typer.Option(help="Band-pass in Hz, such as 20-450, or none.")
    ] = None,
    notch: Annotated[float | None, typer.Option(help="Mains frequency in Hz, 50 or 60.")] = None,
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option(help="Of FIN pre-training: 32-true, or bf16-mixed on CUDA.")
    ] = "32-true",
) -> dict[str, Any]:
    """Say what a checkpoint is to be, as `FitOptions` names it."""
    return {
        "preset": preset,
        "window_ms": window,
        "hop_ms": hop,
        "horizons_ms": choose_numbers(horizons),
        "rest": rest,
        "imitator": imitator,
        "pretrain": pretrain,
        "features": _names(features),
        "derivations": _names(derivations),
        "classifier": classifier,
        "per_channel": per_channel,
        "band": _band(band),
        "notch": notch,
        "device": device,
        "precision": precision,
    }


def takes(declared: Callable[..., dict[str, Any]]) -> Callable[[Callable[..., None]], Any]:
    """Give a command the options that another function declares.

    They stand in the place of the command's parameter of that function's name, which receives
    what the function makes of them.
    """
    name = declared.__name__
    added = inspect.signature(declared, eval_str=True).parameters

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def called(**values: Any) -> None:
            made = declared(**{key: values.pop(key) for key in added})
            command(**values, **{name: made})

        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for own in inspect.signature(command, eval_str=True).parameters.values()
            for parameter in (added.values() if own.name == name else [own])
        ]
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__name__, called.__doc__ = command.__name__, command.__doc__
        return called

    return decorate


def _names(text: str | None) -> tuple[str, ...] | None:
    return tuple(text.split(",")) if text else None


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
