"""Synthetic subjects: DB2's schema and quirks, the physics, and the difficulty."""

import itertools
import re

import numpy as np
import pytest
from scipy import signal
from scipy.io import whosmat
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from semgfin_rt.errors import OptionError, RecordingError
from semgfin_rt.recordings import load
from semgfin_rt.recordings.synthetic import (
    synthetic_subject,
    synthetic_variables,
    write_db2,
    write_subject,
)

SMALL = {"movements": 3, "repetitions": 2, "movement_s": 1.5, "rest_s": 1.0}


@pytest.fixture(scope="module")
def long() -> dict[str, np.ndarray]:
    """All movements and repetitions, in prompts of 2 s with 1 s of rest between."""
    return synthetic_variables(1, 1, movement_s=2, rest_s=1)


def test_schema_on_disk(tmp_path):
    path = write_subject(tmp_path / "new", 3, 1, **SMALL)
    assert path == tmp_path / "new" / "S3_E1_A1.mat"
    assert path.read_bytes().startswith(b"MATLAB 5.0")
    shapes = {name: (shape, kind) for name, shape, kind in whosmat(path)}
    n_emg, n_labels = shapes["emg"][0][0], shapes["stimulus"][0][0]
    assert n_emg != n_labels
    assert shapes["emg"] == ((n_emg, 12), "single")
    for name, width in (("acc", 36), ("glove", 22), ("inclin", 2)):
        assert shapes[name][0] == (n_labels, width)
    for name in ("stimulus", "restimulus", "repetition", "rerepetition"):
        assert shapes[name] == ((n_labels, 1), "int8")
    for name in ("subject", "exercise", "synthetic"):
        assert shapes[name][0] == (1, 1)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("subject", [1, 2])
def test_written_and_read_again(subject, tmp_path):
    (read,) = load(write_subject(tmp_path, subject, 1, **SMALL))
    made = synthetic_subject(subject, 1, **SMALL)
    for field in ("samples", "labels", "repetitions"):
        np.testing.assert_array_equal(getattr(read, field), getattr(made, field))
    assert (read.dataset, read.subject, read.spec) == ("synthetic", subject, made.spec)
    assert "are kept" in read.notes[0]


def test_seeded():
    first = synthetic_variables(1, 5, **SMALL)
    again = synthetic_variables(1, 5, **SMALL)
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    for subject, seed in ((2, 5), (1, 6), (5, 1)):
        other = synthetic_variables(subject, seed, **SMALL)
        n = min(len(first["emg"]), len(other["emg"]))
        assert np.corrcoef(first["emg"][:n, 0], other["emg"][:n, 0])[0, 1] < 0.1


def test_length_follows_the_options():
    recording = synthetic_subject(1, 1, **SMALL, n_channels=5)
    expected = 2000 * (1.0 + 3 * 2 * 2.5)
    assert expected - 400 < len(recording.samples) <= expected
    assert recording.samples.shape[1] == 5
    assert set(recording.labels) == {0, 1, 2, 3}
    assert set(recording.repetitions) == {1, 2}


def test_label_quirks(long):
    restimulus, rerepetition = long["restimulus"].ravel(), long["rerepetition"].ravel()
    stimulus = long["stimulus"].ravel()
    assert (rerepetition[restimulus == 0] > 0).mean() > 0.5
    # Muscles start after the prompt, by a reaction time.
    delays = np.flatnonzero(np.diff(restimulus) > 0) - np.flatnonzero(np.diff(stimulus) > 0)
    assert 0.1 < delays.min() / 2000 < delays.max() / 2000 < 0.8
    assert np.ptp(delays) > 200
    assert len(long["emg"]) != len(restimulus)


def test_every_movement_once_a_cycle_in_an_order_of_its_own(long):
    restimulus = long["restimulus"].ravel()
    onsets = np.flatnonzero(np.diff(restimulus) > 0) + 1
    cycles = restimulus[onsets].reshape(6, 17)
    np.testing.assert_array_equal(np.sort(cycles), np.tile(np.arange(1, 18), (6, 1)))
    np.testing.assert_array_equal(
        long["rerepetition"].ravel()[onsets], np.repeat(np.arange(1, 7), 17)
    )
    follows = [tuple(pair) for cycle in cycles for pair in itertools.pairwise(cycle)]
    assert len(set(follows)) > 0.7 * len(follows)


def test_amplitude_and_band(long):
    emg, labels = long["emg"], long["restimulus"].ravel()
    n = min(len(emg), len(labels))
    resting, moving = (np.sqrt((emg[:n][labels[:n] == k] ** 2).mean(0)) for k in (0, 14))
    assert 1e-6 < resting.min() < moving.max() < 1e-3
    assert (moving > 1.5 * resting).sum() >= 3
    frequency, power = signal.welch(emg[:, 0], 2000, nperseg=2000)
    inside = (frequency > 20) & (frequency < 450)
    assert power[inside].sum() > 0.95 * power.sum()


def test_spectra_differ_between_electrodes_and_fall_with_fatigue(long):
    emg = long["emg"]
    third = len(emg) // 3
    middles = []
    for part in (emg[:third], emg[-third:]):
        frequency, power = signal.welch(part, 2000, nperseg=2000, axis=0)
        middles.append((frequency[:, None] * power).sum(0) / power.sum(0))
    assert np.ptp(middles[0]) > 15
    assert np.mean(middles[1]) < np.mean(middles[0]) - 3


def test_neighbours_share_muscles(long):
    """Cross-talk: electrodes side by side have more in common than those across the arm."""
    together = np.abs(np.corrcoef(long["emg"][:, :8].T))
    near = np.mean([together[i, (i + 1) % 8] for i in range(8)])
    far = np.mean([together[i, (i + 4) % 8] for i in range(8)])
    assert near > far + 0.1


def _td_features(x: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Log RMS, log WL, ZC and SSC of windows (n_windows, n_samples, n_channels)."""
    step = np.diff(x, axis=1)
    crossing = (x[:, 1:] * x[:, :-1] < 0) & (np.abs(step) > threshold)
    turning = (step[:, 1:] * step[:, :-1] < 0) & (
        np.maximum(np.abs(step[:, 1:]), np.abs(step[:, :-1])) > threshold
    )
    rms = np.log((x**2).mean(1)) / 2
    return np.hstack([rms, np.log(np.abs(step).sum(1)), crossing.sum(1), turning.sum(1)])


def _lda_accuracy(subject: int) -> float:
    """LDA within a subject: train 1, 3, 4, 6, test 2, 5; steady windows of 300 ms."""
    recording = synthetic_subject(subject, 1, movement_s=2, rest_s=1)
    testing = np.isin(recording.repetitions, (2, 5))
    threshold = 0.01 * recording.samples[~testing].std(0)
    marks = recording.labels.astype(int) * 100 + recording.repetitions
    change = np.r_[0, np.cumsum(np.diff(marks) != 0)]
    starts = np.arange(0, len(change) - 600, 200)
    starts = starts[change[starts] == change[starts + 599]]
    views = np.lib.stride_tricks.sliding_window_view(recording.samples, 600, axis=0)
    parts = np.array_split(starts, 20)
    features = np.vstack([_td_features(views[p].swapaxes(1, 2), threshold) for p in parts])
    labels, test = recording.labels[starts], testing[starts]
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return float(model.fit(features[~test], labels[~test]).score(features[test], labels[test]))


@pytest.mark.long
def test_difficulty_is_that_of_people():
    """Mean of three; whole sessions land at .82 (.83 over nine subjects of three seeds)."""
    accuracies = [_lda_accuracy(subject) for subject in (1, 2, 3)]
    assert 0.72 < np.mean(accuracies) < 0.9, accuracies


# ------------------------------------------------------------------------------ failures
@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"movements": 0}, "0 movements"),
        ({"movements": 18}, "18 movements"),
        ({"repetitions": 0}, "0 repetitions"),
        ({"movement_s": 0.5}, "of 0.5 s"),
        ({"rest_s": 0.2}, "0.2 s of rest"),
        ({"n_channels": 0}, "on 0 channels"),
    ],
)
def test_options_out_of_range(options, given):
    with pytest.raises(OptionError, match=re.escape(given)):
        synthetic_variables(1, 1, **options)


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match="file'"):
        write_subject(tmp_path / "file", 1, 1, **SMALL)
    with pytest.raises(RecordingError, match="cannot be written"):
        write_db2(tmp_path / "nowhere" / "S1_E1_A1.mat", {"emg": np.zeros((4, 2))})


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "S1_E1_A1.mat"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_db2(path, {"emg": np.zeros((4, 2)), "acc": None})
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
