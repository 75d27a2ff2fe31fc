"""Who may take the place of a stream, in every order of events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semgfin_rt import lsl
from semgfin_rt.contracts import SignalSpec
from semgfin_rt.sources.identity import GONE_S, Candidate, Gatekeeper, difference, listed

OWN = lsl.FoundStream("EMG", "EMG", "x", "here", "own", 12, 2000.0, 1, None)
NEXT = replace(OWN, uid="next")


def test_its_own_outlet_is_taken_again():
    assert Gatekeeper(OWN).choose([OWN, NEXT], lost=True, silent_s=0.1)[0] == OWN


def test_a_restarted_source_is_taken_by_itself():
    gate = Gatekeeper(OWN)
    assert gate.choose([NEXT], lost=True, silent_s=0.1) == (NEXT, [])
    gate.settle(NEXT)
    assert gate.choose([NEXT], lost=True, silent_s=0.1)[0] == NEXT


def test_a_silent_stream_is_kept_until_it_is_gone_for_good():
    gate = Gatekeeper(OWN)
    assert gate.choose([OWN], lost=False, silent_s=99.0) == (None, [])  # paused
    chosen, (text,) = gate.choose([NEXT], lost=False, silent_s=2.0)
    assert chosen is None
    assert "the old one may come back" in text
    assert gate.choose([NEXT], lost=False, silent_s=2.5) == (None, [])  # told once
    assert gate.choose([NEXT], lost=False, silent_s=GONE_S + 1)[0] == NEXT


def test_a_rival_is_told_once_and_waits_for_the_operator():
    gate = Gatekeeper(OWN)
    (text,) = gate.see_rivals([OWN, NEXT])
    assert "none of its samples is used" in text
    assert gate.see_rivals([OWN, NEXT]) == []
    chosen, (text,) = gate.choose([NEXT], lost=True, silent_s=1.0)
    assert chosen is None
    assert "confirm" in text
    assert "'next' on 'here'" in text
    gate.accept("next")
    assert gate.choose([NEXT], lost=True, silent_s=1.0)[0] == NEXT


def test_two_candidates_or_another_host_wait_for_the_operator():
    other, far = replace(OWN, uid="other"), replace(OWN, uid="far", host="there")
    gate = Gatekeeper(OWN)
    assert gate.choose([NEXT, other], lost=True, silent_s=1.0)[0] is None
    assert gate.choose([far], lost=True, silent_s=1.0)[0] is None
    gate.accept("other")
    assert gate.choose([NEXT, other], lost=True, silent_s=1.0)[0] == other


def test_who_waits_for_the_operator_is_known_as_long_as_it_does():
    far, gate = replace(OWN, uid="far", host="there"), Gatekeeper(OWN)
    assert gate.asking == ()
    _, (question,) = gate.choose([NEXT, far], lost=True, silent_s=1.0)
    assert gate.asking == (Candidate("next", "here"), Candidate("far", "there"))
    assert gate.choose([far], lost=True, silent_s=1.0) == (None, [])
    assert gate.asking == (Candidate("far", "there"),)
    gate.accept("far")
    gate.choose([far], lost=True, silent_s=1.0)
    assert gate.asking == ()
    gate.settle(far)
    assert gate.choose([NEXT, OWN], lost=True, silent_s=1.0)[1]  # another question, told again
    gate.choose([far], lost=False, silent_s=1.0)  # back by itself
    assert gate.asking == ()
    assert "confirm" in question


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n_channels": 8}, "8 channels, not 12"),
        ({"rate": 1000.0}, "1000 Hz, not 2000"),
        ({"channel_format": 5}, "5 as LSL format, not 1"),
        ({"rate": float("nan")}, "nan Hz"),
        ({"host": "a\x1b[2J"}, "control characters"),
    ],
)
def test_what_changed_is_refused_even_with_a_word(change, reason):
    changed, gate = replace(NEXT, **change), Gatekeeper(OWN)
    gate.accept("next")
    chosen, texts = gate.choose([changed], lost=True, silent_s=1.0)
    assert chosen is None
    assert reason in texts[0]
    assert texts[0].isprintable()
    assert gate.choose([changed], lost=True, silent_s=1.0) == (None, [])
    fine = replace(OWN, uid="fine")
    assert gate.choose([changed, fine], lost=True, silent_s=1.0)[0] == fine


def test_a_flood_of_rivals_is_one_short_message():
    crowd = [replace(OWN, uid=f"u{i}") for i in range(1000)]
    (text,) = Gatekeeper(OWN).see_rivals(crowd)
    assert "and 997 more" in text
    assert len(text) < 400
    twins = [replace(OWN, source_id="x" * 1000, host="h\n")] * 4
    twin = f"source_id '{40 * 'x'}...' on 'h\\n'"
    assert listed(twins, "source_id") == f"{twin}, {twin}, {twin} and 1 more"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["watch", "choose", "accept"]),
            st.sets(st.sampled_from("abcd"), max_size=3),
            st.booleans(),
            st.floats(0, 60),
        ),
        max_size=12,
    )
)
@settings(max_examples=200, deadline=None)
def test_no_order_of_events_lets_a_rival_in(steps):
    gate, own, rivals, accepted = Gatekeeper(replace(OWN, uid="a")), "a", set(), None
    for what, uids, lost, silent_s in steps:
        found = [replace(OWN, uid=u) for u in sorted(uids)]
        if what == "watch":
            gate.see_rivals(found)
            rivals |= uids - {own}
        elif what == "accept" and uids:
            accepted = min(uids)
            gate.accept(accepted)
        elif what == "choose":
            chosen, _ = gate.choose(found, lost, silent_s)
            if own in uids:
                assert chosen is None or chosen.uid == own
            if chosen is None:
                continue
            assert lost or silent_s > GONE_S or chosen.uid == accepted
            if chosen.uid not in (own, accepted):
                assert chosen.uid not in rivals
                assert len(found) == 1
            own, accepted = chosen.uid, None
            gate.settle(chosen)


def test_differences_of_descriptions_in_words():
    said = lsl.StreamDescription(SignalSpec(("a", "b"), 2000.0, "V"))
    assert difference(said, said) == ""
    assert difference(replace(said, gain=1e-3), said) == "factor of the unit 0.001, not 1.0"
    swapped = replace(said, spec=SignalSpec(("b", "a"), 2000.0, "V"))
    assert difference(swapped, said) == "channels b, a, not a, b"
