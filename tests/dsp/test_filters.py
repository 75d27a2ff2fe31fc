"""Filters do what their design says, and chunks leave no trace."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from semgfin_rt.dsp.filters import CausalFilter, design_filter
from semgfin_rt.errors import OptionError

RATE = 2000.0


def noise(n=3000, n_channels=3, offset=0.0):
    rng = np.random.default_rng(5)
    return (rng.standard_normal((n, n_channels)) + offset).astype(np.float32)


def gain_db(sos, frequency, rate=RATE):
    _, response = signal.sosfreqz(np.array(sos), worN=[frequency], fs=rate)
    return 20 * np.log10(abs(response[0]))


@pytest.mark.parametrize("chunk", [1, 7, 20, 499])
@pytest.mark.parametrize("notch", [None, 50.0])
def test_chunks_never_change_a_sample(chunk, notch):
    x = noise(offset=3.0)
    sos = design_filter(RATE, notch=notch)
    whole = CausalFilter(sos)(x)
    causal = CausalFilter(sos)
    pieces = [causal(x[i : i + chunk]) for i in range(0, len(x), chunk)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert whole.dtype == np.float32


def test_blocks_of_a_long_recording_leave_no_seam():
    x = noise(n=(1 << 15) + 700, n_channels=1)
    sos = design_filter(RATE)
    zi = signal.sosfilt_zi(np.array(sos))[:, :, None] * x[0].astype(np.float64)
    expected, _ = signal.sosfilt(np.array(sos), x.astype(np.float64), axis=0, zi=zi)
    np.testing.assert_allclose(CausalFilter(sos)(x), expected, atol=1e-6)


def test_response_to_a_sine_is_that_of_the_design():
    sos = design_filter(RATE)
    t = np.arange(8000) / RATE
    for frequency in (5.0, 20.0, 100.0, 450.0, 800.0):
        x = np.sin(2 * np.pi * frequency * t).astype(np.float32)[:, None]
        settled = CausalFilter(sos)(x)[4000:, 0].astype(np.float64)
        found = 20 * np.log10(max(np.sqrt(2 * np.mean(settled**2)), 1e-12))
        assert found == pytest.approx(max(gain_db(sos, frequency), -120), abs=0.1), frequency


def test_band_edges_are_the_half_power_points():
    sos = design_filter(RATE, (20.0, 450.0))
    assert len(sos) == 4
    for edge in (20.0, 450.0):
        assert gain_db(sos, edge) == pytest.approx(-3.01, abs=0.02)
    assert gain_db(sos, 100.0) == pytest.approx(0.0, abs=0.1)
    assert gain_db(sos, 2.0) < -60


def test_upper_edge_is_lowered_to_nine_tenths_of_nyquist():
    sos = design_filter(800.0)
    assert sos == design_filter(800.0, (20.0, 360.0))
    assert gain_db(sos, 360.0, 800.0) == pytest.approx(-3.01, abs=0.02)


@pytest.mark.parametrize("mains", [50.0, 60.0])
def test_notch_takes_out_the_mains_and_little_else(mains):
    sos = design_filter(RATE, notch=mains)
    plain = design_filter(RATE)
    assert gain_db(sos, mains) < -100
    for other in (mains - 5, mains + 5):
        assert gain_db(sos, other) - gain_db(plain, other) == pytest.approx(0.0, abs=0.6)


@pytest.mark.parametrize("notch", [None, 50.0])
def test_an_electrode_offset_makes_no_transient(notch):
    flat = np.full((500, 2), 0.3, dtype=np.float32) * np.float32([1, -2])
    assert np.abs(CausalFilter(design_filter(RATE, notch=notch))(flat)).max() < 1e-6


def test_reset_makes_the_next_sample_a_first_one():
    x = noise()
    causal = CausalFilter(design_filter(RATE))
    first = causal(x)
    assert not np.array_equal(causal(x), first)
    causal.reset()
    np.testing.assert_array_equal(causal(x), first)


def test_no_sections_pass_the_signal_and_no_samples_change_no_state():
    x = noise()
    np.testing.assert_array_equal(CausalFilter(())(x), x)
    causal = CausalFilter(design_filter(RATE))
    assert causal(x[:0]).shape == (0, 3)
    whole = CausalFilter(design_filter(RATE))(x)
    head, none, tail = causal(x[:10]), causal(x[:0]), causal(x[10:])
    np.testing.assert_array_equal(np.concatenate([head, none, tail]), whole)


@pytest.mark.parametrize(("rate", "low"), [(40.0, 20.0), (2000.0, 500.0), (2000.0, 0.0)])
def test_impossible_band(rate, low):
    with pytest.raises(OptionError, match=f"band does not exist at {rate:g} Hz"):
        design_filter(rate, (low, 450.0))


def test_impossible_notch():
    with pytest.raises(OptionError, match="60"):
        design_filter(100.0, notch=60.0)  # above the Nyquist frequency, 50 Hz
