"""Where models and scenarios are looked for, in which order, and what is said when they are not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from semgfin_rt import folders
from semgfin_rt.errors import CheckpointError, OptionError
from semgfin_rt.folders import find_model, find_scenario, places


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A working directory, a home and a prefix of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    for variable in ("SEMGFIN_MODELS", "SEMGFIN_REPLAY"):
        monkeypatch.delenv(variable, raising=False)


def test_each_place_comes_before_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMGFIN_MODELS", str(tmp_path / "mine"))
    expected = [
        tmp_path / "mine",
        tmp_path / "data" / "semgfin_rt" / "models",
        tmp_path / "prefix" / "share" / "semgfin_rt" / "models",
        Path(folders.__file__).parents[1] / "models",
    ]
    assert places("models") == expected
    for place in reversed(expected[:-1]):  # the checkout is not for tests to write to
        (place / "arm").mkdir(parents=True)
        assert find_model("arm") == place / "arm"
    (tmp_path / "here" / "arm").mkdir()
    (tmp_path / "here" / "arm" / "contract.json").touch()
    assert find_model("arm") == Path("arm")


def test_what_is_no_checkpoint_does_not_hide_one(tmp_path):
    mine = tmp_path / "data" / "semgfin_rt" / "models" / "arm"
    mine.mkdir(parents=True)
    here = tmp_path / "here" / "arm"
    here.touch()
    assert find_model("arm") == mine
    here.unlink()
    here.mkdir()
    assert find_model("arm") == mine
    (here / "contract.json").touch()
    assert find_model("arm") == Path("arm")
    assert find_model("arm", tmp_path) == mine
    assert find_model("here/arm", tmp_path) == here


def test_what_is_no_scenario_does_not_hide_one(tmp_path):
    shipped = Path(folders.__file__).parents[1] / "replay" / "demo.toml"
    (tmp_path / "here" / "demo").touch()
    (tmp_path / "here" / "demo.toml").mkdir()
    assert find_scenario("demo") == find_scenario("demo.toml") == shipped
    (tmp_path / "here" / "demo.toml").rmdir()
    (tmp_path / "here" / "demo.toml").touch()
    assert find_scenario("demo.toml") == Path("demo.toml")


def test_a_folder_is_taken_as_it_is(tmp_path):
    assert find_model(tmp_path) == tmp_path
    assert find_model(str(tmp_path)) == tmp_path


def test_a_missing_model_is_said_with_the_places(tmp_path):
    with pytest.raises(CheckpointError) as error:
        find_model("nope")
    words = str(error.value)
    assert words.startswith("there is no checkpoint 'nope' here or in ")
    assert all(str(place) in words for place in places("models"))
    assert "\n" not in words


def test_a_path_is_not_looked_for_elsewhere(tmp_path):
    (tmp_path / "data" / "semgfin_rt" / "models" / "arm").mkdir(parents=True)
    for given in ("sub/arm", str(tmp_path / "arm")):
        with pytest.raises(CheckpointError, match=r"no checkpoint '.*arm': train one"):
            find_model(given)


@pytest.mark.parametrize("given", ["walk", "walk.toml"])
def test_a_scenario_by_name(given, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMGFIN_REPLAY", str(tmp_path))
    (tmp_path / "walk.toml").touch()
    assert find_scenario(given) == tmp_path / "walk.toml"


def test_the_checkout_has_the_demo():
    assert find_scenario("demo") == Path(folders.__file__).parents[1] / "replay" / "demo.toml"


def test_a_missing_scenario_is_said():
    with pytest.raises(OptionError, match=r"no scenario 'nope.toml' here or in .*SEMGFIN_REPLAY"):
        find_scenario("nope.toml")


def test_a_name_that_no_file_can_have_is_just_not_there():
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        find_model("a" * 5000)
