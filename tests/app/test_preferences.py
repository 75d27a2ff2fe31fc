import json

import pytest

from semgfin_rt.app import preferences
from semgfin_rt.app.choice import SourceChoice
from semgfin_rt.app.preferences import (
    VARIABLE,
    CalibrationChoice,
    Preferences,
    load_preferences,
    preferences_file,
    save_preferences,
)


def test_first_run_is_no_trouble(tmp_path):
    assert load_preferences(tmp_path / "none.json") == (Preferences(), "")


def test_what_was_saved_comes_back(tmp_path):
    path = tmp_path / "new" / "folder" / "window.json"
    source = SourceChoice(kind="stream", name="EMG", source_id="a", unit="uV", model="mine")
    session = CalibrationChoice(subject=7, movements=(1, 2), rest_s=2.5, order="contract")
    saved = Preferences(
        theme="light",
        welcome=False,
        layouts={"live": "AB=="},
        source=source,
        calibration=session,
    )
    assert save_preferences(saved, path) == ""
    assert load_preferences(path) == (saved, "")
    assert [p.name for p in path.parent.iterdir()] == ["window.json"]  # nothing half written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"calibration": {"rest_s": 0.1}}',
        '{"theme": "blue"}',
        '{"source": {"speed": -1}}',
        '{"layouts": 3}',
        "\0",
        "é",
    ],
)
def test_damaged_file_is_left_aside_with_a_word(tmp_path, text):
    path = tmp_path / "window.json"
    path.write_bytes(text.encode("latin-1"))
    found, problem = load_preferences(path)
    assert found == Preferences()
    assert problem.startswith(f"the remembered choices in '{path}' are damaged (")
    assert problem.count("\n") == 0


def test_what_another_version_remembered_is_dropped(tmp_path):
    path = tmp_path / "window.json"
    path.write_text(json.dumps({"theme": "light", "colour of the sky": "blue"}))
    assert load_preferences(path) == (Preferences(theme="light"), "")


def test_file_that_cannot_be_read_is_a_word(tmp_path):
    found, problem = load_preferences(tmp_path)  # a folder
    assert found == Preferences()
    assert "cannot be read" in problem


def test_file_that_cannot_be_written_is_a_word_and_leaves_the_old(tmp_path, monkeypatch):
    path = tmp_path / "window.json"
    save_preferences(Preferences(theme="light"), path)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(preferences.os, "replace", refuse)
    problem = save_preferences(Preferences(theme="dark"), path)
    assert f"'{path}' (Permission denied): set {VARIABLE}" in problem
    assert load_preferences(path)[0].theme == "light"
    assert [p.name for p in tmp_path.iterdir()] == ["window.json"]


def test_environment_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine.json"))
    assert preferences_file() == tmp_path / "mine.json"
    monkeypatch.delenv(VARIABLE)
    assert preferences_file().parts[-2:] == ("semgfin_rt", "window.json")
