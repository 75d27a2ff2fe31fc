"""Decisions in words: complete, and no more of them than can be read."""

from __future__ import annotations

from decisions import decide, tiny_contract

from semgfin_rt.app.announce import Announcer, decision_line, event_line
from semgfin_rt.contracts import NO_LABEL, Event, State


def test_a_line_holds_everything():
    line = decision_line(decide(149, label=6, ahead=0), 0, tiny_contract())
    assert line == "    1.50 s  fist 0.80 VALID  [truth: rest]  +50 ms: rest 0.80"


def test_what_is_the_same_or_unknown_is_not_repeated():
    line = decision_line(decide(149), None, tiny_contract())
    assert line == "    1.50 s  fist 0.80 VALID  +50 ms: same 0.80"
    rejected = decision_line(decide(149, label=NO_LABEL, state=State.REJECT), 6, tiny_contract())
    assert rejected == "    1.50 s  rejected 0.80 REJECT  [truth: fist]  +50 ms: same 0.80"


def test_without_the_present_it_says_when():
    contract = tiny_contract().model_copy(update={"horizons_ms": (50,)})
    decision = decide(149)
    only = type(decision)(
        decision.sample, decision.time, decision.movements[1:], decision.features[1:]
    )
    assert decision_line(only, None, contract) == "    1.50 s  +50 ms: fist 0.80 VALID"


def test_once_a_second_and_on_a_change():
    announcer = Announcer(tiny_contract(), lambda _sample: None)  # 100 Hz
    labels = {**dict.fromkeys(range(300), 6), 150: 0, 151: 0, 250: 0}
    said = [i for i, label in labels.items() if announcer.line(decide(i, label))]
    # 0, a second later; the change at 150 and back; the change at 250 and back, 0.2 s apart
    assert said == [0, 100, 150, 170, 250, 270]


def test_what_an_operator_should_know_has_a_line():
    line = event_line(Event(5.0, "loss", "7 samples are missing."), 0.0)
    assert line is not None
    assert line[2::3][:2] == "::"
    assert line[8:] == "  loss: 7 samples are missing."
    kinds = ("stream", "record", "policy", "model", "prompt", "mark", "quality")
    assert [k for k in kinds if event_line(Event(5.0, k, "x"), 0.0)] == ["stream", "record"]
