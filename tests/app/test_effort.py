"""The quality gate, and onset and offset from the energy."""

from __future__ import annotations

import numpy as np
import pytest
from person import SHORT

from semgfin_rt.app import effort
from semgfin_rt.app.prompts import PromptSchedule, Slot, Trial

RATE = 1000.0
SLOT = PromptSchedule([Trial(1, 1)], SHORT, RATE).slot(0)
ON, OFF = SLOT.on - SLOT.first, SLOT.off - SLOT.first


def trial(rise: float = 20.0, late: tuple[int, int] = (200, 300), seed: int = 0) -> np.ndarray:
    """Noise on three channels: the second one rises by `rise` times in the movement."""
    noise = np.random.default_rng(seed).standard_normal((SLOT.stop - SLOT.first, 3))
    noise[ON + late[0] : OFF + late[1], 1] *= rise
    return (1e-6 * noise).astype(np.float32)


def test_a_movement_that_shows_is_good():
    assert effort.problem(trial(), SLOT, RATE) == ""


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_damaged_samples_are_counted(value):
    samples = trial()
    samples[3, 0] = samples[700] = value
    assert effort.problem(samples, SLOT, RATE) == "2 samples were lost or not finite"


def test_a_channel_that_stands_still_for_a_while_is_named():
    samples = trial()
    samples[900:1150, 2] = samples[900, 2]
    assert effort.problem(samples, SLOT, RATE).startswith("channel 3 was flat for 100 ms")
    assert effort.problem(trial() * [1, 1, 0], SLOT, RATE).startswith("channel 3")


def test_twice_the_amplitude_is_the_bound():
    assert "and a movement raises it by 6 or more" in effort.problem(trial(1.7), SLOT, RATE)
    assert effort.problem(trial(2.5), SLOT, RATE) == ""
    assert effort.rise_db(trial(2.0), SLOT, RATE) == pytest.approx(6.0, abs=1.5)  # of short rests


def test_rest_never_passes_for_a_movement():
    rises = [effort.rise_db(trial(1.0, seed=seed), SLOT, RATE) for seed in range(40)]
    assert max(rises) < effort.LEAST_RISE_DB / 2


@pytest.mark.parametrize("late", [(0, 0), (200, 300), (450, 20)])
def test_onset_and_offset_are_found_to_a_few_blocks(late):
    onset, offset = effort.refined(trial(late=late), SLOT, RATE)
    assert onset == pytest.approx(ON + late[0], abs=30)
    assert offset == pytest.approx(OFF + late[1], abs=30)


def test_an_offset_at_electrodes_and_a_slow_drift_change_nothing():
    samples = trial()
    drift = np.linspace(1e-3, 2e-3, len(samples))[:, None]
    moved = (samples + drift).astype(np.float32)
    assert effort.refined(moved, SLOT, RATE) == effort.refined(samples, SLOT, RATE)
    assert effort.problem(moved, SLOT, RATE) == ""


def test_a_muscle_that_relaxes_in_a_movement_tells_its_time_too():
    samples = trial()
    samples[:, 0] *= 30
    samples[ON + 200 : OFF + 300, 0] /= 30
    onset, offset = effort.refined(samples, SLOT, RATE)
    assert (onset, offset) == (pytest.approx(ON + 200, abs=30), pytest.approx(OFF + 300, abs=30))


def test_a_slot_of_whatever_length_has_its_labels_inside():
    slot = Slot(10, 10 + 507, 10 + 1733, 10 + 2011)
    noise = np.random.default_rng(1).standard_normal((2001, 2)).astype(np.float32)
    onset, offset = effort.refined(noise, slot, 997.0)
    assert 0 < onset < offset <= 2001
