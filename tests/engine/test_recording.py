"""The recorder of a run: there before the signal is."""

from __future__ import annotations

import sys
import time

from signals import counting_recording, tiny_checkpoint

from semgfin_rt.engine.build import build_engine, build_pipeline
from semgfin_rt.engine.spec import EngineSpec
from semgfin_rt.recordings.loading import load
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
    engine = build_engine(spec, build_pipeline(model, "onnx"), source)
    began = time.monotonic()
    engine.run()
    assert source.connected - began >= SLOW_S
    (recording,) = load(tmp_path / "a.xdf")
    assert len(recording.samples) == 400
