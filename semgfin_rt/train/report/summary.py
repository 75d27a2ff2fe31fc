"""What a report is about: the run, and its results in the shape that tables and plots ask for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from semgfin_rt.train.report.names import in_order
from semgfin_rt.train.results import Detail, Figure, TaskResult
from semgfin_rt.train.statistics import (
    BOUND,
    FORECASTS,
    OURS,
    Cell,
    Comparison,
    Scores,
    Spread,
    all_comparisons,
    average_seeds,
    horizons_of,
    spread,
)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class RunSummary:
    """What was run.

    Attributes
    ----------
    protocol, title : str
        Name of the command, and a heading.
    dataset : {"db2", "3dc", "synthetic"}
    config : mapping
        Every option, resolved.
    versions : mapping of str to str
        Of the program, Python and the libraries.
    preset : str
    notes : tuple of str
        Sentences on the run as a whole; those of its tasks are added.
    conditions : tuple of str
        Conditions in the order of the columns, least data first; the details are shown of the
        last. One that only the figures know comes after these.
    seconds : float
        Wall clock of the run.
    date : str
        ISO 8601.
    """

    protocol: str
    title: str
    dataset: str
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    preset: str
    notes: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ("",)
    seconds: float = 0.0
    date: str = field(default_factory=_now)

    @property
    def config_text(self) -> str:
        """The resolved options as indented JSON."""
        return json.dumps(self.config, indent=2, default=str, ensure_ascii=False)


def _defined(figure: Figure) -> Figure:
    """Say None where the value is not a number, which JSON does not know."""
    if figure.value is None or math.isfinite(figure.value):
        return figure
    return figure.model_copy(update={"value": None})


@dataclass(frozen=True, eq=False)
class Results:
    """A run's results, averaged over seeds, with its tests.

    Attributes
    ----------
    run : RunSummary
    figures : list of Figure
    details : list of Detail
    notes : list of str
        Of the run and its tasks, each once.
    scores : Scores
    comparisons : list of Comparison
    conditions : list of str
        Those that have figures, in order.
    """

    run: RunSummary
    figures: list[Figure]
    details: list[Detail]
    notes: list[str]
    scores: Scores
    comparisons: list[Comparison]
    conditions: list[str]

    @classmethod
    def of(cls, run: RunSummary, results: Sequence[TaskResult]) -> Results:
        """Put the results of all tasks together."""
        figures = [_defined(figure) for result in results for figure in result.figures]
        scores = average_seeds(figures)
        seen = dict.fromkeys(cell.condition for cell in scores)
        conditions = [c for c in dict.fromkeys((*run.conditions, *seen)) if c in seen]
        notes = dict.fromkeys((*run.notes, *(note for result in results for note in result.notes)))
        return cls(
            run,
            figures,
            [detail for result in results for detail in result.details],
            list(notes),
            scores,
            all_comparisons(scores, conditions),
            conditions,
        )

    def last_condition(self, measure: str) -> str:
        """Last condition in which `fin` has this measure; the details are shown of it."""
        return (self.conditions_of(measure) or [""])[-1]

    def conditions_of(self, measure: str) -> list[str]:
        """Conditions in which `fin` has this measure, in order."""
        own = {c.condition for c in self.scores if (c.measure, c.method) == (measure, OURS)}
        return [c for c in self.conditions if c in own]

    def horizons(self, measure: str, condition: str) -> list[int]:
        """Horizons of `fin`, ascending, in ms."""
        return horizons_of(self.scores, measure, condition)

    def first_horizon(self) -> int:
        """Say which horizon counts as the present, in ms."""
        return min(
            (cell.horizon_ms for cell in self.scores if cell.measure == "accuracy_steady"),
            default=0,
        )

    def methods(self, measure: str, condition: str | None = None) -> list[str]:
        """Methods that have this measure (in this condition), in the order of the tables."""
        return in_order(
            cell.method
            for cell in self.scores
            if cell.measure == measure and condition in (None, cell.condition)
        )

    def recognisers(self, measure: str, condition: str | None = None) -> list[str]:
        """Leave out the controls of a forecast, which decide nothing about the present."""
        methods = self.methods(measure, condition)
        return [method for method in methods if method not in (*FORECASTS, BOUND)]

    def by_subject(
        self, measure: str, method: str, condition: str, horizon_ms: int = 0, feature: str = ""
    ) -> Mapping[int, float]:
        """Mean over seeds of each subject; empty where there is none."""
        return self.scores.get(Cell(measure, method, condition, horizon_ms, feature), {})

    def spread(
        self, measure: str, method: str, condition: str, horizon_ms: int = 0, feature: str = ""
    ) -> Spread | None:
        """Mean and standard deviation over subjects."""
        return spread(self.by_subject(measure, method, condition, horizon_ms, feature))

    def details_of(self, method: str, condition: str) -> list[Detail]:
        """Details of every subject and seed."""
        return [d for d in self.details if (d.method, d.condition) == (method, condition)]
