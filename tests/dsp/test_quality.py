"""Samples that cannot be signal and windows that cannot be EMG; ordinary EMG trips nothing."""

from __future__ import annotations

import numpy as np
import pytest

from semgfin_rt.dsp.quality import (
    CLIPPED,
    JUMP,
    NOT_FINITE,
    QualityMonitor,
    recoveries,
    usable,
)

RATE = 2000.0
WINDOW, HOP = 600, 20
STD = (2e-5, 1e-5, 3e-5)
FLAT = 40  # samples in 20 ms
OFFSET = 3e-3  # of an electrode, in V


def monitor(std=STD, rate=RATE, window=WINDOW):
    return QualityMonitor(rate, window, HOP, std)


def emg(n, seed=1):
    """Noise of the training level around an electrode's offset, in V."""
    noise = np.random.default_rng(seed).standard_normal((n, 3))
    return (noise * STD + OFFSET).astype(np.float32)


def marked(watch, samples, size):
    pieces = [watch.mark(samples[i : i + size]) for i in range(0, len(samples), size)]
    return np.concatenate(pieces)


def faulty(n=3000):
    """Every fault, some of them across the edges of chunks."""
    samples = emg(n)
    samples[0, 0] = np.nan
    samples[100:104, 1] = np.inf
    samples[499:501, 2] = 1.0
    samples[700:790, 0] = OFFSET  # flat
    samples[1000:1300, 1] = 0.25  # a rail
    samples[1400:1402, :] = np.float32(3e38)
    samples[1600:2300, 2] += 0.1  # a new baseline
    samples[2500:2600:2, 0], samples[2501:2600:2, 0] = 0.3, -0.3
    samples[2700:2703, 1] = samples[2650:2750, 1].max() + 3e-5
    samples[2750:2760, 2] = -np.inf
    return samples


@pytest.mark.parametrize("size", [7, 20, 499, 3000])
@pytest.mark.parametrize("counts", [False, True])
def test_chunks_never_change_a_mark(size, counts):
    samples, std = faulty(), STD
    if counts:  # whole numbers repeat
        samples, std = np.round(np.minimum(samples, 1e9) / 1e-5), (2.0, 1.0, 3.0)
    one_by_one, chunked = monitor(std), monitor(std)
    expected = marked(one_by_one, samples, 1)
    assert {NOT_FINITE, CLIPPED} < set(np.unique(expected))
    np.testing.assert_array_equal(marked(chunked, samples, size), expected)
    more = emg(300, seed=9)  # and both go on alike
    np.testing.assert_array_equal(chunked.mark(more), one_by_one.mark(more))


def test_emg_is_not_marked_nor_are_its_repeats():
    assert not monitor().mark(emg(20_000)).any()
    rng = np.random.default_rng(3)
    counts = np.round(3 * rng.standard_normal((20_000, 3))).astype(np.float32)
    same = counts[1:] == counts[:-1]
    assert (same[2:] & same[1:-1] & same[:-2]).any()  # four in a row, but not at an end
    assert not monitor((3.0,) * 3).mark(counts).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("length", [1, 3, 500])
def test_not_finite(value, length):
    samples = emg(1000)
    samples[300 : 300 + length, 1] = value
    marks = monitor().mark(samples)
    expected = np.zeros_like(marks)
    expected[300 : 300 + length, 1] = NOT_FINITE
    np.testing.assert_array_equal(marks, expected)


def test_flat_is_marked_from_its_bound_on_with_its_length():
    samples = emg(1000)
    samples[301 : 301 + FLAT - 1, 0] = OFFSET  # one short of it
    samples[600:700, 2] = OFFSET
    marks = monitor().mark(samples)
    assert not marks[:, :2].any()
    assert np.flatnonzero(marks[:, 2]).tolist() == list(range(600 + FLAT - 1, 700))
    assert marks[600 + FLAT - 1 : 700, 2].tolist() == list(range(FLAT, 101))


@pytest.mark.parametrize("length", [1, 2, 39, 40, 400, 4000])
@pytest.mark.parametrize("value", [1.0, -0.01, 3e38])
def test_a_rail_is_marked_whole_and_nothing_after_it(length, value):
    samples = emg(500 + length + 500)
    samples[500 : 500 + length, 0] = value
    marks = monitor().mark(samples)
    assert np.flatnonzero(marks[:, 0]).tolist() == list(range(500, 500 + length))
    assert not marks[:, 1:].any()


def test_a_jump_within_bounds_is_signal():
    samples = emg(1000)
    samples[500, 0] = samples[499, 0] + 0.99 * JUMP * STD[0]
    assert not monitor().mark(samples).any()
    samples[500, 0] = samples[499, 0] + 1.01 * JUMP * STD[0]
    assert np.argwhere(monitor().mark(samples)).tolist() == [[500, 0]]


def test_values_that_swing_between_rails_are_marked_whole():
    samples = emg(3000)
    samples[1000:2000:2, 1], samples[1001:2000:2, 1] = 0.5, -0.5
    marks = monitor().mark(samples)
    assert np.flatnonzero(marks[:, 1]).tolist() == list(range(1000, 2000))


def test_a_new_baseline_is_accepted_once_it_has_settled():
    samples = emg(3000)
    samples[1000:, 1] += 0.1
    marks = monitor().mark(samples)
    assert np.flatnonzero(marks[:, 1]).tolist() == list(range(1000, 1400))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_low_rail_shows_by_repeating(sign):
    """The amplifier saturates at 2.5 standard deviations, well inside the signal's range."""
    samples = emg(2000)
    rail = sign * 2.5 * STD[0]
    slow = 6 * STD[0] * np.sin(2 * np.pi * 20 * np.arange(2000) / RATE).astype(np.float32)
    samples[:, 0] = OFFSET + np.float32(slow)
    clipped = samples.copy()
    limit = np.float32(OFFSET + rail)
    clipped[:, 0] = (np.minimum if sign > 0 else np.maximum)(samples[:, 0], limit)
    assert not (monitor().mark(samples) == CLIPPED).any()
    marks = monitor().mark(clipped)
    assert (marks[:, 0] == CLIPPED).sum() > 0.2 * 2000
    assert (clipped[marks[:, 0] == CLIPPED, 0] == limit).all()


def test_a_stream_that_begins_flat_is_good_when_signal_comes():
    samples = emg(1000)
    samples[:500] = 0.7
    marks = monitor().mark(samples)
    assert np.flatnonzero(marks.any(axis=1)).tolist() == list(range(FLAT - 1, 500))


def test_reset_forgets():
    watch = monitor()
    first = watch.mark(faulty())
    watch.judge(np.ones((WINDOW, 3), np.float32), np.zeros((WINDOW, 3), np.float32))
    watch.reset()
    np.testing.assert_array_equal(watch.mark(faulty()), first)


def test_where_the_filter_starts_afresh_and_what_it_is_given():
    marks = np.zeros((8, 2), np.float32)
    marks[2:4, 0], marks[3:5, 1], marks[7, 1] = NOT_FINITE, CLIPPED, 40
    assert recoveries(marks) == [5]
    assert recoveries(marks, after_bad=True) == [0, 5]
    assert recoveries(marks[:0], after_bad=True) == []
    samples = np.full((8, 2), np.inf, np.float32)
    assert (usable(samples, marks) == np.where(marks, 0, np.inf)).all()


# ------------------------------------------------------------------------------ windows
GOOD = np.zeros((WINDOW, 3), np.float32)


def white(seed=0, n=WINDOW):
    return np.random.default_rng(seed).standard_normal((n, 3)).astype(np.float32)


def hum(hz, amplitude, n=WINDOW, rate=RATE):
    return (amplitude * np.sqrt(2) * np.sin(2 * np.pi * hz * np.arange(n) / rate + 0.3)).astype(
        np.float32
    )


def test_the_numbers_of_a_window():
    window = white()
    window[:, 0] *= 2
    marks = GOOD.copy()
    marks[5, 0], marks[6:8, 1], marks[9, 2], marks[500, 2] = NOT_FINITE, CLIPPED, 300, 60
    found = monitor().judge(window, marks, gap=True)
    np.testing.assert_allclose(found.rms, np.sqrt((window**2).mean(0)) * STD, rtol=1e-5)
    np.testing.assert_allclose(found.level, np.log(np.sqrt((window**2).mean(0))), atol=1e-5)
    assert found.not_finite.tolist() == [1, 0, 0]
    assert found.clipped.tolist() == [0, 2, 0]
    assert found.flat_ms.tolist() == [0, 0, 150]
    assert found.faults == ((0, "not finite"), (1, "clipped"), (2, "flat"))
    assert found.bad.all()
    assert not found.warn.any()
    assert found.gap


@pytest.mark.parametrize(("hz", "mains"), [(50, 50), (49.9, 50), (60, 60), (150, 50), (180, 60)])
@pytest.mark.parametrize("rate", [1000.0, 2000.0])
def test_mains_ten_times_the_rest(hz, mains, rate):
    n = round(0.3 * rate)
    window = white(n=n)
    window[:, 1] += hum(hz, 10.0, n, rate)
    found = monitor(rate=rate, window=n).judge(window, np.zeros_like(window))
    assert found.faults == ((1, "mains"),)
    assert found.mains_hz[1] == mains
    assert found.mains_share[1] == pytest.approx(100 / 101, abs=0.01)
    assert (found.mains_share[[0, 2]] < 0.1).all()


def test_mains_above_a_weak_signal_is_told_but_trusted_unless_it_is_loud():
    window = white() * np.float32(0.5)
    window[:, 1] += hum(50, 1.25)
    found = monitor().judge(window, GOOD)
    assert found.mains_share[1] == pytest.approx(25 / 29, abs=0.03)
    assert found.warn.tolist() == [False, True, False]
    assert not found.bad.any()
    assert monitor().judge(window * 7, GOOD).faults == ((1, "mains"),)


def test_an_offset_is_no_mains_and_hides_none():
    window = white() + 100
    window[:, 1] += hum(60, 10.0)
    found = monitor().judge(window, GOOD)
    assert found.mains_share[1] > 0.95
    assert (found.mains_share[[0, 2]] < 0.2).all()


def test_neither_a_still_window_nor_a_short_one_is_mains():
    assert (monitor().judge(GOOD, GOOD).mains_share == 0).all()
    short = monitor(window=199).judge(
        np.repeat(hum(50, 1.0, 199)[:, None], 3, axis=1), np.zeros((199, 3), np.float32)
    )
    assert (short.mains_share == 0).all()


def judged(watch, window, n, marks=GOOD):
    return [watch.judge(window, marks) for _ in range(n)]


@pytest.mark.parametrize("factor", [100.0, 1e-3])
def test_a_level_far_from_training_is_told_after_three_seconds(factor):
    window = white()
    window[:, 2] *= np.float32(factor)
    watch = monitor()
    found = judged(watch, window, 300)  # 3 s at 10 ms a window
    assert all(np.isnan(q.drift).all() and not q.bad.any() for q in found[:-1])
    assert found[-1].faults == ((2, "drift"),)
    assert found[-1].drift[2] == pytest.approx(np.log(factor), abs=0.05)
    assert judged(watch, white(), 1)[0].faults == ()  # over at once when the window is ordinary


def test_drift_follows_slowly_and_warns():
    watch = monitor()
    assert judged(watch, white(), 300)[-1].warn.tolist() == [False] * 3
    loud = judged(watch, white() * 15, 900)
    assert loud[0].drift[0] == pytest.approx(np.log(15) / 300, abs=0.02)
    assert loud[300].drift[0] == pytest.approx((1 - np.exp(-1)) * np.log(15), abs=0.05)
    assert loud[-1].warn.all()
    assert not loud[-1].bad.any()


def test_what_is_no_signal_does_not_count_as_level():
    watch = monitor()
    judged(watch, white(), 300)
    bad = np.full_like(GOOD, CLIPPED)
    assert judged(watch, white() * 1000, 300, bad)[-1].drift[0] == pytest.approx(0, abs=0.1)
    assert judged(watch, white() * 0 + hum(50, 1e3)[:, None], 300)[-1].drift[0] == pytest.approx(
        0, abs=0.1
    )
