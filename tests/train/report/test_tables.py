"""Numbers of the tables against the figures they come from."""

from __future__ import annotations

import numpy as np
import pytest
from pretend import pretend_contract, pretend_imitation, pretend_task, run_summary

from semgfin_rt.train.report import page, tables
from semgfin_rt.train.report.names import amount, in_order, method_name
from semgfin_rt.train.report.summary import Results
from semgfin_rt.train.results import SHARE, Figure, TaskResult
from semgfin_rt.train.statistics import Spread


def results_of(*figures, **changes):
    rows = [{"subject": 1, "seed": 0, "measure": "accuracy_steady"} | f for f in figures]
    task = TaskResult(figures=[Figure(**row) for row in rows])
    return Results.of(run_summary(**changes), [task])


@pytest.fixture(scope="module")
def pretended():
    contract = pretend_contract()
    tasks = [
        pretend_task(s, seed, contract, ("fin", "lda"), condition=c)
        for s in (1, 2, 3)
        for seed in (0, 1)
        for c in ("1 repetition", "4 repetitions")
    ]
    tasks += [pretend_imitation(s, 0) for s in (1, 2, 3)]
    return Results.of(run_summary(conditions=("1 repetition", "4 repetitions")), tasks)


def cells(table):
    return {row[0]: row[1:] for row in table.rows}


def test_headline_is_the_mean_over_subjects_of_the_mean_over_seeds():
    rows = [
        {"method": m, "subject": s, "seed": seed, "value": v}
        for m, s, seed, v in (
            ("fin", 1, 0, 0.8),
            ("fin", 1, 1, 0.9),
            ("fin", 2, 0, 0.65),
            ("lda", 1, 0, 0.7),
        )
    ]
    whole, people = tables.headline(results_of(*rows))
    found = cells(whole)
    assert found["FIN (ours)"] == (f"75.0 ± {100 * np.std([0.85, 0.65], ddof=1):.1f}",)
    assert found["LDA on rich8"] == ("70.0",)
    assert people.folded
    assert people.header == ("method", "1", "2")
    assert cells(people) == {"FIN (ours)": ("85.0", "65.0"), "LDA on rich8": ("70.0", "-")}


def test_headline_keeps_the_order_of_conditions_and_leaves_forecasts_out(pretended):
    whole = tables.headline(pretended)[0]
    assert whole.header == ("method", "1 repetition", "4 repetitions")
    assert list(cells(whole)) == ["FIN (ours)", "LDA on rich8"]


def test_conditions_that_only_the_figures_know_come_last():
    rows = [{"method": "fin", "condition": c, "value": 0.5} for c in ("new", "b", "a")]
    found = results_of(*rows, conditions=("a", "b", "never run"))
    assert found.conditions == ["a", "b", "new"]
    assert found.last_condition("accuracy_steady") == "new"


def test_the_first_horizon_is_the_present():
    found = results_of(
        {"method": "fin", "horizon_ms": 50, "value": 0.5},
        {"method": "fin", "horizon_ms": 0, "value": 0.9},
    )
    assert cells(tables.headline(found)[0])["FIN (ours)"] == ("90.0",)


def test_horizons_hold_persistence_the_bound_and_the_lead(pretended):
    everything, transitions = tables.horizons(pretended)
    assert everything.header == ("method", "0 ms", "100 ms", "300 ms")
    assert list(cells(everything)) == [
        "FIN (ours)",
        "LDA on rich8",
        "persistence",
        "present truth repeated (a bound)",
    ]
    assert cells(everything)["present truth repeated (a bound)"][0] == "100.0 ± 0.0"
    assert cells(transitions)["true lead after compute, ms"] == ("-3 ± 0", "97 ± 0", "297 ± 0")


def test_measures_in_percent_and_in_their_own_unit():
    table = tables.measures(
        results_of(
            {"method": "fin", "value": 0.5},
            {"method": "fin", "measure": "onset_delay_ms", "value": 165.0},
            {"method": "fin", "measure": "onsets_missed", "value": 0.02},
            {"method": "fin", "measure": "transition_errors", "value": None},
        ),
        ("onset_delay_ms", "onsets_missed", "transition_errors"),
        "Onsets",
    )
    assert table.header == ("method", "onset delay (median), ms", "onsets never decided rightly, %")
    assert table.rows == [("FIN (ours)", "165.0", "2.0")]


def test_thresholds_are_means_over_subjects_and_seeds(pretended):
    details = pretended.details_of("fin", "4 repetitions")
    assert len(details) == 6
    expected = np.mean([d.thresholds["fist"]["0.05"] for d in details])
    table = tables.thresholds(pretended)
    assert table.header == ("class", "1 %", "5 %", "10 %", "20 %")
    assert cells(table)["fist"][1] == f"{expected:.3f}"
    rising = [float(cell) for cell in cells(table)["rest"]]
    assert rising == sorted(rising)


def test_imitation_stands_beside_todays_value(pretended):
    now, ahead = tables.imitation(pretended)
    assert now.header[1] == "R² pooled over channels"
    assert ahead.header == ("feature", "0 ms", "100 ms", "300 ms")
    assert list(cells(ahead))[:2] == ["rms", "rms, today's value"]
    assert cells(ahead)["rms, today's value"][0] == "1.00 ± 0.00"


def test_imitation_is_shown_and_named_in_every_condition():
    conditions = ("nothing of the person", "unlabelled signal, 10 s")
    both = []
    for n, condition in enumerate(conditions):
        task = pretend_imitation(n, 0)
        both += [f.model_copy(update={"condition": condition}) for f in task.figures]
    found = Results.of(run_summary(conditions=conditions), [TaskResult(figures=both)])
    captions = [table.caption for table in tables.imitation(found)]
    assert len(captions) == 4
    for condition in conditions:
        assert sum(f"({condition})" in caption for caption in captions) == 2
        assert f"rms ({condition})" in cells(tables.known_imitation(found))
    (section,) = [s for s in page.sections(found) if s.id == "imitation"]
    assert [c for c, plot in zip(conditions, section.plots, strict=True) if c in plot.caption] == [
        *conditions
    ]


def test_comparisons_are_points_and_say_where_none_was_tested(pretended):
    first, last = tables.paired(pretended, "accuracy_steady")
    assert first.folded
    assert not last.folded
    ((name, horizon, difference, _, p, corrected, n),) = last.rows
    ours, theirs = (
        pretended.spread("accuracy_steady", m, "4 repetitions").mean for m in ("fin", "lda")
    )
    assert difference == f"{100 * (ours - theirs):+.1f}"
    assert (name, horizon, p, corrected, n) == (
        "LDA on rich8",
        "0 ms",
        "not tested",
        "not tested",
        "3",
    )


def test_no_difference_has_no_minus():
    rows = [
        {"method": m, "subject": s, "value": v}
        for m, v in (("fin", 0.5), ("lda", 0.5 + 1e-5))
        for s in (1, 2)
    ]
    (table,) = tables.paired(results_of(*rows), "accuracy_steady")
    assert table.rows[0][2] == "+0.0"


def test_small_p():
    rows = [
        {"method": m, "subject": s, "value": v + 0.001 * s * (m == "lda")}
        for m, v in (("fin", 0.8), ("lda", 0.5))
        for s in range(12)
    ]
    (table,) = tables.paired(results_of(*rows), "accuracy_steady")
    assert table.rows[0][4] == "< 0.001"


def test_stated_numbers_stand_below_ours(pretended):
    table = tables.known(pretended)
    assert [row[0] for row in table.rows][:2] == [
        "FIN (ours), this run, 1 repetition",
        "FIN (ours), this run, 4 repetitions",
    ]
    assert ("TraHGR, 17 movements, 200 ms", "88.91") in table.rows
    assert [row[0] for row in tables.known_imitation(pretended).rows] == [
        f"{name} (all data)" for name in ("rms", "var", "ssi", "ent")
    ]


def test_numbers():
    assert tables.percent(Spread(0.9041, 0.0349, 6)) == "90.4 ± 3.5"
    assert tables.percent(Spread(0.9041, None, 1)) == "90.4"
    assert tables.number(None) == "-"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("1 repetition", (1.0, "repetitions")),
        ("4 repetitions", (4.0, "repetitions")),
        ("0.5 % of the data", (0.5, SHARE)),
        ("99.5 % of the data", (99.5, SHARE)),
        ("", None),
        ("zero-shot", None),
        ("12", None),
    ],
)
def test_amounts(condition, expected):
    assert amount(condition) == expected


def test_methods_in_order_and_unknown_ones_by_their_own_name():
    assert in_order(["persistence", "ours too", "lda", "fin", "lda"]) == [
        "fin",
        "lda",
        "persistence",
        "ours too",
    ]
    assert method_name("ours too") == "ours too"
