"""Scaling is per channel, with the statistics it was given."""

from __future__ import annotations

import numpy as np
import pytest

from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.errors import TrainingError

CHANNELS = ("biceps", "triceps", "palm")


def parts():
    rng = np.random.default_rng(0)
    scale, offset = np.float32([1e-5, 3.0, 40.0]), np.float32([2e-6, -1.0, 900.0])
    return [(rng.standard_normal((n, 3)) * scale + offset).astype(np.float32) for n in (700, 50)]


def test_statistics_are_those_of_all_parts_together():
    together = np.concatenate(parts()).astype(np.float64)
    scaler = Scaler.fit(iter(parts()), CHANNELS)
    np.testing.assert_allclose(scaler.mean, together.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(scaler.std, together.std(axis=0), rtol=1e-9)


def test_scaled_training_data_is_standardised():
    z = Scaler.fit(parts(), CHANNELS)(np.concatenate(parts()))
    assert z.dtype == np.float32
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-4)


def test_what_is_scaled_does_not_change_how():
    scaler = Scaler((1.0, 2.0, 3.0), (2.0, 4.0, 8.0))
    x = np.float32([[3.0, 6.0, 11.0], [1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(scaler(x), [[1, 1, 1], [0, 0, 0]])
    np.testing.assert_array_equal(scaler(x[:1]), scaler(x)[:1])
    np.testing.assert_array_equal(x, np.float32([[3.0, 6.0, 11.0], [1.0, 2.0, 3.0]]))


@pytest.mark.parametrize("level", [0.0, 1.0, *np.geomspace(3.3e-5, 8191.3, 12)])
def test_a_constant_channel_is_refused(level):
    # whatever its level, and long enough for the rounding errors of a sum to show
    x = np.random.default_rng(0).standard_normal((50_000, 3)).astype(np.float32)
    x[:, 1] = level
    with pytest.raises(TrainingError, match="channel 'triceps' has standard deviation"):
        Scaler.fit([x], CHANNELS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_channel_that_is_not_finite_is_refused(value):
    x = np.concatenate(parts())
    x[17, 2] = value
    with pytest.raises(TrainingError, match="channel 'palm'"):
        Scaler.fit([x], CHANNELS)


def test_nothing_to_fit_is_refused():
    with pytest.raises(TrainingError, match="biceps"):
        Scaler.fit([], CHANNELS)
