"""--config: a file of options, and the file that every run writes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from trainer import done, refused, train


def given(folder: Path, text: str) -> Path:
    file = folder / "options.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sede = 3", ("'sede'", "did you mean 'seed'?")),
        ("[fit]\nseed = 3", ("'fit'", "no option of `fit`")),
        ("workers = 2", ("'workers'", "no option of `fit`")),  # of another command
        ("config = 'x.toml'", ("'config'",)),
        ("seed = '3'", ("'seed'", "'3'", "without quotation marks")),
        ("seed = 1.5", ("'seed'", "1.5", "integer")),
        ("seed = true", ("'seed'", "True")),
        ("seed = -1", ("'seed'", "-1")),
        ("rest = 'no'", ("'rest'", "'no'", "true or false")),
        ("quick = 1", ("'quick'", "1", "true or false")),
        ("features = [['rms']]", ("'features'",)),
        ("window = 2024-01-01", ("'window'",)),
        ("preset = 'best'", ("'preset'", "'best'", "'realtime'")),
        ("seed =", ("TOML",)),
        ("seed = 1\nseed = 2", ("TOML",)),
    ],
)
def test_what_is_wrong_in_a_file_is_one_sentence(data, tmp_path, text, words):
    file = given(tmp_path, text)
    refused(["fit", data, "--out", tmp_path / "M", "--config", file], *words, str(file))
    assert [p.name for p in tmp_path.iterdir()] == ["options.toml"]


def test_a_file_that_is_not_there(data, tmp_path):
    refused(["fit", data, "--out", "M", "--config", tmp_path / "no.toml"], "no.toml", "No such")


def test_the_command_line_wins_over_the_file(data, tmp_path):
    """Whichever comes first; and also where it says what the default is."""
    file = given(tmp_path, "window = 100\nhop = 25.0\nhorizons = [0, 30]\nsubjects = 1")
    start = ["fit", data, "--out", tmp_path / "M"]
    refused([*start, "--config", file], "hop, 25 ms")
    refused([*start, "--hop", "20", "--config", file], "hop, 20 ms")
    refused([*start, "--config", file, "--hop", "10", "--window", "0"], "--window", "0")


def test_keys_with_dashes_and_flags(data, tmp_path):
    file = given(tmp_path, "per_channel = true\nderivations = ['channel', 'average']\nsubjects = 1")
    refused(["fit", data, "--out", tmp_path / "M", "--config", file], "weights for each channel")
    file = given(tmp_path, "per-channel = true\nderivations = 'channel,average'\nsubjects = 1")
    refused(["fit", data, "--out", tmp_path / "M", "--config", file], "weights for each channel")


def test_a_run_writes_its_options_and_reads_them_again(data, model, tmp_path):
    file = model.with_name("M.run.toml")
    written = tomllib.loads(file.read_text())
    run = written.pop("run")
    assert run["command"] == "fit"
    assert (run["data"], run["out"]) == (str(data), str(model))
    assert {"semgfin-rt", "torch", "numpy"} <= set(run["versions"])
    assert written["horizons"] == "0,100"
    assert written["subjects"] == "1"
    assert written["quick"] is True
    assert written["window"] == 300.0
    assert not {"out", "config", "resume", "dry-run", "features"} & set(written)
    again = tmp_path / "again"
    done("fit", data, "--config", file, "--out", again, "--seed", 1)
    changed = tomllib.loads((tmp_path / "again.run.toml").read_text())
    changed.pop("run")
    assert changed == written | {"seed": 1}


def test_a_file_of_one_command_names_the_key_that_another_lacks(data, model, tmp_path):
    file = model.with_name("M.run.toml")
    result = train("finetune", model, data, "--out", tmp_path / "T", "--config", file)
    assert result.code == 2
    assert "no option of `finetune`" in result.err
