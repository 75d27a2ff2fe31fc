"""What the published code gets wrong, one test each: see docs on the method.

The numbers are those of the list there. Item 7 is about what is missing, not about a mistake.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from subjects import SMOKE, TEST, quiet, small_subject

from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.features import closed_form
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.montage import Montage
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.reference import TorchBackend
from semgfin_rt.recordings.db2 import recording_from
from semgfin_rt.recordings.synthetic import synthetic_variables
from semgfin_rt.train import dataset
from semgfin_rt.train.fit import fit
from semgfin_rt.train.objectives import Objective
from semgfin_rt.train.r2 import R2
from semgfin_rt.train.recipes import RECIPES
from semgfin_rt.train.test_windows import TestWindows

CPU = torch.device("cpu")
TRAINING = (1, 3, 4, 6)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    out = tmp_path_factory.mktemp("mistakes") / "model"
    fit([small_subject()], out, SMOKE, quiet)
    return load_checkpoint(out)


def scaler_of(contract):
    return Scaler(contract.scale_mean, contract.scale_std)


def windows_of(recording, contract, repetitions):
    windowing = Windowing(contract.window, contract.hop)
    return dataset.TrainingWindows.build(
        [recording],
        repetitions,
        contract.classes,
        windowing,
        contract.horizons,
        [scaler_of(contract)],
    )


def filtered(recording, contract):
    return dataset.filtered(recording, contract.filter_sos)


def test_1_a_horizon_is_later_in_time_for_features_and_movement_alike(model):
    network, contract = model
    recording = filtered(small_subject(), contract)
    windows = windows_of(recording, contract, TRAINING)
    signal = scaler_of(contract)(recording.samples)
    batch = windows.gather(np.arange(len(windows)))
    objective = Objective(network, contract, RECIPES["realtime"], 0, CPU)
    targets = objective.targets(batch.samples).numpy()
    mean, std = (np.array(v)[:, None] for v in (contract.feature_mean, contract.feature_std))
    matrix = Montage.of(contract).matrix
    moved = 0
    for row in range(0, len(windows), 13):
        for h, ahead in enumerate(contract.horizons):
            newest = windows.newest[row] + ahead
            if not windows.valid[row, h]:
                continue
            later = signal[newest - contract.window + 1 : newest + 1]
            derived = later @ matrix.T
            expected = (closed_form(derived, contract.features) - mean) / std
            np.testing.assert_allclose(targets[row, h], expected, atol=2e-3)
            label = contract.class_ids[windows.classes[row, h]]
            assert label == recording.labels[newest]
            moved += label != recording.labels[windows.newest[row]]
    assert moved  # movement boundaries are forecast, not skipped


def test_2_test_windows_are_scaled_with_training_statistics(model):
    network, contract = model
    backend = TorchBackend(network, contract, CPU)
    plain = small_subject()
    loud = plain.samples.copy()
    loud[plain.repetitions == 5] *= 30  # other test windows, later on
    outputs = []
    for recording in (plain, replace(plain, samples=loud)):
        windows = TestWindows.build(filtered(recording, contract), contract, (2,))
        outputs.append(backend.imitate(windows.windows(slice(None), contract.window)))
    assert torch.equal(*outputs)
    # and a louder window looks louder
    quiet_one, loud_one = (
        closed_form(
            TestWindows.build(filtered(r, contract), contract, (5,)).windows(slice(None), 100),
            ("rms",),
        ).mean()
        for r in (plain, replace(plain, samples=loud))
    )
    assert loud_one == pytest.approx(30 * quiet_one, rel=0.05)


def test_3_the_classifier_is_in_eval_mode_and_was_chosen_on_a_held_out_training_repetition(model):
    network, contract = model
    (record,) = contract.history
    assert set(record.held_out) < set(record.repetitions)
    assert TEST.isdisjoint(record.repetitions)
    backend = TorchBackend(network.train(), contract, CPU)
    windows = TestWindows.build(filtered(small_subject(), contract), contract, sorted(TEST))
    x = windows.windows(slice(None), contract.window)
    together = backend.classify(backend.imitate(x))
    one_by_one = np.concatenate([backend.classify(backend.imitate(x[i : i + 1])) for i in range(9)])
    np.testing.assert_allclose(np.exp(one_by_one), np.exp(together[:9]), atol=1e-4)
    np.testing.assert_array_equal(backend.classify(backend.imitate(x)), together)  # no dropout


def test_4_r2_is_over_the_whole_test_set_and_not_clamped():
    target = np.array([1.0, 2.0, 3.0, 4.0]).reshape(4, 1, 1, 1)
    estimate = np.array([4.0, 3.0, 2.0, 1.0]).reshape(4, 1, 1, 1)
    r2 = R2((1, 1, 1))
    for i in range(4):  # one window at a time has no variance of its own
        r2.add(estimate[i : i + 1], target[i : i + 1], np.ones((1, 1), bool))
    assert r2.pooled()[0, 0] == pytest.approx(1 - 20 / 5)
    assert r2.channel_median()[0, 0] == pytest.approx(-3.0)


def test_5_refined_labels_go_with_refined_repetitions():
    arrays = synthetic_variables(
        2, 0, movements=2, repetitions=2, movement_s=1.0, rest_s=1.0, n_channels=2
    )
    recording = recording_from(arrays, "S2", "S2_E1_A1.mat", "S2_E1_A1.mat")
    n = len(recording.labels)
    labels, repetitions = (arrays[k].ravel()[:n] for k in ("restimulus", "rerepetition"))
    moving = labels > 0
    np.testing.assert_array_equal(recording.labels, labels)
    np.testing.assert_array_equal(recording.repetitions[moving], repetitions[moving])
    prompted = arrays["repetition"].ravel()[:n]
    assert (prompted[moving] != repetitions[moving]).any()  # the pairing matters


@pytest.mark.parametrize(("one", "other"), [(TRAINING, (2, 5)), ((1, 3, 4), (6,))])
def test_6_training_windows_overlap_no_held_out_and_no_test_window(model, one, other):
    _, contract = model
    recording = filtered(small_subject(), contract)
    touched = []
    for repetitions in (one, other):
        windows = windows_of(recording, contract, repetitions)
        samples = windows.newest[:, None] + np.arange(1 - contract.window, 1)
        later = [samples[windows.valid[:, h]] + ahead for h, ahead in enumerate(contract.horizons)]
        touched.append(set(np.concatenate([samples, *later]).ravel().tolist()))
    assert all(touched)
    assert touched[0].isdisjoint(touched[1])


def test_random_weights_are_what_training_starts_from(model):
    """Guards the tests above: the model is trained, not merely built."""
    network, contract = model
    torch.manual_seed(SMOKE.seed)
    fresh = Network(contract).state_dict()["imitator.fins.0.head.weight"]
    assert not torch.equal(network.state_dict()["imitator.fins.0.head.weight"], fresh)
