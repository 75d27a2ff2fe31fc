"""What training may see, sample by sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from subjects import CHANNELS, CLASSES, MOVE_N, REST_N, TEST, small_subject

from semgfin_rt.contracts import SignalSpec
from semgfin_rt.dsp.filters import CausalFilter, design_filter
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.errors import ContractMismatchError, TrainingError
from semgfin_rt.features import closed_form
from semgfin_rt.model_contract import ClassLabel
from semgfin_rt.train import dataset
from semgfin_rt.train.dataset import TrainingWindows

TRAINING = (1, 3, 4, 6)
WINDOWING = Windowing(100, 10)
HORIZONS = (0, 50, 200)
ALL = tuple(ClassLabel(id=i, name=n) for i, n in CLASSES.items())
AS_IT_IS = Scaler((0.0,) * 3, (1.0,) * 3)


def build(recordings=None, repetitions=TRAINING, classes=ALL, horizons=HORIZONS, scaler=AS_IT_IS):
    recordings = recordings or [small_subject(1), small_subject(2, breaks=(700, 5000))]
    scalers = [scaler] * len(recordings)
    windows = TrainingWindows.build(recordings, repetitions, classes, WINDOWING, horizons, scalers)
    return recordings, windows


def cases(recordings, windows):
    """Every window and horizon: recording, samples of the window and of the target, class."""
    for row, (record, newest) in enumerate(zip(windows.record, windows.newest, strict=True)):
        for h, ahead in enumerate(windows.horizons):
            yield (
                recordings[record],
                np.arange(newest - 99, newest + 1),
                np.arange(newest + ahead - 99, newest + ahead + 1),
                int(windows.classes[row, h]),
                bool(windows.valid[row, h]),
            )


def test_no_window_and_no_target_touches_a_test_repetition():
    recordings, windows = build()
    seen = 0
    for recording, window, target, index, valid in cases(recordings, windows):
        assert TEST.isdisjoint(recording.repetitions[window])
        assert np.unique(recording.labels[window]).size == 1
        if valid:
            seen += 1
            assert TEST.isdisjoint(recording.repetitions[target])
            assert index == recording.labels[target[-1]]
        else:
            assert index == -1
    assert 0 < seen < len(windows) * len(HORIZONS)


def test_samples_of_test_repetitions_reach_no_window_and_no_valid_target():
    """The same, through `gather`: what must not be looked at is marked with NaN."""
    recording = small_subject()
    marked = recording.samples.copy()
    marked[np.isin(recording.repetitions, list(TEST))] = np.nan
    _, windows = build([replace(recording, samples=marked)])
    batch = windows.gather(np.arange(len(windows)))
    samples, valid = batch.samples.numpy(), batch.valid.numpy()
    for h, ahead in enumerate(HORIZONS):
        targets = samples[:, ahead : ahead + 100]
        assert np.isfinite(targets[valid[:, h]]).all()
    assert np.isnan(samples).any()  # behind the invalid targets


def test_targets_never_lie_across_a_break():
    recordings, windows = build([small_subject(1, breaks=(150, 900, 1313))])
    edges = np.array([150, 900, 1313])
    crossing = 0
    for _, window, target, _, valid in cases(recordings, windows):
        assert not ((edges > window[0]) & (edges <= window[-1])).any()
        crosses = ((edges > window[0]) & (edges <= target[-1])).any()
        crossing += crosses
        assert not (crosses and valid)
    assert crossing


def test_the_last_target_of_a_recording_is_inside_it():
    recordings, windows = build(repetitions=(6,))
    n = [len(r.samples) for r in recordings]
    for row, record in enumerate(windows.record):
        inside = windows.newest[row] + np.array(HORIZONS) < n[record]
        np.testing.assert_array_equal(windows.valid[row], inside)
    assert not windows.valid.all()


def test_transitions_and_rest_are_targets_where_rest_is_a_class():
    _, windows = build()
    moving = windows.classes[:, 0] > 0
    ahead = windows.classes[:, 2]
    assert ((ahead == 0) & moving).any()  # the movement ends within the horizon
    assert ((ahead > 0) & ~moving).any()  # it begins


def test_without_rest_no_window_is_at_rest_and_no_target_has_its_class():
    recordings, windows = build(classes=ALL[1:])
    for recording, window, target, index, valid in cases(recordings, windows):
        assert recording.labels[window].all()
        label = recording.labels[target[-1]] if target[-1] < len(recording.labels) else 0
        assert index == (label - 1 if valid and label else -1)


def test_gather_copies_the_samples_of_each_window():
    recordings, windows = build()
    rows = np.array([len(windows) - 1, 0, 5, 5])
    batch = windows.gather(rows)
    assert batch.samples.shape == (4, 300, 3)
    for found, row in zip(batch.samples.numpy(), rows, strict=True):
        newest, signal = windows.newest[row], recordings[windows.record[row]].samples
        expected = signal[newest - 99 : newest + 201]
        np.testing.assert_array_equal(found[: len(expected)], expected)
    np.testing.assert_array_equal(batch.classes, windows.classes[rows])


def test_windows_are_scaled_to_the_bit_as_each_whole_signal_is():
    recordings = [small_subject(1), small_subject(2)]
    scalers = [dataset.fit_scaler([r], TRAINING) for r in recordings]
    windows = TrainingWindows.build(recordings, TRAINING, ALL, WINDOWING, HORIZONS, scalers)
    rows = windows.spread(200)
    found = windows.gather(rows).samples.numpy()[:, :100]
    signals = [scaler(r.samples) for r, scaler in zip(recordings, scalers, strict=True)]
    expected = [signals[windows.record[r]][windows.newest[r] - 99 :][:100] for r in rows]
    assert set(windows.record[rows]) == {0, 1}
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(recordings[0].samples, small_subject(1).samples)


@pytest.mark.parametrize("most", [1, 7, 10**6])
def test_spread(most):
    _, windows = build()
    rows = windows.spread(most)
    assert len(rows) == len(set(rows.tolist())) == min(most, len(windows))
    assert rows[0] == 0
    assert rows[-1] == (len(windows) - 1 if most > 1 else 0)


def test_no_windows_at_all():
    with pytest.raises(TrainingError, match=r"no 100-sample window .* of repetitions 9"):
        build(repetitions=(9,))


# ------------------------------------------------------------------------ scaling and filter
def test_the_scaler_sees_training_repetitions_alone():
    plain = small_subject()
    loud = plain.samples.copy()
    loud[np.isin(plain.repetitions, list(TEST))] *= 1000
    scaler = dataset.fit_scaler([plain], TRAINING)
    assert dataset.fit_scaler([replace(plain, samples=loud)], TRAINING) == scaler
    assert dataset.fit_scaler([replace(plain, samples=loud)], (1, 2)) != scaler
    training = plain.samples[np.isin(plain.repetitions, TRAINING)].astype(np.float64)
    np.testing.assert_allclose(scaler.mean, training.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scaler.std, training.std(axis=0), rtol=1e-6)


def test_each_stretch_is_filtered_from_its_own_beginning():
    recording = small_subject(breaks=(1000,))
    sos = design_filter(1000.0)
    found = dataset.filtered(recording, sos)
    for start, stop in recording.stretches:
        np.testing.assert_array_equal(
            found.samples[start:stop], CausalFilter(sos)(recording.samples[start:stop])
        )
    assert found.samples is not recording.samples
    np.testing.assert_array_equal(recording.samples, small_subject().samples)


# -------------------------------------------------------------------------------- class set
def test_classes_are_those_of_the_training_repetitions():
    recording = small_subject()
    labels = recording.labels.copy()
    labels[(recording.repetitions == 2) & (labels == 3)] = 7  # only ever tested
    labels[(recording.repetitions == 1) & (labels == 3)] = 5  # trained, without a name
    found = dataset.class_set([replace(recording, labels=labels)], TRAINING, rest=True)
    assert [(c.id, c.name) for c in found] == [
        (0, "rest"),
        (1, "fist"),
        (2, "point"),
        (3, "open"),
        (5, "label 5"),
    ]
    assert dataset.class_set([recording], TRAINING, rest=False) == ALL[1:]


@pytest.mark.parametrize(
    "spec",
    [
        SignalSpec(CHANNELS[:2], 1000.0, "V"),
        SignalSpec(CHANNELS, 2000.0, "V"),
        SignalSpec(CHANNELS, 1000.0, "count"),
        SignalSpec(CHANNELS[::-1], 1000.0, "V"),
    ],
)
def test_recordings_of_other_signals_are_refused(spec):
    first, other = small_subject(1), replace(small_subject(2), spec=spec)
    dataset.require_same_signal([first, first])
    with pytest.raises(ContractMismatchError, match=r"small subject 2 .* does not go with"):
        dataset.require_same_signal([first, first, other])


def test_the_hash_tells_data_apart():
    recording = small_subject()
    first = dataset.data_sha256([recording])
    assert dataset.data_sha256([small_subject()]) == first
    for name in ("samples", "labels", "repetitions"):
        changed = getattr(recording, name).copy()
        changed[-1] += 1
        assert dataset.data_sha256([replace(recording, **{name: changed})]) != first
    assert dataset.data_sha256([recording, small_subject(2)]) != first


def test_the_hash_of_data_that_comes_bit_by_bit():
    """Checkpoints name their data by it: it stays what it is from version to version."""
    known = "61059eb5a1d3bda8fb31add0339c603565356682dc8fffd5b03ad020fd6c1cfa"
    assert dataset.data_sha256(small_subject(s) for s in (1, 2)) == known


# -------------------------------------------------------------------------------- rest gate
def test_rest_threshold_lies_between_rest_and_movement():
    recording = small_subject()
    scaler = dataset.fit_scaler([recording], TRAINING)
    threshold = dataset.rest_threshold([recording], TRAINING, WINDOWING, [scaler])
    signal = scaler(recording.samples)
    rest, movement = [], []
    for start in range(0, len(signal) - 100, 7):
        labels = recording.labels[start : start + 100]
        if len(set(labels.tolist())) == 1:
            energy = closed_form(signal[start : start + 100], ["log_rms"]).mean()
            (movement if labels[0] else rest).append(energy)
    assert max(rest) < threshold
    assert np.mean(np.array(movement) < threshold) < 0.05


def test_rest_threshold_sees_training_repetitions_alone():
    recording = small_subject()
    threshold = dataset.rest_threshold([recording], TRAINING, WINDOWING, [AS_IT_IS])
    loud = recording.samples.copy()
    loud[np.isin(recording.repetitions, list(TEST))] *= 1000
    louder = replace(recording, samples=loud)
    again = dataset.rest_threshold([louder], TRAINING, WINDOWING, [AS_IT_IS])
    assert again == threshold


def test_rest_threshold_without_rest_or_without_movement():
    recording = small_subject()
    for only in (np.zeros_like(recording.labels), np.ones_like(recording.labels)):
        one = replace(recording, labels=only)
        assert dataset.rest_threshold([one], TRAINING, WINDOWING, [AS_IT_IS]) is None


def test_the_recording_is_as_these_tests_think():
    recording = small_subject()
    assert len(recording.samples) == 18 * (MOVE_N + REST_N)
    assert set(np.unique(recording.repetitions)) == {1, 2, 3, 4, 5, 6}
