"""Options in a TOML file: ``--config FILE`` reads them, every run writes them down.

The keys are the names of the options (``per-channel`` or ``per_channel``), the values what would be
given for them; a list stands for text with commas. The command line wins over the file.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from semgfin_rt.atomic import written_whole
from semgfin_rt.errors import OptionError

if TYPE_CHECKING:
    from pydantic import BaseModel

    ModelT = TypeVar("ModelT", bound=BaseModel)

RUN_TABLE = "run"
"""Table of a written file that says what was run; reading passes over it."""
_NO_KEYS = ("config", "help")
_NOT_WRITTEN = ("out", "resume", "dry-run")


def read_config(context: typer.Context, file: Path | None) -> Path | None:
    """Let a file speak for the options that the command line leaves out (a callback).

    Raises
    ------
    OptionError
        When the file cannot be read, or holds a key that is no option of this command, or a value
        of the wrong type.
    """
    if file is None:
        return None
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, no TOML
        raise OptionError(f"{file} cannot be read as TOML ({error}): correct it.") from error
    content.pop(RUN_TABLE, None)
    options = _options(context)
    values = {}
    for key, value in content.items():
        name = key.replace("_", "-")
        if name not in options:
            near = difflib.get_close_matches(name, options, n=1, cutoff=0)[0]
            raise OptionError(
                f"'{key}' in {file} is no option of `{context.info_name}`: did you mean '{near}'?"
            )
        values[options[name].name] = _value(context, options[name], value, f"'{key}' in {file}")
    context.default_map = values
    return file


Config = Annotated[
    Path | None,
    typer.Option(
        help="TOML file of options; those given here win over it.",
        metavar="FILE",
        callback=read_config,
        is_eager=True,
    ),
]


def write_config(file: Path, context: typer.Context, about: Mapping[str, object]) -> None:
    """Write the options of a run as resolved, and the versions of what ran it.

    Parameters
    ----------
    file : Path
        Written whole or not at all.
    context : typer.Context
        Of the command.
    about : mapping
        What was run, beside the options.

    Raises
    ------
    OptionError
        When it cannot be written.
    """
    from semgfin_rt.train.outcome import today, versions

    values = {
        name: context.params[option.name]
        for name, option in _options(context).items()
        if name not in _NOT_WRITTEN
    }
    about = {"command": context.info_name, **about, "date": today()}
    text = [
        "# The options of a run, as resolved: --config reads them again.",
        *(f"{key} = {_toml(value)}" for key, value in values.items() if value is not None),
        *(f"# {key}: left to preset and data" for key, value in values.items() if value is None),
        "",
        f"[{RUN_TABLE}]",
        *(f"{key} = {_toml(value)}" for key, value in about.items()),
        "",
        f"[{RUN_TABLE}.versions]",
        *(f"{key} = {_toml(value)}" for key, value in versions().items()),
    ]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as part:
            part.write_text("\n".join(text) + "\n", encoding="utf-8")
    except OSError as error:
        raise OptionError(f"{file} cannot be written ({error.strerror}): make room.") from error


def checked(context: typer.Context, model: type[ModelT], values: Mapping[str, Any]) -> ModelT:
    """Make options of what the command line and the file gave.

    Raises
    ------
    OptionError
        That names the option as the user wrote it, and the file where it stood there.
    """
    from pydantic import ValidationError

    from semgfin_rt.model_contract import first_problem

    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).removesuffix("_ms").replace("_", "-")
        where = f"--{name}"
        option = _options(context).get(name)
        source = context.get_parameter_source(option.name) if option else None
        if source is not None and source.name == "DEFAULT_MAP":
            where = f"'{name}' in {context.params['config']}"
        raise OptionError(f"{where} {first['input']!r}: {first_problem(error)}.") from error


def _options(context: typer.Context) -> dict[str, Any]:
    """Options of a command by their long names, without dashes."""
    return {
        name: parameter
        for parameter in context.command.params
        if (name := parameter.opts[0].removeprefix("--")) != parameter.opts[0]
        and name not in _NO_KEYS
    }


def _value(context: typer.Context, option: Any, value: object, where: str) -> object:
    """Check a value as the command line would; numbers and lists become text again."""
    if option.is_flag:
        if isinstance(value, bool):
            return value
        raise OptionError(f"{where} is {value!r}: write true or false.")
    parts = value if isinstance(value, list) else [value]
    if not all(isinstance(p, str | int | float) and not isinstance(p, bool) for p in parts):
        raise OptionError(f"{where} is {value!r}: write text, a number, or a list of them.")
    text = ",".join(map(str, parts))
    try:
        found = option.process_value(context, text)
    except typer.BadParameter as error:
        raise OptionError(f"{where} is {value!r}: {error.message.rstrip('.')}.") from error
    if isinstance(value, str) and isinstance(found, int | float):
        raise OptionError(f"{where} is {value!r}: write a number, without quotation marks.")
    return text


def _toml(value: object) -> str:
    """Write a text, number, truth value or path; strings of JSON are strings of TOML."""
    return json.dumps(value, ensure_ascii=False, default=str)
