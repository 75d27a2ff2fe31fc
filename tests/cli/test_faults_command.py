"""`semgfin-rt faults` as a command: what it prints, writes, refuses, and leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from signals import tiny_checkpoint

from semgfin_rt.app.faults import rows
from semgfin_rt.app.faults.finding import Finding, skipped
from semgfin_rt.cli.common import new_app, run
from semgfin_rt.cli.faults import faults

app = new_app("A command of its own.")
app.command()(faults)
app.command()(lambda: None)  # a second, so that the first has a name


def ended(monkeypatch, *arguments):
    """Run the command here; its exit code."""
    monkeypatch.setattr("sys.argv", ["semgfin-rt", "faults", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        run(app, "semgfin-rt")
    return end.value.code


def test_rows_that_are_kept(tmp_path, monkeypatch, capsys):
    file = tmp_path / "f.json"
    assert ended(monkeypatch, "--row", "16,17", "--json", file) == 0
    printed = capsys.readouterr().out
    assert "16  pickle payloads as checkpoints" in printed
    assert "promised: refused before writing" in printed
    assert "2 of 2 promises kept" in printed
    assert "2/2" in next(line for line in printed.splitlines() if line.startswith("faults "))
    found = json.loads(file.read_text())
    assert found["ok"] is True
    assert [row["row"] for row in found["rows"]] == [16, 17]
    for row in found["rows"]:
        assert row["ok"] is True
        assert row["skipped"] is None
        assert row["promise"]
        assert row["measured"]
        assert row["seconds"] >= 0


def pretend(*findings):
    def breaks(_scale):
        raise OSError("no such thing")

    named = [(lambda _scale, f=finding: f) for finding in findings] + [breaks]
    return tuple(
        rows.Row(i, f"fault {i}", "promise", "once", "often", do)
        for i, do in enumerate(named, start=1)
    )


def test_rows_that_are_not(tmp_path, monkeypatch, capsys):
    file = tmp_path / "f.json"
    findings = Finding("fine", True, {"s": 0.123456}), Finding("bad", False), skipped("not root")
    monkeypatch.setattr(rows, "ROWS", pretend(*findings))
    assert ended(monkeypatch, "--json", file) == 3
    printed = capsys.readouterr().out
    assert [word in printed for word in ("kept,", "NOT KEPT,", "SKIPPED,")] == [True] * 3
    assert "not measured: not root" in printed
    assert "1 of 4 promises kept" in printed
    found = json.loads(file.read_text())
    assert found["ok"] is False
    assert [row["ok"] for row in found["rows"]] == [True, False, False, False]
    assert [row["skipped"] for row in found["rows"]] == [None, None, "not root", None]
    assert found["rows"][0]["figures"] == {"s": 0.1235}
    assert "no such thing" in found["rows"][3]["measured"]
    assert ended(monkeypatch, "--row", "1") == 0
    assert "(once)" in capsys.readouterr().out
    assert ended(monkeypatch, "--row", "1", "--long") == 0
    assert "(often)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--row", "21"), "--row 21 is not in the table: choose among 1 to 20"),
        (("--row", "1,30"), "--row 1,30"),
        (("--row", "all"), "'all' is not a list of numbers"),
        (("--model", "nowhere"), "there is no checkpoint 'nowhere'"),
        (("--json", "/nowhere/f.json"), "cannot be written"),
    ],
)
def test_what_cannot_be_is_refused_at_once(arguments, words, monkeypatch, capsys):
    assert ended(monkeypatch, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


_ALONE = """
from test_faults_command import app
from semgfin_rt.cli.common import run
run(app, "semgfin-rt")
"""


def test_ctrl_c_leaves_no_process_behind(tmp_path):
    model, mark = tiny_checkpoint(tmp_path / "M"), f"mark-{os.getpid()}-{time.time_ns()}"
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        [sys.executable, "-c", _ALONE, "faults", "--row", "2", "--model", str(model)],
        env=os.environ | {"PYTHONPATH": path, "SEMGFIN_TEST_MARK": mark},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as command:
        deadline = time.monotonic() + 60
        while len(_marked(mark)) < 3:  # the command, the devices' parent, a device
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(command.pid, signal.SIGINT)
        assert command.wait(30) == 130
    deadline = time.monotonic() + 5
    while _marked(mark):
        assert time.monotonic() < deadline, _marked(mark)
        time.sleep(0.1)


def _marked(mark: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SEMGFIN_TEST_MARK") == mark:
                found.append(process.pid)
        except psutil.Error:  # it has ended, or is not ours
            continue
    return found
