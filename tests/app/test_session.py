"""Sessions, real through and through: a player, LSL, an engine, a summary."""

from __future__ import annotations

import os
import shutil
import signal
import time
import uuid
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from signals import counting_recording, tiny_checkpoint, tiny_contract

from semgfin_rt import lsl
from semgfin_rt.app.session import Session, begin_replay
from semgfin_rt.app.settings import Live, Replay, Settings
from semgfin_rt.app.summary import Outcome, figures, seen_in_training, shortfall, summary_lines
from semgfin_rt.engine.commands import SwapModel
from semgfin_rt.engine.player import Player
from semgfin_rt.engine.snapshot import NO_HEALTH
from semgfin_rt.errors import (
    CheckpointError,
    ContractMismatchError,
    OptionError,
    RecordingError,
    StreamError,
)
from semgfin_rt.model_contract import TrainingRecord
from semgfin_rt.nn.checkpoint_folder import sha256

STAGES = {"acquire", "filter", "fin", "cnn", "policy", "publish", "compute"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


def record(**changes) -> TrainingRecord:
    values = {
        "command": "fit",
        "dataset": "synthetic",
        "subjects": (3,),
        "repetitions": (1,),
        "held_out": (),
        "data_sha256": "",
        "windows": 1,
        "seed": 0,
        "steps": {},
        "seconds": 1.0,
        "chosen": {},
        "versions": {},
        "date": "",
    }
    return TrainingRecord(**values | changes)


# -------------------------------------------------------------------------- a replay
def test_a_replay_keeps_its_promise_and_says_all_of_it(model):
    publish_id = f"decisions-{uuid.uuid4()}"
    started, seen, published = [], [], []

    def on_start():
        started.append(session.backend)

    def on_decision(decision):
        seen.append((decision.sample, session.truth_at(decision.sample)))
        if not published:
            published.extend(lsl.find_streams(2.0, source_id=publish_id))

    recording = counting_recording(4000)
    settings = Settings(model, "onnx", seconds=1.5, publish_id=publish_id)
    with Session(settings, Replay(recording)) as session:
        told = session.run(on_start, on_decision)
    assert started == ["onnx cpu"]
    assert len(published) == 1
    assert [sample for sample, _ in seen] == list(range(199, 3000, 20))
    # Markers are pushed before their samples; those that come late are shown late, not scored so.
    right = sum(truth == recording.labels[sample] for sample, truth in seen)
    assert right >= len(seen) - 5
    assert told["ok"]
    assert told["complete"]
    assert (told["decisions"], told["expected_decisions"]) == (141, 141)
    assert (told["lost_samples"], told["skipped"], told["seconds"]) == (0, 0, 1.5)
    assert told["scored"] == 141
    assert 0 <= told["accuracy"] <= 1
    assert 0 <= told["accuracy_steady"] <= 1
    assert (
        told["accuracy_by_horizon"].keys() == told["persistence_by_horizon"].keys() == {"0", "50"}
    )
    assert told["accuracy_by_horizon"]["0"] == told["persistence_by_horizon"]["0"]
    assert told["latency_ms"].keys() == STAGES
    assert told["end_to_end_ms"].keys() == {"p50", "p95", "p99"}
    assert told["end_to_end_is"] == "push to publish"
    assert told["checkpoint"] == {
        "folder": str(model),
        "sha256": sha256(model),
        "preset": "realtime",
    }
    assert told["source"]["kind"] == "replay"
    assert told["seen_in_training"] == 0
    words = "\n".join(summary_lines(told))
    assert "141 decisions of 141 expected, 0 samples lost" in words
    assert "synthetic subject" in words


def test_chosen_horizons_alone_are_decided_and_scored(model):
    settings = Settings(model, "onnx", horizons_ms=(50,), seconds=0.5)
    decisions = []
    with Session(settings, Replay(counting_recording(4000))) as session:
        told = session.run(on_decision=decisions.append)
    assert {tuple(m.horizon_ms for m in d.movements) for d in decisions} == {(50,)}
    assert session.contract.horizons_ms == (50,)
    assert told["accuracy_by_horizon"].keys() == {"50"}
    assert told["scored"] == 41 - 5  # the targets of the last five lie beyond the end
    assert told["persistence_by_horizon"] == {"50": None}  # no present decision to repeat
    assert told["accuracy_horizon_ms"] == 50
    (line,) = [line for line in summary_lines(told) if "accuracy" in line and "%" in line]
    assert line.startswith("+50 ms: accuracy ")


def test_a_loop_goes_round(model):
    settings = Settings(model, "onnx", seconds=1.0)
    with Session(settings, Replay(counting_recording(700), speed=2.0, loop=True)) as session:
        told = session.run()
    assert told["ok"]
    assert told["decisions"] == told["expected_decisions"] == 91
    assert told["scored"] < 91  # windows and targets across the seam are not


def test_ctrl_c_ends_with_the_summary_so_far(model):
    count = []

    def on_decision(decision):
        count.append(decision)
        if len(count) == 60:
            raise KeyboardInterrupt

    begin = time.monotonic()
    with Session(Settings(model, "onnx"), Replay(counting_recording(200_000))) as session:
        told = session.run(on_decision=on_decision)
    assert time.monotonic() - begin < 20
    assert session.interrupted
    assert (told["ok"], told["complete"]) == (False, False)
    assert told["decisions"] == told["expected_decisions"] >= 60
    assert told["lost_samples"] == 0  # what was under way is not lost
    assert "(cut short)" in summary_lines(told)[0]


def test_a_player_that_dies_is_a_failure_with_a_summary(model):
    with Session(Settings(model, "onnx"), Replay(counting_recording(200_000))) as session:

        def kill(decision):
            if decision.sample == 999:
                os.kill(session._player.pid, signal.SIGKILL)

        told = session.run(on_decision=kill)
    assert session.failure is not None
    assert "the player died after" in session.failure
    assert (told["ok"], told["complete"]) == (False, False)
    assert told["decisions"] >= 41


@pytest.mark.parametrize("begun", [False, True])
def test_the_engine_of_a_window_gives_the_same_summary(model, begun):
    settings = Settings(model, "onnx")
    with (
        begin_replay(settings) if begun else nullcontext() as engine,
        Session(settings, Replay(counting_recording(1500)), engine) as session,
    ):
        link = session.link()
        deadline = time.monotonic() + 30
        while link.last is None or link.last.phase not in ("ended", "failed"):
            assert time.monotonic() < deadline
            link.poll()
            time.sleep(0.03)
        told = session.summary()
    assert told["ok"]
    assert told["backend"] == "onnx cpu"
    assert told["decisions"] == told["expected_decisions"] == told["scored"] == 66
    assert told["lost_samples"] == 0
    assert told["latency_ms"].keys() == STAGES


def test_after_a_swap_the_summary_names_what_decides(model, tmp_path):
    other = tiny_checkpoint(tmp_path / "other", seed=1)
    with Session(Settings(model, "onnx"), Replay(counting_recording(40_000), loop=True)) as session:
        link = session.link()
        deadline = time.monotonic() + 60
        sent = False
        while link.last is None or link.last.model != str(other):
            assert time.monotonic() < deadline
            if link.poll() is not None and link.last.phase == "running" and not sent:
                sent = True
                link.send(SwapModel(other))
            time.sleep(0.03)
        digest = sha256(other)
        shutil.rmtree(other)  # as a calibration that was not kept
        told = session.summary()
    assert told["checkpoint"]["folder"] == str(other)
    assert told["checkpoint"]["sha256"] == digest


def test_an_engine_that_was_begun_ends_where_the_recording_cannot_be_read(model):
    pids = []

    def read():
        with begin_replay(Settings(model)) as engine:
            pids.append(engine.pid)
            raise RecordingError("no recording")

    with pytest.raises(RecordingError):
        read()
    assert not psutil.pid_exists(pids[0])


def test_a_window_that_finds_no_stream_has_failed(model):
    with Session(Settings(model, "onnx"), Live(source_id="nobody", wait_s=0.3)) as session:
        link = session.link()
        deadline = time.monotonic() + 30
        while link.last is None or link.last.phase != "failed":
            assert time.monotonic() < deadline
            link.poll()
            time.sleep(0.03)
        told = session.summary()
    assert "no LSL stream with the source_id 'nobody'" in session.failure
    assert (told["ok"], told["decisions"], told["seconds"]) == (False, 0, 0)


# ------------------------------------------------------------------------------- live
def test_live_reports_the_age_and_no_score(model):
    with Player(counting_recording(20_000), wait_for_truth=False) as player:
        live = Live(source_id=player.source_id)
        truths = set()
        with Session(Settings(model, "onnx", seconds=0.8), live) as session:
            told = session.run(on_decision=lambda d: truths.add(session.truth_at(d.sample)))
        assert player.pid is not None  # not ours to end
    assert truths == {None}
    assert told["ok"]
    assert told["decisions"] == told["expected_decisions"] == 71
    assert told["end_to_end_is"] == "age of the newest sample"
    assert told["end_to_end_ms"]["p50"] < 1000  # ms: what it is a machine under load decides
    assert told["accuracy"] is told["seen_in_training"] is None
    assert told["accuracy_by_horizon"] == {"0": None, "50": None}
    assert "accuracy" not in "\n".join(summary_lines(told))


@pytest.mark.parametrize("window", [False, True])
def test_what_was_assumed_about_a_stream_is_said_at_once(model, window):
    with Player(counting_recording(20_000), wait_for_truth=False) as player:
        live = Live(source_id=player.source_id, unit="mV")  # the stream says V
        settings = Settings(model, "onnx", seconds=0.3)
        noted = []
        with Session(settings, live) as session:
            if window:
                link, deadline = session.link(), time.monotonic() + 30
                while not noted and time.monotonic() < deadline:
                    snapshot = link.poll()
                    if snapshot is not None and snapshot.phase == "running":
                        noted += [snapshot.notes, snapshot.backend]
                    time.sleep(0.01)
                told = session.summary()
            else:
                told = session.run(
                    on_connect=lambda: noted.extend((session.notes, session.backend))
                )
    note = f"the stream '{player.name}' states V; read as mV, as --unit says."
    assert noted == [(note,), "onnx cpu"]
    assert told["notes"] == [note]
    assert told["backend"] == "onnx cpu"


def test_a_stream_that_is_not_there_or_does_not_fit(model):
    with (
        Session(Settings(model, "onnx"), Live(name="nobody", wait_s=0.3)) as session,
        pytest.raises(StreamError, match="no LSL stream named 'nobody'"),
    ):
        session.run()
    recording = counting_recording(4000)
    slow = replace(recording, spec=replace(recording.spec, rate=1000.0))
    with (
        Player(slow, wait_for_truth=False) as player,
        Session(Settings(model, "onnx"), Live(source_id=player.source_id)) as session,
        pytest.raises(ContractMismatchError, match="runs at 1000 Hz and the checkpoint"),
    ):
        session.run()


# ---------------------------------------------------------------------------- refusals
def test_what_cannot_be_is_refused_before_anything_starts(model):
    recording = counting_recording(1000)
    other = replace(recording, spec=replace(recording.spec, channels=("a", "b", "c")))
    with pytest.raises(ContractMismatchError, match="counting calls channel 1 'a'"):
        Session(Settings(model), Replay(other))
    with pytest.raises(OptionError, match=r"horizon 70 ms is not in the checkpoint: .* 0, 50"):
        Session(Settings(model, horizons_ms=(0, 70)), Replay(recording))
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="--seconds"):
            Session(Settings(model, seconds=seconds), Live(name="x"))
    with pytest.raises(OptionError, match=r"--seconds 1e\+09 .* at most 10000000\."):
        Settings(model, seconds=1e9).check()
    with pytest.raises(OptionError, match="backend 'tpu' is not known"):
        Settings(model, "tpu").check()
    with pytest.raises(OptionError, match="no rest gate"):
        Settings(model, rest_gate=True).check()
    with pytest.raises(OptionError, match="give --reject 0"):
        Settings(model, reject=1.0).check()
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        Session(Settings(Path("nowhere")), Replay(recording))


def test_a_model_without_rest_is_silent_at_rest_unless_told_otherwise(model):
    contract = tiny_contract()
    restless = contract.model_copy(update={"classes": contract.classes[1:], "rest_gate": -1.0})
    assert Settings(model).policy(restless).rest_gate
    assert not Settings(model, rest_gate=False).policy(restless).rest_gate
    assert not Settings(model).policy(contract).rest_gate
    assert not Settings(model).policy(restless.model_copy(update={"rest_gate": None})).rest_gate
    policy = Settings(model, vote=5, reject=0.4, hold_ms=100).policy(contract)
    assert (policy.vote, policy.reject, policy.hold_ms) == (5, 0.4, 100)


# ------------------------------------------------------------------------------- words
def test_what_was_trained_on_is_counted():
    recording = counting_recording(3000)  # repetition 1, then 2, of subject 3
    contract = tiny_contract()

    def share(pushed=3000, **changes):
        trained = contract.model_copy(update={"history": (record(**changes),)})
        return seen_in_training(recording, trained, pushed)

    assert share() == 0.5
    assert share(repetitions=(1, 2)) == 1
    assert share(pushed=1500) == 1
    assert share(pushed=4500) == pytest.approx(2 / 3)  # the first again
    assert share(pushed=0) == 0
    assert share(subjects=(4,)) == share(dataset="db2") == share(repetitions=(5,)) == 0
    assert seen_in_training(recording, contract, 3000) == 0


def test_a_shortfall_is_one_sentence():
    told = {"decisions": 90, "expected_decisions": 100, "lost_samples": 7, "seconds": 1.0}
    for kind, fix in (("replay", "lower --speed."), ("live", "the stream keeps its rate.")):
        words = shortfall(told | {"source": {"kind": kind}})
        assert words.startswith("90 decisions were made of 100 expected and 7 samples were lost:")
        assert words.endswith(fix)
        assert "\n" not in words
    nothing = shortfall(told | {"decisions": 0, "source": {"kind": "live"}})
    assert nothing.startswith("nothing was decided in 1.00 s of signal")


@pytest.mark.parametrize("pushed", [None, 1000])
@pytest.mark.parametrize(
    ("changes", "ok"),
    [
        ({}, True),
        ({"decisions": 0, "expected": 0, "received": 100}, False),
        ({"decisions": 40}, False),
        ({"lost": 3, "received": 997}, False),
    ],
)
def test_a_run_is_all_right_when_everything_was_decided(changes, ok, pushed):
    health = replace(NO_HEALTH, **{"received": 1000, "decisions": 41, "expected": 41} | changes)
    pushed = health.received + health.lost if pushed else None
    assert figures(Outcome(health, None, pushed, True), tiny_contract())["ok"] == ok
    assert not figures(Outcome(health, None, pushed, False), tiny_contract())["ok"]


def test_nan_is_counted_and_noted(model):
    recording = counting_recording(1000)
    recording.samples[300:310] = float("nan")
    with Session(Settings(model, "onnx"), Replay(recording)) as session:
        told = session.run()
    assert told["not_finite"] == 10
    assert "10 samples held NaN or infinity" in summary_lines(told)[-1]
