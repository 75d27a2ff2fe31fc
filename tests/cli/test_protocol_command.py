"""`semgfin-train protocol`: a whole small run, its dry run, and every wrong input."""

from __future__ import annotations

import json
import tomllib

import pytest
from trainer import done, refused

SMALL = ("--subjects", 1, "--quick", "--horizons", "0,100", "--window", 200, "--workers", 1)


@pytest.fixture(scope="module")
def ran(data, tmp_path_factory):
    """Folder of a run of `imitation`, which has fewest tasks, and what it printed."""
    out = tmp_path_factory.mktemp("runs") / "R"
    return out, done("protocol", "imitation", data, *SMALL, "--out", out)


def test_it_prints_the_figures_and_where_the_report_lies(ran):
    out, told = ran
    assert "FIN (ours)" in told
    assert "100 ms" in told
    assert "nothing about people" in told
    assert "A smoke run: these figures mean nothing." in told
    assert told.endswith(f"wrote {out / 'report.html'}")
    assert (out / "report.html").is_file()
    written = json.loads((out / "results.json").read_text())
    assert written["config"]["fit"]["window_ms"] == 200
    assert written["config"]["workers"] == 1
    decided = written["config"]["decided"]  # by the preset
    assert (decided["window"], decided["hop"]) == (400, 20)
    assert decided["network"]["classifier"] == "mlp"
    assert "log_rms" in decided["features"]


def test_its_options_can_be_read_again_and_it_goes_on(ran, data):
    out, told = ran
    options = tomllib.loads((out / "run.toml").read_text())
    assert options["run"]["protocol"] == "imitation"
    assert options["window"] == 200
    before = {path: path.stat().st_mtime_ns for path in out.glob("**/tasks/*")}
    again = done("protocol", "imitation", data, "--config", out / "run.toml", "--out", out)
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("**/tasks/*")}
    assert len(before) == 2
    assert again[again.index("FIN (ours)") :] == told[told.index("FIN (ours)") :]
    other = ["protocol", "imitation", data, "--config", out / "run.toml", "--out", out, "--hop", 20]
    refused(other, "other data, options or code", "--no-resume")


@pytest.mark.parametrize("name", ["fewshot", pytest.param("paper", marks=pytest.mark.long)])
def test_a_dry_run_plans_and_writes_nothing(data, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    start = ("protocol", name, data, "--window", 100, "--levels", "50", "--workers", 2)
    told = done(*start, "--horizons", "0,100", "--out", "R", "--dry-run")
    checkpoints, tasks = {"fewshot": (6, 38), "paper": (6, 8)}[name]
    assert f"{checkpoints} checkpoints are trained, then {tasks} tasks scored, 2 at a time" in told
    for words in ("FIN", "tasks: controls", "an estimate", "GB of memory"):
        assert words in told
    assert list(tmp_path.iterdir()) == []


def test_wrong_input_is_one_sentence(data, tmp_path):
    out = ("--out", tmp_path / "R")
    refused(["protocol", "guess", data, *out], "'guess'", "within", "paper")
    refused(["protocol", "loso", data, "--subjects", 1, *out], "two or more")
    refused(["protocol", "within", data, "--seeds", 0, *out], "--seeds", "0")
    refused(["protocol", "within", data, "--workers", 0, *out], "--workers", "0")
    refused(["protocol", "within", data, "--executor", "slurm", *out], "--executor", "slurm")
    refused(["protocol", "within", data, "--unlabelled", -1, *out], "--unlabelled", "-1")
    refused(["protocol", "paper", data, "--levels", "half", *out], "--levels", "half")
    refused(["protocol", "paper", data, "--levels", "50,101", *out], "--levels", "101")
    refused(["protocol", "within", data, "--window", -1, *out], "--window", "-1")
    refused(["protocol", "within", data, "--devices", 2, *out], "--devices")
    assert list(tmp_path.iterdir()) == []
