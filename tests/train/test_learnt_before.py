"""A repetition that the checkpoint has learnt chooses nothing and compares nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from subjects import TUNE, assert_same_weights, options, quiet, small_subject, weights

from semgfin_rt.errors import OptionError
from semgfin_rt.nn.checkpoint import load_checkpoint, save_checkpoint
from semgfin_rt.train.finetune import finetune
from semgfin_rt.train.fit import fit
from semgfin_rt.train.heads import MIXES, linear_heads

NEW = TUNE.model_copy(update={"new_session": True, "keep_worse": True})


def mixes(folder):
    return [round(float(t), 6) for name, t in weights(folder).items() if name.endswith(".mix")]


def test_the_mixes_stay_as_they_were_chosen(tmp_path, base):
    network, contract = load_checkpoint(base)
    odd = 0.123
    assert odd not in MIXES
    for classifier in linear_heads(network):
        classifier.mix.fill_(odd)
    save_checkpoint(tmp_path / "odd", network, contract, "")
    stranger, known = tmp_path / "stranger", tmp_path / "known"
    insist = TUNE.model_copy(update={"keep_worse": True})
    finetune(tmp_path / "odd", [small_subject(3)], stranger, insist, quiet)
    made = finetune(tmp_path / "odd", [small_subject(2)], known, TUNE, quiet)
    assert set(mixes(stranger)) <= set(MIXES)
    assert set(mixes(known)) == {odd}
    assert made.history[-1].held_out == (6,)
    assert (made.history[-1].chosen, made.metrics) == ({}, {})


def test_a_new_session_is_compared_although_its_numbers_were_learnt(tmp_path, base):
    """Subject 3, called 2: only the person's own word tells that the data is new."""
    another_day = replace(small_subject(3), subject=2)
    made = finetune(base, [another_day], tmp_path / "new", NEW, quiet)
    assert {"before_held_out_accuracy", "held_out_accuracy_0ms"} <= set(made.metrics)
    finetune(base, [small_subject(3)], tmp_path / "stranger", NEW, quiet)
    assert_same_weights(tmp_path / "new", tmp_path / "stranger")


def test_a_cnn_has_no_statistics_to_leave_out(tmp_path):
    contract = fit(
        [small_subject(1)],
        tmp_path / "cnn",
        options(classifier="cnn", imitator="closed_form", horizons_ms=(0,)),
        quiet,
    )
    assert contract.network.classifier == "cnn"
    with pytest.raises(OptionError, match=r"no statistics of other people.*--no-replay"):
        finetune(
            tmp_path / "cnn",
            [small_subject(3)],
            tmp_path / "m",
            TUNE.model_copy(update={"replay": False}),
            quiet,
        )
    assert not (tmp_path / "m").exists()
