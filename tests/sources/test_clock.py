"""Timestamps of any kind come out in order and near the clock; a wrong pace is told, once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semgfin_rt.sources.clock import PaceMeter, Timeline
from semgfin_rt.sources.gaps import GapFinder

RATE, NOW = 1000.0, 5e4


def play(stamps, batch=10, delay=0.0005):
    """Place stamps that arrive a moment after they were due; return times, words, losses."""
    timeline, finder = Timeline(RATE, NOW), GapFinder(RATE)
    due = NOW + (np.arange(len(stamps)) + 1) / RATE
    times, words = [], []
    for i in range(0, len(stamps), batch):
        placed, said = timeline.place(stamps[i : i + batch], due[i : i + batch][-1] + delay)
        times.append(placed)
        words += said
    times = np.concatenate(times)
    return times, due, words, sum(finder.lost_before(float(t)) for t in times)


def test_good_timestamps_pass_unchanged():
    stamps = NOW + (np.arange(20_000) + 1) / RATE
    times, _, words, lost = play(stamps)
    np.testing.assert_array_equal(times, stamps)
    assert (words, lost) == ([], 0)


FAULTS = {
    "hour ahead": (lambda s: s + 3600.0, "off this machine's clock"),
    "hour behind": (lambda s: s - 3600.0, "off this machine's clock"),
    "other epoch": (lambda s: s - NOW, "off this machine's clock"),
    "unix epoch": (lambda s: s + 1.7e9, "off this machine's clock"),
    "no number": (lambda s: s * np.nan, "off this machine's clock"),
    "back": (lambda s: s - 0.010, "step back by 9"),
    "ahead": (lambda s: s + 0.5, "ms ahead of"),
    "twice": (lambda s: np.repeat(s[::2], 2)[: len(s)], "repeat"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stop", [3100, 6000])
def test_wrong_timestamps_lose_no_sample_and_are_told_once(fault, stop):
    change, word = FAULTS[fault]
    stamps = NOW + (np.arange(6000) + 1) / RATE
    stamps[3000:stop] = change(stamps[3000:stop])
    times, due, words, lost = play(stamps)
    assert lost == 0
    assert np.all(np.diff(times) >= 0)
    # An offset that came and went is taken for a clock that ran ahead: below 1 s both are possible.
    assert np.max(np.abs(times - due)) < (0.6 if fault == "ahead" else 0.02)
    assert len([w for w in words if word in w]) == 1
    assert len(words) == (2 if fault == "ahead" and stop == 3100 else 1)


@given(
    st.lists(
        st.floats(allow_nan=True, allow_infinity=True) | st.floats(NOW - 2, NOW + 2),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 9),
)
@settings(max_examples=100, deadline=None)
def test_any_timestamps_come_out_ordered_and_never_ahead(stamps, batch):
    stamps = np.array(stamps)
    timeline, before = Timeline(RATE, NOW), -np.inf
    for i in range(0, len(stamps), batch):
        now = NOW + i / RATE
        with np.errstate(all="raise"):
            times, _ = timeline.place(stamps[i : i + batch], now)
        assert np.isfinite(times).all()
        assert times[0] >= before
        assert times[-1] <= now
        before = times[-1]
        assert np.all(np.diff(times) >= 0)


@pytest.mark.parametrize("ppm", [-200, 200])
def test_latency_does_not_grow_over_eight_hours_of_drift(ppm):
    n = 8 * 900
    rng = np.random.default_rng(1)
    sent = NOW + 4.0 * np.arange(1, n + 1)  # s; the drift does not ask for the rate
    stamps = NOW + (sent - NOW) * (1 + ppm * 1e-6)
    arrival = sent + rng.uniform(0.0005, 0.003, n)
    timeline, ages, words = Timeline(0.25, NOW), [], []
    for stamp, now in zip(stamps, arrival, strict=True):
        times, said = timeline.place(np.array([stamp]), float(now))
        ages.append(now - times[0])
        words += said
    slope = np.polyfit((sent - NOW) / 3600, 1000 * np.array(ages), 1)[0]  # ms/h
    assert abs(slope) < 0.1
    assert 0 <= np.min(ages) <= np.max(ages) < 0.015
    assert words == []


def test_a_delay_that_grows_at_once_is_shown():
    stamps = NOW + (np.arange(40_000) + 1) / RATE
    timeline, ages = Timeline(RATE, NOW), []
    for i in range(0, len(stamps), 100):
        now = stamps[i + 99] + (0.05 if i >= 20_000 else 0.0)
        times, _ = timeline.place(stamps[i : i + 100], float(now))
        ages.append(now - times[-1])
    assert ages[-1] == pytest.approx(0.05)


def pace(counts, interval=0.1):
    """What the meter says to so many samples every `interval` s, and when."""
    meter, said = PaceMeter(RATE, NOW), []
    for i, n in enumerate(counts):
        measured = meter.add(n, NOW + i * interval)
        if measured is not None:
            said.append((i * interval, round(measured), meter.is_off))
    return said


def test_pace_is_told_when_it_goes_wrong_and_when_it_is_right_again():
    said = pace([100] * 100 + [90] * 200 + [100] * 200)
    assert [is_off for _, _, is_off in said] == [True, False]
    (wrong, hz, _), (right, _, _) = said
    assert 10 < wrong < 16
    assert 900 <= hz < 950
    assert 30 < right < 36


def test_pauses_bursts_and_rushes_are_no_wrong_pace():
    assert pace([100] * 100 + [0] * 30 + [3100] + [100] * 100) == []  # frozen 3 s, then a rush
    assert pace([100] * 100 + [0] * 30 + [100] * 100) == []  # paused 3 s
    assert pace([250 * (i % 5 == 4) * 2 for i in range(400)]) == []  # bursts of half a second
    assert pace([100] * 100 + [0, 0, 0, 400] + [100] * 100) == []  # held up for 0.4 s
    assert pace([104] * 200) == []
