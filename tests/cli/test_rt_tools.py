"""`semgfin-rt bench`, `streams`, `doctor` and `verify`, as commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from sessions import turns, write_plain, write_session
from signals import CHANNELS, counting_recording, tiny_checkpoint, tiny_contract

from semgfin_rt import lsl
from semgfin_rt.app import bench as app
from semgfin_rt.app.session import Session
from semgfin_rt.app.settings import Replay, Settings
from semgfin_rt.cli.rt import main
from semgfin_rt.decision import PolicySpec
from semgfin_rt.engine.player import Player
from semgfin_rt.model_contract import ClassLabel
from semgfin_rt.nn.checkpoint import save_checkpoint
from semgfin_rt.nn.checkpoint_folder import sha256
from semgfin_rt.nn.network import Network
from semgfin_rt.recordings.db2_schema import channel_names
from semgfin_rt.recordings.synthetic import write_subject
from semgfin_rt.sinks.session import session_header


def ended(monkeypatch, *arguments):
    """Run `semgfin-rt` here; its exit code."""
    monkeypatch.setattr("sys.argv", ["semgfin-rt", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


def test_bench_prints_writes_and_draws(tmp_path, monkeypatch, capsys):
    file, plot = tmp_path / "b.json", tmp_path / "b.svg"
    small = ("--channels", 3, "--rate", 200, "--window", 300, "--seconds", 0.1)
    monkeypatch.setattr(app, "CURVES", {"horizons": (1, 2), "channels": (3,)})
    monkeypatch.setattr("semgfin_rt.cli.bench._SHORTEST_S", 1.0)
    monkeypatch.setenv("SEMGFIN_MODELS", str(tmp_path))
    tiny_checkpoint(tmp_path / "demo")  # which is tried unless another is asked for
    files = ("--json", file, "--plot", plot)
    assert ended(monkeypatch, "bench", *small, *files) == 0
    printed = capsys.readouterr().out
    assert "times as fast as the published loop" in printed
    found = json.loads(file.read_text())
    assert set(found["curves"]) == {"horizons", "channels"}
    assert found["realtime"].keys() == {"backend", "ours_ms", "naive_ms", "ratio", "p95", "p999"}
    assert plot.stat().st_size > 1000
    assert found["full_speed"]["times_real_time"] > 0
    assert found["stream"]["decisions"] > 0
    assert "times real time" in printed
    assert "ms once a hop" in printed
    assert all(ms > 0 for ms in found["network_ms"].values())


def test_bench_refuses_before_it_begins(tmp_path, monkeypatch, capsys):
    for wrong, words in (
        (("--json", tmp_path / "missing" / "b.json"), "cannot be written"),
        (("--channels", 0), "--channels"),
        (("--window", 305), "not made of hops of 10 ms"),
    ):
        assert ended(monkeypatch, "bench", "--seconds", 0.01, *wrong) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert words in line


def test_streams_are_listed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "240")
    name = f"EMG {uuid.uuid4()}"
    with Player(counting_recording(1000), name=name, wait_for_truth=False):
        assert ended(monkeypatch, "streams", "--json", tmp_path / "s.json") == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if f"{name} " in line and "truth" not in line]
    columns = [column.strip() for column in row.split("│")]
    n = len(CHANNELS)  # the player's counter is no channel
    assert columns[-5:-2] == [str(n), "2000 Hz", "V"]
    assert columns[-2].endswith(" s ago")
    told = json.loads((tmp_path / "s.json").read_text())["streams"]
    (stream,) = [each for each in told if each["name"] == name]
    assert (stream["type"], stream["channels"], stream["rate"]) == ("EMG", n, 2000.0)
    assert (stream["unit"], stream["problem"]) == ("V", None)
    assert 0 <= stream["age_s"] < 10
    (truth,) = [each for each in told if "truth" in each["name"]]
    assert (truth["unit"], bool(truth["problem"])) == (None, True)


def test_that_there_is_no_stream_is_said(tmp_path):
    nobody = os.environ | {"SEMGFIN_LSL_SESSION": f"x{uuid.uuid4().hex}"}
    command = [Path(sys.executable).with_name("semgfin-rt"), "streams", "--seconds", "0.2"]
    file = tmp_path / "n.json"
    done = subprocess.run(
        [*command, "--json", file], env=nobody, capture_output=True, text=True, check=True
    )
    assert json.loads(file.read_text()) == {"streams": []}
    assert "No LSL stream was found on this machine" in done.stdout


def test_names_of_streams_are_shown_and_not_obeyed(tmp_path, monkeypatch, capsys):
    pylsl, word = lsl.api(), uuid.uuid4().hex
    names = {f"[red]{word}": f"[red]{word}", f"[/]{word}": f"[/]{word}"}
    names[f":smile:\x1b[2J{word}"] = f":smile:\\x1b[2J{word}"
    outlets = [
        pylsl.StreamOutlet(pylsl.StreamInfo(name, "EMG", 2, 100.0, "float32", f"{word} {i}"))
        for i, name in enumerate(names)
    ]
    monkeypatch.setenv("COLUMNS", "200")
    assert ended(monkeypatch, "streams") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split("│")[1].strip() for line in lines if word in line]
    assert sorted(rows) == sorted(names.values())
    del outlets


def test_doctor_judges(tmp_path, monkeypatch, capsys):
    model, file = tiny_checkpoint(tmp_path / "M"), tmp_path / "d.json"
    code = ended(
        monkeypatch, "doctor", "--timing", "--model", model, "--minutes", 0.02, "--json", file
    )
    found = json.loads(file.read_text())
    assert found["decisions"] == found["expected_decisions"] == 1 + (2400 - 200) // 20
    printed = capsys.readouterr().out
    assert "loopback: a stream was found" in printed
    assert {f["what"] for f in found["findings"]} >= {"library", "scope", "ports", "streams"}
    assert "end to end: p50 / p95 / p99" in printed
    bad = [f for f in found["findings"] if f["level"] == "bad"]  # of the machine that it runs on
    assert code == (3 if found["reasons"] or bad else 0)
    assert ("keeps up with this checkpoint" in printed) is (code == 0)


def test_verify_says_what_it_compared(tmp_path, monkeypatch, capsys):
    write_subject(tmp_path / "D", 1, 1, movements=2, repetitions=2, movement_s=1, rest_s=1)
    changes = {
        "channels": channel_names(12),
        "scale_mean": (0.0,) * 12,
        "scale_std": (1e-5,) * 12,
        "classes": tuple(ClassLabel(id=i, name=n) for i, n in enumerate(("rest", "up", "out"))),
    }
    contract = tiny_contract().model_copy(update=changes)
    save_checkpoint(tmp_path / "M", Network(contract), contract, "# for a test\n")
    file = tmp_path / "v.json"
    start = ("verify", tmp_path / "M", tmp_path / "D")
    assert ended(monkeypatch, *start, "--seconds", 1, "--json", file) == 0
    assert "0 different from offline evaluation" in capsys.readouterr().out
    found = json.loads(file.read_text())
    assert (found["compared"], found["different"]) == (91, 0)
    assert ended(monkeypatch, *start, "--backend", "tpu") == 2
    assert "choose auto, onnx, torch, cuda" in capsys.readouterr().err
    assert ended(monkeypatch, "verify", tmp_path / "nothing", tmp_path / "D") == 2


def test_a_recorded_session_is_verified(tmp_path, monkeypatch, capsys):
    model, session, file = tiny_checkpoint(tmp_path / "M"), tmp_path / "s.xdf", tmp_path / "v.json"
    with Session(Settings(model, "onnx", record=session), Replay(counting_recording(2000))) as run:
        run.run()
    arguments = ("verify", model, session, "--backend", "onnx", "--json", file)
    assert ended(monkeypatch, *arguments) == 0
    assert "91 decisions compared on onnx cpu, 0 different" in capsys.readouterr().out
    assert json.loads(file.read_text())["same"] is True
    assert ended(monkeypatch, *arguments, "--seconds", 0.5) == 0
    assert "41 decisions compared on onnx cpu, 0 different" in capsys.readouterr().out
    for option in (("--subject", 1), ("--repetitions", "2"), ("--unit", "uV")):
        assert ended(monkeypatch, *arguments, *option) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{option[0]} {option[1]} was given for the session" in line


def test_a_recording_of_another_program_is_verified_and_played(tmp_path, monkeypatch, capsys):
    """It states no unit and names no channels, as a stream may that is accepted live."""
    model, plain = tiny_checkpoint(tmp_path / "M"), write_plain(tmp_path / "plain.xdf", 2000)
    assert ended(monkeypatch, "verify", model, plain) == 2
    assert "states the unit none" in capsys.readouterr().err
    assert ended(monkeypatch, "verify", model, plain, "--unit", "V") == 0
    printed = capsys.readouterr().out
    assert "names no channels: taken as left, right, top." in printed
    assert "91 decisions compared on onnx cpu, 0 different from offline evaluation" in printed
    file = tmp_path / "r.json"
    played = ("replay", plain, "--model", model, "--unit", "V", "--headless", "--json", file)
    assert ended(monkeypatch, *played) == 0
    assert json.loads(file.read_text())["decisions"] == 91


def test_a_session_that_was_made_up_is_found_out(tmp_path, monkeypatch, capsys):
    model = tiny_checkpoint(tmp_path / "M")
    header = session_header(tiny_contract(), sha256(model), PolicySpec())
    session = write_session(tmp_path / "s.xdf", list(turns(30)), header)
    assert ended(monkeypatch, "verify", model, session, "--backend", "onnx") == 3
    printed = capsys.readouterr().out
    assert "21 decisions compared on onnx cpu, 21 different from what was published live" in printed
    assert "The first: sample 199" in printed
