"""What is cut out of a recording, against what is in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from subjects import MOVE_N, RATE, REST_N, small_subject

from semgfin_rt.contracts import NO_LABEL
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.train.dataset import training_table
from semgfin_rt.train.protocols.shares import first_share, unlabelled_excerpt

IDS = (0, 1, 2, 3)
WINDOWING = Windowing(100, 10)


def where(recording, excerpt):
    """Index in the recording of every sample of the excerpt; samples are all different."""
    index = {tuple(sample): n for n, sample in enumerate(recording.samples)}
    return np.array([index[tuple(sample)] for sample in excerpt.samples])


# --------------------------------------------------------------------- without labels
def test_every_movement_occurs_for_as_long_in_the_middle_of_its_run():
    recording = small_subject()
    excerpt = unlabelled_excerpt(recording, 1, 0.4, IDS)
    at = where(recording, excerpt)
    assert len(excerpt.samples) == 0.4 * RATE
    assert np.bincount(recording.labels[at]).tolist() == [100] * 4
    assert set(recording.repetitions[at]) == {1}
    pieces = [at[start:stop] for start, stop in excerpt.stretches]
    assert [len(piece) for piece in pieces] == [100] * 4
    for piece in pieces:
        assert np.ptp(piece) == 99
        size = REST_N if recording.labels[piece[0]] == 0 else MOVE_N
        runs = np.flatnonzero(np.diff(recording.labels)) + 1
        before = piece[0] - max((r for r in runs if r <= piece[0]), default=0)
        assert before == (size - 100) // 2
    assert np.all(np.diff(at) > 0)


def test_the_excerpt_has_no_labels():
    assert set(unlabelled_excerpt(small_subject(), 1, 0.4, IDS).labels) == {NO_LABEL}


def test_other_names_of_the_movements_make_the_same_excerpt():
    recording = small_subject()
    renamed = replace(recording, labels=np.array([0, 3, 1, 2], np.int16)[recording.labels])
    one, other = (unlabelled_excerpt(r, 3, 0.4, IDS) for r in (recording, renamed))
    np.testing.assert_array_equal(one.samples, other.samples)
    assert (one.breaks, set(other.labels)) == (other.breaks, {NO_LABEL})


def test_labels_of_other_repetitions_are_not_looked_at():
    recording = small_subject()
    labels = np.where(recording.repetitions == 1, recording.labels, 0).astype(np.int16)
    other = unlabelled_excerpt(replace(recording, labels=labels), 1, 0.4, IDS)
    np.testing.assert_array_equal(other.samples, unlabelled_excerpt(recording, 1, 0.4, IDS).samples)


def test_movements_that_are_shorter_than_their_piece_are_whole():
    excerpt = unlabelled_excerpt(small_subject(), 1, 60, IDS)
    assert len(excerpt.samples) == 3 * MOVE_N + REST_N


def test_without_rest():
    recording = small_subject()
    at = where(recording, unlabelled_excerpt(recording, 1, 0.3, (1, 2, 3)))
    assert np.bincount(recording.labels[at]).tolist() == [0, 100, 100, 100]


# ------------------------------------------------------------------------------- a share
def table(recording, horizons=(0,)):
    return training_table(recording, (1, 3), IDS, WINDOWING, horizons)


@pytest.mark.parametrize("percent", [0.5, 20, 99.5, 100])
@pytest.mark.parametrize("breaks", [(), (37, 1000)])
def test_the_first_windows_of_every_movement_are_kept(percent, breaks):
    recording = small_subject(breaks=breaks)
    kept = table(first_share(recording, (1, 3), percent, WINDOWING))
    everything = table(recording).newest
    parts = np.split(everything, np.flatnonzero(np.diff(everything) > WINDOWING.hop) + 1)
    expected = [part[: max(1, int(np.ceil(len(part) * percent / 100)))] for part in parts]
    assert len(expected) >= 12  # two repetitions of three movements, a rest after each
    np.testing.assert_array_equal(kept.newest, np.concatenate(expected))


def test_other_repetitions_stay_and_none_is_added():
    recording = small_subject()
    shown = first_share(recording, (1, 3), 10, WINDOWING)
    others = ~np.isin(recording.repetitions, (1, 3))
    np.testing.assert_array_equal(shown.labels[others], recording.labels[others])
    np.testing.assert_array_equal(shown.repetitions[others], recording.repetitions[others])
    assert set(shown.repetitions[~others]) == {1, 3, NO_LABEL}


def test_targets_ahead_of_the_kept_windows_stay():
    recording = small_subject()
    without, ahead = (
        table(first_share(recording, (1, 3), 10, WINDOWING, n), (50,)) for n in (0, 50)
    )
    has_target = [np.isin(t.repetitions[:, 0], (1, 3)) for t in (without, ahead)]
    assert not has_target[0].any()  # one or two windows of each, 10 samples apart
    assert np.isin(without.newest, ahead.newest[has_target[1]]).all()
    others = ahead.select(has_target[1] & ~np.isin(ahead.newest, without.newest))
    # near the end of a run the target is the beginning of the next one, which is kept anyway
    assert (others.labels[:, 0] != recording.labels[others.newest]).all()


def test_the_recording_itself_is_left_alone():
    recording = small_subject()
    before = recording.labels.copy()
    first_share(recording, (1, 3), 10, WINDOWING)
    np.testing.assert_array_equal(recording.labels, before)
