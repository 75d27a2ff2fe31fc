"""What the held-out repetition decides, what it does not, and that people are turned alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from rings import MONTAGE, ring_subject
from subjects import assert_same_weights, options, quiet, small_subject, weights

from semgfin_rt.features import closed_form
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.montage import Alignment
from semgfin_rt.train import dataset, heads, loop, outcome
from semgfin_rt.train.fit import fit

FEATURES = ("log_rms", "log_wl", "mnf")
COMPUTED = options(imitator="closed_form", features=FEATURES, shorten=0.02)
HELD = 4


def relabelled(recording, repetition):
    """Call the movements of one repetition by others' names."""
    there = recording.repetitions == repetition
    labels = recording.labels.copy()
    labels[there] = np.array([1, 2, 3, 0], dtype=np.int16)[labels[there]]
    return replace(recording, labels=labels)


def noisy(recording):
    """Make the movements hard to tell apart."""
    noise = np.random.default_rng(recording.subject + 50).standard_normal(recording.samples.shape)
    return replace(
        recording, samples=recording.samples + np.float32(3e-5) * noise.astype(np.float32)
    )


def train(folder, recordings, chosen=COMPUTED):
    """Fit, and give the contract and the losses of each stage."""
    losses: dict[str, list[float]] = {}
    contract = fit(
        recordings,
        folder,
        chosen,
        lambda stage, _s, _n, loss: losses.setdefault(stage, []).append(loss),
    )
    return contract, losses


def mixes_of(contract):
    return {k: v for k, v in contract.history[-1].chosen.items() if k.startswith("mix at")}


# -------------------------------------------------------------------------------- held out
def test_the_held_out_repetition_is_not_learnt_before_it_has_decided(tmp_path):
    contract, losses = train(tmp_path / "m", [ring_subject(1)])
    assert contract.history[0].held_out == (HELD,)
    again, changed = train(tmp_path / "held", [relabelled(ring_subject(1), HELD)])
    assert changed["classifier"] == losses["classifier"]
    assert changed["all repetitions"] != losses["all repetitions"]
    # and it is what the candidates are compared on
    assert contract.metrics["held_out_accuracy_0ms"] > 0.85
    assert again.metrics["held_out_accuracy_0ms"] < 0.3


def test_every_other_repetition_is_learnt(tmp_path):
    _, losses = train(tmp_path / "m", [ring_subject(1)])
    for repetition in (1, 3):
        _, changed = train(tmp_path / "other", [relabelled(ring_subject(1), repetition)])
        assert changed["classifier"] != losses["classifier"]


def test_the_closed_form_candidate_is_lda_of_the_others_on_the_held_out_repetition(tmp_path):
    """Scikit-learn's, on two people whose features are normalised by hand."""
    recordings = [noisy(ring_subject(1)), noisy(ring_subject(2))]
    contract, _ = train(tmp_path / "m", recordings)
    mean, std = (np.array(v)[:, None] for v in (contract.feature_mean, contract.feature_std))
    fitted, held = [], []
    for recording in recordings:
        filtered = dataset.filtered(recording, contract.filter_sos)
        scaler = dataset.fit_scaler([filtered], (1, 3, 4))
        parts = []
        for repetitions in ((1, 3), (HELD,)):
            windows = dataset.TrainingWindows.build(
                [filtered],
                repetitions,
                contract.classes,
                dataset.Windowing(contract.window, contract.hop),
                (0,),
                [scaler],
            )
            samples = windows.gather(np.arange(len(windows))).samples.double().numpy()
            features = closed_form(samples @ MONTAGE.matrix.T.astype(float), FEATURES)
            parts.append(((features - mean) / std).reshape(len(windows), -1))
            parts.append(windows.classes[:, 0])
        inputs, classes, inputs_held, classes_held = parts
        groups = [inputs[classes == c] for c in range(4)]
        shift = np.mean([g.mean(0) for g in groups], 0)
        scale = np.sqrt(np.mean([((g - shift) ** 2).mean(0) for g in groups], 0))
        fitted.append(((inputs - shift) / scale, classes))
        held.append(((inputs_held - shift) / scale, classes_held))
    lda = heads.lda().fit(*(np.concatenate(p) for p in zip(*fitted, strict=True)))
    expected = lda.score(*(np.concatenate(p) for p in zip(*held, strict=True)))
    found = contract.history[0].chosen["held-out accuracy, 0 ms, mix 1"]
    assert found == pytest.approx(expected, abs=0.004)  # a window on the boundary, and rounding
    assert 0.4 < found < 0.97


def test_the_best_of_the_candidates_is_taken(tmp_path):
    contract, _ = train(tmp_path / "m", [ring_subject(1)])
    chosen = contract.history[0].chosen
    prefix = "held-out accuracy, 0 ms, mix "
    by_mix = {float(k.removeprefix(prefix)): v for k, v in chosen.items() if k.startswith(prefix)}
    assert set(by_mix) == set(heads.MIXES)
    assert chosen["mix at 0 ms"] == heads.best_mix(by_mix)
    stored = weights(tmp_path / "m")
    for h, ms in enumerate((0, 50)):
        assert stored[f"classifiers.{h}.mix"].item() == pytest.approx(chosen[f"mix at {ms} ms"])
    assert contract.metrics["held_out_accuracy_0ms"] == pytest.approx(
        max(by_mix.values()), abs=1e-4
    )


def test_a_single_repetition_holds_nothing_out(tmp_path):
    contract, losses = train(
        tmp_path / "m", [ring_subject(1)], COMPUTED.model_copy(update={"repetitions": (1,)})
    )
    assert losses == {}
    record = contract.history[0]
    assert (record.held_out, record.steps, record.chosen, contract.metrics) == ((), {}, {}, {})
    stored = weights(tmp_path / "m")
    assert all(stored[f"classifiers.{h}.mix"] == 1 for h in (0, 1))
    assert stored["classifiers.0.linear_weight"].any()


def test_the_last_head_is_fitted_to_all_repetitions(tmp_path):
    train(tmp_path / "m", [ring_subject(1)])
    train(tmp_path / "held", [relabelled(ring_subject(1), HELD)])
    ours, theirs = weights(tmp_path / "m"), weights(tmp_path / "held")
    for name in ("linear_weight", "prior_means", "prior_covariance", "shift"):
        assert not torch.equal(ours[f"classifiers.0.{name}"], theirs[f"classifiers.0.{name}"]), name


# ---------------------------------------------------------------------------------- people
def test_the_checkpoint_knows_its_people(tmp_path):
    """The prior is that of the features as the head reads them, each person weighing the same."""
    some = ring_subject(2)
    labels = np.where(some.labels == 3, np.int16(0), some.labels)
    train(tmp_path / "m", [ring_subject(1), replace(some, labels=labels), ring_subject(3)])
    network, _ = load_checkpoint(tmp_path / "m")
    for classifier in network.classifiers:
        assert classifier.prior_people.tolist() == [3, 3, 3, 2]
        covariance = classifier.prior_covariance
        torch.testing.assert_close(covariance, covariance.T)
        assert (torch.linalg.eigvalsh(covariance.double()) > 0).all()
    first = network.classifiers[0]
    # normalised person by person, the classes weighing the same: 0 lies amid the class means
    assert first.prior_means.mean(0).abs().max() < 0.2 * first.prior_means.abs().max()


def turned(means, alignment):
    """Class means (4, n_inputs), in another order of the signals."""
    shaped = means.reshape(4, len(FEATURES), MONTAGE.n_signals, 1)
    return shaped[:, :, torch.from_numpy(MONTAGE.order(alignment))].reshape(means.shape)


WAYS = (Alignment(1), Alignment(4, mirrored=True), Alignment(2))


def test_people_who_wear_the_ring_otherwise_are_turned_alike(tmp_path):
    """What is learnt of them is what it would be if all wore it alike, but for a turn of all."""
    train(tmp_path / "alike", [ring_subject(s) for s in (1, 2, 3)])
    train(tmp_path / "turned", [ring_subject(s, way) for s, way in enumerate(WAYS, start=1)])
    alike, otherwise = weights(tmp_path / "alike"), weights(tmp_path / "turned")
    name = "classifiers.0.prior_means"
    fits = [
        torch.allclose(turned(alike[name], way), otherwise[name], atol=0.02)
        for way in MONTAGE.alignments
    ]
    assert sum(fits) == 1
    # untouched, the mean of three rings is none
    assert alike[name].abs().mean() == pytest.approx(otherwise[name].abs().mean().item(), rel=0.01)


def test_the_mean_person_stands_in_for_somebody_unknown(tmp_path):
    shifts = []
    for s in (1, 2):
        train(tmp_path / str(s), [ring_subject(s)])
    train(tmp_path / "both", [ring_subject(1), ring_subject(2)])
    contracts = [load_checkpoint(tmp_path / name)[1] for name in ("1", "2", "both")]
    for name, contract in zip(("1", "2", "both"), contracts, strict=True):
        # from standardised features back to their own units: the standards differ
        mean, std = (
            torch.tensor(v)[:, None] for v in (contract.feature_mean, contract.feature_std)
        )
        shift = weights(tmp_path / name)["classifiers.0.shift"].reshape(3, MONTAGE.n_signals)
        shifts.append(shift * std + mean)
    torch.testing.assert_close(shifts[2], (shifts[0] + shifts[1]) / 2, atol=1e-3, rtol=1e-3)


# ---------------------------------------------------------------------------------- resume
class StoppedError(Exception):
    """In place of a kill."""


def stop_at(stage_name, at):
    """Stop when so many steps of a stage are done, the last of them not saved."""

    def progress(stage, step, _steps, _loss):
        if (stage, step) == (stage_name, at):
            raise StoppedError

    return progress


PEOPLE = [(1, None), (2, Alignment(2, mirrored=True))]


@pytest.mark.parametrize("save_every_s", [-1.0, 1e9])
@pytest.mark.parametrize("imitator", ["closed_form", "fin"])
def test_stopped_between_and_inside_the_stages(tmp_path, monkeypatch, imitator, save_every_s):
    """At the first step of a stage nothing of it is saved: it stopped between the two."""
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", save_every_s)
    chosen = COMPUTED.model_copy(update={"imitator": imitator})

    def people():
        return [ring_subject(s, way) for s, way in PEOPLE]

    stages: list[str] = []
    whole = fit(people(), tmp_path / "whole", chosen, lambda stage, *_: stages.append(stage))
    steps = stages.count("all repetitions")
    places = [("classifier", 1), ("classifier", 5), ("all repetitions", 1)]
    places += [("all repetitions", 4), ("all repetitions", steps)]
    for place in places:
        with pytest.raises(StoppedError):
            fit(people(), tmp_path / "out", chosen, stop_at(*place))
        assert not (tmp_path / "out").exists()
    left: list[str] = []
    contract = fit(people(), tmp_path / "out", chosen, lambda stage, *_: left.append(stage))
    assert left == ["all repetitions"] * (1 if save_every_s < 0 else steps)
    assert_same_weights(tmp_path / "whole", tmp_path / "out")
    for name in ("chosen", "steps", "windows"):
        assert getattr(contract.history[0], name) == getattr(whole.history[0], name)
    assert contract.metrics == whole.metrics


def test_stopped_when_all_is_trained_and_nothing_written(tmp_path, monkeypatch):
    """As by a full disk: the same command ends with what it would have ended with."""
    fit([small_subject()], tmp_path / "whole", COMPUTED, quiet)

    def full(*_):
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(outcome, "save_checkpoint", full)
        with pytest.raises(StoppedError):
            fit([small_subject()], tmp_path / "out", COMPUTED, quiet)
    told: list[str] = []
    fit([small_subject()], tmp_path / "out", COMPUTED, lambda stage, *_: told.append(stage))
    assert not told
    assert_same_weights(tmp_path / "whole", tmp_path / "out")
