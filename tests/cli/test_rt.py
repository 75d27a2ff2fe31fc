"""The command itself, as a user runs it: through LSL, with and without a window, wrongly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from signals import counting_recording, tiny_contract

from semgfin_rt import lsl
from semgfin_rt.cli.rt import main
from semgfin_rt.engine.player import Player
from semgfin_rt.model_contract import ClassLabel
from semgfin_rt.nn.checkpoint import save_checkpoint
from semgfin_rt.nn.network import Network
from semgfin_rt.recordings.db2_schema import channel_names
from semgfin_rt.recordings.synthetic import write_subject

COMMAND = Path(sys.executable).with_name("semgfin-rt")
NO_DISPLAY = dict.fromkeys(("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"), "")
KEYS = {
    "decisions",
    "expected_decisions",
    "lost_samples",
    "skipped",
    "late",
    "accuracy",
    "accuracy_steady",
    "balanced_accuracy",
    "majority",
    "accuracy_by_horizon",
    "persistence_by_horizon",
    "latency_ms",
    "end_to_end_ms",
    "checkpoint",
    "source",
    "backend",
    "seconds",
    "seen_in_training",
    "accuracy_horizon_ms",
    "not_finite",
    "ok",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a short synthetic DB2 file, and a checkpoint M of random weights for it."""
    place = tmp_path_factory.mktemp("rt")
    write_subject(place / "D", 1, 1, movements=2, repetitions=2, movement_s=1, rest_s=1)
    contract = tiny_contract().model_copy(
        update={
            "channels": channel_names(12),
            "scale_mean": (0.0,) * 12,
            "scale_std": (1e-5,) * 12,
            "classes": tuple(ClassLabel(id=i, name=n) for i, n in enumerate(("rest", "up", "out"))),
        }
    )
    torch.manual_seed(0)
    save_checkpoint(place / "M", Network(contract), contract, "# random weights, for a test\n")
    return place


def run(
    place: Path, *arguments: str, command: Path = COMMAND, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *arguments],
        cwd=place,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_replay_without_a_window(place):
    code = (
        "import sys\n"
        "from semgfin_rt.cli.rt import main\n"
        "sys.argv = 'x replay D/S1_E1_A1.mat --model M --headless --seconds 3'.split()\n"
        "sys.argv += ['--json', 'r.json']\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    print('ended', end.code)\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'PyQt6', 'pyqtgraph'}))"
    )
    done = run(place, "-c", code, command=Path(sys.executable))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-2:] == ["ended 0", "[]"]
    told = json.loads((place / "r.json").read_text())
    assert told.keys() >= KEYS
    assert told["ok"]
    assert (told["accuracy_horizon_ms"], told["not_finite"]) == (0, 0)
    assert told["decisions"] == told["expected_decisions"] == 1 + (6000 - 200) // 20
    assert (told["lost_samples"], told["seconds"]) == (0, 3.0)
    assert told["accuracy_by_horizon"].keys() == {"0", "50"}
    assert told["checkpoint"]["folder"].endswith("M")
    assert told["source"]["path"] == "D/S1_E1_A1.mat"
    assert "Running on " in done.stdout
    assert "291 decisions of 291 expected" in done.stdout
    said = [line for line in done.stdout.splitlines() if "[truth: " in line]
    assert 3 <= len(said) <= 16
    assert "\x1b" not in done.stdout  # no colours where it is not a terminal


@pytest.mark.parametrize("line", ["replay D", "replay walk.toml", "demo"])
def test_at_full_speed_there_is_no_stream_and_all_is_decided(line, place, monkeypatch, capsys):
    (place / "walk.toml").write_text('recording = "D/S1_E1_A1.mat"\nspeed = 0.1\n[expect]\n')
    monkeypatch.chdir(place)
    words = [*line.split(), "--speed", "max", "--headless", "--seconds", "2", "--json", "x.json"]
    model = [] if line == "demo" else ["--model", "M"]
    monkeypatch.setattr(sys, "argv", ["semgfin-rt", *words, *model])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert "LSL" not in printed
    assert "[truth: " not in printed
    assert "seconds of signal" in printed
    assert "times real time, where the arithmetic of its FIN alone would allow" in printed
    told = json.loads((place / "x.json").read_text())
    assert (told["ok"], told["skipped"], told["source"]["speed"]) == (True, 0, "max")
    assert told["decisions"] == told["expected_decisions"] == told["scored"] > 100


def test_a_recording_at_full_speed_is_recorded_as_any(place):
    options = ("--model", "M", "--headless", "--speed", "max", "--seconds", "2")
    done = run(place, "replay", "D", *options, "--vote", "3", "--record", "f.xdf")
    assert (done.returncode, done.stderr) == (0, "")
    again = run(place, "verify", "M", "f.xdf")
    assert again.returncode == 0
    assert "191 decisions compared" in again.stdout
    assert ", 0 different from what was published live" in again.stdout
    labelled = run(place, "replay", "f.xdf", *options)
    assert "accuracy" in labelled.stdout


@pytest.mark.parametrize("line", ["demo", "replay D", "live --name nobody"])
def test_whoever_sends_or_receives_can_ask_for_the_network(place, line, monkeypatch, capfd):
    lsl.api()  # which keeps this process to this machine
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["semgfin-rt", *line.split(), "--headless", "--lan"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "--lan was given after LSL had started for this machine only" in capfd.readouterr().err


def test_a_picture_needs_no_display_and_says_when_it_was_there_first(place):
    began = time.monotonic()
    done = run(
        place,
        "replay",
        "D",
        "--model",
        "M",
        "--seconds",
        "1",
        "--speed",
        "0.5",
        "--screenshot",
        "w.png",
        "--json",
        "w.json",
        **NO_DISPLAY,
    )
    assert (done.returncode, done.stderr) == (0, "")
    picture = (place / "w.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000  # not blank
    told = json.loads((place / "w.json").read_text())
    assert told["ok"]
    assert told["decisions"] == 91
    # the first window is complete after 0.3 s of signal at half the speed
    assert 0.6 < told["first_picture_s"] < time.monotonic() - began
    assert "stood on the screen beside its truth" in done.stdout


@pytest.mark.long  # by a clock, on a machine of its own
def test_the_demo_shows_its_first_decision_within_ten_seconds(tmp_path):
    line = ("demo", "--seconds", "5", "--screenshot", "d.png", "--json", "d.json")
    done = run(tmp_path, *line, **NO_DISPLAY)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "d.json").read_text())["first_picture_s"] <= 10


@pytest.mark.parametrize(
    ("least", "code", "complaint"),
    [(0, 0, ""), (1, 3, "semgfin-rt: the scenario's expectations were not met.\n")],
)
def test_a_scenario_is_played_and_judged(least, code, complaint, place, monkeypatch, capfd):
    text = 'recording = "D/S1_E1_A1.mat"\nmodel = "M"\nseconds = 1\n[expect]\naccuracy_min = '
    (place / "walk.toml").write_text(text + str(least))
    monkeypatch.chdir(place)
    for variable in NO_DISPLAY:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(sys, "argv", ["semgfin-rt", "replay", "walk.toml", "--json", "s.json"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capfd.readouterr()
    assert (end.value.code, said.err) == (code, complaint)
    assert "No display was found: running without a window." in said.out
    assert "decisions missed: 0, expected at most 0: ok" in said.out
    assert f"expected at least {least}: {'FAILED' if code else 'ok'}" in said.out
    told = json.loads((place / "s.json").read_text())
    assert told["ok"] == (code == 0)
    assert [c["ok"] for c in told["checks"]] == [True, True, code == 0]


def test_live(place):
    name = f"EMG {uuid.uuid4()}"
    recording = counting_recording(40_000)
    spec = replace(recording.spec, channels=channel_names(12))
    wide = replace(recording, spec=spec, samples=recording.samples[:, [0] * 12] * 1e-9)
    with Player(wide, name=name, wait_for_truth=False) as player:
        done = run(
            place,
            *("live", "--name", name),
            "--model",
            "M",
            "--headless",
            "--seconds",
            "1",
            "--json",
            "l.json",
            "--record",
            "l.xdf",
            "--udp",
            "5999",
        )
        assert player.pid is not None
        player.check()
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads((place / "l.json").read_text())
    assert told["decisions"] == told["expected_decisions"] == 91
    assert told["end_to_end_is"] == "age of the newest sample"
    assert told["accuracy"] is None
    assert "[truth: " not in done.stdout
    assert f"(source_id '{player.source_id}', uid '" in done.stdout
    assert "record: " in done.stdout.split(" decisions of ")[0]
    assert ", and JSON to UDP port 5999." in done.stdout


def test_ctrl_c_prints_the_summary_and_exits_with_130(place):
    process = subprocess.Popen(
        [COMMAND, "replay", "D", "--model", "M", "--headless", "--loop", "--json", "c.json"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as in a terminal, where Ctrl-C reaches all processes
    )
    for line in process.stdout:
        if "[truth: " in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    try:
        rest, complaint = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, complaint) == (130, "")
    assert "(cut short)" in rest
    assert not json.loads((place / "c.json").read_text())["complete"]
    for _ in range(50):  # the player and what multiprocessing keeps have gone with it
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("a process was left behind")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("replay nowhere.mat", "'nowhere.mat' does not exist"),
        ("replay text.mat", "not a MATLAB file"),
        ("replay empty", "holds no recording"),
        ("replay D --subject 4", "holds no subject 4"),
        ("replay D --repetitions 9", "repetition 9 is not in"),
        ("replay D --repetitions x", "'x' is not a list of numbers"),
        ("replay D --speed 9", "speed = '9' cannot be used"),
        ("replay D --speed fast", "speed = 'fast' cannot be used"),
        ("replay D --speed max --loop", "there is no loop at --speed max"),
        ("replay D --speed max --udp 5005", "leave --publish and --udp out"),
        ("replay D --speed max --publish me", "leave --publish and --udp out"),
        ("replay D --seconds 0", "seconds = 0.0 cannot be used"),
        ("replay D --horizons 0,70", "horizon 70 ms is not in the checkpoint: choose among 0, 50"),
        ("replay D --backend tpu", "backend 'tpu' is not known"),
        ("replay D --vote 0", "vote over 0 decisions"),
        ("replay D --json nowhere/r.json", "'nowhere/r.json' cannot be written"),
        ("replay D --screenshot w.png", "leave --headless out"),
        ("replay D --model nowhere", "no checkpoint 'nowhere' here or in"),
        ("replay D --model empty", "is not a checkpoint"),
        ("replay D --model weights.pt", "pickled files such as .pt and .pth are never loaded"),
        ("replay nowhere.toml", "no scenario 'nowhere.toml'"),
        ("replay wrong.toml", "has the key 'pace', which no scenario has: correct or remove it."),
        ("replay nowhere.mat --backend tpu", "backend 'tpu' is not known"),  # seen first
        ("replay nowhere.mat --model empty", "is not a checkpoint"),
        ("replay D --theme blue", "--theme 'blue' is not known: choose dark or light."),
        ("replay D --model=", "--model= is empty: give it a value, or leave it out."),
        ("replay D --seconds 1e9", "less than or equal to 10000000"),
        ("replay D --reject 1", "give --reject 0 (off) to 0.99."),
        ("replay", "Missing argument"),
        ("live", "pass --name or --source-id"),
        ("live --name nobody --wait 0.2", "no LSL stream named 'nobody' was found"),
    ],
)
def test_wrong_input_is_one_line(place, line, words, monkeypatch, capfd):
    monkeypatch.chdir(place)
    Path("empty").mkdir(exist_ok=True)
    Path("text.mat").write_text("hello")
    Path("weights.pt").write_bytes(b"\x80\x02.")
    Path("wrong.toml").write_text('recording = "D"\npace = 1\n')
    command, *arguments = line.split()
    model = [] if "--model" in arguments else ["--model", "M"]
    monkeypatch.setattr(sys, "argv", ["semgfin-rt", command, "--headless", *model, *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    complaint = capfd.readouterr().err
    assert complaint.startswith("semgfin-rt: ")
    assert words in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("replay nowhere.mat --model M --headless", "'nowhere.mat' does not exist"),
        ("frobnicate", "No such command 'frobnicate'"),
        ("replay D --model M --speed max", "there is no window at --speed max: add --headless."),
    ],
)
def test_wrong_input_of_the_real_command_is_one_line(place, line, words):
    done = run(place, *line.split())
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_empty_argument_is_one_line(place):
    done = run(place, "live", "--name", "")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "semgfin-rt: the argument behind '--name' is empty: give it a value, or leave it out.\n"
    )


def test_a_run_that_decides_nothing_has_failed(place):
    done = run(place, "replay", "D", "--model", "M", "--headless", "--seconds", "0.05")
    assert done.returncode == 3
    assert done.stderr.startswith("semgfin-rt: nothing was decided in 0.05 s of signal")
    assert done.stderr.count("\n") == 1


def test_help_is_there_at_once(place):
    begin = time.monotonic()
    done = run(place)
    assert time.monotonic() - begin < 3  # 0.1 s, on a machine that has nothing else to do
    assert done.returncode == 0
    for command in ("demo", "replay", "live", "streams"):
        assert command in done.stdout
