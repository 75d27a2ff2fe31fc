"""A checkpoint on this machine: in real time and at full speed, and what is made of it."""

from __future__ import annotations

import pytest
from signals import tiny_checkpoint, tiny_contract

from semgfin_rt.app.timing import _reasons, at_full_speed, in_real_time, noise


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("timing") / "model")


def test_every_decision_of_a_stream_is_made(model):
    told = []
    found = in_real_time(model, 1.0, "onnx", lambda *done: told.append(done))
    assert found["decisions"] == found["expected_decisions"] == 1 + (2000 - 200) // 20
    assert (found["lost_samples"], found["backend"]) == (0, "onnx cpu")
    assert 0 < found["end_to_end_ms"]["p50"] <= found["end_to_end_ms"]["p99"]
    assert told[-1] == ("real time", 100, 100, 0.0)


KEPT = {
    "decisions": 100,
    "expected_decisions": 100,
    "lost_samples": 0,
    "latency_ms": {"compute": {"p50": 1.0, "p95": 5.0, "p99": 8.0}},
    "end_to_end_ms": {"p50": 2.0, "p95": 9.0, "p99": 15.0},
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decisions": 99}, "1 decisions were missed"),
        ({"lost_samples": 7}, "7 samples lost"),
        ({"latency_ms": {"compute": {"p50": 1.0, "p95": 5.1, "p99": 8.0}}}, "half a hop is 5 ms"),
        ({"end_to_end_ms": {"p50": 2.0, "p95": 9.0, "p99": 15.1}}, "15 ms are allowed"),
    ],
)
def test_what_was_not_kept_is_named(change, words):
    assert _reasons(KEPT, 10.0) == []
    (reason,) = _reasons(KEPT | change, 10.0)
    assert words in reason


def test_full_speed_is_no_faster_than_its_arithmetic(model):
    told = []
    found = at_full_speed(model, 2.0, "torch", lambda *done: told.append(done))
    assert 0 < found["times_real_time"] < found["floor_times_real_time"]
    assert found["backend"] == "torch cpu"
    assert ("full speed", 100, 200, 0.0) in told
    assert told[-1] == ("full speed", 200, 200, 0.0)


def test_noise_fits_any_checkpoint():
    contract = tiny_contract()
    recording = noise(contract, 0.5)
    contract.require_fit(recording.spec, "noise")
    assert recording.samples.shape == (1000, 3)
    assert recording.samples.std() == pytest.approx(1e4, rel=0.05)
