"""From a checkpoint of other people to one of a person, never to a worse one unasked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rings import MONTAGE, ring_subject
from subjects import (
    CHANNELS,
    TUNE,
    assert_same_weights,
    options,
    quiet,
    small_subject,
    weights,
)

from semgfin_rt.contracts import SignalSpec
from semgfin_rt.errors import CheckpointError, ContractMismatchError, OptionError, TrainingError
from semgfin_rt.features import closed_form
from semgfin_rt.nn.checkpoint import load_checkpoint, save_checkpoint
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.nn.montage import Alignment
from semgfin_rt.train import dataset, heads
from semgfin_rt.train.adapt import adapt
from semgfin_rt.train.finetune import finetune
from semgfin_rt.train.fit import fit
from semgfin_rt.train.options import AdaptOptions, FinetuneOptions
from semgfin_rt.train.recipes import finetune_recipe

ONE = FinetuneOptions(repetitions=(1,))
PLAIN = FinetuneOptions(repetitions=(1,), replay=False)


# ------------------------------------------------------------------------------ the result
def test_one_repetition_takes_the_closed_form_head_alone(tmp_path, base):
    out = tmp_path / "tuned"
    contract = finetune(base, [small_subject(3)], out, ONE, quiet)
    before, after = weights(base), weights(out)
    for name, tensor in after.items():
        if name.endswith(".mix"):
            assert tensor == 1
        else:
            of_the_person = name.endswith((".shift", ".scale")) or ".linear_" in name
            assert torch.equal(tensor, before[name]) is not of_the_person, name
    first, second = contract.history
    assert first == load_contract(base).history[0]
    assert (second.command, second.subjects) == ("finetune", (3,))
    assert (second.repetitions, second.held_out) == ((1,), ())
    assert (second.steps, second.chosen, contract.metrics) == ({}, {}, {})


def test_more_repetitions_train_the_mlp_on(tmp_path, base):
    files = {p: p.read_bytes() for p in base.iterdir()}
    out = tmp_path / "tuned"
    contract = finetune(base, [small_subject(3)], out, TUNE, quiet)
    assert {p: p.read_bytes() for p in base.iterdir()} == files
    assert [p.name for p in tmp_path.iterdir()] == ["tuned"]
    before, after = weights(base), weights(out)
    kept = {name for name, tensor in after.items() if torch.equal(tensor, before[name])}
    assert all(name in kept for name in after if name.startswith("imitator.") or "prior" in name)
    assert kept.isdisjoint(name for name in after if ".layers." in name or "linear" in name)
    record = contract.history[1]
    assert (record.repetitions, record.held_out) == ((1, 3, 4, 6), (6,))
    assert set(record.steps) == {"classifier", "all repetitions"}
    old = load_contract(base)
    assert contract.scale_std != old.scale_std  # of the new person
    kept = ("features", "feature_mean", "classes", "horizons_ms", "filter_sos", "network")
    assert all(getattr(contract, k) == getattr(old, k) for k in kept)


def test_a_base_that_is_all_closed_form_can_be_adapted_by_gradient(tmp_path, base):
    network, contract = load_checkpoint(base)
    for classifier in heads.linear_heads(network):
        classifier.mix.fill_(1.0)
    save_checkpoint(tmp_path / "base", network, contract, "")
    finetune(tmp_path / "base", [small_subject(2)], tmp_path / "adapted", TUNE, quiet)
    name = "classifiers.0.layers.7.bias"  # of the MLP's last layer
    moved = weights(tmp_path / "adapted")[name] - weights(tmp_path / "base")[name]
    assert moved.abs().max() > 1e-3


def test_the_rest_gate_is_fitted_to_the_person(tmp_path):
    fit([small_subject(1)], tmp_path / "base", options(rest=False), quiet)
    before = load_checkpoint(tmp_path / "base")[1].rest_gate
    after = finetune(tmp_path / "base", [small_subject(2)], tmp_path / "m", TUNE, quiet).rest_gate
    assert before is not None
    assert after is not None
    assert before != after


def test_a_checkpoint_can_be_tuned_in_place(tmp_path, base):
    out = tmp_path / "model"
    finetune(base, [small_subject(3)], out, ONE, quiet)
    contract = finetune(out, [small_subject(4)], out, ONE, quiet)
    assert load_contract(out) == contract
    assert len(contract.history) == 3


def test_the_fin_may_go_on_imitating(tmp_path, base):
    losses = []

    def keep(stage, _step, _steps, loss):
        if stage == "FIN":
            losses.append(loss)

    tune = FinetuneOptions(repetitions=(1, 3), tune="all", shorten=0.25)
    contract = finetune(base, [small_subject(3)], tmp_path / "m", tune, keep)
    assert set(contract.history[-1].steps) == {"FIN", "classifier", "all repetitions"}
    assert contract.history[-1].steps["FIN"] == len(losses) == 75
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:5])
    before, after = weights(base), weights(tmp_path / "m")
    name = "imitator.fins.0.head.weight"
    assert not torch.equal(before[name], after[name])


PAPER = options(preset="paper", features=("rms",), window_ms=30, horizons_ms=(0,), shorten=0.001)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    out = tmp_path_factory.mktemp("published") / "base"
    fit([small_subject(1)], out, PAPER, quiet)
    return out


@pytest.mark.parametrize("tune", ["head", "all"])
def test_a_cnn_is_compared_by_a_copy_and_its_fin_stays_on_demand(tmp_path, published, tune):
    asked = FinetuneOptions(tune=tune, shorten=0.001)
    contract = finetune(published, [small_subject(2)], tmp_path / "m", asked, quiet)
    assert set(contract.history[-1].steps) == {"classifier" if tune == "head" else "joint"}
    assert set(contract.metrics) == {"before_held_out_accuracy", "held_out_accuracy_0ms"}
    before, after = weights(published), weights(tmp_path / "m")
    stayed = all(torch.equal(before[n], t) for n, t in after.items() if n.startswith("imitator"))
    assert stayed is (tune == "head")
    name = "classifiers.0.layers.0.weight"
    assert not torch.equal(before[name], after[name])
    insist = asked.model_copy(update={"keep_worse": True})
    contract = finetune(published, [small_subject(2)], tmp_path / "uncompared", insist, quiet)
    assert set(contract.metrics) == {"before_held_out_accuracy"}
    assert_same_weights(tmp_path / "m", tmp_path / "uncompared")


def test_a_worse_cnn_is_refused(tmp_path, published):
    """It is judged on the held-out repetition, which it has not learnt; here by wrong names."""
    person = small_subject(2)
    there = person.labels > 0
    person.labels[there] = person.labels[there] % 3 + 1
    last = person.repetitions == 6  # the held-out one alone has its right names
    person.labels[last & there] = (person.labels[last & there] + 1) % 3 + 1
    asked = FinetuneOptions(repetitions=(1, 6))
    whole = asked.model_copy(update={"keep_worse": True})
    finetune(published, [small_subject(1)], tmp_path / "good", whole, quiet)
    with pytest.raises(TrainingError, match="so nothing was written: keep"):
        finetune(tmp_path / "good", [person], tmp_path / "m", asked, quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


def test_there_must_be_a_fin_to_tune(tmp_path, ring_people):
    assert load_contract(ring_people).network.imitator == "closed_form"
    with pytest.raises(OptionError, match="no FIN to tune: choose `--tune head`"):
        finetune(ring_people, [ring_subject(7)], tmp_path / "m", FinetuneOptions(tune="all"), quiet)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preset", ["realtime", "paper"])
def test_what_is_tuned_follows_from_the_classifier(preset):
    def steps(classifier, tune):
        stages = finetune_recipe(preset, classifier, tune, 1.0).stages
        return {name for name, stage in stages.items() if stage.steps}

    for tune in (None, "head"):
        assert steps("mlp", tune) == {"classify"}
    assert steps("mlp", "all") == {"imitate", "classify"}
    assert steps("cnn", "head") == {"classify"}
    for tune in (None, "all"):
        assert steps("cnn", tune) == {"joint"}


def test_the_published_network_is_trained_whole_on_however_little(tmp_path, published):
    for repetitions in (None, (6,)):
        tune = FinetuneOptions(repetitions=repetitions, shorten=0.001, keep_worse=True)
        contract = finetune(published, [small_subject(2)], tmp_path / "m", tune, quiet)
        assert set(contract.history[-1].steps) == {"joint"}
    assert contract.history[-1].repetitions == (6,)
    before, after = weights(published), weights(tmp_path / "m")
    name = "imitator.fins.0.head.weight"
    assert not torch.equal(before[name], after[name])


# ------------------------------------------------------------------------- closed-form head
def test_a_movement_that_was_not_shown_is_never_decided(tmp_path, base):
    """Not in signals stronger than those it was fitted to, where all logits of LDA are low."""
    recording = small_subject(3)
    recording.labels[(recording.repetitions == 1) & (recording.labels == 3)] = 0
    contract = finetune(base, [recording], tmp_path / "tuned", ONE, quiet)
    network, _ = load_checkpoint(tmp_path / "tuned")
    filtered = dataset.filtered(recording, contract.filter_sos)
    signal = dataset.Scaler(contract.scale_mean, contract.scale_std)(filtered.samples)
    windows = torch.from_numpy(dataset.Windowing(100, 10).view(signal).copy())
    for gain in (1, 2, 3, 5, 8):
        with torch.inference_mode():
            decided = network(gain * windows)[:, 0].argmax(-1)
        assert contract.class_ids[3] == 3
        assert not (decided == 3).any(), f"{int((decided == 3).sum())} windows at gain {gain}"


def windows_of(recording, contract, repetitions, scaled_over):
    """Of a person's signal, z-scored over some repetitions of it."""
    filtered = dataset.filtered(recording, contract.filter_sos)
    scaler = dataset.fit_scaler([filtered], scaled_over)
    windowing = dataset.Windowing(contract.window, contract.hop)
    windows = dataset.TrainingWindows.build(
        [filtered], repetitions, contract.classes, windowing, (0,), [scaler]
    )
    return windows.gather(np.arange(len(windows))).samples, windows.classes[:, 0]


def inputs_by_hand(samples, contract):
    """Features of the derived signals, as they are."""
    derived = samples.double() @ torch.from_numpy(MONTAGE.matrix).double().T
    features = closed_form(derived, contract.features).numpy()
    mean, std = (np.array(v)[:, None] for v in (contract.feature_mean, contract.feature_std))
    return ((features - mean) / std).reshape(len(samples), -1)


@pytest.mark.parametrize("alignment", [Alignment(), Alignment(3, mirrored=True)])
def test_without_replay_it_is_lda_on_the_person_alone(tmp_path, ring_people, alignment):
    """Scikit-learn's, on features normalised by hand; LDA does not care about their order."""
    recording = ring_subject(7, alignment)
    contract = finetune(ring_people, [recording], tmp_path / "m", PLAIN, quiet)
    samples, classes = windows_of(recording, contract, (1,), (1,))
    inputs = inputs_by_hand(samples, contract)
    groups = [inputs[classes == c] for c in range(4)]
    shift = np.mean([g.mean(0) for g in groups], 0)
    scale = np.sqrt(np.mean([((g - shift) ** 2).mean(0) for g in groups], 0))
    expected = heads.lda().fit((inputs - shift) / scale, classes)
    fresh, _ = windows_of(recording, contract, (2,), (1,))
    network, _ = load_checkpoint(tmp_path / "m")
    with torch.inference_mode():
        probabilities = network(fresh)[:, 0].softmax(-1)
    found = expected.predict_proba((inputs_by_hand(fresh, contract) - shift) / scale)
    np.testing.assert_allclose(probabilities, found, atol=0.01)


def test_replay_draws_the_head_towards_other_people(tmp_path, ring_people):
    for name, tune in (("replay", ONE), ("plain", PLAIN)):
        finetune(ring_people, [ring_subject(7)], tmp_path / name, tune, quiet)
    ours, theirs = weights(tmp_path / "replay"), weights(tmp_path / "plain")
    different = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    assert different == {f"classifiers.{h}.linear_{p}" for h in (0, 1) for p in ("weight", "bias")}


@pytest.mark.parametrize(("tune", "counts"), [(ONE, [1]), (TUNE, [2, 3])])
def test_the_more_the_person_shows_the_less_the_others_count(
    tmp_path, ring_people, monkeypatch, tune, counts
):
    """While one repetition is held out, it is not counted."""
    fit_head, told = heads.fit_linear_head, []

    def watched(classifier, inputs, classes, n_repetitions, prior):
        told.append((n_repetitions, prior))
        fit_head(classifier, inputs, classes, n_repetitions, prior)

    monkeypatch.setattr(heads, "fit_linear_head", watched)
    finetune(ring_people, [ring_subject(7)], tmp_path / "m", tune, quiet)
    assert told == [(n, heads.PriorWeight()) for n in counts for _ in range(2)]  # horizons


# --------------------------------------------------------------------------------- the ring
@pytest.mark.parametrize("alignment", MONTAGE.alignments)
def test_the_ring_is_turned_to_where_the_others_have_it(tmp_path, ring_people, alignment):
    contract = finetune(ring_people, [ring_subject(7, alignment)], tmp_path / "m", ONE, quiet)
    assert Alignment(contract.rotation, contract.mirrored) == alignment
    network, _ = load_checkpoint(tmp_path / "m")
    numbered = torch.arange(MONTAGE.n_signals)
    assert numbered[network.order].tolist() == MONTAGE.order(alignment).tolist()


def test_what_was_adapted_before_is_compared_as_it_decides(tmp_path, ring_people):
    person = ring_subject(7, Alignment(2, mirrored=True))
    adapt(ring_people, person, tmp_path / "adapted", AdaptOptions(seconds=1.5), quiet)
    tune = TUNE.model_copy(update={"keep_worse": True})
    before = {}
    for name in ("people", "adapted"):
        start = ring_people if name == "people" else tmp_path / name
        contract = finetune(start, [person], tmp_path / f"{name} tuned", tune, quiet)
        assert (contract.rotation, contract.mirrored) == (2, True)
        before[name] = contract.metrics["before_held_out_accuracy"]
    assert before["adapted"] > before["people"] + 0.1


# ------------------------------------------------------------------------- before and after
def test_before_and_after_on_the_held_out_repetition(tmp_path, ring_people):
    person = ring_subject(7)
    contract = finetune(ring_people, [person], tmp_path / "m", TUNE, quiet)
    samples, classes = windows_of(person, contract, (4,), (1, 3, 4))
    network, _ = load_checkpoint(ring_people)
    with torch.inference_mode():
        decided = network(samples)[:, 0].argmax(1).numpy()
    metrics = contract.metrics
    assert metrics["before_held_out_accuracy"] == pytest.approx((decided == classes).mean())
    accuracies = [v for k, v in contract.history[-1].chosen.items() if "accuracy" in k]
    assert metrics["held_out_accuracy_0ms"] == pytest.approx(max(accuracies), abs=1e-4)
    assert metrics["held_out_accuracy_0ms"] >= metrics["before_held_out_accuracy"]
    assert load_contract(tmp_path / "m").metrics == metrics


def mislabelled(subject=7):
    """A person whose movements are called by others' names, but for the held-out repetition."""
    recording = ring_subject(subject)
    wrong = np.isin(recording.repetitions, (1, 3))
    recording.labels[wrong] = np.array([1, 2, 3, 0], dtype=np.int16)[recording.labels[wrong]]
    return recording


LONGER = FinetuneOptions(shorten=0.25)
"""Long enough for the MLP to learn wrong names."""


def test_what_is_worse_is_refused_and_nothing_is_written(tmp_path, ring_people):
    with pytest.raises(TrainingError) as caught:
        finetune(ring_people, [mislabelled()], tmp_path / "out", LONGER, quiet)
    said = str(caught.value)
    assert "% of the held-out repetition and was on" in said
    assert f"so nothing was written: keep {ring_people}" in said
    assert "insist with --keep-worse" in said
    assert not list(tmp_path.iterdir())


def test_what_is_worse_is_kept_on_demand_after_a_refusal_too(tmp_path, ring_people):
    with pytest.raises(TrainingError, match="--keep-worse"):
        finetune(ring_people, [mislabelled()], tmp_path / "out", LONGER, quiet)
    insist = LONGER.model_copy(update={"keep_worse": True})
    contract = finetune(ring_people, [mislabelled()], tmp_path / "out", insist, quiet)
    metrics = contract.metrics
    assert metrics["held_out_accuracy_0ms"] < metrics["before_held_out_accuracy"]
    load_checkpoint(tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_repetition_that_the_checkpoint_has_learnt_refuses_nothing(tmp_path, ring_people):
    """Before would be the accuracy on training data, which no result need reach."""
    contract = finetune(ring_people, [mislabelled(1)], tmp_path / "out", LONGER, quiet)
    assert contract.history[-1].held_out == (4,)
    assert contract.metrics == {}


def test_a_refusal_keeps_the_older_checkpoint(tmp_path, ring_people):
    finetune(ring_people, [ring_subject(1)], tmp_path / "out", ONE, quiet)
    before = weights(tmp_path / "out")
    with pytest.raises(TrainingError, match="nothing was written"):
        finetune(ring_people, [mislabelled()], tmp_path / "out", LONGER, quiet)
    after = weights(tmp_path / "out")
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


# ---------------------------------------------------------------------------------- refused
def test_several_people(tmp_path, base):
    with pytest.raises(OptionError, match="one person and 2 were given: choose one"):
        finetune(base, iter([small_subject(3), small_subject(4)]), tmp_path / "m", TUNE, quiet)
    assert not list(tmp_path.iterdir())


def test_a_movement_that_the_checkpoint_lacks(tmp_path, base):
    recording = small_subject(3)
    labels = np.where(recording.labels == 3, 8, recording.labels).astype(np.int16)
    with pytest.raises(ContractMismatchError, match="hold label 8, which the checkpoint does not"):
        finetune(base, [replace(recording, labels=labels)], tmp_path / "m", TUNE, quiet)


def test_a_recording_that_does_not_fit_the_checkpoint(tmp_path, base):
    other = replace(small_subject(3), spec=SignalSpec(CHANNELS, 2000.0, "V"))
    with pytest.raises(ContractMismatchError, match="small subject 3 runs at 2000 Hz"):
        finetune(base, [other], tmp_path / "m", TUNE, quiet)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("asked", [(1, 2), (5,)])
def test_a_test_repetition_is_forbidden(tmp_path, base, asked):
    tune = FinetuneOptions(repetitions=asked)
    with pytest.raises(OptionError, match=f"repetition {asked[-1]} is kept for testing: train on"):
        finetune(base, [small_subject(3)], tmp_path / "model", tune, quiet)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_checkpoint(tmp_path, base):
    (tmp_path / "notes.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="is not a checkpoint: choose another folder"):
        finetune(base, [small_subject()], tmp_path, TUNE, quiet)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_no_checkpoint_to_start_from(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint at"):
        finetune(Path(tmp_path / "none"), [small_subject()], tmp_path / "m", TUNE, quiet)
