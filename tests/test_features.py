"""Each closed-form feature against a definition of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy

from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.errors import OptionError
from semgfin_rt.features import FEATURES, PAPER_FEATURES, RICH_FEATURES, THRESHOLD, closed_form


def signal(n_windows=4, n_samples=120, n_channels=3, scale=1.0, seed=1):
    rng = np.random.default_rng(seed)
    return scale * rng.standard_normal((n_windows, n_samples, n_channels))


def wl(x):
    return sum(abs(x[i + 1] - x[i]) for i in range(len(x) - 1))


def zc(x):
    return sum(
        (x[i] > 0 > x[i + 1] or x[i] < 0 < x[i + 1]) and abs(x[i + 1] - x[i]) > THRESHOLD
        for i in range(len(x) - 1)
    )


def ssc(x):
    turns = 0
    for i in range(1, len(x) - 1):
        before, after = x[i] - x[i - 1], x[i + 1] - x[i]
        large = abs(before) > THRESHOLD or abs(after) > THRESHOLD
        turns += (before > 0 > after or before < 0 < after) and large
    return turns


def mnf(x):
    power = np.abs(np.fft.rfft(x)) ** 2
    return (np.fft.rfftfreq(len(x)) * power).sum() / power.sum()


DEFINITIONS = {
    "rms": lambda x: np.sqrt(np.mean(x**2)),
    "var": lambda x: np.var(x, ddof=0),
    "ssi": lambda x: np.sum(x**2),
    "ent": lambda x: entropy(softmax(x)),
    "mav": lambda x: np.mean(np.abs(x)),
    "wl": wl,
    "zc": zc,
    "ssc": ssc,
    "mnf": mnf,
    "log_rms": lambda x: np.log(np.sqrt(np.mean(x**2))),
    "log_ent": lambda x: np.log(np.log(len(x)) - entropy(softmax(x))),
    "log_mav": lambda x: np.log(np.mean(np.abs(x))),
    "log_wl": lambda x: np.log(wl(x)),
}


def test_every_feature_has_a_definition_here():
    assert set(DEFINITIONS) == set(FEATURES) >= {*PAPER_FEATURES, *RICH_FEATURES}


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("scale", [0.02, 1.0, 6.0])  # rest, the training mean, a strong burst
def test_definition(name, scale):
    x = signal(scale=scale)
    expected = np.apply_along_axis(DEFINITIONS[name], 1, x)
    np.testing.assert_allclose(closed_form(x, [name])[:, 0], expected, rtol=1e-7)


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 2e-4), (np.float64, 1e-9)])
def test_numpy_and_torch_agree(name, dtype, rtol):
    x = signal().astype(dtype)
    ours, theirs = closed_form(x, [name]), closed_form(torch.from_numpy(x), [name])
    assert ours.dtype == dtype
    assert theirs.numpy().dtype == dtype
    np.testing.assert_allclose(theirs.numpy(), ours, rtol=rtol)


def test_order_and_shape():
    x = signal().astype(np.float32)
    both = closed_form(x, ("wl", "rms"))
    assert both.shape == (4, 2, 3)
    np.testing.assert_array_equal(both[:, 1], closed_form(x, ["rms"])[:, 0])
    np.testing.assert_array_equal(closed_form(x[0], ("wl", "rms")), both[0])


@pytest.mark.parametrize("n", [7, 600])
@pytest.mark.parametrize("level", [0.0, -3.0, 80.0])
def test_entropy_of_a_flat_line_is_its_maximum(n, level):
    flat = np.full((n, 1), level, dtype=np.float32)
    assert closed_form(flat, ["ent"])[0, 0] == pytest.approx(math.log(n), rel=1e-6)
    assert closed_form(signal(n_samples=n), ["ent"]).max() < math.log(n)


def test_entropy_of_a_single_peak_is_nearly_zero():
    x = np.zeros((600, 1), dtype=np.float32)
    x[100] = 60.0
    assert closed_form(x, ["ent"])[0, 0] == pytest.approx(0.0, abs=1e-5)


def test_a_flat_line_has_finite_features():
    flat = np.zeros((600, 2), dtype=np.float32)
    assert np.isfinite(closed_form(flat, FEATURES)).all()
    assert np.isfinite(closed_form(torch.from_numpy(flat), FEATURES).numpy()).all()


def test_scaling_is_per_channel_so_that_a_quiet_window_stays_quiet():
    # z-scored per window, RMS would be 1 in both windows and in every channel
    rng = np.random.default_rng(3)
    loud, quiet = rng.normal(0, 5e-5, (2000, 2)), rng.normal(0, 5e-6, (2000, 2))
    recording = np.concatenate([loud, quiet]).astype(np.float32) * np.float32([1, 4])
    z = Scaler.fit([recording], ("a", "b"))(recording)
    rms = closed_form(np.stack([z[:2000], z[2000:]]), ["rms"])[:, 0]
    np.testing.assert_allclose(rms[0], math.sqrt(2), rtol=0.05)
    np.testing.assert_allclose(rms[1], math.sqrt(2) / 10, rtol=0.05)


def test_var_and_ssi_are_one_quantity_but_for_the_mean():
    x = signal(n_windows=50) + np.linspace(-1, 1, 3)
    ssi, var = (closed_form(x, [name])[:, 0] for name in ("ssi", "var"))
    np.testing.assert_allclose(ssi / x.shape[1] - x.mean(axis=1) ** 2, var, rtol=1e-9)
    centred = x - x.mean(axis=1, keepdims=True)
    ssi, var = (closed_form(centred, [name])[:, 0].ravel() for name in ("ssi", "var"))
    assert np.corrcoef(ssi, var)[0, 1] == pytest.approx(1.0, abs=1e-12)


def test_variance_is_not_negative_on_an_offset():
    flat = np.full((600, 1), 3.3, dtype=np.float32)
    assert closed_form(flat, ["var"])[0, 0] == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize(("scale", "atol"), [(1.0, 1e-4), (0.1, 5e-4), (0.03, 5e-3), (0.01, 5e-2)])
def test_log_ent_near_silence_in_single_precision(make, scale, atol):
    x = signal(n_windows=40, n_samples=600, scale=scale).astype(np.float32)
    exact = np.apply_along_axis(DEFINITIONS["log_ent"], 1, x.astype(np.float64))
    found = np.asarray(closed_form(make(x), ["log_ent"]))[:, 0]
    np.testing.assert_allclose(found, exact, atol=atol, rtol=0)


def test_jitter_below_the_threshold_is_no_crossing():
    x = np.tile([0.004, -0.004], 50)[:, None]
    assert closed_form(x, ("zc", "ssc")).ravel().tolist() == [0.0, 0.0]
    assert closed_form(2 * x, ("zc", "ssc")).ravel().tolist() == [99.0, 98.0]


def test_a_step_of_just_the_threshold_counts_for_nothing():
    x = np.tile([THRESHOLD / 2, -THRESHOLD / 2], 50)[:, None]
    assert np.abs(np.diff(x, axis=0)).max() == THRESHOLD
    assert closed_form(x, ("zc", "ssc")).ravel().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("cycles", [5, 40])
def test_mean_frequency_of_a_sine_is_its_frequency(cycles):
    x = np.sin(2 * np.pi * cycles * np.arange(200) / 200)[:, None]
    assert closed_form(x, ["mnf"])[0, 0] == pytest.approx(cycles / 200)


def test_unknown_name():
    with pytest.raises(OptionError, match="'kurtosis' is not a feature: choose among rms"):
        closed_form(signal(), ("rms", "kurtosis", "skewness"))
