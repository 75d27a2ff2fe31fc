"""The tables of a report, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from semgfin_rt.train.report.names import condition_name, in_order, method_name
from semgfin_rt.train.report.summary import Results
from semgfin_rt.train.results import MEASURES
from semgfin_rt.train.statistics import FORECASTS, OURS, Comparison, Spread

_NONE = "-"


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row names it.

    Attributes
    ----------
    caption : str
    header : tuple of str
    rows : list of tuple of str
    folded : bool
        Shown when asked for.
    """

    caption: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    folded: bool = False


def percent(value: Spread | None) -> str:
    """Mean ± standard deviation of shares, in percent."""
    return number(value, 100, 1)


def number(value: Spread | None, factor: float = 1.0, digits: int = 1) -> str:
    """Mean ± standard deviation; without the latter of one subject."""
    if value is None:
        return _NONE
    mean = f"{factor * value.mean:.{digits}f}"
    return mean if value.std is None else f"{mean} ± {factor * value.std:.{digits}f}"


# ------------------------------------------------------------------------------ recognition
def headline(results: Results) -> list[Table]:
    """Methods x conditions, and each subject in a folded table."""
    measure, first = "accuracy_steady", results.first_horizon()
    methods = results.recognisers(measure)
    conditions = [c for c in results.conditions if results.recognisers(measure, c)]
    rows = [
        (
            method_name(method),
            *(percent(results.spread(measure, method, c, first)) for c in conditions),
        )
        for method in methods
    ]
    caption = "Accuracy in %, windows inside one label: mean ± standard deviation over subjects"
    tables = [Table(caption, ("method", *map(condition_name, conditions)), rows)]
    for condition in conditions:
        columns = {m: results.by_subject(measure, m, condition, first) for m in methods}
        subjects = sorted({subject for column in columns.values() for subject in column})
        tables.append(
            Table(
                f"Each subject, {condition_name(condition)}: accuracy in %, mean over seeds",
                ("method", *map(str, subjects)),
                [
                    (
                        method_name(method),
                        *(f"{100 * column[s]:.1f}" if s in column else _NONE for s in subjects),
                    )
                    for method, column in columns.items()
                    if column
                ],
                folded=True,
            )
        )
    return tables


def measures(results: Results, names: Sequence[str], caption: str) -> Table | None:
    """Methods x some measures at the first horizon, in the last condition; None without any."""
    first = results.first_horizon()
    condition = results.last_condition("accuracy_steady")
    names = [name for name in names if results.recognisers(name, condition)]
    methods = in_order(m for name in names for m in results.recognisers(name, condition))
    if not names:
        return None
    # milliseconds and counts as they are, shares in percent
    shares = [name for name in names if not name.endswith(("_ms", "_per_min"))]
    rows = [
        (
            method_name(method),
            *(
                number(results.spread(name, method, condition, first), 100 if name in shares else 1)
                for name in names
            ),
        )
        for method in methods
    ]
    header = (
        MEASURES[name].removesuffix(", share") + (", %" if name in shares else "") for name in names
    )
    return Table(f"{caption} ({condition_name(condition)})", ("method", *header), rows)


def horizons(results: Results) -> list[Table]:
    """Methods x horizons, for all windows and for transitions, and the true lead."""
    tables = []
    for measure in ("accuracy", "accuracy_transition"):
        condition = results.last_condition(measure)
        columns = results.horizons(measure, condition)
        if not columns:
            continue
        rows = [
            (
                method_name(method),
                *(percent(results.spread(measure, method, condition, ms)) for ms in columns),
            )
            for method in results.methods(measure, condition)
        ]
        if measure == "accuracy_transition":
            rows += _lead(results, condition, columns)
        caption = f"In %, {MEASURES[measure].removeprefix('accuracy, ')}"
        header = ("method", *(f"{ms} ms" for ms in columns))
        tables.append(Table(f"{caption} ({condition_name(condition)})", header, rows))
    return tables


def _lead(results: Results, condition: str, columns: Sequence[int]) -> list[tuple[str, ...]]:
    lead = [results.spread("lead_ms", OURS, condition, ms) for ms in columns]
    if not any(lead):
        return []
    return [("true lead after compute, ms", *(number(value, digits=0) for value in lead))]


def thresholds(results: Results) -> Table | None:
    """For every class the confidence to ask for so that a share of its decisions is rejected."""
    details = results.details_of(OURS, results.last_condition("accuracy_steady"))
    values: dict[str, dict[str, list[float]]] = {}
    for detail in details:
        for name, by_rate in detail.thresholds.items():
            for rate, value in by_rate.items():
                values.setdefault(name, {}).setdefault(rate, []).append(value)
    if not values:
        return None
    rates = sorted({rate for by_rate in values.values() for rate in by_rate}, key=float)
    known = dict.fromkeys(name for detail in details for name in detail.classes)
    rows = [
        (
            name,
            *(f"{np.mean(values[name][r]):.3f}" if values[name].get(r) else _NONE for r in rates),
        )
        for name in known
        if name in values
    ]
    caption = "Least confidence to ask for, by class and share of its decisions that it rejects"
    header = ("class", *(f"{100 * float(rate):g} %" for rate in rates))
    return Table(caption, header, rows, folded=len(rows) > 24)


def seconds(results: Results) -> Table:
    """Training time, methods x conditions."""
    methods = results.methods("seconds")
    conditions = [c for c in results.conditions if results.methods("seconds", c)]
    rows = [
        (method_name(m), *(number(results.spread("seconds", m, c)) for c in conditions))
        for m in methods
    ]
    return Table("Training time in s", ("method", *map(condition_name, conditions)), rows)


# ------------------------------------------------------------------------------- imitation
def imitation(results: Results) -> list[Table]:
    """R² of the present, pooled, by channel and as published; then each horizon by persistence.

    In every condition.
    """
    return [t for c in results.conditions_of("r2") for t in _imitation_in(results, c)]


def _imitation_in(results: Results, condition: str) -> list[Table]:
    columns = results.horizons("r2", condition)
    features = features_of(results)
    kinds = [k for k in ("r2", "r2_channel_median", "r2_clamped") if results.methods(k, condition)]
    tables = []
    for method in results.methods("r2", condition):
        if method in FORECASTS:
            continue
        rows = [
            (
                feature,
                *(
                    number(results.spread(kind, method, condition, columns[0], feature), digits=3)
                    for kind in kinds
                ),
            )
            for feature in features
        ]
        tables.append(
            Table(
                f"{method_name(method)}, {columns[0]} ms ahead ({condition_name(condition)})",
                ("feature", *(MEASURES[kind] for kind in kinds)),
                rows,
                folded=method != OURS,
            )
        )
    if len(columns) > 1:
        tables.append(_imitation_ahead(results, condition, columns, features))
    return tables


def _imitation_ahead(
    results: Results, condition: str, columns: Sequence[int], features: Sequence[str]
) -> Table:
    rows = []
    for feature in features:
        for method, name in ((OURS, feature), ("persistence", f"{feature}, today's value")):
            found = [results.spread("r2", method, condition, ms, feature) for ms in columns]
            if any(found):
                rows.append((name, *(number(value, digits=2) for value in found)))
    header = ("feature", *(f"{ms} ms" for ms in columns))
    caption = "R² pooled over channels, by horizon, beside today's value"
    return Table(f"{caption} ({condition_name(condition)})", header, rows)


def features_of(results: Results) -> list[str]:
    """Features that have an R², in the order of the figures."""
    return list(dict.fromkeys(f.feature for f in results.figures if f.measure == "r2"))


# ------------------------------------------------------------------------------------ tests
def paired(results: Results, measure: str) -> list[Table]:
    """`fin` against every control, a table a condition; the last is open, unless it is long."""
    found = [c for c in results.comparisons if c.measure == measure]
    unit = "R²" if measure == "r2" else "points"
    tables = []
    for condition in dict.fromkeys(c.condition for c in found):
        rows = [_comparison(c) for c in found if c.condition == condition]
        last = condition == found[-1].condition
        tables.append(
            Table(
                f"{MEASURES[measure]} ({condition_name(condition)})",
                ("against", "horizon", f"difference, {unit}", "dz", "p", "p, Holm", "subjects"),
                rows,
                folded=not last or len(rows) > 40,
            )
        )
    return tables


def _comparison(c: Comparison) -> tuple[str, ...]:
    factor, digits = (1, 3) if c.measure == "r2" else (100, 1)
    return (
        f"{method_name(c.control)}, {c.feature}" if c.feature else method_name(c.control),
        f"{c.horizon_ms} ms",
        f"{round(factor * c.difference, digits) + 0.0:+.{digits}f}",  # never -0.0
        _NONE if c.effect_size is None else f"{c.effect_size:+.2f}",
        _p(c.p),
        _p(c.p_holm),
        str(c.n_subjects),
    )


def _p(value: float | None) -> str:
    if value is None:
        return "not tested"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


# -------------------------------------------------------------------------- known numbers
_KNOWN = (
    ("this method's paper (Wu et al. 2025), 17 movements, 300 ms", "80"),
    ("TraHGR, 17 movements, 200 ms", "88.91"),
    ("TEMGNet, 17 movements, 300 ms", "82.93"),
    ("TC-HGR, 17 movements, 300 ms", "81.65"),
    ("shrinkage LDA, zero-shot across subjects, without rest", "21.9"),
)


def known(results: Results) -> Table:
    """Stated accuracies on exercise B of DB2 beside ours."""
    measure, first = "accuracy_steady", results.first_horizon()
    ours: Iterable[tuple[str, str]] = (
        (
            f"{method_name(OURS)}, this run, {condition_name(c)}",
            percent(results.spread(measure, OURS, c, first)),
        )
        for c in results.conditions
        if results.by_subject(measure, OURS, c, first)
    )
    caption = "Accuracy in % on exercise B of DB2, repetitions 2 and 5, no vote, as stated"
    return Table(caption, ("source", "accuracy, %"), [*ours, *_KNOWN])


def known_imitation(results: Results) -> Table:
    """Stated R² beside ours, which is another quantity unless it is the clamped one."""
    rows: list[tuple[str, ...]] = [
        (
            f"{feature} ({condition_name(condition)})",
            "above 0.96, up to 0.99",
            number(results.spread("r2_clamped", OURS, condition, 0, feature), digits=3),
            number(results.spread("r2", OURS, condition, 0, feature), digits=3),
        )
        for condition in results.conditions_of("r2")
        for feature in features_of(results)
        if feature in ("rms", "var", "ssi", "ent")
    ]
    header = ("feature", "paper (clamped R²)", "ours, clamped", "ours, R² pooled over channels")
    return Table("Imitation of the published features", header, rows)
