"""What the window remembers from one run to the next: theme, layout, the last source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import BaseModel, Field, ValidationError

from semgfin_rt.app.choice import SourceChoice
from semgfin_rt.app.prompts import LONGEST_S, MOST_REPETITIONS, SHORTEST_S, Order, Timing
from semgfin_rt.atomic import written_whole

VARIABLE = "SEMGFIN_PREFERENCES"
"""Environment variable that names another file."""
_LARGEST = 1 << 20  # bytes; a real one has 2 KB


class CalibrationChoice(BaseModel):
    """What was chosen for the last calibration.

    Attributes
    ----------
    subject : int
        Number of the person.
    movements : tuple of int
        Labels; empty for all.
    repetitions : int
    movement_s, rest_s : float
    order : {"random", "contract"}
    """

    subject: int = Field(default=1, ge=1, le=9999)
    movements: tuple[int, ...] = ()
    repetitions: int = Field(default=3, ge=2, le=MOST_REPETITIONS)
    movement_s: float = Field(default=Timing().movement_s, ge=SHORTEST_S, le=LONGEST_S)
    rest_s: float = Field(default=Timing().rest_s, ge=SHORTEST_S, le=LONGEST_S)
    order: Order = "random"


class Preferences(BaseModel):
    """Everything remembered; what is not known here (another version's) is dropped.

    Attributes
    ----------
    theme : {"dark", "light"}
    welcome : bool
        Show the three things to begin with.
    geometry : str
        Of the window, as Qt gives it, in base64.
    layouts : dict
        Kind of source to the arrangement of the panels, as Qt gives it, in base64.
    source : SourceChoice
        What was chosen last.
    folder : str
        Where a file was chosen last.
    record_folder, subject : str
        Where recordings went last, and whose they were.
    calibration : CalibrationChoice
    """

    theme: Literal["dark", "light"] = "dark"
    welcome: bool = True
    geometry: str = ""
    layouts: dict[str, str] = Field(default_factory=dict)
    source: SourceChoice = SourceChoice()
    folder: str = ""
    record_folder: str = ""
    subject: str = ""
    calibration: CalibrationChoice = CalibrationChoice()


def preferences_file() -> Path:
    """Return where they are kept."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    return platformdirs.user_config_path("semgfin_rt", appauthor=False) / "window.json"


def load_preferences(path: Path) -> tuple[Preferences, str]:
    """Read what is remembered; the second value says in a sentence why nothing could be.

    A file that is not there is no trouble: it is the first run.
    """
    try:
        with path.open("rb") as file:
            return Preferences.model_validate_json(file.read(_LARGEST)), ""
    except FileNotFoundError:
        return Preferences(), ""
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        why = f"are damaged ({where + ': ' if where else ''}{first['msg']})"
    return Preferences(), (
        f"the remembered choices in '{path}' {why}: they are left aside, and written anew when the "
        "window closes."
    )


def save_preferences(preferences: Preferences, path: Path) -> str:
    """Write them, whole or not at all; return a sentence on what went wrong, or nothing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as part:
            part.write_text(preferences.model_dump_json(indent=1), encoding="utf-8")
    except OSError as error:
        return (
            f"the choices cannot be remembered in '{path}' ({error.strerror}): set {VARIABLE} to a "
            "file that you may write to."
        )
    return ""
