"""The script of benchmarks/ that needs recordings of people, so that nothing else runs it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.recordings import load
from semgfin_rt.recordings.synthetic import write_subject
from semgfin_rt.train.fit import fit
from semgfin_rt.train.options import FitOptions

FILE = Path(__file__).parents[1] / "benchmarks" / "ablation.py"
_spec = importlib.util.spec_from_file_location("ablation", FILE)
ablation = importlib.util.module_from_spec(_spec)
sys.modules["ablation"] = ablation  # dataclasses look their module up
_spec.loader.exec_module(ablation)


def test_a_checkpoint_is_scored_on_the_held_out_repetition(tmp_path):
    write_subject(tmp_path / "data", 1, 1, movements=3, movement_s=1.5, rest_s=1.0)
    (person,) = load(tmp_path / "data")
    options = FitOptions(repetitions=(1,), shorten=0.02, **ablation.CLOSED)
    fit([person], tmp_path / "m", options, ablation.silent)
    accuracy = ablation.held_out(*load_checkpoint(tmp_path / "m"), person)
    assert 0.5 < accuracy <= 1
