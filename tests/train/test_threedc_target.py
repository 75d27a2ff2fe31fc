"""The target on real data: a new person of 3DC, adapted to, is recognised as LDA does or better."""

from pathlib import Path

import pytest

from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.reference import TorchBackend, choose_device
from semgfin_rt.recordings import load
from semgfin_rt.train.evaluate import evaluate
from semgfin_rt.train.finetune import finetune
from semgfin_rt.train.fit import fit
from semgfin_rt.train.options import FinetuneOptions, FitOptions


@pytest.mark.long
def test_an_adapted_checkpoint_is_within_two_points_of_lda(
    threedc_folder: Path, tmp_path: Path
) -> None:
    base, adapted = tmp_path / "base", tmp_path / "adapted"
    fit(load(threedc_folder, [2, 3, 4, 5, 6]), base, FitOptions(), lambda *_: None)
    person = load(threedc_folder, [7])
    finetune(base, person, adapted, FinetuneOptions(), lambda *_: None)
    network, contract = load_checkpoint(adapted)
    backend = TorchBackend(network, contract, choose_device("cpu"))
    figures = evaluate(contract, backend, person, None, lambda *_: None)
    steady, controls = figures["accuracy_steady"], figures["controls"]
    assert isinstance(steady, float)
    assert isinstance(controls, dict)
    assert steady >= controls["lda"] - 0.02
    assert not figures["seen_in_training"]
