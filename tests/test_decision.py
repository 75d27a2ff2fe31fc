"""Vote, gate, thresholds, hysteresis and hold, each horizon by itself."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from signals import tiny_contract

from semgfin_rt.contracts import NO_LABEL, State
from semgfin_rt.decision import DecisionPolicy, PolicySpec, class_thresholds
from semgfin_rt.errors import OptionError

FEATURES = np.arange(12, dtype=np.float32).reshape(2, 2, 3)


def log_probabilities(*rows):
    return np.log(np.array(rows, dtype=np.float32))


SURE_FIST = log_probabilities([0.05, 0.9, 0.05], [0.1, 0.1, 0.8])
UNSURE = log_probabilities([0.4, 0.3, 0.3], [0.3, 0.3, 0.4])


def policy(contract=None, **options):
    return DecisionPolicy(contract or tiny_contract(), PolicySpec(**options))


def now(decision):
    return decision.movements[0].label, decision.movements[0].state


def test_all_off_is_the_most_probable_class_of_each_horizon():
    decision = policy()(SURE_FIST, FEATURES, sample=199, time=0.1)
    assert (decision.sample, decision.time) == (199, 0.1)
    assert decision.features is FEATURES
    assert [m.horizon_ms for m in decision.movements] == [0, 50]
    assert [m.label for m in decision.movements] == [1, 2]
    assert [m.confidence for m in decision.movements] == pytest.approx([0.9, 0.8])
    assert {m.state for m in decision.movements} == {State.VALID}
    np.testing.assert_allclose(decision.movements[0].probabilities, [0.05, 0.9, 0.05], rtol=1e-6)
    assert np.isnan(decision.age_ms)


def test_labels_are_those_of_the_contract_not_indices():
    contract = tiny_contract()
    classes = tuple(c.model_copy(update={"id": c.id + 7}) for c in contract.classes)
    decision = policy(contract.model_copy(update={"classes": classes}))(
        SURE_FIST, FEATURES, sample=0, time=0.0
    )
    assert [m.label for m in decision.movements] == [8, 9]


def test_a_vote_is_the_mean_log_probability_of_the_last_decisions():
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(12, 2, 3))
    rows = (raw - np.log(np.exp(raw).sum(-1, keepdims=True))).astype(np.float32)
    voting = policy(vote=5)
    for i, row in enumerate(rows):
        decision = voting(row, FEATURES, sample=20 * i, time=0.0)
        mean = rows[max(0, i - 4) : i + 1].astype(np.float64).mean(axis=0)
        expected = np.exp(mean) / np.exp(mean).sum(-1, keepdims=True)
        for movement, p in zip(decision.movements, expected, strict=True):
            np.testing.assert_allclose(movement.probabilities, p, rtol=1e-5)
            assert movement.label == p.argmax()
            assert movement.confidence == pytest.approx(p.max(), rel=1e-5)


def test_below_the_threshold_there_is_no_label():
    rejecting = policy(reject=0.85)
    first, second = rejecting(SURE_FIST, FEATURES, sample=0, time=0.0).movements
    assert (first.label, first.state) == (1, State.VALID)
    assert (second.label, second.state) == (NO_LABEL, State.REJECT)
    assert second.confidence == pytest.approx(0.8)  # still told


def test_hold_repeats_the_last_valid_label_for_its_time():
    holding = policy(reject=0.5, hold_ms=30.0)  # 60 samples of 2 kHz
    assert now(holding(SURE_FIST, FEATURES, sample=1000, time=0.0)) == (1, State.VALID)
    for sample, expected in (
        (1020, (1, State.HOLD)),
        (1060, (1, State.HOLD)),
        (1061, (NO_LABEL, State.REJECT)),
        (1080, (NO_LABEL, State.REJECT)),
    ):
        assert now(holding(UNSURE, FEATURES, sample=sample, time=0.0)) == expected
    assert now(holding(SURE_FIST, FEATURES, sample=1100, time=0.0)) == (1, State.VALID)
    assert now(holding(UNSURE, FEATURES, sample=1120, time=0.0)) == (1, State.HOLD)


def test_each_horizon_holds_its_own_label():
    holding = policy(reject=0.5, hold_ms=30.0)
    holding(SURE_FIST, FEATURES, sample=0, time=0.0)
    decision = holding(UNSURE, FEATURES, sample=20, time=0.0)
    assert [m.label for m in decision.movements] == [1, 2]


def test_nothing_is_held_before_a_valid_decision():
    assert now(policy(reject=0.5, hold_ms=1000)(UNSURE, FEATURES, sample=0, time=0.0)) == (
        NO_LABEL,
        State.REJECT,
    )


def test_the_vote_comes_before_the_threshold():
    voting = policy(vote=2, reject=0.5)
    voting(SURE_FIST, FEATURES, sample=0, time=0.0)
    # alone it would be rejected; with the one before, fist stands at 0.3 * 0.9 against 0.4 * 0.05
    label, state = now(voting(UNSURE, FEATURES, sample=20, time=0.0))
    assert (label, state) == (1, State.VALID)


def test_the_rest_gate_rejects_while_the_energy_is_low():
    gated = policy(tiny_contract().model_copy(update={"rest_gate": -1.5}), rest_gate=True)
    expected = {-2.0: (NO_LABEL, State.REJECT), -1.5: (1, State.VALID), -1.0: (1, State.VALID)}
    for energy, outcome in expected.items():
        decision = gated(SURE_FIST, FEATURES, sample=0, time=0.0, energy=energy)
        assert now(decision) == outcome, energy


def test_a_gate_that_is_off_lets_all_pass():
    contract = tiny_contract().model_copy(update={"rest_gate": -1.5})
    assert now(policy(contract)(SURE_FIST, FEATURES, sample=0, time=0.0, energy=-9.0))[0] == 1


def test_reset_forgets_votes_and_labels():
    used = policy(vote=3, reject=0.5, hold_ms=1000)
    used(SURE_FIST, FEATURES, sample=0, time=0.0)
    used.reset()
    decision = used(UNSURE, FEATURES, sample=20, time=0.0)
    assert now(decision) == (NO_LABEL, State.REJECT)
    np.testing.assert_allclose(decision.movements[0].probabilities, [0.4, 0.3, 0.3], rtol=1e-6)


@pytest.mark.parametrize("reject", [0.0, 0.5])
def test_probabilities_that_are_not_numbers_are_never_valid(reject):
    broken = np.full((2, 3), np.nan, dtype=np.float32)
    decision = policy(reject=reject)(broken, FEATURES, sample=0, time=0.0)
    assert State.VALID not in {m.state for m in decision.movements}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"vote": 0}, "a vote over 0 decisions"),
        ({"vote": -3}, "a vote over -3 decisions"),
        ({"reject": 1.0}, "reject threshold 1 is not"),
        ({"reject": 1.5}, "reject threshold 1.5 is not"),
        ({"reject": -0.1}, "reject threshold -0.1 is not"),
        ({"reject": float("nan")}, "reject threshold nan is not"),
        ({"hold_ms": -1}, "hold of -1 ms"),
        ({"hold_ms": 60_001}, "hold of 60001 ms"),
        ({"hysteresis": 0}, "a hysteresis of 0 decisions"),
        ({"thresholds": ((1, 1.0),)}, "threshold 1 of class 1 is not"),
        ({"thresholds": ((1, float("nan")),)}, "threshold nan of class 1 is not"),
        ({"thresholds": ((1, 0.2), (1, 0.3))}, "a class has two thresholds"),
    ],
)
def test_impossible_options(options, said):
    with pytest.raises(OptionError, match=said):
        PolicySpec(**options)


def test_the_longest_hold_is_a_minute():
    holding = policy(reject=0.5, hold_ms=60_000)
    holding(SURE_FIST, FEATURES, sample=0, time=0.0)
    assert now(holding(UNSURE, FEATURES, sample=120_000, time=60.0)) == (1, State.HOLD)
    assert now(holding(UNSURE, FEATURES, sample=120_020, time=60.0)) == (NO_LABEL, State.REJECT)


@pytest.mark.parametrize(
    ("options", "rejects"),
    [
        ({}, False),
        ({"reject": 0.1}, True),
        ({"thresholds": ((1, 0.0),)}, False),
        ({"thresholds": ((0, 0.0), (1, 0.1))}, True),
        ({"reject": 0.1, "thresholds": ((1, 0.0),)}, True),
    ],
)
def test_a_policy_rejects_when_any_class_has_a_threshold(options, rejects):
    assert PolicySpec(**options).rejects is rejects


def test_a_gate_that_the_checkpoint_lacks():
    with pytest.raises(OptionError, match="has no rest gate"):
        policy(rest_gate=True)


# ------------------------------------------------------------------------ class thresholds
SURE = {0: log_probabilities([0.9, 0.05, 0.05]), 1: log_probabilities([0.05, 0.9, 0.05])}
SURE[2] = log_probabilities([0.05, 0.05, 0.9])


def run(deciding, classes, first=0):
    """Feed one sure decision a class, a hop apart; None is an unsure one."""
    unsure = log_probabilities([0.4, 0.3, 0.3])
    return [
        now(deciding(unsure if c is None else SURE[c], FEATURES, sample=first + 20 * i, time=0.0))
        for i, c in enumerate(classes)
    ]


def one_horizon(**options):
    return policy(tiny_contract((0,)), **options)


def valid(*labels):
    return [(label, State.VALID) for label in labels]


def held(*labels):
    return [(label, State.HOLD) for label in labels]


NONE = (NO_LABEL, State.REJECT)


def test_a_class_may_have_a_threshold_of_its_own():
    choosy = one_horizon(reject=0.5, thresholds=((1, 0.95), (2, 0.0)))
    assert run(choosy, [0, 1, 2]) == [(0, State.VALID), NONE, (2, State.VALID)]
    assert now(choosy(log_probabilities([0.3, 0.3, 0.4]), FEATURES, sample=60, time=0.0))[0] == 2
    assert run(choosy, [None], first=80) == [NONE]


def test_thresholds_that_are_all_alike_are_the_one_threshold():
    rng = np.random.default_rng(1)
    one = policy(reject=0.6, hold_ms=20, vote=2)
    alike = policy(thresholds=((0, 0.6), (1, 0.6), (2, 0.6)), hold_ms=20, vote=2, reject=0.1)
    seen = set()
    for i in range(200):
        row = np.log(rng.dirichlet([0.5] * 3, size=2)).astype(np.float32)
        a, b = (p(row, FEATURES, sample=20 * i, time=0.0) for p in (one, alike))
        assert [(m.label, m.state) for m in a.movements] == [
            (m.label, m.state) for m in b.movements
        ]
        seen |= {m.state for m in a.movements}
    assert seen == {State.VALID, State.HOLD, State.REJECT}


def test_classes_are_named_by_number_or_by_name():
    contract = tiny_contract()
    assert class_thresholds(contract, {}) == ()
    assert class_thresholds(contract, {"2": 0.5, "Fist": 0.25}) == ((2, 0.5), (1, 0.25))
    with pytest.raises(
        OptionError, match=r"for 'fits', which is no class.* 0 \(rest\), 1 \(fist\)"
    ):
        class_thresholds(contract, {"fits": 0.5})
    with pytest.raises(OptionError, match="for '7', which is no class"):
        policy(thresholds=((7, 0.5),))


# ------------------------------------------------------------------------------ hysteresis
def test_a_label_must_win_in_a_row():
    steady = one_horizon(hysteresis=3)
    expected = [NONE, NONE, *valid(1, 1), *held(1, 1), *valid(2), *held(2), *valid(2)]
    assert run(steady, [1, 1, 1, 1, 2, 2, 2, 1, 2]) == expected


def test_a_win_counts_once():
    assert run(one_horizon(hysteresis=4), [1, 1, 1, 1]) == [NONE, NONE, NONE, *valid(1)]


def test_a_count_begins_anew_when_another_class_wins():
    steady = one_horizon(hysteresis=2)
    assert run(steady, [0, 0, 1, 2, 1, 2, 2]) == [NONE, *valid(0), *held(0, 0, 0, 0), *valid(2)]


def test_a_rejection_is_not_delayed_and_the_label_after_it_counts_anew():
    steady = one_horizon(hysteresis=2, reject=0.5)
    expected = [NONE, *valid(1), NONE, NONE, *valid(1)]
    assert run(steady, [1, 1, None, 1, 1]) == expected


def test_a_dip_that_is_held_costs_nothing_more():
    steady = one_horizon(hysteresis=3, reject=0.5, hold_ms=20)
    expected = [NONE, NONE, *valid(1), *held(1), *valid(1), *held(1, 1, 1, 1), *valid(2)]
    assert run(steady, [1, 1, 1, None, 1, None, None, 2, 2, 2]) == expected


def test_an_unsure_winner_does_not_count():
    steady = one_horizon(hysteresis=2, thresholds=((2, 0.95),))
    assert run(steady, [0, 0, 2, 2, 2]) == [NONE, *valid(0), NONE, NONE, NONE]


def test_each_horizon_counts_its_own():
    steady = policy(hysteresis=2)
    steady(SURE_FIST, FEATURES, sample=0, time=0.0)
    decision = steady(SURE_FIST, FEATURES, sample=20, time=0.0)
    assert [m.label for m in decision.movements] == [1, 2]
    swapped = SURE_FIST[::-1].copy()
    swapped[1] = SURE_FIST[1]
    decision = steady(swapped, FEATURES, sample=40, time=0.0)
    assert [(m.label, m.state) for m in decision.movements] == [*held(1), *valid(2)]


def test_a_window_that_cannot_be_trusted_ends_the_label():
    steady = one_horizon(hysteresis=2, hold_ms=1000, reject=0.1)
    run(steady, [1, 1])
    assert now(steady(SURE[1], FEATURES, sample=40, time=0.0, trusted=False)) == NONE
    assert run(steady, [1, 1], first=60) == [NONE, *valid(1)]


# -------------------------------------------------------------------------- while running
def test_another_policy_keeps_votes_and_labels():
    changing = one_horizon(vote=3)
    run(changing, [1, 1, 1])
    changing.set(PolicySpec(vote=2))
    mean = (SURE[1] + SURE[2]) / 2  # the newest of the old votes counts
    decision = changing(SURE[2], FEATURES, sample=60, time=0.0)
    expected = np.exp(mean) / np.exp(mean).sum()
    np.testing.assert_allclose(decision.movements[0].probabilities, expected[0], rtol=1e-5)
    changing.set(PolicySpec(reject=0.95, hold_ms=20))
    assert run(changing, [2, 2, 2], first=80) == [*held(1, 1), NONE]
    changing.set(PolicySpec(hysteresis=2))
    assert run(changing, [0, 0], first=140) == [NONE, *valid(0)]


def test_hysteresis_switched_on_keeps_the_label():
    changing = one_horizon()
    run(changing, [1])
    changing.set(PolicySpec(hysteresis=3))
    assert run(changing, [1, 2, 1], first=20) == [*valid(1), *held(1), *valid(1)]


def test_hysteresis_lowered_takes_a_label_that_has_won_more_than_enough():
    changing = one_horizon(hysteresis=5)
    run(changing, [1, 1, 1, 1, 1, 2, 2, 2])
    changing.set(PolicySpec(hysteresis=2))
    assert run(changing, [2], first=160) == valid(2)


def test_the_same_policy_again_changes_nothing():
    spec = PolicySpec(vote=3, reject=0.6, hold_ms=30, thresholds=((1, 0.8),), hysteresis=2)
    left, again = (DecisionPolicy(tiny_contract(), spec) for _ in range(2))
    rng = np.random.default_rng(2)
    for i in range(100):
        row = np.log(rng.dirichlet([0.5] * 3, size=2)).astype(np.float32)
        again.set(spec)
        a, b = (p(row, FEATURES, sample=20 * i, time=0.0) for p in (left, again))
        for m, n in zip(a.movements, b.movements, strict=True):
            assert (m.label, m.state, m.confidence) == (n.label, n.state, n.confidence)


def test_a_policy_that_does_not_fit_changes_nothing():
    deciding = one_horizon(vote=2)
    for spec in (PolicySpec(vote=5, rest_gate=True), PolicySpec(vote=5, thresholds=((9, 0.5),))):
        with pytest.raises(OptionError):
            deciding.set(spec)
    assert deciding.spec == PolicySpec(vote=2)


def test_a_policy_reaches_another_process():
    spec = PolicySpec(2, 0.5, 30, thresholds=((1, 0.7),), hysteresis=3)
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert hash(spec) == hash(replace(spec))
