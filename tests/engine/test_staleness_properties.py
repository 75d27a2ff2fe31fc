"""However the looks at the clock fall, silence is told in time, and steadily."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from semgfin_rt.contracts import SAFE_MS, STALE_MS
from semgfin_rt.engine.staleness import FIRST_MS, StaleClock

LONGEST_MS = SAFE_MS - FIRST_MS

steps = st.lists(st.floats(0.1, 120.0), min_size=1, max_size=60)  # ms from look to look


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.1, 120.0), st.booleans()), min_size=1, max_size=80),
)
def test_it_strikes_when_the_wait_is_over_and_once(looks):
    clock, age = StaleClock(10.0), 0.0
    for step, heard in looks:
        age += step
        if heard:
            age = 0.0
            clock.hear(age)
        waited = clock.wait_s(age) == 0.0
        assert clock.strikes(age) == waited
        assert not clock.strikes(age)
        assert 0 < clock.wait_s(age) <= LONGEST_MS / 1000 + 1e-9


@settings(max_examples=200, deadline=None)
@given(steps)
def test_no_look_is_late_by_more_than_itself(lengths):
    clock, age, strikes = StaleClock(10.0), 0.0, []
    for step in lengths:
        age += step
        if clock.strikes(age):
            strikes.append(age)
    longest = max(lengths)
    for due in (STALE_MS, SAFE_MS):
        if age >= due + longest:
            assert any(due - STALE_MS / 4 <= at <= due + longest for at in strikes)
    for before, after in pairwise(strikes):
        assert after - before <= LONGEST_MS + longest
