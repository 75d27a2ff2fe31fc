"""What the stages minimise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from subjects import options, quiet, small_subject

from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.train.dataset import Batch
from semgfin_rt.train.fit import fit
from semgfin_rt.train.objectives import Objective
from semgfin_rt.train.recipes import REALTIME


def test_the_present_weighs_more_and_a_missing_target_nothing(tmp_path):
    fit([small_subject()], tmp_path / "m", options(shorten=0.001), quiet)
    network, contract = load_checkpoint(tmp_path / "m")
    n_samples = contract.window + contract.horizons[-1]
    samples = torch.randn(4, n_samples, 3, generator=torch.manual_seed(0))
    samples[3, contract.window :] = torch.nan  # past the end of the recording
    valid = torch.tensor([[True, True]] * 3 + [[True, False]])
    batch = Batch(samples, torch.zeros(4, 2, dtype=torch.int64), valid)
    objective = Objective(network, contract, REALTIME, 0, torch.device("cpu"))

    @torch.no_grad()
    def loss(weight):
        recipe = replace(REALTIME, present_weight=weight)
        return float(replace(objective, recipe=recipe).imitation(batch, augment=False))

    with torch.no_grad():
        error = network.imitate(samples[:, : contract.window])[..., 0] - objective.targets(samples)
    squared = (error**2).mean(dim=(2, 3))
    now, later = float(squared[:, 0].sum()), float(squared[:3, 1].sum())
    for weight in (1.0, 4.0):
        expected = (weight * now + later) / (weight * 4 + 3)
        assert loss(weight) == pytest.approx(expected, rel=1e-5)
