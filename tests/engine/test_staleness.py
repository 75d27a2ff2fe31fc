"""What is published while no signal comes: STALE in time, the label for a while, then rest."""

from __future__ import annotations

import numpy as np
import pytest

from semgfin_rt.contracts import NO_LABEL, REST, Decision, Movement, State
from semgfin_rt.engine.staleness import StaleClock, stale


def decision(label=3) -> Decision:
    probabilities = np.array([0.2, 0.8], np.float32)
    return Decision(
        999,
        5.0,
        tuple(Movement(ms, label, 0.8, probabilities, State.VALID) for ms in (0, 50)),
        np.zeros((2, 1, 1), np.float32),
        3.0,
    )


@pytest.mark.parametrize(
    ("age_ms", "class_ids", "label"),
    [(100, (0, 3), 3), (199.9, (0, 3), 3), (200, (0, 3), REST), (5000, (3, 4), NO_LABEL)],
)
def test_label_is_kept_and_then_safe(age_ms, class_ids, label):
    published = stale(decision(), age_ms, class_ids)
    assert {(m.state, m.label) for m in published.movements} == {(State.STALE, label)}
    assert (published.age_ms, published.sample) == (age_ms, 999)


def test_clock_strikes_at_both_bounds_and_then_steadily():
    clock = StaleClock(10.0)
    ages = np.arange(0, 650, 1.0)
    assert [a for a in ages if clock.strikes(a)] == [90, 200, 300, 400, 500, 600]
    clock.hear(20.0)
    assert clock.wait_s(30.0) == pytest.approx(0.06)
    assert not clock.strikes(89.9)
    assert clock.strikes(90.0)


def test_a_late_look_strikes_once():
    clock = StaleClock(10.0)
    assert clock.strikes(1000.0)
    assert not clock.strikes(1001.0)
    assert clock.wait_s(1001.0) == pytest.approx(0.099)


@pytest.mark.parametrize("age_ms", [85.0, 95.0, 150.0])
def test_a_stream_that_is_always_late_is_stale_all_the_time(age_ms):
    """A decision every 10 ms at this age, and looks at the clock in between."""
    clock = StaleClock(10.0)
    clock.judges(age_ms)
    clock.strikes(age_ms + 5.0)
    for _ in range(20):
        clock.hear(age_ms)
        assert clock.judges(age_ms)
        assert not clock.strikes(age_ms + 5.0)
    clock.hear(20.0)
    assert not clock.judges(20.0)
    assert clock.strikes(90.0)


def test_a_decision_that_comes_after_silence_is_judged_by_its_own_age():
    clock = StaleClock(10.0)
    assert clock.strikes(90.0)
    clock.hear(5.0)
    assert not clock.judges(6.0)
    assert clock.judges(90.0)
