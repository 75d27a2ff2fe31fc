"""`semgfin-train export` as a user types it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from signals import tiny_checkpoint

from semgfin_rt.cli.train import main

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "M")


@pytest.fixture
def train(monkeypatch, capfd):
    """Run the command with these arguments: exit code, output, complaint."""

    def run(*arguments: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["semgfin-train", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return exit_.value.code, *capfd.readouterr()

    return run


def test_it_says_what_it_wrote(train, model, tmp_path):
    out = tmp_path / "model.onnx"
    code, text, complaint = train("export", model, "--out", out)
    assert (code, complaint) == (0, "")
    lines = text.splitlines()
    assert lines[:3] == [
        f"wrote {out}",
        "input: windows (batch, 200, 3)",
        "outputs: features (batch, 2, 2, 3), log_probabilities (batch, 2, 3)",
    ]
    assert lines[3] == f"size: {out.stat().st_size / 1e6:.2f} MB"
    label, difference = lines[4].split(": ")
    assert label == "largest difference from torch"
    assert 0 < float(difference) <= 1e-5
    assert len(lines) == 5


def test_a_checkpoint_by_its_name(train, model, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMGFIN_MODELS", str(model.parent))
    monkeypatch.chdir(tmp_path)
    code, text, _ = train("export", "M", "--out", "M.onnx")
    assert code == 0
    assert text.startswith("wrote M.onnx\n")
    assert (tmp_path / "M.onnx").is_file()


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("", "cannot be written"),  # the folder itself
        ("missing/model.onnx", "cannot be written"),
        ("model.bin", "ends in .onnx"),
    ],
)
def test_where_it_cannot_go_is_one_sentence(train, model, tmp_path, out, words):
    code, text, complaint = train("export", model, "--out", tmp_path / out)
    assert code == 2
    assert text == ""
    assert words in complaint
    assert len(complaint.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--out", "M.onnx"], "nowhere"),
        ([".", "--out", "M.onnx"], "is not a checkpoint"),
        (["."], "--out"),
        (["--out", "M.onnx"], "CHECKPOINT"),
    ],
)
def test_what_it_cannot_take_is_one_sentence(train, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, text, complaint = train("export", *arguments)
    assert code == 2
    assert text == ""
    assert words in complaint
    assert len(complaint.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
