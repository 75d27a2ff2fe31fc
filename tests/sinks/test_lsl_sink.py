"""A published decision comes back as it was, from the stream's own description."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
from signals import tiny_contract

from semgfin_rt import lsl
from semgfin_rt.contracts import NO_LABEL, Decision, Movement, State
from semgfin_rt.errors import StreamError
from semgfin_rt.sinks.lsl import DecisionLayout, LslSink, read_layout

LAYOUT = DecisionLayout((0, 50), (0, 1, 2), ("rest", "fist", "point"))


def decision(sample: int = 57_599_999) -> Decision:
    p = np.array([0.1, 0.7, 0.2], np.float32)
    movements = (
        Movement(0, 1, 0.7, p, State.VALID),
        Movement(50, NO_LABEL, 0.25, p[::-1], State.REJECT),
    )
    return Decision(sample, 12345.678901, movements, np.ones((2, 2, 3), np.float32), 1.25)


def same(a: Decision, b: Decision) -> None:
    assert (a.sample, a.time, a.age_ms) == (b.sample, b.time, b.age_ms)
    assert len(a.movements) == len(b.movements)
    for m, n in zip(a.movements, b.movements, strict=True):
        assert (m.horizon_ms, m.label, m.confidence) == (n.horizon_ms, n.label, n.confidence)
        assert m.state is n.state
        np.testing.assert_array_equal(m.probabilities, n.probabilities)


def test_row_and_back():
    row = LAYOUT.encode(decision())
    assert row.shape == (len(LAYOUT.columns),) == (14,)
    assert LAYOUT.columns[:6] == (
        "sample",
        "age_ms",
        "label@0ms",
        "confidence@0ms",
        "state@0ms",
        "p_0@0ms",
    )
    same(LAYOUT.decode(row, 12345.678901), decision())


def test_every_state_comes_back():
    for state in State:
        movement = Movement(0, 1, 0.5, np.ones(3, np.float32), state)
        layout = DecisionLayout((0,), LAYOUT.class_ids, LAYOUT.class_names)
        one = Decision(1, 2.0, (movement,), np.empty((1, 0, 0), np.float32), 3.0)
        assert layout.decode(layout.encode(one), 2.0).movements[0].state is state


def test_published_decisions_come_back():
    source_id = f"decisions-{uuid.uuid4()}"
    sink = LslSink(tiny_contract(), source_id)
    (found,) = lsl.find_streams(3.0, source_id=source_id)
    inlet = lsl.open_inlet(found, 10)
    layout = read_layout(inlet.info(3.0))
    assert layout == LAYOUT
    inlet.open_stream(3.0)
    for i in range(3):
        sink.write(decision(i))
    for i in range(3):
        row, stamp = inlet.pull_sample(2.0)
        same(layout.decode(row, stamp), decision(i))
    sink.close()
    sink.close()


def test_horizons_can_be_fewer():
    sink = LslSink(tiny_contract(), f"decisions-{uuid.uuid4()}", horizons_ms=(50,))
    assert sink.layout.horizons_ms == (50,)
    sink.close()


def test_refuses_another_stream():
    info = lsl.api().StreamInfo("EMG", "EMG", 2, 100.0, "float32", "x")
    with pytest.raises(StreamError, match="does not describe decisions"):
        read_layout(info)
    info.desc().append_child_value("horizons_ms", "[0, 50]")
    info.desc().append_child_value("classes", '{"0": "rest"}')
    with pytest.raises(StreamError, match="has 2 columns and describes 10"):
        read_layout(info)
