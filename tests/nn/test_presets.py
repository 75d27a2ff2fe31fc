"""What the presets are, and that each is complete."""

from typing import get_args

import pytest

from semgfin_rt.features import FEATURES, PAPER_FEATURES, RICH_FEATURES
from semgfin_rt.model_contract import PresetName
from semgfin_rt.nn.presets import PRESETS
from semgfin_rt.train.recipes import FINETUNE_RECIPES, RECIPES


@pytest.mark.parametrize("name", get_args(PresetName))
def test_each_has_a_recipe_and_features_that_exist(name):
    preset = PRESETS[name]
    assert name in RECIPES
    assert name in FINETUNE_RECIPES
    assert set(preset.classifier_features) <= set(preset.features) <= set(FEATURES)
    assert len(set(preset.features)) == len(preset.features)
    assert preset.network(10, len(preset.features), 12).copies == 12


def test_paper_is_as_published():
    paper = PRESETS["paper"]
    assert paper.features == paper.classifier_features == ("rms", "var", "ssi", "ent")
    assert (paper.band, paper.rest, paper.per_channel) == (None, False, True)
    network = paper.network(20, 4, 12)
    assert (network.patch, network.layers, network.hidden) == (1, 3, 32)
    assert (network.bidirectional, network.k_outputs, network.trunks) == (True, 12, 4)
    assert (network.classifier, network.dropout) == ("cnn", 0.3)
    assert paper.derived((0, 1, 2)) == ("channel",)


def test_realtime_reads_hops_and_imitates_more_than_it_decides_by():
    realtime = PRESETS["realtime"]
    assert realtime.classifier_features == RICH_FEATURES
    assert set(realtime.features) == {*RICH_FEATURES, *PAPER_FEATURES}
    assert (realtime.band, realtime.rest, realtime.per_channel) == ((20.0, 450.0), True, False)
    network = realtime.network(10, 11, 1)
    assert (network.patch, network.copies, network.trunks) == (10, 1, 1)
    assert not network.bidirectional
    assert realtime.derived((0, 1, 2)) == ("channel", "difference", "average")
    for ring in ((), (0, 1)):
        assert realtime.derived(ring) == ("channel", "average")
