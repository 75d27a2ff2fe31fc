"""`semgfin-rt calibrate`, unattended: through LSL, engine and fine-tuning."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
import torch
from signals import tiny_contract

from semgfin_rt.cli.calibrate import calibrate
from semgfin_rt.cli.common import new_app, run
from semgfin_rt.dsp.filters import design_filter
from semgfin_rt.engine.player import Player
from semgfin_rt.features import RICH_FEATURES
from semgfin_rt.model_contract import ClassLabel
from semgfin_rt.nn.checkpoint import save_checkpoint
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.nn.network import Network
from semgfin_rt.recordings.db2_schema import channel_names
from semgfin_rt.recordings.synthetic import Cue, synthetic_performance

SHORT = ("--movement-s", "1.5", "--rest-s", "1", "--repetitions", "2", "--quick")
PROGRAM = """
from semgfin_rt.cli.calibrate import calibrate
from semgfin_rt.cli.common import new_app, run
app = new_app("")
app.command()(calibrate)
run(app, "semgfin-rt")
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A checkpoint of random weights behind closed-form features, for rest and three movements."""
    names = ("rest", "thumb up", "fist", "wrist flexion")
    contract = tiny_contract().model_copy(
        update={
            "channels": channel_names(12),
            "filter_sos": design_filter(2000.0),
            "scale_mean": (0.0,) * 12,
            "scale_std": (1e-5,) * 12,
            "features": RICH_FEATURES,
            "classifier_features": RICH_FEATURES,
            "feature_mean": (0.0,) * len(RICH_FEATURES),
            "feature_std": (1.0,) * len(RICH_FEATURES),
            "classes": tuple(
                ClassLabel(id=i, name=n) for i, n in zip((0, 1, 6, 13), names, strict=True)
            ),
        }
    )
    spec = contract.network.model_copy(update={"imitator": "closed_form"})
    contract = contract.model_copy(update={"network": spec})
    folder = tmp_path_factory.mktemp("calibrate") / "M"
    torch.manual_seed(0)
    save_checkpoint(folder, Network(contract), contract, "# random weights, for a test\n")
    return folder


def command(*arguments: object) -> tuple[object, str, str]:
    """Run the command in this process: exit code, what it printed, and its complaint."""
    app = new_app("")
    app.command()(calibrate)
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["semgfin-rt", "--headless", *map(str, arguments)])
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as exit_,
        ):
            run(app, "semgfin-rt")
    return exit_.value.code, out.getvalue(), err.getvalue()


def test_an_unattended_calibration_keeps_what_is_better_than_before(model, tmp_path):
    out, file = tmp_path / "mine", tmp_path / "r.json"
    code, told, complaint = command(
        "--source", "synthetic", "--model", model, "--out", out, "--movements", "1,13",
        "--speed", 4, "--json", file, *SHORT,
    )  # fmt: skip
    assert code == 0, (told, complaint)
    result = json.loads(file.read_text())
    assert result["after"] >= result["lda"] - 1e-6
    assert result["after"] > result["before"]
    assert result["seconds"] > 0
    assert result["ok"]
    assert result["reason"] == ""
    assert (result["trials"], result["held_out"], result["movements"]) == (4, 2, [1, 13])
    assert (result["source"], result["subject"]) == ("synthetic", 99)
    assert result["checkpoint"] == str(out)
    assert result["left_out"] == []
    for name in ("thumb up", "wrist flexion"):
        assert f"repetition 1, {name}: good" in told
    assert "right before" in told
    last = load_contract(out).history[-1]
    assert (last.dataset, last.subjects, last.repetitions) == ("synthetic", (99,), (1, 2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "r.json"]


def test_a_stream_of_a_person_counts_down_the_prompts(model, tmp_path):
    """The person of this stream does nothing: every trial is refused, so nothing is learnt."""
    name = f"person {uuid.uuid4()}"
    still = synthetic_performance(9, 0, [Cue(1, 1, 40_000, 41_000)], 42_000)
    with Player(still, name=name, speed=4.0, wait_for_truth=False):
        code, told, complaint = command(
            "--source", name, "--model", model, "--out", tmp_path / "mine", "--movements", "1,6",
            "--movement-s", "1", "--rest-s", "1", "--repetitions", "2", "--redos", "0",
        )  # fmt: skip
    assert code == 2
    assert "[1 of 4] rest, then: " in told
    assert "] NOW: " in told
    assert told.count("dB over rest") == 4
    assert "no trial of repetition 1 can be learnt from" in complaint
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_nothing_half_written(model, tmp_path):
    process = subprocess.Popen(
        [
            sys.executable, "-c", PROGRAM, "--source", "synthetic", "--headless", "--speed", "4",
            "--model", model, "--out", tmp_path / "mine", "--json", tmp_path / "r.json",
            "--movements", "1,13", *SHORT,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".calibration-*/signal.npz")):  # the fine-tuning has begun
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    try:
        _, complaint = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:  # Python drops what comes while it runs a destructor
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130, complaint
    assert "Traceback" not in complaint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--movements", "1,2"), "movement 2 is not the checkpoint's: choose two or more"),
        (("--repetitions", "1"), "give 2 to 20"),
        (("--rest-s", "nan"), "--rest_s nan cannot be worked with"),
        (("--rest-s", "0.2"), "0.2 s of rest cannot be prompted"),
        (("--order", "alphabetic"), "--order 'alphabetic' is not known"),
        (("--speed", "9"), "speed 9 is not possible"),
        (("--source", "somebody", "--speed", "2"), "is for --source synthetic"),
        (("--source", "nobody at all", "--wait", "0.2"), "no LSL stream named 'nobody at all'"),
        (("--json", "nowhere/r.json"), "cannot be written"),
        (("--model", "no such model"), "there is no checkpoint 'no such model'"),
    ],
)
def test_wrong_input_is_one_sentence(model, tmp_path, arguments, words):
    code, _, complaint = command(
        "--source", "synthetic", "--model", model, "--out", tmp_path / "mine", *arguments
    )
    assert code == 2
    assert len(complaint.strip().splitlines()) == 1
    assert words in complaint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_the_demo_calibrates_to_a_stranger_on_all_movements(tmp_path):
    file = tmp_path / "r.json"
    code, told, complaint = command(
        "--source", "synthetic", "--out", tmp_path / "mine", "--json", file
    )
    assert code == 0, (told, complaint)
    result = json.loads(file.read_text())
    assert result["trials"] == 51
    assert result["after"] >= result["lda"]
    assert result["after"] > result["before"]
    assert result["seconds"] < 60  # on 2 cores
