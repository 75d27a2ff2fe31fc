"""Figures of a checkpoint, each against a slower way to the same number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from subjects import CHANNELS, SMOKE, TEST, quiet, small_subject

from semgfin_rt.contracts import NO_LABEL, SignalSpec
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.errors import ContractMismatchError, OptionError
from semgfin_rt.features import RICH_FEATURES, closed_form
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.reference import TorchBackend
from semgfin_rt.train import dataset
from semgfin_rt.train.evaluate import evaluate
from semgfin_rt.train.fit import fit
from semgfin_rt.train.heads import lda
from semgfin_rt.train.options import FitOptions
from semgfin_rt.train.test_windows import TestWindows

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Contract and backend of a network that was trained a little longer."""
    out = tmp_path_factory.mktemp("evaluate") / "model"
    options = FitOptions(**(SMOKE.model_dump() | {"shorten": 0.1}))
    fit([small_subject(1), small_subject(2)], out, options, quiet)
    network, contract = load_checkpoint(out)
    return contract, TorchBackend(network, contract, CPU)


@pytest.fixture(scope="module")
def figures(trained):
    return evaluate(*trained, [small_subject(1), small_subject(2)], None, quiet)


def filtered(recording, contract):
    return dataset.filtered(recording, contract.filter_sos)


def signal_of(recording, contract):
    """The whole signal, filtered and z-scored."""
    scaler = Scaler(contract.scale_mean, contract.scale_std)
    return scaler(filtered(recording, contract).samples)


def naive_windows(recording, contract, repetitions=TEST):
    """(newest, truth of each horizon, steady of each horizon), by a loop over all samples."""
    rows = []
    for start, stop in recording.stretches:
        for first in range(start, stop - contract.window + 1, contract.hop):
            newest = first + contract.window - 1
            if not {int(recording.repetitions[i]) for i in (first, newest)} <= set(repetitions):
                continue
            truth, steady = [], []
            for ahead in contract.horizons:
                target = newest + ahead
                known = target < stop and recording.repetitions[target] in repetitions
                span = slice(first, target + 1)
                runs = set(zip(recording.labels[span], recording.repetitions[span], strict=True))
                truth.append(int(recording.labels[target]) if known else NO_LABEL)
                steady.append(bool(known and len(runs) == 1))
            rows.append((newest, truth, steady))
    return rows


def decide(signal, contract, backend, rows):
    windows = np.stack([signal[n - contract.window + 1 : n + 1] for n, *_ in rows])
    best = backend.classify(backend.imitate(windows)).argmax(-1)
    return np.array(contract.class_ids)[best]


# ------------------------------------------------------------------------------- accuracies
@pytest.mark.parametrize("breaks", [(), (2000, 2050, 6100)])
def test_test_windows_against_a_naive_loop(trained, breaks):
    contract, _ = trained
    recording = small_subject(breaks=breaks)
    windows = TestWindows.build(filtered(recording, contract), contract, sorted(TEST))
    signal = signal_of(recording, contract)
    expected = naive_windows(recording, contract)
    assert windows.newest.tolist() == [n for n, *_ in expected]
    assert windows.truth.tolist() == [t for _, t, _ in expected]
    assert windows.steady.tolist() == [s for *_, s in expected]
    np.testing.assert_array_equal(windows.present, recording.labels[windows.newest])
    length = contract.window
    np.testing.assert_array_equal(
        windows.windows(slice(2, 4), length),
        [signal[n - length + 1 : n + 1] for n in windows.newest[2:4]],
    )


def test_accuracies_against_a_naive_count(trained, figures):
    contract, backend = trained
    everything, steady, ahead = [], [], []
    for subject in (1, 2):
        recording = small_subject(subject)
        rows = naive_windows(recording, contract)
        decided = decide(signal_of(recording, contract), contract, backend, rows)
        for (_, truth, still), labels in zip(rows, decided, strict=True):
            everything.append(labels[0] == truth[0])
            if still[0]:
                steady.append(labels[0] == truth[0])
            if truth[1] != NO_LABEL:
                ahead.append(labels[1] == truth[1])
    assert len(steady) < len(everything)
    assert figures["windows"] == len(everything)
    assert figures["accuracy"] == pytest.approx(np.mean(everything))
    assert figures["accuracy_steady"] == pytest.approx(np.mean(steady))
    assert figures["accuracy_by_horizon"]["0"] == figures["accuracy"]
    assert figures["accuracy_by_horizon"]["50"] == pytest.approx(np.mean(ahead))


def test_a_trained_network_beats_chance_and_the_majority(figures):
    assert figures["accuracy_steady"] > 0.8
    assert figures["accuracy"] > figures["controls"]["majority"] + 0.1
    assert figures["balanced_accuracy"] > 0.6  # chance is 0.25


def test_a_network_of_random_weights_does_not(trained):
    contract, _ = trained
    torch.manual_seed(0)
    random = type(trained[1]._network)(contract)
    found = evaluate(contract, TorchBackend(random, contract, CPU), [small_subject()], None, quiet)
    assert found["balanced_accuracy"] < 0.45
    assert found["controls"]["lda"] > 0.8  # does not ask the network


def test_keys(figures, trained):
    contract, _ = trained
    assert {
        "accuracy",
        "accuracy_steady",
        "balanced_accuracy",
        "accuracy_by_horizon",
        "accuracy_by_subject",
        "controls",
        "r2",
        "r2_channel_median",
        "r2_by_horizon",
        "windows",
        "test_repetitions",
        "seen_in_training",
        "dataset",
        "preset",
    } <= set(figures)
    assert {
        "lda",
        "majority",
        "persistence_by_horizon",
        "truth_persistence_by_horizon",
    } <= set(figures["controls"])
    assert figures["test_repetitions"] == [2, 5]
    assert figures["seen_in_training"] is False
    assert set(figures["accuracy_by_subject"]) == {"1", "2"}
    assert set(figures["r2"]) == set(figures["r2_channel_median"]) == set(contract.features)
    assert set(figures["r2_by_horizon"]) == {"0", "50"}
    assert figures["r2_by_horizon"]["0"] == figures["r2"]
    assert figures["controls"]["truth_persistence_by_horizon"]["0"] == 1.0


def test_scoring_what_was_trained_on_says_so(trained):
    found = evaluate(*trained, [small_subject()], (3,), quiet)
    assert found["seen_in_training"] is True
    assert found["test_repetitions"] == [3]
    assert evaluate(*trained, [small_subject(9)], (3,), quiet)["seen_in_training"] is False


def test_no_window_to_score(trained):
    with pytest.raises(OptionError, match="no window of small subject 1 lies in repetitions 9"):
        evaluate(*trained, [small_subject()], (9,), quiet)


def test_a_recording_that_does_not_fit(trained):
    other = replace(small_subject(), spec=SignalSpec(CHANNELS, 1000.0, "count"))
    with pytest.raises(ContractMismatchError, match="small subject 1 is in count"):
        evaluate(*trained, [other], None, quiet)


# --------------------------------------------------------------------------------- controls
def rich(signal, newest, length):
    windows = np.stack([signal[n - length + 1 : n + 1] for n in newest])
    return closed_form(windows, RICH_FEATURES).reshape(len(newest), -1)


@pytest.mark.parametrize("repetitions", [None, (4,)])
def test_lda_is_trained_on_what_is_neither_tested_nor_kept_for_testing(trained, repetitions):
    contract, backend = trained
    recording = small_subject(2)
    found = evaluate(contract, backend, [recording], repetitions, quiet)
    tested = set(TEST if repetitions is None else repetitions)
    signal = signal_of(recording, contract)
    training, labels = [], []
    for newest, truth, steady in naive_windows(recording, contract, {1, 3, 4, 6} - tested):
        if steady[0]:
            training.append(newest)
            labels.append(truth[0])
    rows = [(n, t[0]) for n, t, s in naive_windows(recording, contract, tested) if s[0]]
    control = lda().fit(rich(signal, training, contract.window), labels)
    predicted = control.predict(rich(signal, [n for n, _ in rows], contract.window))
    expected = np.mean(predicted == [t for _, t in rows])
    assert found["controls"]["lda"] == pytest.approx(expected)
    assert expected > 0.8


# --------------------------------------------------------------------------------------- R2
def test_r2_of_the_imitation_at_every_horizon(trained):
    contract, backend = trained
    recording = small_subject()
    found = evaluate(contract, backend, [recording], None, quiet)
    signal, rows = signal_of(recording, contract), naive_windows(recording, contract)
    length = contract.window
    windows = np.stack([signal[n - length + 1 : n + 1] for n, *_ in rows])
    imitated = backend.features(backend.imitate(windows))
    for h, (ms, ahead) in enumerate(zip(contract.horizons_ms, contract.horizons, strict=True)):
        known = [i for i, (_, truth, _) in enumerate(rows) if truth[h] != NO_LABEL]
        later = np.stack([signal[rows[i][0] + ahead - length + 1 :][:length] for i in known])
        target = closed_form(later, contract.features).astype(float)
        for f, name in enumerate(contract.features):
            expected = r2_score(target[:, f].ravel(), imitated[known, h, f].ravel())
            assert found["r2_by_horizon"][str(ms)][name] == pytest.approx(expected, abs=1e-4)


# ------------------------------------------------------------------------- damaged recordings
def test_a_window_with_a_sample_that_is_not_finite_is_rejected_and_has_no_r2(trained):
    contract, backend = trained
    clean = small_subject(1)
    samples = clean.samples.copy()
    hit = int(np.flatnonzero(clean.repetitions == 2)[600])
    samples[hit, 1] = np.nan
    broken = replace(clean, samples=samples)
    whole, damaged = (evaluate(contract, backend, [r], None, quiet) for r in (clean, broken))
    assert damaged["windows"] == whole["windows"]
    assert damaged["accuracy"] < whole["accuracy"]
    assert all(np.isfinite(v) for v in damaged["r2"].values())


def test_persistence_of_features_is_perfect_now_and_worse_later(figures):
    now, later = (figures["r2_persistence_by_horizon"][ms] for ms in ("0", "50"))
    assert now["log_rms"] == pytest.approx(1.0)
    assert later["log_rms"] < 1.0


def test_one_class_alone_has_no_lda_and_no_traceback(trained):
    recording = small_subject(1)
    alone = replace(recording, labels=np.where(recording.labels == 2, 2, 99).astype(np.int16))
    result = evaluate(*trained, [alone], None, quiet)
    assert result["controls"]["lda"] is None


def test_lda_learns_what_the_checkpoint_learnt_from(trained):
    contract, backend = trained
    base = contract.history[-1]
    few = base.model_copy(update={"repetitions": (3,), "subjects": (1, 8)})
    unlabelled = base.model_copy(update={"repetitions": (), "subjects": (9,)})
    adapted = contract.model_copy(update={"history": (*contract.history, few, unlabelled)})
    people = [small_subject(n) for n in (1, 8, 9)]
    result = evaluate(adapted, backend, people, None, quiet)
    everything = [1, 3, 4, 6]
    learnt = {"1": everything, "8": [3], "9": everything}  # 1 before, and 3 once more
    assert result["controls"]["lda_repetitions"] == learnt
    assert set(result["controls"]["lda_by_subject"].values()).isdisjoint({None})
