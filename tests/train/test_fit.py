"""Recordings to checkpoint, whole: what it holds, what it never saw, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from subjects import (
    CHANNELS,
    SMOKE,
    TEST,
    assert_same_weights,
    options,
    quiet,
    small_subject,
    weights,
)

from semgfin_rt.contracts import SignalSpec
from semgfin_rt.dsp.filters import design_filter
from semgfin_rt.errors import (
    CheckpointError,
    ContractMismatchError,
    OptionError,
    TrainingError,
)
from semgfin_rt.features import PAPER_FEATURES, RICH_FEATURES, closed_form
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.checkpoint_folder import CARD, load_contract
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.reference import TorchBackend
from semgfin_rt.train import dataset
from semgfin_rt.train.fit import fit
from semgfin_rt.train.options import FitOptions

TRAINING = (1, 3, 4, 6)
PAPER = FitOptions(preset="paper", window_ms=30, horizons_ms=(0, 20), shorten=2e-6)


# ------------------------------------------------------------------------------ the result
def test_the_contract_is_complete(base):
    network, contract = load_checkpoint(base)
    recordings = [small_subject(1), small_subject(2)]
    assert not network.training
    assert contract.spec == recordings[0].spec
    assert contract.preset == "realtime"
    assert (contract.window, contract.hop, contract.network.patch) == (100, 10, 10)
    assert contract.horizons_ms == (0, 50)
    assert contract.class_ids == (0, 1, 2, 3)
    assert contract.classifier_features == RICH_FEATURES
    assert set(PAPER_FEATURES) < set(contract.features)
    assert contract.filter_sos == design_filter(1000.0)
    assert contract.rest_gate is None
    assert contract.test_repetitions == (2, 5)
    assert (contract.ring, contract.rotation, contract.mirrored) == ((), 0, False)
    assert contract.network.derivations == ("channel", "average")
    filtered = [dataset.filtered(r, contract.filter_sos) for r in recordings]
    scaler = dataset.fit_scaler(filtered, TRAINING)
    np.testing.assert_allclose(contract.scale_mean, scaler.mean)
    np.testing.assert_allclose(contract.scale_std, scaler.std)


def training_windows(contract, recordings):
    """Each person's signal z-scored with its own statistics."""
    filtered = [dataset.filtered(r, contract.filter_sos) for r in recordings]
    scalers = [dataset.fit_scaler([r], TRAINING) for r in filtered]
    windowing = dataset.Windowing(contract.window, contract.hop)
    return dataset.TrainingWindows.build(
        filtered, TRAINING, contract.classes, windowing, (0,), scalers
    )


def test_feature_statistics_are_those_of_the_training_windows(base):
    _, contract = load_checkpoint(base)
    windows = training_windows(contract, [small_subject(1), small_subject(2)])
    samples = windows.gather(np.arange(len(windows))).samples.double().numpy()
    derived = np.concatenate([samples, samples - samples.mean(axis=2, keepdims=True)], axis=2)
    values = closed_form(derived, contract.features)
    np.testing.assert_allclose(contract.feature_mean, values.mean(axis=(0, 2)), rtol=1e-4)
    np.testing.assert_allclose(contract.feature_std, values.std(axis=(0, 2)), rtol=1e-4)


@pytest.mark.parametrize("gain", [4, 0.25])
def test_how_loud_a_person_is_does_not_matter(tmp_path, base, gain):
    """To the bit, where the gain is one of binary numbers."""
    other = small_subject(2)
    louder = replace(other, samples=np.float32(gain) * other.samples)
    contract = fit([small_subject(1), louder], tmp_path / "m", SMOKE, quiet)
    assert_same_weights(base, tmp_path / "m")
    assert contract.scale_std != load_contract(base).scale_std  # for somebody who is not adapted to


# --------------------------------------------------------------------------------- controls
def test_features_that_are_computed_need_no_training(tmp_path):
    stages = []
    computed = options(imitator="closed_form")
    contract = fit([small_subject()], tmp_path / "m", computed, lambda s, *_: stages.append(s))
    assert set(stages) == set(contract.history[0].steps) == {"classifier", "all repetitions"}
    assert not [name for name in weights(tmp_path / "m") if name.startswith("imitator")]
    network, contract = load_checkpoint(tmp_path / "m")
    windows = training_windows(contract, [small_subject()]).gather(np.arange(7)).samples
    backend = TorchBackend(network, contract, torch.device("cpu"))
    features = backend.features(backend.imitate(windows.numpy()))
    expected = closed_form(windows.numpy(), contract.features)
    for h in range(2):
        np.testing.assert_allclose(features[:, h], expected, rtol=1e-3, atol=1e-3)


def test_the_published_network_on_features_that_are_computed(tmp_path):
    computed = PAPER.model_copy(update={"imitator": "closed_form"})
    fit([small_subject()], tmp_path / "m", computed, quiet)
    network, contract = load_checkpoint(tmp_path / "m")
    assert (contract.network.imitator, contract.network.k_outputs) == ("closed_form", 12)
    assert network(torch.randn(2, 30, 3)).shape == (2, 2, 3)


def test_without_pre_training_the_fin_learns_from_labels(tmp_path, base):
    recordings = [small_subject(1), small_subject(2)]
    contract = fit(recordings, tmp_path / "m", options(pretrain=False), quiet)
    steps = contract.history[0].steps
    assert set(steps) == {"FIN from labels", "classifier", "all repetitions"}
    assert steps["FIN from labels"] == load_contract(base).history[0].steps["FIN"]
    torch.manual_seed(SMOKE.seed)
    fresh = Network(contract).state_dict()
    taught, imitating = weights(tmp_path / "m"), weights(base)
    fins = [name for name in fresh if name.startswith("imitator.")]
    assert fins
    for name in fins:
        assert not torch.equal(taught[name], fresh[name])
        assert not torch.equal(taught[name], imitating[name])


def test_the_history_tells_where_the_weights_come_from(base):
    (record,) = load_contract(base).history
    assert (record.command, record.dataset, record.subjects) == ("fit", "synthetic", (1, 2))
    assert record.repetitions == TRAINING
    assert set(record.held_out) < set(TRAINING)
    assert len(record.held_out) == 1
    assert TEST.isdisjoint(record.repetitions + record.held_out)
    assert record.data_sha256 == dataset.data_sha256([small_subject(1), small_subject(2)])
    assert record.windows > 500
    assert set(record.steps) == {"FIN", "classifier", "all repetitions"}
    assert all(steps >= 1 for steps in record.steps.values())
    assert record.seconds > 0
    assert record.versions["torch"] == str(torch.__version__)
    accuracies = [v for name, v in record.chosen.items() if "accuracy" in name]
    assert len(accuracies) >= 2  # candidates to choose between
    assert all(0 <= value <= 1 for value in accuracies)
    for ms in (0, 50):
        assert 0 <= record.chosen[f"mix at {ms} ms"] <= 1
        assert 0 <= load_contract(base).metrics[f"held_out_accuracy_{ms}ms"] <= 1


def test_nothing_but_the_checkpoint_is_left(base):
    assert [p.name for p in base.parent.iterdir()] == ["base"]
    card = (base / CARD).read_text()
    assert "synthetic subjects" in card
    assert "never seen in training: 2, 5" in card


def test_the_same_seed_gives_the_same_weights_and_another_others(tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        fit([small_subject()], tmp_path / name, options(seed=seed), quiet)
    assert_same_weights(tmp_path / "one", tmp_path / "two")
    name = "imitator.fins.0.head.weight"
    assert not torch.equal(weights(tmp_path / "one")[name], weights(tmp_path / "other")[name])


@pytest.mark.parametrize("rest", [True, False])
def test_rest_as_a_class_or_a_gate(tmp_path, rest):
    out = tmp_path / "model"
    contract = fit([small_subject()], out, options(rest=rest), quiet)
    assert contract == load_contract(out)
    assert contract.has_rest is rest
    assert contract.class_ids == ((0, 1, 2, 3) if rest else (1, 2, 3))
    assert (contract.rest_gate is None) is rest


@pytest.mark.parametrize("classifier", ["cnn", "mlp"])
def test_options_reach_the_checkpoint(tmp_path, classifier):
    out = tmp_path / "model"
    chosen = options(
        features=("mav", "zc"),
        classifier=classifier,
        per_channel=True,
        band=(30.0, 200.0),
        notch=50.0,
        horizons_ms=(0, 20, 100),
        hop_ms=20,
    )
    fit([small_subject()], out, chosen, quiet)
    network, contract = load_checkpoint(out)
    assert contract.features == contract.classifier_features == ("mav", "zc")
    assert contract.filter_sos == design_filter(1000.0, (30, 200), notch=50)
    assert (contract.hop, contract.network.patch, contract.network.copies) == (20, 20, 3)
    assert contract.network.classifier == classifier
    assert contract.horizons == (0, 20, 100)
    assert len(network.imitator.fins) == 3


@pytest.fixture(scope="module")
def paper(tmp_path_factory) -> Path:
    """A checkpoint of the published network, a few steps old."""
    out = tmp_path_factory.mktemp("paper") / "paper"
    fit([small_subject()], out, PAPER, quiet)
    return out


def test_the_paper_preset_end_to_end(paper):
    network, contract = load_checkpoint(paper)
    assert contract.features == contract.classifier_features == PAPER_FEATURES
    assert contract.filter_sos == ()
    assert contract.class_ids == (1, 2, 3)
    assert contract.rest_gate is not None
    spec = contract.network
    assert (spec.patch, spec.layers, spec.bidirectional, spec.k_outputs) == (1, 3, True, 12)
    assert (spec.trunks, spec.copies, spec.classifier) == (4, 3, "cnn")
    fins = network.imitator.fins
    assert len(fins) == 12
    first, second = fins[0].head.weight, fins[1].head.weight  # copies that were then tuned
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, second, atol=0.05, rtol=0)


# ----------------------------------------------------------------------------- never looked at
def test_what_is_in_the_test_repetitions_changes_nothing(tmp_path):
    """Even NaN: without filter, no sample of theirs reaches anything that is learnt or chosen."""
    clean = small_subject()
    samples, labels = clean.samples.copy(), clean.labels.copy()
    tested = np.isin(clean.repetitions, list(TEST))
    samples[tested] = np.nan
    labels[tested] = 0
    for name, recording in (
        ("clean", clean),
        ("marked", replace(clean, samples=samples, labels=labels)),
    ):
        fit([recording], tmp_path / name, options(band="none"), quiet)
    assert_same_weights(tmp_path / "clean", tmp_path / "marked")
    ours, theirs = (load_contract(tmp_path / name) for name in ("clean", "marked"))
    assert ours.feature_mean == theirs.feature_mean
    assert ours.scale_std == theirs.scale_std
    assert ours.history[0].chosen == theirs.history[0].chosen


@pytest.mark.parametrize("asked", [(1, 2), (5,)])
def test_a_test_repetition_is_forbidden(tmp_path, asked):
    said = f"repetition {asked[-1]} is kept for testing: train on 1, 3, 4, 6"
    with pytest.raises(OptionError, match=said):
        fit([small_subject()], tmp_path / "model", options(repetitions=asked), quiet)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------- refused
def test_a_repetition_that_is_not_there(tmp_path):
    with pytest.raises(OptionError, match="repetition 9 is not in the data: it has 1, 2, 3"):
        fit([small_subject()], tmp_path / "model", options(repetitions=(1, 9)), quiet)


def test_recordings_of_different_signals(tmp_path):
    other = replace(small_subject(2), spec=SignalSpec(CHANNELS, 2000.0, "V"))
    with pytest.raises(ContractMismatchError, match="does not go with"):
        fit([small_subject(), other], tmp_path / "model", SMOKE, quiet)


def test_a_folder_that_is_no_checkpoint(tmp_path):
    (tmp_path / "notes.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="is not a checkpoint: choose another folder"):
        fit([small_subject()], tmp_path, SMOKE, quiet)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_somebody_who_shows_nothing_before_the_held_out_repetition(tmp_path):
    late = small_subject(2)
    kept = np.isin(late.repetitions, (2, 6))
    samples, labels, repetitions = (a[kept] for a in (late.samples, late.labels, late.repetitions))
    late = replace(late, samples=samples, labels=labels, repetitions=repetitions)
    said = "small subject 2 shows no movement in repetitions 1, 3, 4: leave it out, or choose"
    with pytest.raises(TrainingError, match=said):
        fit([small_subject(1), late], tmp_path / "m", SMOKE, quiet)


@pytest.mark.parametrize(
    "changes",
    [
        {"hop_ms": 0.1},
        {"hop_ms": 200},
        {"window_ms": 95},
        {"horizons_ms": (0, 55)},
        {"horizons_ms": ()},
        {"horizons_ms": (50, 0)},
        {"features": ()},
        {"features": ("rms", "kurtosis")},
        {"band": (450.0, 20.0)},
        {"device": "abacus"},
        {"preset": "paper", "window_ms": 30, "features": ()},
    ],
)
def test_options_that_do_not_go_together(tmp_path, changes):
    with pytest.raises(OptionError):
        fit([small_subject()], tmp_path / "model", options(**changes), quiet)


@pytest.mark.parametrize(
    "changes", [{"shorten": 0}, {"shorten": 1.5}, {"seed": -1}, {"window_ms": 0}, {"nonsense": 1}]
)
def test_options_out_of_range(changes):
    with pytest.raises(ValidationError):
        options(**changes)


def test_a_notch_without_a_band_is_not_forgotten(tmp_path):
    try:
        contract = fit([small_subject()], tmp_path / "m", options(band="none", notch=50.0), quiet)
    except OptionError:
        return
    assert contract.filter_sos


def test_a_single_movement_without_rest(tmp_path):
    recording = small_subject()
    one = replace(recording, labels=np.minimum(recording.labels, 1))
    assert fit([one], tmp_path / "model", options(rest=False), quiet).class_ids == (1,)
    load_checkpoint(tmp_path / "model")
