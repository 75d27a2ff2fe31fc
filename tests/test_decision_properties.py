"""What no sequence of windows and no policy may lead to."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import tiny_contract

from semgfin_rt.contracts import NO_LABEL, State
from semgfin_rt.decision import DecisionPolicy, PolicySpec

CONTRACT = tiny_contract()
HOP, FEATURES = 20, np.zeros((2, 2, 3), np.float32)
numbers = st.floats(-20, 20, width=32)
rows = st.lists(numbers, min_size=3, max_size=3)
windows = st.tuples(st.tuples(rows, rows), st.booleans())
specs = st.builds(
    PolicySpec,
    vote=st.integers(1, 6),
    reject=st.floats(0, 0.99),
    hold_ms=st.sampled_from([0.0, 10.0, 35.0, 1000.0]),
    thresholds=st.sampled_from([(), ((1, 0.7),), ((0, 0.0), (2, 0.95))]),
    hysteresis=st.integers(1, 4),
)


def decide(spec, steps):
    """Decide on each window, from log-probabilities and whether it can be trusted."""
    policy = DecisionPolicy(CONTRACT, spec)
    for i, (values, trusted) in enumerate(steps):
        raw = np.array(values, np.float32)
        raw -= np.log(np.exp(raw).sum(axis=-1, keepdims=True))
        yield trusted, policy(raw, FEATURES, sample=HOP * i, time=0.0, trusted=trusted)


@settings(max_examples=200, deadline=None)
@given(spec=specs, steps=st.lists(windows, min_size=1, max_size=25))
def test_every_decision_is_of_its_state(spec, steps):
    own = dict(spec.thresholds)
    before = dict.fromkeys(CONTRACT.horizons_ms, NO_LABEL)
    valid: dict[int, tuple[int, int]] = {}  # of each horizon: the last valid label, and when
    for trusted, decision in decide(spec, steps):
        for m in decision.movements:
            assert np.isclose(m.probabilities.sum(), 1, atol=1e-5)
            assert m.confidence == m.probabilities.max()
            assert (m.label == NO_LABEL) == (m.state is State.REJECT)
            assert trusted or m.state is State.REJECT
            best = CONTRACT.class_ids[int(m.probabilities.argmax())]
            if m.state is State.VALID:
                assert m.label == best
                assert m.confidence >= own.get(best, spec.reject)
                valid[m.horizon_ms] = (m.label, decision.sample)
            if m.state is State.HOLD:  # by hysteresis, or by the hold
                label, since = valid[m.horizon_ms]
                assert m.label in (label, before[m.horizon_ms])
                held = decision.sample - since <= spec.hold_ms * CONTRACT.rate / 1000
                assert held or spec.hysteresis > 1
            before[m.horizon_ms] = m.label


@settings(max_examples=50, deadline=None)
@given(steps=st.lists(windows, min_size=1, max_size=25))
def test_with_all_off_every_trusted_window_is_valid(steps):
    for trusted, decision in decide(PolicySpec(), steps):
        expected = State.VALID if trusted else State.REJECT
        assert {m.state for m in decision.movements} == {expected}


@settings(max_examples=50, deadline=None)
@given(spec=specs, past=st.lists(windows, max_size=12), steps=st.lists(windows, max_size=12))
def test_after_a_reset_the_past_does_not_count(spec, past, steps):
    policy, afresh = DecisionPolicy(CONTRACT, spec), DecisionPolicy(CONTRACT, spec)
    for i, (values, trusted) in enumerate([*past, (None, None), *steps]):
        if values is None:
            policy.reset()
            continue
        raw = np.array(values, np.float32)
        given_to = (policy,) if i < len(past) else (policy, afresh)
        decided = [
            p(raw, FEATURES, sample=HOP * i, time=0.0, trusted=trusted).movements for p in given_to
        ]
        for a, b in zip(decided[0], decided[-1], strict=True):
            assert (a.label, a.state, a.confidence) == (b.label, b.state, b.confidence)
