"""Figures of several people -> mean and spread, and paired tests of `fin` against each control.

The unit is the person: seeds are averaged within a person first, and people are compared with
themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from semgfin_rt.train.results import Figure

OURS = "fin"
FORECASTS = ("persistence", "schedule")
"""Controls of a forecast; for the present there is nothing to compare."""
BOUND = "truth_persistence"
"""Repeats the present truth, which nobody has: a bound, not a control."""
FEWEST = 6
"""Subjects that a test needs: of five, no p can be below 0.0625."""
_MOST_EXACT = 40
_FLIPS = 100_000


@dataclass(frozen=True)
class Cell:
    """What a number in a table is of; see `Figure`."""

    measure: str
    method: str
    condition: str = ""
    horizon_ms: int = 0
    feature: str = ""


Scores = Mapping[Cell, Mapping[int, float]]
"""Mean over seeds, for every cell and subject."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (ddof 1; None of one subject) over subjects."""

    mean: float
    std: float | None
    n_subjects: int


@dataclass(frozen=True)
class Comparison:
    """`fin` against one control, paired over the subjects that both were tested on.

    Attributes
    ----------
    measure, condition, horizon_ms
        The family: p is corrected over all comparisons that share these.
    control : str
    feature : str
        Of R²; empty otherwise.
    n_subjects : int
    difference : float
        Mean of `fin` minus control.
    effect_size : float or None
        Cohen's dz: that mean over the standard deviation of the differences; None where they are
        all the same.
    p : float or None
        Two-sided, of the sign-flip permutation test; None with fewer than `FEWEST` subjects.
    p_holm : float or None
        The same, Holm-corrected.
    """

    measure: str
    condition: str
    horizon_ms: int
    control: str
    feature: str
    n_subjects: int
    difference: float
    effect_size: float | None
    p: float | None
    p_holm: float | None = None


def average_seeds(figures: Iterable[Figure]) -> dict[Cell, dict[int, float]]:
    """Average the seeds of every cell and subject; undefined values are left out."""
    values: dict[Cell, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for f in figures:
        if f.value is not None and np.isfinite(f.value):
            cell = Cell(f.measure, f.method, f.condition, f.horizon_ms, f.feature)
            values[cell][f.subject].append(f.value)
    return {
        cell: {subject: float(np.mean(v)) for subject, v in sorted(by_subject.items())}
        for cell, by_subject in values.items()
    }


def spread(by_subject: Mapping[int, float]) -> Spread | None:
    """Mean and standard deviation over subjects; None of no subject."""
    values = list(by_subject.values())
    if not values:
        return None
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), std, len(values))


def sign_flip_p(differences: Sequence[float] | npt.NDArray[np.float64]) -> float:
    """Two-sided p of the sign-flip permutation test of a mean of 0.

    The share, among all 2^n ways to flip the signs of the n differences, of those whose sum lies
    at least as far from 0 as the observed one. The sums of two halves are listed and their pairs
    counted, so that 40 subjects take 2^20 numbers and not 2^40. Beyond that, 100,000 random flips
    stand in, from a fixed seed.

    Parameters
    ----------
    differences : (n_subjects,) float

    Returns
    -------
    float
    """
    d = np.asarray(differences, dtype=np.float64)
    # sums that are equal but for rounding count as equal
    limit = abs(d.sum()) - 1e-12 * np.abs(d).sum()
    if limit <= 0:
        return 1.0
    if len(d) > _MOST_EXACT:
        signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(_FLIPS - 1, len(d)))
        return float((1 + (np.abs(signs @ d) >= limit).sum()) / _FLIPS)
    left, right = _flipped_sums(d[: len(d) // 2]), np.sort(_flipped_sums(d[len(d) // 2 :]))
    above = len(right) - np.searchsorted(right, limit - left, side="left")
    below = np.searchsorted(right, -limit - left, side="right")
    return float((above.sum() + below.sum()) / 2.0 ** len(d))


def _flipped_sums(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sum of `values` (n,) under each of the 2^n choices of signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction of a family of p (Holm 1979, Scand. J. Statist. 6)."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    steps = np.arange(len(values), 0, -1) * values[order]
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in corrected]


def compare(
    scores: Scores, measure: str, condition: str, horizon_ms: int, controls: Iterable[str]
) -> list[Comparison]:
    """Test `fin` against `controls` in one measure, condition and horizon: one family.

    A control that shares no subject with `fin` is left out.
    """
    wanted = set(controls)
    family = []
    for cell, theirs in scores.items():
        if (cell.measure, cell.condition, cell.horizon_ms) != (measure, condition, horizon_ms):
            continue
        ours = scores.get(replace(cell, method=OURS), {})
        shared = sorted(ours.keys() & theirs.keys())
        if cell.method not in wanted or not shared:
            continue
        d = np.array([ours[subject] - theirs[subject] for subject in shared])
        std = float(np.std(d, ddof=1)) if len(d) > 1 else 0.0
        family.append(
            Comparison(
                measure,
                condition,
                horizon_ms,
                cell.method,
                cell.feature,
                len(d),
                float(d.mean()),
                float(d.mean() / std) if std > 1e-12 else None,
                sign_flip_p(d) if len(d) >= FEWEST else None,
            )
        )
    tested = [c for c in family if c.p is not None]
    corrected = holm([c.p for c in tested if c.p is not None])
    by_test = dict(zip(map(id, tested), corrected, strict=True))
    return [replace(c, p_holm=by_test.get(id(c))) for c in family]


def all_comparisons(scores: Scores, conditions: Sequence[str]) -> list[Comparison]:
    """Every family of a run.

    Accuracy of steady windows at the first horizon, of transitions at the later ones, and R² at
    every horizon; each condition is a family of its own. The bound and ensembles are no controls.
    """
    methods = {cell.method for cell in scores}
    rivals = {m for m in methods - {OURS, BOUND} if not m.startswith("ensemble")}
    found = []
    for condition in conditions:
        for measure in ("accuracy_steady", "accuracy_transition", "r2"):
            horizons = horizons_of(scores, measure, condition)
            first = horizons[:1]
            if measure == "accuracy_steady":
                horizons = first
            elif measure == "accuracy_transition":
                horizons = horizons[1:]
            for ms in horizons:
                now = measure == "accuracy_steady" or ms == 0
                controls = rivals - set(FORECASTS) if now else rivals
                found += compare(scores, measure, condition, ms, sorted(controls))
    return found


def horizons_of(scores: Scores, measure: str, condition: str) -> list[int]:
    """Horizons at which there is a figure of `fin`, ascending, in ms."""
    return sorted(
        {
            cell.horizon_ms
            for cell in scores
            if (cell.measure, cell.method, cell.condition) == (measure, OURS, condition)
        }
    )
