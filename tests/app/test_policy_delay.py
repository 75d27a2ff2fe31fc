"""The delays that are told are those of the policy itself, fed with a step from A to B."""

from __future__ import annotations

import itertools
from dataclasses import fields

import numpy as np
import pytest
from signals import tiny_contract

from semgfin_rt.app.policy_delay import CONTROLS, Delay, added_delays, whole_delay
from semgfin_rt.app.scenario import Policy
from semgfin_rt.app.settings import Settings
from semgfin_rt.contracts import NO_LABEL
from semgfin_rt.decision import DecisionPolicy, PolicySpec

CONTRACT = tiny_contract((0,)).model_copy(update={"rest_gate": -1.0})
HOP_MS = 10.0
FEATURES = np.zeros((1, 2, 3), np.float32)
BEFORE = 40  # decisions on A: every memory of the policy is full of it


def row(label, confidence):
    probabilities = np.full((1, 3), (1 - confidence) / 2, np.float32)
    probabilities[0, label] = confidence
    return np.log(probabilities)


def labels_after(spec, before, after, n=60, energy=1.0):
    """Labels from a step on, a hop apart; `before` and `after` are (label, confidence)."""
    policy = DecisionPolicy(CONTRACT, spec)
    rows = [row(*before)] * BEFORE + [row(*after)] * n
    decisions = [
        policy(r, FEATURES, sample=20 * i, time=0.0, energy=energy) for i, r in enumerate(rows)
    ]
    return [d.movements[0].label for d in decisions][BEFORE:]


def delay_ms(spec, before, after):
    return HOP_MS * labels_after(spec, before, after).index(after[0])


def test_each_part_of_the_policy_can_be_set_and_has_its_delay():
    parts = {part.name for part in fields(PolicySpec)}
    assert set(CONTROLS) == set(Policy.model_fields) == parts
    assert parts <= {setting.name for setting in fields(Settings)}


@pytest.mark.parametrize("vote", range(1, 12))
def test_the_mean_of_a_vote_is_that_of_steps_between_equally_sure_classes(vote):
    spec = PolicySpec(vote=vote)
    both_ways = [  # as often a little surer of the new class as of the old one
        delay_ms(spec, (a, sure), (b, 1.801 - sure))
        for a, b in itertools.permutations(range(3), 2)
        for sure in (0.9, 0.901)
    ]
    assert np.mean(both_ways) == added_delays(spec, CONTRACT)["vote"].mean_ms


@pytest.mark.parametrize("vote", range(1, 12))
def test_the_longest_of_a_vote_is_a_step_from_a_sure_class_to_a_doubtful_one(vote):
    spec = PolicySpec(vote=vote)
    longest = delay_ms(spec, (1, 0.9999), (2, 0.36))
    assert longest == added_delays(spec, CONTRACT)["vote"].longest_ms == HOP_MS * (vote - 1)


@pytest.mark.parametrize("hysteresis", [1, 2, 5, 10])
def test_hysteresis_delays_every_step_alike(hysteresis):
    spec = PolicySpec(hysteresis=hysteresis)
    told = added_delays(spec, CONTRACT)["hysteresis"]
    for sure in ((0.9, 0.9), (0.9999, 0.36), (0.36, 0.9999)):
        assert delay_ms(spec, (1, sure[0]), (2, sure[1])) == told.mean_ms == told.longest_ms


@pytest.mark.parametrize("hold_ms", [0, 9, 10, 30, 35, 200])
def test_hold_delays_the_release_alone(hold_ms):
    off, on = PolicySpec(reject=0.5), PolicySpec(reject=0.5, hold_ms=hold_ms)
    told = added_delays(on, CONTRACT)["hold_ms"]
    released = [labels_after(spec, (1, 0.9), (2, 0.4)).index(NO_LABEL) for spec in (off, on)]
    assert HOP_MS * (released[1] - released[0]) == told.release_ms
    assert delay_ms(on, (1, 0.9), (2, 0.9)) == told.mean_ms == told.longest_ms == 0


def test_hold_without_threshold_holds_nothing():
    spec = PolicySpec(hold_ms=200)
    assert added_delays(spec, CONTRACT)["hold_ms"] == Delay()
    assert delay_ms(spec, (1, 0.9), (2, 0.36)) == 0


def test_thresholds_and_gate_add_nothing_by_themselves():
    spec = PolicySpec(reject=0.5, thresholds=((2, 0.8),), rest_gate=True)
    assert set(added_delays(spec, CONTRACT).values()) == {Delay()}
    assert delay_ms(spec, (1, 0.9), (2, 0.85)) == 0
    assert labels_after(spec, (1, 0.9), (2, 0.7))[0] == NO_LABEL
    assert labels_after(spec, (1, 0.9), (2, 0.85), energy=-2.0)[0] == NO_LABEL


def test_all_together_are_never_later_than_told():
    rng = np.random.default_rng(4)
    seen = set()
    for _ in range(60):
        spec = PolicySpec(
            vote=int(rng.integers(1, 8)),
            hysteresis=int(rng.integers(1, 6)),
            reject=float(rng.choice([0, 0.4])),
            thresholds=((2, 0.45),),
            hold_ms=float(rng.choice([0, 30])),
        )
        told = whole_delay(spec, CONTRACT)
        late = delay_ms(
            spec, (1, float(rng.uniform(0.5, 0.999))), (2, float(rng.uniform(0.5, 0.99)))
        )
        assert late <= told.longest_ms
        seen.add(late == told.longest_ms)
    assert seen == {True, False}


def test_a_hop_that_is_no_whole_number_of_ms():
    contract = CONTRACT.model_copy(update={"rate": 2148.0})
    delays = added_delays(PolicySpec(vote=3, reject=0.5, hold_ms=30), contract)
    hop_ms = 20 / 2.148
    assert delays["vote"] == Delay(pytest.approx(hop_ms), pytest.approx(2 * hop_ms))
    assert delays["hold_ms"].release_ms == pytest.approx(3 * hop_ms)
    assert delays["vote"].words == "+9.31 ms, at most 18.6 ms"


def test_words():
    spec = PolicySpec(vote=5, reject=0.5, hysteresis=3, hold_ms=35)
    words = {name: delay.words for name, delay in added_delays(spec, CONTRACT).items()}
    assert tuple(words) == CONTROLS
    assert words == {
        "vote": "+20 ms, at most 40 ms",
        "reject": "no delay",
        "thresholds": "no delay",
        "hysteresis": "+20 ms",
        "hold_ms": "release +30 ms",
        "rest_gate": "no delay",
    }
    assert whole_delay(spec, CONTRACT) == Delay(40.0, 60.0, 30.0)
    assert whole_delay(PolicySpec(), CONTRACT).words == "no delay"
    assert Delay(1250.0, 2500.0).words == "+1250 ms, at most 2500 ms"
