"""The supervisor's gatekeeper as a state machine: streams come, go, lie, and are spoken for."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from semgfin_rt import lsl
from semgfin_rt.sources.identity import GONE_S, Gatekeeper

OWN = lsl.FoundStream("EMG", "EMG", "x", "here", "u0", 12, 2000.0, 1, None)
CHANGES = ({"n_channels": 8}, {"rate": 1000.0}, {"channel_format": 5}, {"rate": float("nan")})


class Streams(RuleBasedStateMachine):
    """What is on the network, and what the gatekeeper makes of it."""

    def __init__(self):
        super().__init__()
        self.gate = Gatekeeper(OWN)
        self.own = OWN
        self.alive = {OWN.uid: OWN}
        self.born = 1
        self.rivals, self.accepted, self.texts = set(), None, []

    def found(self):
        return list(self.alive.values())

    @rule(far=st.booleans(), change=st.none() | st.sampled_from(CHANGES))
    def another_begins(self, far, change):
        stream = replace(OWN, uid=f"u{self.born}", host="there" if far else "here")
        self.alive[stream.uid] = replace(stream, **(change or {}))
        self.born += 1

    @rule(number=st.integers(0, 20))
    def one_ends(self, number):
        self.alive.pop(f"u{number}", None)

    @rule()
    def its_own_ends(self):
        self.alive.pop(self.own.uid, None)

    @rule(number=st.integers(0, 20))
    def the_operator_speaks(self, number):
        self.accepted = f"u{number}"
        self.gate.accept(self.accepted)

    @rule()
    def both_are_seen(self):
        if self.own.uid in self.alive:
            self.texts += self.gate.see_rivals(self.found())
            self.rivals |= self.alive.keys() - {self.own.uid}

    @rule(lost=st.booleans(), silent_s=st.sampled_from([0.6, 5.0, GONE_S + 1]))
    def a_successor_is_looked_for(self, lost, silent_s):
        chosen, texts = self.gate.choose(self.found(), lost, silent_s)
        self.texts += texts
        if chosen is None:
            return
        assert chosen in self.found()
        for key in ("n_channels", "rate", "channel_format", "source_id"):
            assert getattr(chosen, key) == getattr(OWN, key)
        if self.own.uid in self.alive:
            assert chosen.uid == self.own.uid
        if chosen.uid not in (self.own.uid, self.accepted):
            assert lost or silent_s > GONE_S
            assert chosen.host == self.own.host
            assert chosen.uid not in self.rivals
            alike = [s for s in self.found() if s.rate == OWN.rate and s.n_channels == 12]
            assert [s for s in alike if s.channel_format == 1] == [chosen]
        self.gate.settle(chosen)
        self.own, self.accepted = chosen, None

    @invariant()
    def what_it_says_is_said_once_and_printable(self):
        assert all(text.isprintable() and len(text) < 1000 for text in self.texts)
        refusals = [text for text in self.texts if "refused" in text]
        assert len(refusals) == len(set(refusals))


Streams.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestStreams = Streams.TestCase
