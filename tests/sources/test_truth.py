"""Truth markers come in order; what is none is refused."""

from __future__ import annotations

import json
import time
import uuid

import pytest

from semgfin_rt import lsl
from semgfin_rt.contracts import NO_LABEL, SignalSpec, TruthEvent
from semgfin_rt.errors import StreamError
from semgfin_rt.sources.truth import TruthSource


def test_a_signal_is_no_truth():
    source_id = f"signal-{uuid.uuid4()}"
    spec = SignalSpec(("a",), 100.0, "V")
    outlet = lsl.api().StreamOutlet(lsl.make_info("EMG", "EMG", source_id, spec))
    with pytest.raises(StreamError, match="truth markers"):
        TruthSource(source_id).connect()
    del outlet


@pytest.mark.parametrize(
    ("name", "rate", "reason"),
    [
        ("truth", 100_000.0, "truth markers"),  # an inlet would keep 36 million texts
        ("truth\x1b[2J", 0.0, r"a name with control characters \('truth\\x1b"),
    ],
)
def test_a_truth_that_no_player_sends_is_refused(name, rate, reason):
    source_id, api = f"truth-{uuid.uuid4()}", lsl.api()
    outlet = api.StreamOutlet(api.StreamInfo(name, "Markers", 1, rate, "string", source_id))
    with pytest.raises(StreamError, match=reason) as refused:
        TruthSource(source_id).connect()
    assert str(refused.value).isprintable()
    del outlet


def test_truth_comes_in_order_and_nonsense_is_refused():
    source_id = f"truth-{uuid.uuid4()}"
    api = lsl.api()
    outlet = api.StreamOutlet(api.StreamInfo("truth", "Markers", 1, 0.0, "string", source_id))
    truth = TruthSource(source_id)
    truth.connect()
    assert truth.read() == []
    sent = [TruthEvent(0, 1, 1), TruthEvent(9, 2, 1, False), TruthEvent(20, NO_LABEL, -1, end=True)]
    for event in sent:
        outlet.push_sample([json.dumps(vars(event))])
    came, deadline = [], time.monotonic() + 3
    while len(came) < 3 and time.monotonic() < deadline:
        came += truth.read()
    assert came == sent
    outlet.push_sample(['{"sample": "many"}'])
    time.sleep(0.2)
    with pytest.raises(StreamError, match="none of a player's"):
        truth.read()
    truth.close()
    truth.close()
    assert truth.ended
