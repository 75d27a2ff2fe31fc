"""What an operator tells a running engine: it is done, nothing is missed, and what cannot be is
said."""

from __future__ import annotations

import os
import shutil
import signal
import time

import numpy as np
import pytest
from signals import counting_recording, tiny_checkpoint

from semgfin_rt.contracts import State
from semgfin_rt.decision import PolicySpec
from semgfin_rt.engine.build import build_engine, build_pipeline
from semgfin_rt.engine.commands import Note, SetPolicy, StartRecording, SwapModel
from semgfin_rt.engine.player import Player
from semgfin_rt.engine.process import EngineProcess
from semgfin_rt.engine.spec import EngineSpec
from semgfin_rt.nn.checkpoint_folder import sha256
from semgfin_rt.recordings.xdf_file import read_contents
from semgfin_rt.sources.recording import RecordingSource


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "other", seed=1)


@pytest.fixture
def engine(model):
    spec = EngineSpec(model, backend="onnx")
    engine = build_engine(
        spec, build_pipeline(model, "onnx"), RecordingSource(counting_recording(4000))
    )
    engine.connect()
    yield engine
    engine.close()


def finish(engine):
    steps = []
    while not engine.done:
        steps.append(engine.step())
    return steps


def decided(steps):
    return [d for s in steps for d in s.decisions]


def told(steps, kind):
    return [e.text for s in steps for e in s.events if e.kind == kind]


def test_policy_is_changed(engine):
    assert {m.state for d in decided([engine.step() for _ in range(20)]) for m in d.movements} == {
        State.VALID
    }
    engine.do(SetPolicy(PolicySpec(reject=0.99)))
    steps = finish(engine)
    assert {m.state for d in decided(steps) for m in d.movements} == {State.REJECT}
    assert told(steps, "policy") == ["The policy is now: reject below 0.99."]


def test_policy_that_does_not_fit_is_told(engine):
    engine.do(SetPolicy(PolicySpec(rest_gate=True)))
    steps = finish(engine)
    assert "has no rest gate" in told(steps, "policy")[0]
    assert engine.health().decisions == engine.health().expected


def test_model_is_swapped_without_a_window_missed(engine, other):
    before = [engine.step() for _ in range(60)]
    engine.do(SwapModel(other))
    while engine.decider.swapping:
        time.sleep(0.01)
    after = finish(engine)
    assert told(after, "model") == [f"Now '{other}' decides."]
    health = engine.health()
    assert (health.decisions, health.skipped) == (health.expected, 0)
    assert len(decided(before + after)) == health.expected == 191
    # From the first window on it decides as if it had always done: the filter has settled.
    alone = build_engine(
        EngineSpec(other, backend="onnx"),
        build_pipeline(other, "onnx"),
        RecordingSource(counting_recording(4000)),
    )
    alone.connect()
    expected = {d.sample: d for d in decided(finish(alone))}
    alone.close()
    for d in decided(after):
        np.testing.assert_allclose(
            d.movements[0].probabilities,
            expected[d.sample].movements[0].probabilities,
            atol=1e-4,
        )


@pytest.mark.parametrize("chunk", [7, 30])
def test_windows_end_where_they_did_after_a_swap(model, other, chunk):
    engine = build_engine(
        EngineSpec(model, backend="onnx"),
        build_pipeline(model, "onnx"),
        RecordingSource(counting_recording(12_000), chunk),
    )
    engine.connect()
    # more than the 2 s that a new pipeline is fed
    before = [engine.step() for _ in range(5000 // chunk)]
    engine.do(SwapModel(other))
    while engine.decider.swapping:
        time.sleep(0.01)
    after = finish(engine)
    engine.close()
    assert [d.sample for d in decided(before + after)] == list(range(199, 12_000, 20))
    health = engine.health()
    assert (health.decisions, health.skipped) == (health.expected, 0)


def test_a_checkpoint_whose_folder_is_gone_goes_on_deciding(model, tmp_path):
    """A recorded run; what it says of the checkpoint is what was loaded."""
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    engine = build_engine(
        EngineSpec(folder, backend="onnx", record=tmp_path / "a.xdf"),
        build_pipeline(folder, "onnx"),
        RecordingSource(counting_recording(4000)),
    )
    engine.connect()
    shutil.rmtree(folder)
    engine.do(SetPolicy(PolicySpec(vote=3)))
    steps = finish(engine)
    engine.close()
    assert told(steps, "policy") == ["The policy is now: vote over 3."]
    assert engine.health().decisions == engine.health().expected
    header = read_contents(tmp_path / "a.xdf").session
    assert header is not None
    assert header.checkpoint_sha256 == sha256(model)


def test_model_that_is_not_there_is_told(engine, tmp_path):
    engine.do(SwapModel(tmp_path / "none"))
    while engine.decider.swapping:
        time.sleep(0.01)
    steps = finish(engine)
    assert "none" in told(steps, "model")[0]
    assert engine.health().decisions == engine.health().expected


def test_no_recorder_is_told(engine, tmp_path):
    engine.do(StartRecording(tmp_path / "a.xdf"))
    engine.do(Note("mark", "electrode moved"))
    steps = finish(engine)
    assert "no recorder" in told(steps, "record")[0]
    assert told(steps, "mark") == ["electrode moved"]


def test_frozen_source_is_stale_and_nothing_is_lost(model):
    """Through LSL and two processes, as a window sees it; commands travel the other way."""
    recording = counting_recording(20_000)
    with Player(recording, wait_for_truth=False, speed=1.0) as player:
        engine = EngineProcess(
            EngineSpec(model, source_id=player.source_id, backend="onnx", resolve_s=10.0)
        )
        engine.start()
        seen, frozen, stale_ms = [], None, []
        end = time.monotonic() + 25
        while time.monotonic() < end and not (len(stale_ms) >= 3 and seen[-1].decisions):
            snapshot = engine.poll()
            if snapshot is None:
                time.sleep(0.01)
                continue
            seen.append(snapshot)
            if frozen is None and snapshot.health.decisions > 50:
                engine.send(Note("mark", "now"))
                os.kill(player.pid, signal.SIGSTOP)
                frozen = time.monotonic()
            elif snapshot.stale is not None:
                stale_ms.append(snapshot.stale.age_ms)
                assert {m.state for m in snapshot.stale.movements} == {State.STALE}
                if frozen and time.monotonic() - frozen > 0.6:
                    os.kill(player.pid, signal.SIGCONT)
                    frozen = 0.0
        engine.close()
    assert min(stale_ms) < 130  # the snapshot may hold the second one
    health = seen[-1].health
    assert (health.lost, health.stale > 2) == (0, True)
    assert [e.text for s in seen for e in s.events if e.kind == "mark"] == ["now"]
