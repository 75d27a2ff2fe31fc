"""What a user can choose about a protocol run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from semgfin_rt.train.options import FitOptions

LEVELS = (0.5, 20.0, 40.0, 60.0, 80.0, 99.5)
"""Shares of the training data in percent, as published."""


class ProtocolOptions(BaseModel):
    """Options of `run_protocol`.

    Attributes
    ----------
    fit : FitOptions
        Of every training; its seed is replaced by that of the task. `fit.repetitions` restricts
        the training repetitions of everybody.
    subjects : tuple of int or None
        None: all that are in the data.
    seeds, seed0 : int
        How many seeds, and the first of them.
    levels : tuple of float
        Percent of the training data, in `fewshot` and `paper`; may be empty in `fewshot`.
    unlabelled_s : float
        Seconds of unlabelled signal of a new person.
    quick : bool
        A smoke run: few training steps, few windows.
    executor, workers, ray_address, resume
        See `grid.run_grid`.
    cache : Path or None
        Folder of filtered signals and of the checkpoints that protocols on the same data can
        share; None: in the folder of the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: FitOptions = FitOptions()
    subjects: tuple[int, ...] | None = None
    seeds: int = Field(default=1, ge=1)
    seed0: int = Field(default=0, ge=0)
    levels: tuple[float, ...] = LEVELS
    unlabelled_s: float = Field(default=10.0, gt=0)
    quick: bool = False
    executor: Literal["local", "ray"] = "local"
    workers: int = Field(default=1, ge=1)
    ray_address: str | None = None
    resume: bool = True
    cache: Path | None = None

    @property
    def all_seeds(self) -> range:
        """The seeds."""
        return range(self.seed0, self.seed0 + self.seeds)

    def what_counts(self) -> dict[str, Any]:
        """Everything that the result of a task depends on: more seeds are more tasks."""
        elsewhere = {"executor", "workers", "ray_address", "resume", "cache", "seeds", "seed0"}
        return self.model_dump(mode="json", exclude=elsewhere)
