"""Vote, gate, reject and hold, each horizon by itself."""

from __future__ import annotations

import numpy as np
import pytest
from signals import tiny_contract

from semgfin_rt.contracts import NO_LABEL, State
from semgfin_rt.decision import DecisionPolicy, PolicySpec
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
        ({"reject": -0.1}, "reject threshold -0.1 is not"),
        ({"reject": float("nan")}, "reject threshold nan is not"),
        ({"hold_ms": -1}, "hold of -1 ms"),
        ({"hold_ms": 60_001}, "hold of 60001 ms"),
    ],
)
def test_impossible_options(options, said):
    with pytest.raises(OptionError, match=said):
        PolicySpec(**options)


def test_a_gate_that_the_checkpoint_lacks():
    with pytest.raises(OptionError, match="has no rest gate"):
        policy(rest_gate=True)
