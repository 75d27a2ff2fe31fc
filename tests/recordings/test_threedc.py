"""3DC: the layout on small files, and the real recordings where they are."""

import os
from pathlib import Path

import numpy as np
import pytest

from semgfin_rt.contracts import SignalSpec
from semgfin_rt.errors import RecordingError
from semgfin_rt.recordings import load
from semgfin_rt.recordings.threedc import CLASSES, read_3dc

REAL = Path(os.environ.get("SEMGFIN_3DC", Path(__file__).parents[3] / "shared/data/3dc"))
needs_3dc = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"no 3DC recordings at {REAL}; set SEMGFIN_3DC"
)


def _file(root: Path, part: str, repetition: int, label: int, participant: int = 2) -> Path:
    name = f"3dc_EMG_gesture_{repetition}_{label}.txt"
    return root / f"Participant{participant}" / part / "EMG" / name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Participant 2; the first value of a row tells part, repetition, class and row."""
    for p, part in enumerate(("train", "test")):
        for repetition in range(4):
            for label in range(11):
                path = _file(tmp_path, part, repetition, label)
                path.parent.mkdir(parents=True, exist_ok=True)
                rows = [
                    [p * 100_000 + repetition * 10_000 + label * 100 + row, *range(-1, -10, -1)]
                    for row in range(3 + label)
                ]
                path.write_text("\n".join(",".join(map(str, row)) for row in rows))
    return tmp_path


CYCLE = sum(3 + label for label in range(11))


def test_cycles_are_put_end_to_end(root):
    recording = read_3dc(root / "Participant2")
    assert recording.spec == SignalSpec(tuple(f"ch{i}" for i in range(1, 11)), 1000.0, "count")
    assert recording.samples.shape == (8 * CYCLE, 10)
    assert recording.samples.dtype == np.float32
    assert recording.labels.dtype == recording.repetitions.dtype == np.int16
    first = recording.samples[:, 0].astype(int)
    np.testing.assert_array_equal(recording.labels, first // 100 % 100)
    session, repetition = first // 100_000, first // 10_000 % 10
    np.testing.assert_array_equal(recording.repetitions, 4 * session + repetition)
    assert (np.diff(first) > 0).all()
    assert recording.breaks == tuple(range(CYCLE, 8 * CYCLE, CYCLE))
    assert recording.test_repetitions == {4, 5, 6, 7}
    assert recording.classes[0] == "rest"
    assert len(recording.classes) == 11
    assert (recording.subject, recording.dataset, recording.notes) == (2, "3dc", ())
    assert recording.ring == tuple(range(10))  # the armband, all around


def test_missing_files_make_breaks_and_a_note(root):
    _file(root, "train", 0, 4).unlink()
    _file(root, "train", 1, 0).unlink()
    for label in CLASSES:
        _file(root, "test", 2, label).unlink()
    recording = read_3dc(root / "Participant2")
    # Classes 0 to 3 of the first cycle are 3 + 4 + 5 + 6 samples.
    assert recording.breaks[:2] == (18, CYCLE - 7)
    assert len(recording.stretches) == 8
    assert 6 not in recording.repetitions
    (note,) = recording.notes
    assert "train 0_4, train 1_0, test 2_0" in note


def test_a_participant_without_test_recordings(root):
    for label in CLASSES:
        for repetition in range(4):
            _file(root, "test", repetition, label).unlink()
    assert set(read_3dc(root / "Participant2").repetitions) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1,2,3,4,5,6,7,8,9,10\n1,2,3,4,5,6,7,8,9\n", 2),
        ("1,2,3,4,5,6,7,8,9,10\n\n1,2,3,4,5,6,7,8,nine,10\n", 3),
        ("1,2,3\n4,5,6\n", 1),
        ("1,2,3,4,5,6,7,8,9,10\n1,2,3,4,5,6,7,8,9,1.5\n", 2),
        ("\x00\xff\xfe", 1),
    ],
    ids=["short row", "text", "three columns", "decimals", "binary"],
)
def test_bad_lines_are_named(text, line, root):
    bad = _file(root, "test", 1, 3)
    bad.write_text(text, encoding="latin-1")
    with pytest.raises(RecordingError, match=rf"3dc_EMG_gesture_1_3.txt', line {line},"):
        load(root)


def test_an_empty_file_is_refused(root):
    for content in ("", "\n\n"):
        _file(root, "test", 1, 3).write_text(content)
        with pytest.raises(RecordingError, match=r"gesture_1_3.txt' is empty"):
            load(root)


def test_what_is_no_file_of_this_size_is_refused(root):
    bad = _file(root, "test", 1, 3)
    with bad.open("r+b") as file:
        file.truncate(40_000_000)  # sparse
    with pytest.raises(RecordingError, match=r"1_3.txt' has 40000000 bytes, more than any"):
        load(root)
    bad.unlink()
    os.mkfifo(bad)  # which must not be waited for
    with pytest.raises(RecordingError, match=r"1_3.txt' is no file"):
        load(root)


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(RecordingError, match="not a 3DC participant"):
        read_3dc(tmp_path)
    (tmp_path / "Participant4").mkdir()
    with pytest.raises(RecordingError, match="holds no 3dc_EMG_gesture"):
        load(tmp_path)


def test_load_finds_participants(root):
    (root / "Participant10").symlink_to(root / "Participant2")
    (root / "Participants.txt").touch()
    assert [recording.subject for recording in load(root)] == [2, 10]
    assert [recording.subject for recording in load(root / "Participant2")] == [2]


@needs_3dc
def test_real_participants():
    (recording,) = load(REAL, [5])
    assert len(recording.stretches) == 8
    assert set(recording.repetitions) == set(range(8))
    assert set(recording.labels) == set(range(11))
    short = (recording.labels == 3) & (recording.repetitions == 2)
    assert short.sum() == 932  # the file that was cut short
    assert np.abs(recording.samples).max() > 100
    one = np.loadtxt(_file(REAL, "test", 3, 10, participant=5), delimiter=",")
    np.testing.assert_array_equal(recording.samples[-len(one) :], one)


@needs_3dc
def test_real_folder_is_sorted_by_subject():
    assert [recording.subject for recording in load(REAL, [7, 3])] == [3, 7]
