"""`fit`, `finetune` and `adapt`: what they print, refuse, resume and leave alone."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from scipy.io import loadmat, savemat
from trainer import done, refused

from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint_folder import load_contract

KEEP = ("--subjects", 2, "--quick")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(data, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = done("fit", data, "--subjects", 1, "--horizons", "0,100", "--out", "M", "--dry-run")
    windows = load_contract(model).history[-1].windows
    assert f"{windows} training windows of repetitions 1, 3, 4, 6" in told
    for words in ("2000 steps of 16 windows", "an estimate", "GB of memory", "nothing is trained"):
        assert words in told
    told = done("finetune", model, data, *KEEP, "--out", "T", "--dry-run")
    assert "8 steps of 256 windows" in told
    assert "of 16 windows" not in told  # the FIN is not trained
    assert names(tmp_path) == set()


def test_a_dry_run_refuses_what_the_run_would(data, model, tmp_path):
    start = ["fit", data, "--dry-run", "--out", tmp_path / "M"]
    refused([*start, "--repetitions", "1,2"], "kept for testing")
    refused([*start, "--window", "2000", "--repetitions", "1"], "no 4000-sample window")
    refused(["finetune", model, data, "--dry-run", "--out", "T", "--repetitions", "9"], "9")


def test_finetune_says_how_it_was_before_and_after(data, model, tmp_path):
    told = done("finetune", model, data, *KEEP, "--out", tmp_path / "T")
    metrics = load_contract(tmp_path / "T").metrics
    before, after = metrics["before_held_out_accuracy"], metrics["held_out_accuracy_0ms"]
    assert (
        f"Held-out repetition 6, 0 ms ahead: {100 * before:.1f} % right before, "
        f"{100 * after:.1f} % after." in told
    )
    assert names(tmp_path) == {"T", "T.run.toml"}
    options = tomllib.loads((tmp_path / "T.run.toml").read_text())
    assert options["replay"] is True
    assert options["keep-worse"] is False
    assert options["run"]["checkpoint"] == str(model)


def test_finetune_with_one_repetition_holds_nothing_out(data, model, tmp_path):
    one = ("--repetitions", 1)
    told = done("finetune", model, data, *KEEP, *one, "--no-replay", "--out", tmp_path / "T")
    assert "One repetition: nothing was held out" in told
    done("finetune", model, data, *KEEP, *one, "--out", tmp_path / "R")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in "TR"]
    assert weights[0] != weights[1], "what other people's movements look like must count"


def test_finetune_keeps_nothing_worse_unless_told(data, model, tmp_path):
    """Of a person whom the checkpoint does not know, repetition 1 with its movements mixed up."""
    contents = loadmat(data / "S1_E1_A1.mat")
    contents = {key: value for key, value in contents.items() if not key.startswith("__")}
    labels = contents["restimulus"].copy()
    n = min(len(labels), len(contents["rerepetition"]))
    mixed = (contents["rerepetition"][:n] == 1) & (labels[:n] > 0)
    labels[:n][mixed] = labels[:n][mixed] % 3 + 1
    file = tmp_path / "S7_E1_A1.mat"
    savemat(file, contents | {"restimulus": labels, "subject": 7})
    worse = ("finetune", model, file, "--repetitions", "1,3", "--quick")
    refused([*worse, "--out", tmp_path / "T"], "so nothing was written", "--keep-worse")
    assert names(tmp_path) <= {file.name, "T.resume"}
    told = done(*worse, "--out", tmp_path / "T", "--keep-worse", "--no-resume")
    assert "Held-out repetition 3" in told
    assert names(tmp_path) == {file.name, "T", "T.run.toml"}


def test_what_can_be_tuned(data, model, tmp_path):
    start = ("finetune", model, data, "--subjects", 2, "--quick", "--out", tmp_path / "T")
    refused([*start, "--tune", "nonsense"], "tune", "'head' or 'all'")
    told = done(*start, "--tune", "all", "--dry-run")
    assert "FIN" in told
    assert "6 steps of 16 windows" in told
    assert names(tmp_path) == set()


def test_a_checkpoint_is_adapted_to_one_person(data, model, tmp_path):
    for command in ("finetune", "adapt"):
        refused([command, model, data, "--out", tmp_path / "T"], "one person", "--subjects")
    assert names(tmp_path) == set()


def test_adapt_takes_unlabelled_seconds_and_says_which(data, model, tmp_path):
    told = done("adapt", model, data, "--subjects", 2, "--seconds", 2, "--out", tmp_path / "A")
    assert "2.0 s of repetition 1 of" in told
    assert "in 4 pieces" in told  # rest and three movements
    contract: ModelContract = load_contract(tmp_path / "A")
    assert f"turned by {contract.rotation} of 8 electrodes" in told
    assert contract.history[-1].command == "adapt"
    assert contract.history[-1].seconds == pytest.approx(2.0, abs=0.01)
    assert names(tmp_path) == {"A", "A.run.toml"}
    start = ["adapt", model, data, "--subjects", 2, "--out", tmp_path / "B"]
    told = done(*start, "--repetition", 4)
    assert "of repetition 4 of" in told
    refused([*start, "--repetition", 2], "kept for testing")
    refused([*start, "--repetition", 9], "repetition 9")
    refused([*start, "--seconds", 0], "--seconds", "0")
    refused([*start, "--seconds", 0.1], "no whole window")


def test_no_resume_forgets_an_unfinished_run(data, model, tmp_path):
    out = tmp_path / "T"
    unfinished = tmp_path / "T.resume"
    unfinished.mkdir()
    (unfinished / "recognition.safetensors").write_bytes(b"damaged")
    start = ["finetune", model, data, *KEEP, "--out", out]
    refused(start, "cannot be read")
    done(*start, "--no-resume")
    assert not unfinished.exists()
    several = ["fit", data, "--out", tmp_path / "F", "--no-resume", "--nodes", 2]
    (tmp_path / "F.resume").mkdir()
    refused(several, "F.resume", "one process")
    assert (tmp_path / "F.resume").is_dir()


def test_inspect_tells_contract_history_and_sha(data, model, tmp_path):
    done("adapt", model, data, "--subjects", 2, "--seconds", 2, "--out", tmp_path / "A")
    told = done("inspect", tmp_path / "A")
    for words in (
        "12 channels at 2000 Hz in V",
        "emg1, emg2, emg3, emg4, emg5, emg6, emg7, emg8; worn turned by",
        "differences of neighbours in the ring",
        "### fit",
        "### adapt",
        "2 s of signal",
        "SHA-256",
        "With semgfin-rt",
    ):
        assert words in told
