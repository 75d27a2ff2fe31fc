"""Where models and scenarios lie: the one place that knows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal, TypeAlias

import platformdirs

from semgfin_rt.errors import CheckpointError, OptionError

_Kind: TypeAlias = Literal["models", "replay"]
_VARIABLES = {"models": "SEMGFIN_MODELS", "replay": "SEMGFIN_REPLAY"}


def places(kind: _Kind) -> list[Path]:
    """Return the folders that may hold models or scenarios, the first to look at first.

    The environment's (``SEMGFIN_MODELS``, ``SEMGFIN_REPLAY``), the user's data folder, what an
    installed package brought along, and the checkout.
    """
    named = os.environ.get(_VARIABLES[kind])
    return [
        *([Path(named)] if named else []),
        platformdirs.user_data_path("semgfin_rt", appauthor=False) / kind,
        Path(sys.prefix) / "share" / "semgfin_rt" / kind,
        Path(__file__).parents[1] / kind,
    ]


def graph_cache() -> Path:
    """Return the user's folder of what starts have found out; see `nn.kept`."""
    return platformdirs.user_cache_path("semgfin_rt", appauthor=False) / "graphs"


def find_model(name_or_folder: str | Path, here: Path = Path()) -> Path:
    """Return the folder of a checkpoint, given itself or by its name; weights are not looked at.

    Parameters
    ----------
    name_or_folder : str or Path
    here : Path
        Where a relative path counts from, and where a name is looked for first.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    given = Path(name_or_folder)
    found = _find(given, here, "models", ("",))
    if found is None:
        raise CheckpointError(
            f"there is no checkpoint '{given}'{_looked_in(given, here, 'models')}: train one with "
            "`semgfin-train fit`, or give the folder that holds contract.json."
        )
    return found


def find_scenario(name_or_file: str | Path) -> Path:
    """Return the file of a scenario, given itself or by its name, with or without ``.toml``.

    Raises
    ------
    OptionError
        If there is none.
    """
    given = Path(name_or_file)
    found = _find(given, Path(), "replay", ("", ".toml"))
    if found is None:
        raise OptionError(
            f"there is no scenario '{given}'{_looked_in(given, Path(), 'replay')}: give the path "
            "of a .toml file, or set SEMGFIN_REPLAY to the folder that holds it."
        )
    return found


def _find(given: Path, here: Path, kind: _Kind, endings: tuple[str, ...]) -> Path | None:
    itself = here / given
    candidates = [itself]
    if _is_name(given):
        elsewhere = [place / (given.name + end) for place in places(kind) for end in endings]
        # Whatever happens to lie here under the name is taken last: its loader says what it is.
        candidates = [itself, *elsewhere] if _is_one(itself, kind) else [*elsewhere, itself]
    return next((path for path in candidates if _exists(path)), None)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False


def _is_one(path: Path, kind: _Kind) -> bool:
    """Whether it is a checkpoint, or a scenario, by the look of it."""
    if kind == "models":
        return _exists(path / "contract.json")
    return path.suffix == ".toml" and path.is_file()


def _is_name(given: Path) -> bool:
    """Whether it is one plain name; anything with a folder in it means that very place."""
    return given.name == str(given) and given.name not in ("", "..")


def _looked_in(given: Path, here: Path, kind: _Kind) -> str:
    if not _is_name(given):
        return ""
    first = "here" if here == Path() else f"in {here}"
    return f" {first} or in {', '.join(map(str, places(kind)))}"
