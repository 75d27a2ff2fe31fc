"""Prompts along a signal: who is to do what, when, and what is shown."""

from __future__ import annotations

import pytest
from signals import tiny_contract

from semgfin_rt.app.prompts import PromptSchedule, Timing, Trial, plan_trials
from semgfin_rt.contracts import REST
from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ClassLabel

RATE = 2000.0
DB2 = Timing()
FOUR = tuple(ClassLabel(id=i, name=f"movement {i}") for i in (0, 1, 2, 5, 9))


@pytest.fixture
def contract():
    """Rest and the movements 1, 2, 5 and 9."""
    return tiny_contract().model_copy(update={"classes": FOUR})


def schedule(*trials: Trial, timing: Timing = DB2, first: int = 0) -> PromptSchedule:
    return PromptSchedule(trials, timing, RATE, first)


# ------------------------------------------------------------------------------ the plan
def test_every_repetition_is_a_cycle_through_the_movements_of_the_checkpoint(contract):
    trials = plan_trials(contract, repetitions=3, order="contract")
    assert [t.movement for t in trials] == 3 * [1, 2, 5, 9]  # rest comes by itself
    assert [t.repetition for t in trials] == 4 * [1] + 4 * [2] + 4 * [3]
    assert {t.attempt for t in trials} == {1}


def test_random_order_is_seeded_and_differs_between_repetitions(contract):
    trials = plan_trials(contract, repetitions=6, seed=3)
    cycles = [tuple(t.movement for t in trials[i : i + 4]) for i in range(0, 24, 4)]
    assert all(sorted(cycle) == [1, 2, 5, 9] for cycle in cycles)
    assert len(set(cycles)) > 1
    assert trials == plan_trials(contract, repetitions=6, seed=3)
    assert trials != plan_trials(contract, repetitions=6, seed=4)


def test_chosen_movements_and_numbers(contract):
    trials = plan_trials(contract, (9, 2, 9), 2, "contract", first_repetition=4)
    assert [(t.movement, t.repetition) for t in trials] == [(2, 4), (9, 4), (2, 5), (9, 5)]


@pytest.mark.parametrize(
    ("movements", "repetitions", "words"),
    [
        ((1, 3), 3, "movement 3 is not the checkpoint's"),
        ((0, 1), 3, "movement 0 is not"),
        ((5,), 3, "5 were asked for and that is too few: choose two or more of 1, 2, 5, 9"),
        ((), 3, "none were asked for"),
        (None, 1, "1 repetitions were asked for: give 2 to 20"),
        (None, 21, "21 repetitions"),
    ],
)
def test_a_plan_that_cannot_be_compared_is_refused(contract, movements, repetitions, words):
    with pytest.raises(OptionError, match=words):
        plan_trials(contract, movements, repetitions)


@pytest.mark.parametrize("timing", [(0.9, 3.0), (5.0, 0.0), (61.0, 3.0), (5.0, float("nan"))])
def test_lengths_that_nobody_can_follow_are_refused(timing):
    with pytest.raises(OptionError, match="DB2 has 5 s of movement and 3 s of rest"):
        Timing(*timing)


# -------------------------------------------------------------------------- the timetable
def test_the_timetable_is_that_of_db2():
    made = schedule(Trial(1, 1), Trial(2, 1), first=500)
    slots = [made.slot(k) for k in range(2)]
    assert (slots[0].on - 500, slots[0].off - 500) == (6000, 16000)
    assert (slots[1].on - 500, slots[1].off - 500) == (22000, 32000)
    assert slots[0].first == 500 + 3000  # half a rest before, half a rest after
    assert slots[0].stop == slots[1].first == 500 + 19000
    assert made.end == 500 + 38000


@pytest.mark.parametrize("rate", [200.0, 1000.0, 1111.0, 2148.1481])
def test_slots_follow_each_other_without_a_gap_at_any_rate(rate):
    made = PromptSchedule([Trial(1, 1)] * 5, Timing(1.3, 1.1), rate)
    for k in range(4):
        assert made.slot(k).stop == made.slot(k + 1).first
    assert made.slot(0).off - made.slot(0).on == round(1.3 * rate)


def test_what_is_shown_follows_the_samples():
    made = schedule(Trial(7, 1), Trial(4, 1), first=100)
    before = made.at(100)
    assert (before.movement, before.next, before.left_s) == (REST, 7, 3.0)
    assert (before.number, before.total, before.trial) == (1, 2, Trial(7, 1))
    assert made.at(6099).left_s == pytest.approx(1 / RATE)
    shown = made.at(6100)
    assert (shown.movement, shown.next, shown.left_s) == (7, 4, 5.0)
    assert made.at(16099).movement == 7
    between = made.at(16100)
    assert (between.movement, between.next, between.left_s, between.number) == (REST, 4, 3.0, 2)
    last = made.at(made.end - 6001)
    assert (last.movement, last.next) == (4, None)
    end = made.at(made.slot(1).off)
    assert (end.movement, end.next, end.left_s, end.trial) == (REST, None, 3.0, None)
    assert (end.number, end.total) == (2, 2)
    assert made.at(made.end + 10**6).left_s == 0


def test_trials_can_be_added_at_the_end_or_next():
    made = schedule(Trial(1, 1), Trial(2, 1))
    made.add(Trial(1, 1, 2))
    assert [t.movement for t in made.trials] == [1, 2, 1]
    made.add(Trial(2, 1, 2), after=0)
    assert made.trials == [Trial(1, 1), Trial(2, 1, 2), Trial(2, 1), Trial(1, 1, 2)]
    assert made.at(made.slot(1).on).total == 4


def test_earlier_trials_count_in_the_numbers():
    made = PromptSchedule([Trial(1, 1)], DB2, RATE, before=9)
    assert (made.at(0).number, made.at(0).total) == (10, 10)
