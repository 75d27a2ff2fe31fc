"""The plots of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure

from semgfin_rt.train.report.canvas import Plot, drawing, finished, look
from semgfin_rt.train.report.names import amount, condition_name, in_order, method_name
from semgfin_rt.train.report.summary import Results
from semgfin_rt.train.report.tables import features_of
from semgfin_rt.train.results import SHARE
from semgfin_rt.train.statistics import BOUND, FORECASTS, OURS, Spread

_LABEL = 30  # characters of a class name beside a matrix
_LOWEST_R2 = -0.25
_AHEAD = (OURS, "closed_form", "lda", *FORECASTS, BOUND)  # more lines could not be told apart


def subjects(results: Results) -> Plot:
    """Every subject's accuracy under every method, a row a method."""
    measure, first = "accuracy_steady", results.first_horizon()
    condition = results.last_condition(measure)
    methods = results.recognisers(measure, condition)[::-1]
    with drawing(height=1.2 + 0.42 * len(methods)) as figure:
        axes = figure.subplots()
        for row, method in enumerate(methods):
            by_subject = results.by_subject(measure, method, condition, first)
            values = 100 * np.array(list(by_subject.values()))
            style = look(method)
            axes.scatter(
                values,
                row + _spread_out(len(values), 0.16),
                s=26,
                color=style["color"],
                marker=style["marker"],
                alpha=0.7,
            )
            axes.plot([values.mean()] * 2, [row - 0.33, row + 0.33], color="black", linewidth=2)
        axes.set_yticks(range(len(methods)), [method_name(m) for m in methods])
        axes.set_ylim(-0.6, len(methods) - 0.4)
        axes.set_xlabel("accuracy, windows inside one label (%)")
        return finished(
            figure,
            f"Accuracy of every subject ({condition_name(condition)}); the bar is the mean.",
        )


def horizons(results: Results) -> Plot:
    """Accuracy against horizon, for all windows and for transitions."""
    with drawing(height=4.8) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, measure, title in zip(
            panels, ("accuracy", "accuracy_transition"), ("all windows", "transitions"), strict=True
        ):
            condition = results.last_condition(measure)
            columns = results.horizons(measure, condition)
            for method in results.methods(measure, condition):
                points = {
                    float(ms): value
                    for ms in columns
                    if (value := results.spread(measure, method, condition, ms))
                }
                if len(points) > 1 and method in _AHEAD:
                    _line(axes, method, points)
            axes.set_title(title)
            axes.set_xticks(columns)
            axes.set_xlabel("horizon (ms)")
        panels[0].set_ylabel("accuracy (%)")
        _legend(figure, *panels)
        return finished(
            figure,
            "Accuracy against horizon, mean over subjects; the band is one standard deviation of "
            "ours. A forecast has skill where it is above persistence and the schedule. Further "
            "methods are in the tables.",
        )


def amounts(results: Results) -> list[Plot]:
    """Accuracy against the amount of data, a plot for each unit that has two amounts."""
    measure, first = "accuracy_steady", results.first_horizon()
    units: dict[str, dict[float, str]] = {}
    for condition in results.conditions:
        if found := amount(condition):
            units.setdefault(found[1], {})[found[0]] = condition
    plots = []
    for unit, by_amount in units.items():
        if len(by_amount) < 2:
            continue
        with drawing(height=5.0) as figure:
            axes = figure.subplots()
            for method in results.recognisers(measure):
                points = {
                    x: value
                    for x, c in sorted(by_amount.items())
                    if (value := results.spread(measure, method, c, first))
                }
                if points:
                    _line(axes, method, points)
            name = "share of the new person's training data (%)" if unit == SHARE else unit
            axes.set_xlabel(name)
            axes.set_ylabel("accuracy, windows inside one label (%)")
            axes.set_xticks(sorted(by_amount), [f"{x:g}" for x in sorted(by_amount)])
            _legend(figure, axes)
            plots.append(
                finished(
                    figure,
                    f"Accuracy against {name}, mean over subjects; the band is one standard "
                    "deviation of ours.",
                )
            )
    return plots


def confusion(results: Results) -> Plot | None:
    """Confusion matrix of `fin`, rows in percent; None without details."""
    condition = results.last_condition("accuracy_steady")
    details = results.details_of(OURS, condition)
    if not details:
        return None
    names = list(dict.fromkeys(name for detail in details for name in detail.classes))
    counts = np.zeros((len(names), len(names) + 1))
    for detail in details:  # people need not have the same classes
        at = [names.index(name) for name in detail.classes]
        counts[np.ix_(at, [*at, len(names)])] += np.array(detail.confusion)
    if not counts[:, -1].any():
        counts = counts[:, :-1]
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    begin = 0 if names[0] == "rest" else 1
    numbers = [str(begin + i) for i in range(len(names))]
    small = len(names) > 24  # no room for numbers in the cells
    with drawing(height=min(4.8, 0.6 * len(names)) + 0.8) as figure:
        figure.set_layout_engine("compressed")  # knows that the cells stay square
        axes = figure.subplots()
        image = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
        columns = [*numbers, "rejected"][: share.shape[1]]
        rows = [f"{_shortened(n)}  {i}" for i, n in zip(numbers, names, strict=True)]
        if small:
            columns = [c if c == "rejected" or int(c) % 5 == 0 else "" for c in columns]
        axes.set_xticks(range(len(columns)), columns, fontsize=7 if small else 9)
        axes.get_xticklabels()[-1].set_rotation(90 if columns[-1] == "rejected" else 0)
        axes.set_yticks(range(len(rows)), rows, fontsize=6 if small else 9)
        axes.grid(visible=False)
        axes.set_xlabel("decided")
        axes.set_ylabel("true")
        if small:
            figure.colorbar(image, ax=axes, label="share of the true class (%)", shrink=0.9)
        else:
            _write_cells(axes, share)
        return finished(
            figure,
            f"Confusion of {method_name(OURS)} ({condition_name(condition)}), windows inside one "
            "label, all subjects: each row in % of its true class; less than 0.5 % is not written.",
        )


def calibration(results: Results) -> Plot | None:
    """Accuracy against confidence, and how often each confidence is; None without details."""
    condition = results.last_condition("accuracy_steady")
    bins = {
        method: _summed_bins([d.calibration for d in results.details_of(method, condition)])
        for method in in_order(d.method for d in results.details)
    }
    bins = {method: table for method, table in bins.items() if table.any()}
    if OURS not in bins:
        return None
    with drawing(height=5.6) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 100], [0, 100], color="#808080", linestyle=":", label="perfect")
        for method, (n, sure, right) in bins.items():
            some = n > 0
            x, y = 100 * sure[some] / n[some], 100 * right[some] / n[some]
            upper.plot(x, y, label=method_name(method), **look(method))
        share = 100 * bins[OURS][0] / bins[OURS][0].sum()
        lower.bar(np.arange(5, 100, 10), share, width=9, color=look(OURS)["color"])
        upper.set_ylabel("accuracy (%)")
        lower.set_ylabel("windows (%)")
        lower.set_xlabel("confidence, ten bins (%)")
        lower.set_xlim(0, 100)
        _legend(figure, upper)
        return finished(
            figure,
            f"Calibration, all scored windows ({condition_name(condition)}): below the diagonal a "
            "method is surer than it is right. Below, how often each confidence of ours occurs.",
        )


def imitation(results: Results, condition: str) -> Plot:
    """R² of every subject in a condition, a box and points a feature."""
    first = results.horizons("r2", condition)[0]
    values = {
        feature: np.array(list(found.values()))
        for feature in features_of(results)
        if (found := results.by_subject("r2", OURS, condition, first, feature))
    }
    lowest = min(float(v.min()) for v in values.values())
    hidden = sum(int((v < _LOWEST_R2).sum()) for v in values.values())
    with drawing(height=4.4) as figure:
        axes = figure.subplots()
        colour = look(OURS)["color"]
        axes.boxplot(
            list(values.values()),
            widths=0.5,
            showfliers=False,
            medianprops={"color": "black", "linewidth": 2},
        )
        for place, row in enumerate(values.values(), start=1):
            x = place + _spread_out(len(row), 0.15)
            axes.scatter(x, row, s=20, color=colour, alpha=0.6, zorder=3)
        axes.set_xticks(range(1, len(values) + 1), list(values), rotation=30, ha="right")
        axes.set_ylim(max(_LOWEST_R2, min(lowest - 0.05, 0.5)), 1.02)
        axes.set_ylabel("R², pooled over channels")
        below = f" {hidden} below the axis." if hidden else ""
        return finished(
            figure,
            f"R² of the imitation, {first} ms ahead, a point a subject "
            f"({condition_name(condition)}).{below}",
        )


# ------------------------------------------------------------------------------------ parts
def _line(axes: Axes, method: str, points: Mapping[float, Spread]) -> None:
    x = list(points)
    mean = 100 * np.array([value.mean for value in points.values()])
    axes.plot(x, mean, label=method_name(method), **look(method))
    if method == OURS:
        std = 100 * np.array([value.std or 0.0 for value in points.values()])
        axes.fill_between(x, mean - std, mean + std, color=look(method)["color"], alpha=0.12)


def _legend(figure: MplFigure, *panels: Axes) -> None:
    """Name every line once, below the panels."""
    lines = {
        label: line
        for axes in panels
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(lines.values()), list(lines), loc="outside lower center", ncols=3)


def _spread_out(n: int, reach: float) -> npt.NDArray[np.float64]:
    """Offsets (n,) that keep points of one row apart, the same every time."""
    return np.linspace(-reach, reach, n) if n > 1 else np.zeros(n)


def _summed_bins(
    tables: Sequence[Sequence[tuple[float, float, int]]],
) -> npt.NDArray[np.float64]:
    """Windows, sum of confidence, and right decisions of each bin, (3, n_bins)."""
    found = [np.array(table).T for table in tables if table]
    if not found:
        return np.zeros((3, 0))
    sure, right, n = np.stack(found, axis=1)  # each (n_tables, n_bins)
    return np.stack([n.sum(axis=0), (n * sure).sum(axis=0), (n * right).sum(axis=0)])


def _shortened(name: str) -> str:
    return name if len(name) <= _LABEL else f"{name[: _LABEL - 1]}…"


def _write_cells(axes: Axes, share: npt.NDArray[np.float64]) -> None:
    for (i, j), value in np.ndenumerate(share):
        if value >= 0.5:
            colour = "white" if value > 55 else "black"
            axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=8, color=colour)
