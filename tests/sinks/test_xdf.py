"""What the writer writes, pyxdf reads: unpatched, and without a word of warning."""

from __future__ import annotations

import logging
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import pyxdf
from sessions import BEGIN, HEADER, LOST, decision_at, prompt, turns, write_session
from signals import tiny_contract

from semgfin_rt.contracts import Event
from semgfin_rt.decision import PolicySpec
from semgfin_rt.errors import RecordingError
from semgfin_rt.sinks.session import read_decisions, session_header
from semgfin_rt.sinks.xdf import XdfWriter


def read(path: Path, caplog: pytest.LogCaptureFixture) -> dict[str, dict]:
    with caplog.at_level(logging.WARNING):
        streams, _ = pyxdf.load_xdf(str(path))
    assert caplog.messages == []
    return {s["info"]["name"][0]: s for s in streams}


def test_numbers_and_texts_come_back(tmp_path, caplog):
    writer = XdfWriter(tmp_path / "a.xdf", {"who": "<me> & 'you'"}, now=10.0)
    single = writer.add_stream(
        "s", "EMG", ("a\x07", "b"), "float32", 10.0, 1000.0, "V", {"maker": {"name": "x"}}
    )
    double = writer.add_stream("d", "Numbers", ("n",), "double64", 10.0)
    texts = writer.add_stream("t", "Markers", ("text",), "string", 10.0)
    values = np.arange(600, dtype=np.float32).reshape(300, 2)
    times = 10.0 + np.arange(300) / 1000
    times[200:] += 0.7  # lost samples: the timestamps must not be spread over the gap
    for start, stop in ((0, 1), (1, 7), (7, 300)):
        writer.numbers(single, times[start:stop], values[start:stop])
    writer.numbers(double, times[:2], np.array([[1 / 3], [np.nan]]))
    long = "é" * 300
    writer.text(texts, 10.5, long)
    writer.text(texts, 10.6, "")
    for now in (11.0, 25.0, 40.0, 41.0):  # boundaries and clock offsets come every 10 s
        writer.flush(now)
    writer.close(42.0)
    streams = read(tmp_path / "a.xdf", caplog)
    np.testing.assert_array_equal(streams["s"]["time_series"], values)
    np.testing.assert_array_equal(streams["s"]["time_stamps"], times)
    np.testing.assert_array_equal(streams["d"]["time_series"], [[1 / 3], [np.nan]])
    assert streams["t"]["time_series"] == [[long], [""]]
    assert streams["s"]["clock_times"] == [10.0, 25.0, 40.0]
    assert streams["s"]["clock_values"] == [0.0, 0.0, 0.0]
    assert streams["s"]["footer"]["info"]["sample_count"] == ["300"]
    assert streams["s"]["footer"]["info"]["last_timestamp"] == [repr(float(times[-1]))]
    desc = streams["s"]["info"]["desc"][0]
    channels = desc["channels"][0]["channel"]
    assert [(c["label"][0], c["unit"][0]) for c in channels] == [("a", "V"), ("b", "V")]
    assert desc["maker"][0]["name"] == ["x"]
    assert (tmp_path / "a.xdf").read_bytes().count(bytes.fromhex("43a546dc")) == 2


def test_a_file_is_never_overwritten(tmp_path):
    (tmp_path / "a.xdf").write_text("mine")
    with pytest.raises(FileExistsError):
        XdfWriter(tmp_path / "a.xdf", {}, now=0.0)
    assert (tmp_path / "a.xdf").read_text() == "mine"


def test_a_full_disk_leaves_whole_chunks_and_loses_nothing(tmp_path, caplog):
    writer = XdfWriter(tmp_path / "a.xdf", {}, now=0.0)
    stream = writer.add_stream("s", "Numbers", ("n",), "double64", 0.0)
    writer.numbers(stream, np.arange(2.0), np.zeros((2, 1)))
    writer.flush(0.0)
    whole = (tmp_path / "a.xdf").stat().st_size
    writer.numbers(stream, np.arange(2.0, 1000.0), np.zeros((998, 1)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole + 100, before[1]))
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="File too large"):
                writer.flush(1.0)
            assert (tmp_path / "a.xdf").stat().st_size == whole
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(read(tmp_path / "a.xdf", caplog)["s"]["time_stamps"]) == 2
    writer.close(2.0)
    np.testing.assert_array_equal(
        read(tmp_path / "a.xdf", caplog)["s"]["time_stamps"], np.arange(1000.0)
    )


def test_a_deleted_file_is_noticed(tmp_path):
    writer = XdfWriter(tmp_path / "a.xdf", {}, now=0.0)
    os.unlink(tmp_path / "a.xdf")
    with pytest.raises(FileNotFoundError, match="deleted"):
        writer.close(1.0)


def test_a_session_in_pyxdf(tmp_path, caplog):
    events = [prompt(1, 2, BEGIN, 0), Event(BEGIN + 0.5, "mark", "\ud800 here")]
    path = write_session(tmp_path / "a.xdf", [*events, *turns(100, loss_at=60)])
    streams = read(path, caplog)
    assert list(streams) == ["signal", "stretches", "events", "decisions"]
    signal = streams["signal"]
    assert signal["time_series"].shape == (2000, 3)
    assert signal["time_series"].dtype == np.float32
    index = signal["time_series"][:, 0]
    np.testing.assert_array_equal(signal["time_stamps"], BEGIN + index.astype(float) / 2000)
    assert streams["stretches"]["time_series"].tolist() == [[0, 0, 0], [1200, 1200 + LOST, LOST]]
    texts = [row[0] for row in streams["events"]["time_series"]]
    assert '"loss"' in texts[-1]
    assert f"{LOST} samples are missing before sample {1200 + LOST}" in texts[-1]
    assert streams["decisions"]["time_series"].shape == (100, 14)


def test_decisions_come_back_by_checkpoint_and_policy(tmp_path):
    other = session_header(tiny_contract(), "ab" * 32, PolicySpec(vote=9))
    first, later = decision_at(19), decision_at(39)
    # told again what it knows, it begins no other group
    path = write_session(tmp_path / "a.xdf", [HEADER, first, other, other, later])
    one, two = read_decisions(path)
    assert (one.policy["vote"], two.policy["vote"]) == (3, 9)
    assert one.checkpoint_sha256 == "ab" * 32
    assert one.layout == HEADER.layout
    for group, was in ((one, first), (two, later)):
        (back,) = group.decisions
        assert (back.sample, back.time, back.age_ms) == (was.sample, was.time, was.age_ms)
        for a, b in zip(back.movements, was.movements, strict=True):
            assert (a.label, a.confidence, a.state) == (b.label, b.confidence, b.state)
            np.testing.assert_array_equal(a.probabilities, b.probabilities)


def test_decisions_that_are_not_there(tmp_path):
    XdfWriter(tmp_path / "empty.xdf", {}, 0.0).close(1.0)
    with pytest.raises(RecordingError, match="holds no stream"):
        read_decisions(tmp_path / "empty.xdf")
    writer = XdfWriter(tmp_path / "a.xdf", {}, 0.0)
    writer.add_stream("foreign", "Movement", ("x",), "double64", 0.0)
    writer.close(1.0)
    with pytest.raises(RecordingError, match=r"'foreign' in .* does not describe decisions"):
        read_decisions(tmp_path / "a.xdf")
