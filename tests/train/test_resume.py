"""An unfinished `fit` or `finetune` goes on where it was, and never where another one was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from subjects import CHANNELS, SMOKE, TUNE, assert_same_weights, options, quiet, small_subject

from semgfin_rt.contracts import SignalSpec
from semgfin_rt.errors import TrainingError
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.train import loop
from semgfin_rt.train.finetune import finetune
from semgfin_rt.train.fit import fit
from semgfin_rt.train.recipes import RECIPES

_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[1].split(os.pathsep)
import torch
from subjects import SMOKE, small_subject
from semgfin_rt.train import loop
from semgfin_rt.train.fit import fit
torch.set_num_threads(1)
loop._SAVE_EVERY_S = -1.0
after = int(sys.argv[3])
def die(stage, step, steps, loss):
    global after
    after -= 1
    if not after:
        os.kill(os.getpid(), signal.SIGKILL)
fit([small_subject()], Path(sys.argv[2]), SMOKE, die)
"""


def test_killed_and_started_again(tmp_path):
    """Twice kill -9, first while the FIN is trained, then close to the end."""
    told: list[str] = []
    fit([small_subject()], tmp_path / "whole", SMOKE, lambda name, *_: told.append(name))
    out = tmp_path / "killed"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    # the second process is counted from where the first was saved, one step before its death
    first, second = 7, len(told) - 9
    for after in (first, second):
        done = subprocess.run(
            [sys.executable, "-c", _KILLED, path, str(out), str(after)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert not out.exists()
        assert (tmp_path / "killed.resume").is_dir()
    left: list[str] = []
    fit([small_subject()], out, SMOKE, lambda name, *_: left.append(name))
    assert 0 < len(left) < 9
    assert_same_weights(tmp_path / "whole", out)
    assert not (tmp_path / "killed.resume").exists()
    ours, theirs = (load_contract(tmp_path / name).history[0] for name in ("whole", "killed"))
    assert ours.chosen == theirs.chosen
    assert ours.steps == theirs.steps


class StoppedError(Exception):
    """In place of a kill."""


def stop_after(count: int):
    told = []

    def progress(*_):
        told.append(1)
        if len(told) == count:
            raise StoppedError

    return progress


@pytest.fixture
def unfinished(tmp_path, monkeypatch) -> Path:
    """An output folder beside which the state of an unfinished `fit` lies."""
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", -1.0)
    with pytest.raises(StoppedError):
        fit([small_subject()], tmp_path / "model", SMOKE, stop_after(9))
    return tmp_path / "model"


@pytest.mark.parametrize("tune", ["head", "all"])
def test_tuning_goes_on_too(tmp_path, base, monkeypatch, tune):
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", -1.0)
    chosen = TUNE.model_copy(update={"tune": tune})
    finetune(base, [small_subject(3)], tmp_path / "whole", chosen, quiet)
    for count in (3, 6):
        with pytest.raises(StoppedError):
            finetune(base, [small_subject(3)], tmp_path / "out", chosen, stop_after(count))
    finetune(base, [small_subject(3)], tmp_path / "out", chosen, quiet)
    assert_same_weights(tmp_path / "whole", tmp_path / "out")


@pytest.mark.parametrize(
    "other",
    [
        lambda: ([small_subject()], options(seed=5)),
        lambda: ([small_subject()], options(shorten=0.03)),
        lambda: ([small_subject(2)], SMOKE),
        lambda: ([small_subject(1), small_subject(2)], SMOKE),
        lambda: ([replace(small_subject(), test_repetitions=frozenset({1}))], SMOKE),
        lambda: ([replace(small_subject(), breaks=(3000,))], SMOKE),
        lambda: ([replace(small_subject(), spec=SignalSpec(CHANNELS[::-1], 1000.0, "V"))], SMOKE),
    ],
    ids=["seed", "steps", "subject", "subjects", "test repetitions", "breaks", "channel names"],
)
def test_the_state_of_another_run_is_refused(unfinished, other):
    recordings, chosen = other()
    with pytest.raises(TrainingError, match="other data, options or code"):
        fit(recordings, unfinished, chosen, quiet)


def test_the_state_of_another_recipe_is_refused(unfinished, monkeypatch):
    """As after an update of the program: the rates are others, the version may be the same."""
    recipe = RECIPES["realtime"]
    changed = replace(recipe, imitate=replace(recipe.imitate, fin_rate=1e-4))
    monkeypatch.setitem(RECIPES, "realtime", changed)
    with pytest.raises(TrainingError, match="other data, options or code"):
        fit([small_subject()], unfinished, SMOKE, quiet)
