import numpy as np
import pytest
from decisions import decide, tiny_contract

from semgfin_rt.app.imitation import (
    BATCH,
    PART,
    PARTS,
    Imitation,
    RollingR2,
    compare_features,
    level,
)
from semgfin_rt.train.r2 import R2

RNG = np.random.default_rng(4)


@pytest.fixture
def contract():
    """100 Hz; two features with training deviations 0.5 and 4, two channels."""
    return tiny_contract()


def estimated(sample, features):
    """Return a decision whose present estimate, and forecast, is `features`."""
    decision = decide(sample)
    decision.features[:] = features
    return decision


# ------------------------------------------------------------------------------ lights
@pytest.mark.parametrize(
    ("error", "light"),
    [(0.0, "good"), (0.499, "good"), (0.5, "warn"), (0.999, "warn"), (1.0, "bad"), (9.0, "bad")],
)
def test_a_light_changes_where_training_variance_is_no_longer_explained(error, light):
    assert level(error) == light


def test_an_error_that_is_no_number_is_bad():
    assert level(float("nan")) == "bad"


def test_features_are_compared_in_training_standard_deviations(contract):
    estimate = np.array([[1.5, 1.0], [2.0, 10.0]], np.float32)
    closed_form = np.array([[1.0, 1.0], [2.0, 2.0]], np.float32)
    compared = compare_features(contract, estimate, closed_form)
    np.testing.assert_allclose(compared.estimate, [[1, 0], [0, 2]])
    np.testing.assert_allclose(compared.closed_form, 0)


def test_error_is_in_training_deviations_over_channels_and_the_last_second(contract):
    imitation = Imitation(contract)
    assert imitation.error is None
    assert imitation.levels == ()
    for sample in range(100):
        imitation.take([estimated(sample, [[9.0, 9.0], [90, 90]])], np.zeros((2, 2), np.float32))
    for sample in range(100, 200):
        off = np.array([[0.3, -0.1], [4, 8]], np.float32)
        imitation.take([estimated(sample, off)], np.zeros((2, 2), np.float32))
    np.testing.assert_allclose(imitation.error, [np.sqrt(0.05) / 0.5, np.sqrt(40) / 4], rtol=1e-6)
    assert imitation.levels == ("good", "bad")


def test_one_bad_window_does_not_flash(contract):
    imitation = Imitation(contract)
    for sample in range(100):
        off = 1.0 if sample == 60 else 0.0  # 2 deviations of the first feature
        imitation.take([estimated(sample, off)], np.zeros((2, 2), np.float32))
    assert imitation.levels == ("good", "good")


def test_without_the_present_there_is_nothing_to_compare(contract):
    ahead = Imitation(contract.model_copy(update={"horizons_ms": (50, 100)}))
    ahead.take([estimated(0, 5.0)], np.zeros((2, 2), np.float32))
    assert ahead.levels == ()


def test_another_checkpoints_features_are_left_aside(contract):
    imitation = Imitation(contract)
    imitation.take([decide(0)], np.zeros((3, 2), np.float32))
    imitation.take([decide(1)], None)
    imitation.take([], np.zeros((2, 2), np.float32))
    assert imitation.error is None


# --------------------------------------------------------------------------------- R²
def test_r2_is_that_of_training_over_one_pair_each_tenth_of_a_second(contract):
    imitation = Imitation(contract)
    truth = RNG.standard_normal((200, 2, 2)).astype(np.float32)
    guess = (truth + 0.4 * RNG.standard_normal(truth.shape)).astype(np.float32)
    for sample in range(200):  # 2 s: 20 pairs
        imitation.take([estimated(sample, guess[sample])], truth[sample])
    expected = R2((1, 2, 2))
    expected.add(guess[::10, None], truth[::10, None], np.ones((20, 1), np.bool_))
    np.testing.assert_allclose(imitation.r2, expected.pooled()[0])
    assert (imitation.r2 > 0.5).all()


def test_r2_is_unknown_before_the_first_second(contract):
    imitation = Imitation(contract)
    imitation.take([estimated(0, 1.0)], np.zeros((2, 2), np.float32))
    assert np.isnan(imitation.r2).all()


def test_what_is_over_30_s_old_no_longer_counts():
    rolling = RollingR2((1, 1, 2))
    n = BATCH * PART * PARTS
    noise = RNG.standard_normal((2 * n, 1, 2)).astype(np.float32)
    for i in range(n):  # the estimate has nothing to do with what came true
        rolling.add(noise[None, i], noise[i + n])
    assert rolling.pooled()[0, 0] < 0
    for i in range(n):
        rolling.add(noise[None, i], noise[i])
    assert rolling.pooled()[0, 0] == 1


def test_memory_is_bounded():
    rolling = RollingR2((1, 1, 1))
    value = np.ones((1, 1), np.float32)
    for _ in range(5 * BATCH * PART * PARTS):
        rolling.add(value[None], value)
    assert len(rolling._sums) == PARTS
    assert len(rolling._batch) < BATCH


def test_a_value_that_is_not_finite_is_left_out():
    rolling = RollingR2((2, 1, 2))
    good = RNG.standard_normal((BATCH, 1, 2)).astype(np.float32)
    for i, target in enumerate(good):
        estimate = np.stack([target, target])
        estimate[1, 0, 0] = np.nan if i == 0 else target[0, 0]
        rolling.add(estimate, target)
    assert rolling.pooled().tolist() == [[1], [1]]


def test_a_new_stream_begins_afresh(contract):
    imitation = Imitation(contract)
    zeros = np.zeros((2, 2), np.float32)
    for sample in range(0, 400, 10):
        imitation.take([estimated(sample, RNG.standard_normal((2, 2)))], zeros)
    imitation.take([estimated(5, 0.0)], zeros)
    assert imitation.error.tolist() == [0, 0]
    assert np.isnan(imitation.r2).all()
