"""Losses are told from bursts, rushes, jitter and drift; property tests of a pure function."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semgfin_rt.sources.gaps import SETTLE_S, GapFinder

RATE = 2000.0


def losses(times, rate=RATE) -> list[tuple[int, int]]:
    """Index of each sample that a loss was placed before, and how many."""
    finder = GapFinder(rate)
    found = [finder.lost_before(float(t)) for t in times]
    return [(i, n) for i, n in enumerate(found) if n]


def regular(n, ppm=0.0, rate=RATE):
    return 5e4 + np.arange(n) / rate * (1 + ppm * 1e-6)


@given(
    burst=st.integers(1, 2000),
    jitter_ms=st.floats(0, 8),
    ppm=st.floats(-200, 200),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_bursts_of_any_size_are_no_loss(burst, jitter_ms, ppm, seed):
    times = regular(20_000, ppm)
    sent = times[(np.arange(20_000) // burst) * burst]  # all of a burst at its first sample's time
    late = np.random.default_rng(seed).uniform(0, jitter_ms / 1000, -(-20_000 // burst))
    assert losses(sent + np.repeat(late, burst)[:20_000]) == []


@given(lost=st.integers(110, 20_000), at=st.integers(0, 3000), ppm=st.floats(-200, 200))
@settings(max_examples=40, deadline=None)
def test_a_gap_is_counted_and_placed_when_it_is_known(lost, at, ppm):
    times = np.delete(regular(8000 + lost, ppm), slice(at + 1, at + 1 + lost))
    ((place, counted),) = losses(times)
    assert counted == pytest.approx(lost, rel=0.01, abs=3)
    assert place == pytest.approx(at + SETTLE_S * RATE, abs=3)


def test_a_gap_between_bursts_is_counted():
    lost = 2000
    sent = regular(12_000)[(np.arange(12_000) // 100) * 100]
    ((_, counted),) = losses(np.delete(sent, slice(3000, 3000 + lost)))
    assert counted == pytest.approx(lost, rel=0.01)


@pytest.mark.parametrize("stall_s", [0.1, 1.0, 10.0])
def test_a_rush_after_a_stall_is_no_loss(stall_s):
    times = regular(40_000)
    behind = (times > times[5000]) & (times <= times[5000] + stall_s)
    rush = times[5000] + stall_s + 1e-5 * np.arange(behind.sum())  # 100 samples a ms
    times[behind] = rush
    assert losses(np.maximum.accumulate(times)) == []


@pytest.mark.parametrize("burst", [1, 100, 1000])
@pytest.mark.parametrize("slow", [-0.08, 0.08])
def test_a_sender_that_sleeps_a_little_long_loses_nothing(burst, slow):
    times = regular(40_000, 1e6 * slow)
    assert losses(times[(np.arange(40_000) // burst) * burst]) == []


@pytest.mark.parametrize("ppm", [-200, 200])
def test_drift_of_hours_is_no_loss(ppm):
    rate = 100.0  # 4 hours; drift does not ask for the rate
    assert losses(regular(4 * 3600 * 100, ppm, rate), rate) == []


def test_a_stamp_that_is_wrong_alone_is_no_loss():
    for error in (-10.0, -0.5, 0.5, 2.0, np.nan, np.inf):
        times = regular(10_000)
        times[4000] += error
        assert losses(times) == [], error


def test_losses_one_after_another_are_all_counted():
    times = regular(12_000)
    kept = np.r_[0:1000, 1200:3000, 5000:8000, 8200:12_000]
    assert [n for _, n in losses(times[kept])] == pytest.approx([200, 2000, 200], abs=3)
