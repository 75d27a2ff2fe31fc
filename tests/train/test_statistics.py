"""Means over people and paired tests, against SciPy and against hand-made numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from semgfin_rt.train.results import Figure
from semgfin_rt.train.statistics import (
    Cell,
    Spread,
    all_comparisons,
    average_seeds,
    compare,
    holm,
    sign_flip_p,
    spread,
)


def figure(method, subject, value, seed=0, **changes):
    row = {"measure": "accuracy_steady", "method": method, "subject": subject, "seed": seed}
    return Figure(**(row | {"value": value} | changes))


def scores_of(values, **changes):
    """Scores of {method: values of subjects 1, 2, ...}."""
    return average_seeds(
        figure(method, subject, value, **changes)
        for method, row in values.items()
        for subject, value in enumerate(row, start=1)
    )


def scipy_p(differences):
    d = np.asarray(differences)
    found = stats.permutation_test(
        (d, np.zeros_like(d)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    return found.pvalue


# ------------------------------------------------------------------------------------ means
def test_seeds_are_averaged_within_a_person_first():
    # person 1 has three seeds and must not weigh three times
    figures = [figure("fin", 1, v, seed) for seed, v in enumerate((0.6, 0.7, 0.8))]
    scores = average_seeds([*figures, figure("fin", 2, 0.9)])
    by_subject = scores[Cell("accuracy_steady", "fin")]
    assert by_subject == pytest.approx({1: 0.7, 2: 0.9})
    found = spread(by_subject)
    assert (found.mean, found.n_subjects) == (pytest.approx(0.8), 2)
    assert found.std == pytest.approx(np.std([0.7, 0.9], ddof=1))


def test_undefined_values_are_left_out():
    scores = average_seeds([figure("fin", 1, 0.5), figure("fin", 1, None, 1)])
    assert scores == {Cell("accuracy_steady", "fin"): {1: 0.5}}
    assert average_seeds([figure("fin", 1, None)]) == {}


def test_one_person_has_no_spread_and_nobody_has_nothing():
    assert spread({4: 0.5}) == Spread(0.5, None, 1)
    assert spread({}) is None


# -------------------------------------------------------------------------------------- p
@pytest.mark.parametrize("n", [2, 6, 7, 11])
def test_p_is_that_of_scipy(n):
    rng = np.random.default_rng(n)
    for shift in (0.0, 0.7, 3.0):
        d = rng.standard_normal(n) + shift
        assert sign_flip_p(d) == pytest.approx(scipy_p(d), abs=1e-12)


def test_p_counts_ties_as_scipy_does():
    d = [0.1, 0.1, 0.1, -0.1, 0.2, 0.3, 0.0]
    assert sign_flip_p(d) == pytest.approx(scipy_p(d), abs=1e-12)
    assert sign_flip_p([0.1, 0.2, -0.3]) == 1.0
    assert sign_flip_p([0.0] * 6) == 1.0
    assert sign_flip_p([0.4]) == 1.0


def test_p_of_forty_subjects_is_exact():
    # equal sizes make it the sign test, whose p is known in closed form
    d = np.where(np.arange(40) < 28, 1.0, -1.0)
    assert sign_flip_p(d) == pytest.approx(stats.binomtest(28, 40).pvalue, rel=1e-12)
    assert sign_flip_p(np.arange(1.0, 41.0)) == 2.0**-39


def test_p_of_more_subjects_is_close():
    d = np.where(np.arange(60) < 36, 1.0, -1.0)
    assert sign_flip_p(d) == pytest.approx(stats.binomtest(36, 60).pvalue, abs=0.005)
    assert sign_flip_p(d) == sign_flip_p(d)


def test_holm():
    # the worked example of four: sorted .005 .01 .03 .04 times 4 3 2 1, never falling
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


# ----------------------------------------------------------------------------- comparisons
FIN = [0.80, 0.85, 0.90, 0.70, 0.75, 0.95]
LDA = [0.78, 0.84, 0.87, 0.66, 0.70, 0.89]


def test_comparison_of_six():
    scores = scores_of({"fin": FIN, "lda": LDA})
    (found,) = compare(scores, "accuracy_steady", "", 0, ["lda"])
    d = np.subtract(FIN, LDA)
    assert (found.control, found.n_subjects) == ("lda", 6)
    assert found.difference == pytest.approx(d.mean())
    assert found.effect_size == pytest.approx(d.mean() / d.std(ddof=1))
    assert found.p == found.p_holm == 2 / 64


def test_a_family_is_corrected_together_and_alone():
    worse = [v - 0.1 for v in FIN]
    noise = [0.81, 0.83, 0.91, 0.69, 0.76, 0.94]
    scores = scores_of({"fin": FIN, "lda": LDA, "svm": noise, "majority": worse})
    scores |= scores_of({"fin": FIN, "lda": LDA}, condition="1 repetition")
    found = {c.control: c for c in compare(scores, "accuracy_steady", "", 0, scores_methods)}
    assert set(found) == {"lda", "svm", "majority"}
    assert found["lda"].p == found["majority"].p == 2 / 64
    assert found["lda"].p_holm == found["majority"].p_holm == 3 * 2 / 64
    assert found["svm"].p_holm == found["svm"].p > 0.3
    assert found["majority"].effect_size is None  # always 0.1: no standard deviation
    (alone,) = compare(scores, "accuracy_steady", "1 repetition", 0, scores_methods)
    assert alone.p_holm == alone.p == 2 / 64


scores_methods = ["lda", "svm", "majority"]


def test_fewer_than_six_are_not_tested_and_the_effect_is_still_said():
    (found,) = compare(
        scores_of({"fin": FIN[:5], "lda": LDA[:5]}), "accuracy_steady", "", 0, ["lda"]
    )
    assert found.p is None
    assert found.p_holm is None
    assert found.difference == pytest.approx(np.subtract(FIN, LDA)[:5].mean())
    assert found.effect_size is not None


def test_only_people_that_both_were_tested_on_are_paired():
    scores = scores_of({"fin": [*FIN, 0.1], "lda": LDA})
    (found,) = compare(scores, "accuracy_steady", "", 0, ["lda"])
    assert found.n_subjects == 6
    assert found.difference == pytest.approx(np.subtract(FIN, LDA).mean())
    strangers = average_seeds([figure("fin", 1, 0.5), figure("lda", 2, 0.5)])
    assert compare(strangers, "accuracy_steady", "", 0, ["lda"]) == []


def test_families_of_a_run():
    methods = dict.fromkeys(("fin", "lda", "persistence", "truth_persistence", "ensemble_lda"), FIN)
    scores = scores_of(methods)
    for ms in (0, 100):
        scores |= scores_of(methods, measure="accuracy_transition", horizon_ms=ms)
        for name in ("rms", "ent"):
            r2 = dict.fromkeys(("fin", "persistence"), FIN)
            scores |= scores_of(r2, measure="r2", horizon_ms=ms, feature=name)
    found = [(c.measure, c.horizon_ms, c.control, c.feature) for c in all_comparisons(scores, [""])]
    assert sorted(found) == [
        ("accuracy_steady", 0, "lda", ""),
        ("accuracy_transition", 100, "lda", ""),
        ("accuracy_transition", 100, "persistence", ""),
        ("r2", 100, "persistence", "ent"),
        ("r2", 100, "persistence", "rms"),
    ]
    assert all_comparisons(scores, ["another condition"]) == []
