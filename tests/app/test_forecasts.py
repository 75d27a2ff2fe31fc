import time

import numpy as np
import pytest
from decisions import decide, tiny_contract

from semgfin_rt.app.forecasts import Forecasts
from semgfin_rt.app.imitation import compare_features
from semgfin_rt.contracts import Decision
from semgfin_rt.train.r2 import R2

HORIZON = 5  # samples and hops: 50 ms


@pytest.fixture
def contract():
    return tiny_contract()


class Course:
    """A signal of which the features are known, and forecasts of it."""

    def __init__(self, n=4000, seed=0):
        rng = np.random.default_rng(seed)
        steps = rng.standard_normal((n, 2, 2))
        slow = np.convolve(steps[:, 0, 0], np.ones(40) / 6, mode="same")
        self.truth = (slow[:, None, None] + 0.3 * steps).astype(np.float32)
        self.noise = (0.2 * rng.standard_normal((n, 2, 2))).astype(np.float32)

    def decision(self, sample):
        """Return one that knows the present exactly and the future up to some noise."""
        made = decide(sample)
        made.features[0] = self.truth[sample]
        made.features[1] = self.truth[sample + HORIZON] + self.noise[sample]
        return made

    def snapshot(self, forecasts, first, stop):
        """Hand over decisions first to stop, and the closed form of the last."""
        made = [self.decision(s) for s in range(first, stop)]
        forecasts.take(made, self.truth[stop - 1])


def test_forecasts_are_matched_by_sample_with_what_came(contract):
    forecasts, course = Forecasts(contract), Course()
    for first in range(0, 1500, 3):  # three decisions in each snapshot
        course.snapshot(forecasts, first, first + 3)
    (score,) = forecasts.scores()
    assert score.horizon_ms == 50

    checked = [5]  # samples whose closed form came, a tenth of a second apart
    for end in range(8, 1500, 3):
        if end >= checked[-1] + 10:
            checked.append(end)
    at = np.array(checked[: len(checked) // 10 * 10])  # whole batches
    expected, persistence = R2((1, 2, 2)), R2((1, 2, 2))
    valid = np.ones((len(at), 1), np.bool_)
    made = course.truth[at] + course.noise[at - HORIZON]
    expected.add(made[:, None], course.truth[at][:, None], valid)
    persistence.add(course.truth[at - HORIZON][:, None], course.truth[at][:, None], valid)
    np.testing.assert_allclose(score.r2, expected.pooled()[0])
    np.testing.assert_allclose(score.persistence, persistence.pooled()[0])
    assert (score.skill > 0.05).all()


def test_what_was_forecast_stands_beside_what_came(contract):
    forecasts, course = Forecasts(contract), Course()
    for sample in range(300):  # each has its closed form; each tenth is checked, from the fifth on
        course.snapshot(forecasts, sample, sample + 1)
        checked = sample - (sample - HORIZON) % 10
        if checked < HORIZON:
            assert forecasts.comparisons == {}
            assert forecasts.error(50) is None
            continue
        came = course.truth[checked]
        expected = compare_features(contract, came + course.noise[checked - HORIZON], came)
        shown = forecasts.comparisons[50]
        np.testing.assert_array_equal(shown.estimate, expected.estimate)
        np.testing.assert_array_equal(shown.closed_form, expected.closed_form)

    off = course.noise[np.arange(205, 300, 10) - HORIZON]  # of the last second
    off_sd = off / np.array(contract.feature_std)[:, None]
    np.testing.assert_allclose(forecasts.error(50), np.sqrt(np.mean(off_sd**2, axis=(0, 2))), 1e-4)


def test_horizons_may_stand_in_any_order(contract):
    forward, backward = (
        Forecasts(contract.model_copy(update={"horizons_ms": order}))
        for order in ((0, 50), (50, 0))
    )
    course = Course()
    for sample in range(1000):
        made = course.decision(sample)
        forward.take([made], course.truth[sample])
        turned = Decision(sample, made.time, made.movements, made.features[::-1])
        backward.take([turned], course.truth[sample])
    (one,), (other,) = forward.scores(), backward.scores()
    assert one.horizon_ms == other.horizon_ms == 50
    assert (one.skill > 0.05).all()
    np.testing.assert_array_equal([one.r2, one.persistence], [other.r2, other.persistence])


def test_a_forecast_that_only_repeats_has_no_skill(contract):
    forecasts, course = Forecasts(contract), Course()
    for sample in range(0, 2000):
        made = course.decision(sample)
        made.features[1] = made.features[0]
        forecasts.take([made], course.truth[sample])
    (score,) = forecasts.scores()
    np.testing.assert_array_equal(score.skill, 0)


def test_nothing_is_scored_before_a_future_has_come(contract):
    forecasts, course = Forecasts(contract), Course()
    for sample in range(HORIZON):
        course.snapshot(forecasts, sample, sample + 1)
    (score,) = forecasts.scores()
    assert np.isnan(score.r2).all()
    assert np.isnan(score.skill).all()


def test_missing_decisions_and_closed_forms_are_pairs_less(contract):
    forecasts, course = Forecasts(contract), Course()
    for sample in range(0, 2000):
        if sample % 7 in (2, 3):  # passed over
            continue
        closed = None if sample % 3 else course.truth[sample]
        forecasts.take([course.decision(sample)], closed)
    (score,) = forecasts.scores()
    assert (score.r2 > 0.8).all()  # a wrong match would be worse than persistence
    assert (score.skill > 0.05).all()


def test_no_pair_reaches_across_a_break(contract):
    contract = contract.model_copy(update={"window": 3})  # shorter than the horizon
    forecasts, course = Forecasts(contract), Course()
    for sample in range(0, 1000):
        if sample % 16 < 12:  # and a break of 4 samples
            made = course.decision(sample)
            ends = sample % 16 >= 12 - HORIZON  # what is forecast then never comes
            made.features[1] = 1e3 if ends else course.truth[sample + HORIZON]
            forecasts.take([made], course.truth[sample])
    (score,) = forecasts.scores()
    np.testing.assert_allclose(score.r2, 1)


def test_a_new_stream_begins_afresh(contract):
    forecasts, course = Forecasts(contract), Course()
    for sample in range(1000):
        course.snapshot(forecasts, sample, sample + 1)
    assert np.isfinite(forecasts.scores()[0].r2).all()
    course.snapshot(forecasts, 3, 4)
    assert np.isnan(forecasts.scores()[0].r2).all()
    assert forecasts.comparisons == {}
    assert forecasts.error(50) is None
    assert list(forecasts._made) == [3]


def test_a_checkpoint_with_other_features_is_left_aside(contract):
    forecasts = Forecasts(contract)
    other = Decision(0, 0.0, (), np.zeros((2, 5, 2), np.float32))
    forecasts.take([other], np.zeros((5, 2), np.float32))
    assert forecasts._made == {}


def test_without_a_forecast_there_is_no_score(contract):
    forecasts = Forecasts(contract.model_copy(update={"horizons_ms": (0,)}))
    forecasts.take([decide(9)], np.zeros((2, 2), np.float32))
    assert forecasts.scores() == ()


def test_without_the_present_there_is_no_persistence(contract):
    forecasts = Forecasts(contract.model_copy(update={"horizons_ms": (50, 100)}))
    course = Course()
    for sample in range(1000):
        made = decide(sample)
        made.features[0], made.features[1] = course.truth[sample + 5], course.truth[sample + 10]
        forecasts.take([made], course.truth[sample])
    for score in forecasts.scores():
        assert score.r2.tolist() == [1, 1]
        assert np.isnan(score.persistence).all()


def test_memory_is_bounded_and_a_snapshot_costs_next_to_nothing(contract):
    """DB2 size: 12 channels, 12 features, 5 horizons, 2 kHz, 3 decisions a snapshot."""
    many = contract.model_copy(
        update={
            "channels": tuple(f"ch{i}" for i in range(12)),
            "features": tuple(f"f{i}" for i in range(12)),
            "feature_mean": (0.0,) * 12,
            "feature_std": (1.0,) * 12,
            "horizons_ms": (0, 50, 100, 200, 300),
            "rate": 2000.0,
            "hop": 20,
            "window": 600,
        }
    )
    forecasts = Forecasts(many)
    features = np.random.default_rng(0).standard_normal((5, 12, 12)).astype(np.float32)
    snapshots = [
        [Decision(s, 0.0, (), features) for s in range(first, first + 60, 20)]
        for first in range(599, 599 + 600 * 60, 60)
    ]
    begun = time.process_time()
    for made in snapshots:
        forecasts.take(made, features[0])
    each_ms = 1000 * (time.process_time() - begun) / len(snapshots)
    assert len(forecasts._made) == 31  # 300 ms of hops
    assert each_ms < 0.3  # 0.06 on an idle core
