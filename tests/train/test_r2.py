"""R² in pieces, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score

from semgfin_rt.train.r2 import R2


def test_r2_in_pieces_against_scikit_learn():
    rng = np.random.default_rng(0)
    target = (rng.standard_normal((500, 2, 3, 4)) * [1, 5, 0.1, 2] + 7).astype(np.float32)
    estimate = (target + rng.standard_normal(target.shape) * 0.7).astype(np.float32)
    valid = rng.random((500, 2)) < [0.9, 0.4]
    estimate[~valid] = np.nan  # never looked at
    r2 = R2((2, 3, 4))
    for part in (slice(0, 3), slice(3, 350), slice(350, None)):
        r2.add(estimate[part], target[part], valid[part])
    for h in range(2):
        e, t = estimate[valid[:, h], h].astype(float), target[valid[:, h], h].astype(float)
        for f in range(3):
            each = [r2_score(t[:, f, c], e[:, f, c]) for c in range(4)]
            assert r2.channel_median()[h, f] == pytest.approx(np.median(each), abs=1e-6)
            pooled = r2_score(t[:, f].ravel(), e[:, f].ravel())
            assert r2.pooled()[h, f] == pytest.approx(pooled, abs=1e-6)


def test_r2_of_the_mean_is_zero_and_of_worse_negative():
    target = np.random.default_rng(0).standard_normal((400, 1, 1, 2))
    valid = np.ones((400, 1), bool)
    for estimate, expected in ((np.zeros_like(target) + target.mean(), 0.0), (-target, -3.0)):
        r2 = R2((1, 1, 2))
        r2.add(estimate, target, valid)
        assert r2.pooled()[0, 0] == pytest.approx(expected, abs=0.05)


def test_r2_of_nothing_is_not_a_number():
    r2 = R2((1, 1, 2))
    assert np.isnan(r2.pooled()).all()
    assert np.isnan(r2.channel_median()).all()


# ----------------------------------------------------------------- the published kind of figure
def test_clamped_against_scikit_learn_window_by_window():
    rng = np.random.default_rng(1)
    target = rng.standard_normal((60, 2, 2, 5))
    estimate = (target + rng.standard_normal(target.shape)).astype(np.float32)
    valid = rng.random((60, 2)) < 0.7
    r2 = R2((2, 2, 5))
    for part in (slice(0, 7), slice(7, None)):
        r2.add(estimate[part], target[part], valid[part])
    for h in range(2):
        for f in range(2):
            each = [
                max(0.0, r2_score(target[n, h, f], estimate[n, h, f]))
                for n in np.flatnonzero(valid[:, h])
            ]
            assert min(each) == 0.0
            assert r2.clamped()[h, f] == pytest.approx(np.mean(each), abs=1e-5)


def test_clamped_hides_what_is_worse_than_the_mean():
    target = np.random.default_rng(0).standard_normal((50, 1, 1, 4))
    r2 = R2((1, 1, 4))
    r2.add(-target, target, np.ones((50, 1), bool))
    assert r2.pooled()[0, 0] < -2
    assert r2.clamped()[0, 0] < 0.1
    assert R2((1, 1, 1)).clamped().shape == (1, 1)


def test_channels_that_are_all_alike_count_as_zero():
    target = np.ones((3, 1, 1, 4))
    r2 = R2((1, 1, 4))
    r2.add(target, target, np.ones((3, 1), bool))
    assert r2.clamped()[0, 0] == 0.0
