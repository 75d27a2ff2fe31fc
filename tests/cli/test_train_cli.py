"""`semgfin-train` as a user types it: each command once, and every wrong input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.io import loadmat, savemat
from trainer import refused, train

from semgfin_rt.recordings.synthetic import write_subject

HELP = """
import contextlib, io, sys
from semgfin_rt.cli.train import main
for command in ("fit", "finetune", "adapt", "protocol", "evaluate", "inspect", "export"):
    sys.argv = ["semgfin-train", command, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main()
    assert "Usage: semgfin-train " + command in out.getvalue(), command
heavy = {"torch", "onnxruntime", "sklearn", "matplotlib", "ray", "scipy", "numpy", "pyarrow"}
heavy &= set(sys.modules)
assert not heavy, heavy
"""


def test_help_of_every_command_is_light() -> None:
    command = [sys.executable, "-c", HELP]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_synth_writes_files_that_load(tmp_path: Path) -> None:
    done = train(
        "synth", "--out", tmp_path / "D", "--subjects", 2, "--movements", 1, "--repetitions", 2
    )
    assert done.code == 0, done.err
    assert sorted(p.name for p in (tmp_path / "D").iterdir()) == ["S1_E1_A1.mat", "S2_E1_A1.mat"]


def test_finetune_evaluate_and_inspect(data: Path, model: Path, tmp_path: Path) -> None:
    adapted, figures_file = tmp_path / "M2", tmp_path / "e.json"
    done = train("finetune", model, data, "--subjects", 2, "--quick", "--out", adapted)
    assert done.code == 0, done.err
    done = train("evaluate", adapted, data, "--subjects", 2, "--json", figures_file)
    assert done.code == 0, done.err
    assert "this says nothing about people" in done.out
    figures = json.loads(figures_file.read_text())
    assert set(figures) >= {
        "accuracy",
        "accuracy_steady",
        "balanced_accuracy",
        "accuracy_by_subject",
        "controls",
        "r2",
        "windows",
        "test_repetitions",
    }
    assert figures["test_repetitions"] == [2, 5]
    assert not figures["seen_in_training"]
    assert set(figures["controls"]["persistence_by_horizon"]) == {"0", "100"}
    assert isinstance(figures["controls"]["lda"], float)
    done = train("inspect", adapted)
    assert done.code == 0
    assert "finetune" in done.out
    assert "SHA-256" in done.out


def test_wrong_data_is_one_sentence(tmp_path: Path) -> None:
    out = tmp_path / "M"
    refused(["fit", tmp_path / "missing", "--out", out], "missing")
    refused(["fit", tmp_path, "--out", out], "no recording")
    text = tmp_path / "S1_E1_A1.mat"
    text.write_text("not MATLAB")
    refused(["fit", text, "--out", out], "S1_E1_A1.mat")
    assert not out.exists()


def test_wrong_options_are_one_sentence(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "M"
    refused(["fit", data, "--out", out, "--preset", "best"], "preset", "best")
    refused(["fit", data, "--out", out, "--horizons", "0,55"], "hop")
    refused(["fit", data, "--out", out, "--horizons", "soon"], "soon")
    refused(["fit", data, "--out", out, "--features", "rms,loudness"], "loudness")
    refused(["fit", data, "--out", out, "--subjects", "7"], "7")
    refused(["fit", data, "--out", out, "--repetitions", "1,2"], "kept for testing")
    refused(["fit", data, "--out", out, "--device", "tpu"], "tpu")
    refused(["fit", data, "--out", out, "--imitator", "ear"], "--imitator", "ear")
    refused(["fit", data, "--out", out, "--derivations", "average"], "derivations")
    refused(["fit", data, "--out", out, "--devices", "0"], "--devices")
    refused(["fit", data], "--out")
    assert not out.exists()


def test_a_folder_that_is_no_checkpoint_is_never_written_over(data: Path, tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years")
    refused(["fit", data, "--quick", "--out", precious], "not a checkpoint")
    assert (precious / "thesis.tex").read_text() == "years"


def test_wrong_checkpoints_are_one_sentence(data: Path, model: Path, tmp_path: Path) -> None:
    refused(["evaluate", tmp_path / "missing", data], "no checkpoint")
    pickled = tmp_path / "model.pt"
    torch.save({"weight": torch.zeros(1)}, pickled)
    refused(["inspect", pickled], "pickled")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for name in ("contract.json", "card.md"):
        (damaged / name).write_bytes((model / name).read_bytes())
    weights = bytearray((model / "model.safetensors").read_bytes())
    (damaged / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    refused(["inspect", damaged], "safetensors")


def test_recordings_that_do_not_fit_are_refused(model: Path, tmp_path: Path) -> None:
    other = write_subject(tmp_path, 3, 1, movements=2, movement_s=1.0, rest_s=1.0, n_channels=8)
    refused(["evaluate", model, other], "8 channels", "12")
    refused(["finetune", model, other, "--out", tmp_path / "M"], "8 channels", "12")


def test_a_flat_channel_is_named(tmp_path: Path) -> None:
    path = write_subject(tmp_path, 1, 1, movements=2, movement_s=1.0, rest_s=1.0)
    contents = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
    contents["emg"] = np.array(contents["emg"])
    contents["emg"][:, 3] = 0.0
    savemat(path, contents)
    refused(["fit", path, "--quick", "--out", tmp_path / "M"], "emg4")
