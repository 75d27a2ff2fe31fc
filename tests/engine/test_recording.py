"""The recorder of a run: there before the signal is."""

from __future__ import annotations

import sys
import time

from signals import counting_recording, tiny_checkpoint

from semgfin_rt.app.faults.devices import Devices
from semgfin_rt.engine.build import build_engine, build_pipeline
from semgfin_rt.engine.commands import StartRecording
from semgfin_rt.engine.spec import EngineSpec
from semgfin_rt.recordings.loading import load
from semgfin_rt.recordings.xdf_file import read_contents
from semgfin_rt.sources.recording import RecordingSource

SLOW_S = 1.0


class Noting(RecordingSource):
    """Notes when it is connected."""

    def connect(self):
        self.connected = time.monotonic()
        super().connect()


def test_no_signal_waits_for_a_recorder_that_is_slow_to_start(tmp_path, monkeypatch):
    """What waited for it in the engine's process would die with that."""
    slow = tmp_path / "python"
    slow.write_text(f'#!/bin/sh\nsleep {SLOW_S}\nexec "{sys.executable}" "$@"\n')
    slow.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(slow))
    model = tiny_checkpoint(tmp_path / "model")
    source = Noting(counting_recording(400))
    spec = EngineSpec(model, backend="onnx", record=tmp_path / "a.xdf")
    built = build_pipeline(model, "onnx")
    began = time.monotonic()
    build_engine(spec, built, source).run()
    assert source.connected - began >= SLOW_S
    (recording,) = load(tmp_path / "a.xdf")
    assert len(recording.samples) == 400


def test_a_recording_names_where_the_signal_comes_from_by_then(tmp_path):
    model = tiny_checkpoint(tmp_path / "model")
    built = build_pipeline(model, "onnx")
    path = tmp_path / "a.xdf"
    with Devices(built.pipeline.contract) as devices:
        device = devices.start()
        source_id = devices.manner.source_id
        engine = build_engine(
            EngineSpec(model, source_id=source_id, resolve_s=10.0, black_box=True), built
        )
        engine.connect()
        device.kill()
        successor = devices.start()
        told: list[str] = []
        for word in ("is connected again", "Recording into"):
            while not any(word in text for text in told):
                told += [e.text for e in engine.step().events]
            engine.do(StartRecording(path))
        engine.close()
    session = read_contents(path).session
    assert session is not None
    assert session.origin["uid"] == successor.uid
