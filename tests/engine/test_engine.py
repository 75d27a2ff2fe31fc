"""The loop, without LSL and through it: every window is decided, and what is not is counted."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
import uuid
from dataclasses import replace

import numpy as np
import pytest
from signals import counting_recording, tiny_checkpoint

from semgfin_rt import lsl
from semgfin_rt.contracts import Decision, State
from semgfin_rt.engine.build import build_engine, build_pipeline
from semgfin_rt.engine.loop import Engine
from semgfin_rt.engine.parts import Step
from semgfin_rt.engine.player import Player
from semgfin_rt.engine.spec import EngineSpec
from semgfin_rt.errors import ContractMismatchError, OptionError, StreamError
from semgfin_rt.pipeline import Pipeline
from semgfin_rt.sinks.lsl import read_layout
from semgfin_rt.sources.recording import RecordingSource


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


def run(engine: Engine) -> tuple[list[Step], list[Decision]]:
    steps: list[Step] = []
    engine.run(steps.append)
    return steps, [d for s in steps for d in s.decisions]


def engine_for(model, recording, chunk_samples=20, **spec) -> Engine:
    spec = EngineSpec(model, backend="onnx", **spec)
    source = RecordingSource(recording, chunk_samples)
    return build_engine(spec, build_pipeline(model, "onnx"), source)


def same(a: list[Decision], b: list[Decision]) -> None:
    assert [d.sample for d in a] == [d.sample for d in b]
    for d, e in zip(a, b, strict=True):
        for m, n in zip(d.movements, e.movements, strict=True):
            np.testing.assert_array_equal(m.probabilities, n.probabilities)
        np.testing.assert_array_equal(d.features, e.features)


def test_recording_is_decided_whole(model):
    engine = engine_for(model, counting_recording(1000))
    _, decisions = run(engine)
    health = engine.health()
    assert [d.sample for d in decisions] == list(range(199, 1000, 20))
    assert health.decisions == health.expected == len(decisions) == 41
    assert (health.received, health.lost, health.skipped) == (1000, 0, 0)
    assert decisions[0].features.shape == (2, 2, 3)
    assert all(math.isfinite(d.age_ms) for d in decisions)
    assert set(health.latency_ms) == {
        "filter",
        "fin",
        "cnn",
        "policy",
        "publish",
        "compute",
        "end_to_end",
    }


def test_windows_do_not_reach_over_breaks(model):
    engine = engine_for(model, counting_recording(1000, breaks=(500, 600)))
    _, decisions = run(engine)
    # 0-499: 16 windows; 500-599: none; 600-999: 11
    expected = [*range(199, 500, 20), *range(799, 1000, 20)]
    assert [d.sample for d in decisions] == expected
    health = engine.health()
    assert (health.expected, health.lost) == (len(expected), 0)


def test_large_chunks_of_a_recording_skip_nothing(model):
    _, small = run(engine_for(model, counting_recording(2000)))
    engine = engine_for(model, counting_recording(2000), chunk_samples=499)
    _, large = run(engine)
    assert engine.health().skipped == 0
    same(small, large)


def test_seconds_limit_the_signal(model):
    engine = engine_for(model, counting_recording(2000), seconds=0.3)
    run(engine)
    assert (engine.health().received, engine.done) == (600, True)


def test_horizons_are_chosen(model):
    _, both = run(engine_for(model, counting_recording(300)))
    _, decisions = run(engine_for(model, counting_recording(300), horizons_ms=(50,)))
    assert [m.horizon_ms for m in decisions[0].movements] == [50]
    np.testing.assert_array_equal(decisions[0].features[0], both[0].features[1])
    with pytest.raises(OptionError, match="horizon 70 ms"):
        engine_for(model, counting_recording(300), horizons_ms=(70,))


def test_refuses_what_does_not_fit(model):
    recording = counting_recording(300)
    other = replace(recording, spec=replace(recording.spec, rate=1000.0))
    with pytest.raises(ContractMismatchError, match="runs at 1000 Hz"):
        run(engine_for(model, other))


def test_no_stream_is_asked_for(model):
    with pytest.raises(OptionError, match="no stream was given"):
        build_engine(EngineSpec(model), build_pipeline(model, "onnx"))


class Late(RecordingSource):
    """A live stream, a hop every 10 ms, whose newest sample is always of this age."""

    live = True

    def __init__(self, recording, age_s: float) -> None:
        super().__init__(recording, 20)
        self.age_s = age_s

    def read(self, timeout=0.0, max_samples=None):
        if not timeout:
            return super().read(0.0, 0)
        time.sleep(0.01)
        chunk = super().read(timeout, max_samples)
        now = lsl.local_clock() - self.age_s
        return replace(chunk, times=now + np.arange(1 - len(chunk.samples), 1) / 2000)


@pytest.mark.parametrize("age_s", [0.095, 0.15])
def test_a_late_stream_is_stale_and_told_once_a_decision(model, age_s):
    source = Late(counting_recording(2000), age_s)
    engine = build_engine(EngineSpec(model, backend="onnx"), build_pipeline(model, "onnx"), source)
    steps, decisions = run(engine)
    assert {m.state for d in decisions for m in d.movements} == {State.STALE}
    # but for what a busy machine makes later still
    assert sum(step.stale is not None for step in steps) <= 10 < len(decisions)


def through_lsl(model, player: Player, **spec) -> Engine:
    truth_id = player.truth_id if player.wait_for_truth else None
    spec = EngineSpec(
        model, source_id=player.source_id, truth_id=truth_id, backend="onnx", resolve_s=10.0, **spec
    )
    return build_engine(spec, build_pipeline(model, "onnx"))


@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_through_lsl_as_without(model, speed):
    recording = counting_recording(4000)
    _, offline = run(engine_for(model, recording))
    publish_id = f"decisions-{uuid.uuid4()}"
    with Player(recording, speed=speed) as player:
        engine = through_lsl(model, player, publish_id=publish_id)
        (found,) = lsl.find_streams(3.0, source_id=publish_id)
        inlet = lsl.open_inlet(found, 60)
        layout = read_layout(inlet.info(3.0))
        inlet.open_stream(3.0)
        engine.connect()
        steps = []
        while not engine.done:
            steps.append(engine.step())
        assert player.pushed == 4000
        rows, stamps = inlet.pull_chunk(0.5)
        engine.close()
    decisions = [d for s in steps for d in s.decisions]
    health = engine.health()
    assert health.received == 4000
    assert health.decisions == health.expected == len(decisions) == 191
    assert (health.lost, health.skipped) == (0, 0)
    same(decisions, offline)
    assert health.latency_ms["end_to_end"].p50 < 10  # a tenth of it, on a free machine
    published = [layout.decode(r, t) for r, t in zip(rows, stamps, strict=True)]
    stale = health.stale  # the end of a replay may be told later than the signal grows stale
    published = published[: len(published) - stale]
    assert [(p.sample, p.age_ms) for p in published] == [(d.sample, d.age_ms) for d in decisions]
    truth = [e for s in steps for e in s.truth]
    assert [e.sample for e in truth] == list(range(0, 4001, 500))


def test_catches_up_after_a_stall(model):
    with Player(counting_recording(4000)) as player:
        engine = through_lsl(model, player)
        stalled: list[int] = []

        def stall(step: Step) -> None:
            if step.decisions and not stalled:
                stalled.append(step.decisions[-1].sample)
                time.sleep(0.6)

        ages: list[float] = []
        engine.run(lambda step: (stall(step), ages.extend(d.age_ms for d in step.decisions)))
    health = engine.health()
    assert (health.received, health.lost) == (4000, 0)
    assert health.skipped >= 50  # of the 60 hops
    assert health.decisions + health.skipped == health.expected
    assert max(ages[2:]) < 200  # the second is the newest window of the backlog
    assert health.late < health.decisions


def test_a_decider_slower_than_the_stream_decides_on_the_newest_window_alone(model):
    """It would publish in bursts otherwise, most of them too old to be VALID."""

    def slow(stage: str) -> None:
        if stage == "cnn":
            time.sleep(0.04)

    with Player(counting_recording(4000)) as player:
        engine = through_lsl(model, player)
        pipeline = engine.pipeline
        engine.decider.pipeline = Pipeline(pipeline.contract, pipeline.backend, on_stage=slow)
        together: list[int] = []
        health = engine.run(lambda step: together.append(len(step.decisions)))
    decided = [n for n in together if n]
    assert set(decided[3:]) == {1}  # known to be slow by three turns
    assert len(decided) > 10
    assert (health.received, health.lost) == (4000, 0)
    assert health.decisions + health.skipped == health.expected


def test_ended_stream_is_an_error_when_more_was_promised(model):
    with Player(counting_recording(40_000)) as player:
        engine = through_lsl(model, player, seconds=10.0)

        def kill(step: Step) -> None:
            if step.decisions and engine.health().decisions == 20:
                os.kill(player.pid, signal.SIGKILL)

        with pytest.raises(StreamError, match=r"ended after 0\.\d s of 10 s, before it should"):
            engine.run(kill)
        assert engine.health().decisions >= 20


def test_silent_stream_is_an_error(model):
    source_id = f"silent-{uuid.uuid4()}"
    spec = counting_recording(1).spec
    outlet = lsl.api().StreamOutlet(lsl.make_info("EMG", "EMG", source_id, spec))
    engine = build_engine(EngineSpec(model, source_id=source_id), build_pipeline(model, "onnx"))
    engine.silence_s = 0.5
    with pytest.raises(StreamError, match="has sent nothing for"):
        engine.run()
    del outlet


def test_samples_that_are_not_finite_are_counted(model):
    recording = counting_recording(600)
    recording.samples[250:260, 1] = np.nan
    recording.samples[255, 2] = np.inf
    engine = engine_for(model, recording)
    run(engine)
    assert engine.health().not_finite == 10
    assert engine.health().decisions == engine.health().expected


def test_a_sender_of_bursts_is_decided_whole(model):
    source_id = f"bursts-{uuid.uuid4()}"
    spec = counting_recording(1).spec
    outlet = lsl.api().StreamOutlet(lsl.make_info("EMG", "EMG", source_id, spec))
    built = build_pipeline(model, "onnx")
    engine = build_engine(EngineSpec(model, source_id=source_id, seconds=1.0), built)
    stop = threading.Event()

    def send() -> None:
        outlet.wait_for_consumers(5.0)
        while not stop.wait(0.05):  # 100 samples at 2 kHz, stamped when they are pushed
            for _ in range(100):
                outlet.push_sample([1.0, 2.0, 3.0])

    sender = threading.Thread(target=send)
    sender.start()
    health = engine.run()
    stop.set()
    sender.join()
    assert (health.received, health.lost) == (2000, 0)
    assert health.decisions == health.expected == 91
