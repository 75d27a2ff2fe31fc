"""Every quirk of DB2's files, on files of its exact schema."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from semgfin_rt.contracts import SignalSpec
from semgfin_rt.errors import RecordingError
from semgfin_rt.recordings.db2 import read_db2, read_subject, spread_repetitions
from semgfin_rt.recordings.db2_schema import CLASSES, parse_name


def test_reads_what_the_file_says(variables, write_v5):
    path = write_v5(variables)
    recording = read_db2(path)
    n = len(variables["restimulus"])
    assert recording.spec == SignalSpec(tuple(f"emg{i}" for i in range(1, 13)), 2000.0, "V")
    np.testing.assert_array_equal(recording.samples, variables["emg"][:n])
    np.testing.assert_array_equal(recording.labels, variables["restimulus"].ravel())
    assert recording.samples.dtype == np.float32
    assert recording.samples.flags.c_contiguous
    assert recording.labels.dtype == recording.repetitions.dtype == np.int16
    assert (recording.subject, recording.dataset, recording.path) == (1, "db2", str(path))
    assert recording.test_repetitions == {2, 5}
    assert recording.stretches == ((0, n),)


@pytest.mark.parametrize(("n_channels", "ring"), [(12, 8), (10, 8), (8, 8), (7, 0)])
def test_the_first_eight_channels_go_around_the_forearm(n_channels, ring, variables, write_v5):
    variables["emg"] = variables["emg"][:, :n_channels]
    assert read_db2(write_v5(variables)).ring == tuple(range(ring))


def test_class_names_cover_all_exercises():
    assert sorted(CLASSES) == list(range(50))
    assert CLASSES[0] == "rest"
    assert CLASSES[14] == "wrist extension"


@pytest.mark.parametrize("longer", ["emg", "restimulus", "rerepetition"])
def test_cuts_to_the_shortest_and_says_so(longer, variables, write_v5):
    n = len(variables["restimulus"])
    variables["emg"] = variables["emg"][:n]
    variables[longer] = np.concatenate([variables[longer], variables[longer][:7]])
    recording = read_db2(write_v5(variables))
    assert len(recording.samples) == len(recording.labels) == len(recording.repetitions) == n
    (note,) = recording.notes
    assert str(n + 7) in note
    assert f"the first {n} are kept" in note


def test_equal_lengths_need_no_note(variables, write_v5):
    variables["emg"] = variables["emg"][: len(variables["restimulus"])]
    assert read_db2(write_v5(variables)).notes == ()


def test_uses_refined_labels_and_repetitions_together(variables, write_v5):
    # Prompts that lie 2.6 s beside the refined labels, as subject 2 has them.
    for key in ("stimulus", "repetition"):
        variables[key] = np.roll(variables[key], -5200)
    recording = read_db2(write_v5(variables))
    moving = variables["restimulus"].ravel() > 0
    np.testing.assert_array_equal(recording.labels > 0, moving)
    np.testing.assert_array_equal(
        recording.repetitions[moving], variables["rerepetition"].ravel()[moving]
    )


def test_rest_gets_the_repetition_of_the_nearest_movement(variables, write_v5):
    variables["rerepetition"][variables["restimulus"] == 0] = 6  # nonsense, as in the files
    recording = read_db2(write_v5(variables))
    resting = np.flatnonzero(recording.labels == 0)
    moving = np.flatnonzero(recording.labels > 0)
    for sample in (resting[0], resting[-1], *resting[:: len(resting) // 20]):
        nearest = moving[np.abs(moving - sample).argmin()]
        assert recording.repetitions[sample] == recording.repetitions[nearest]
    assert set(recording.repetitions) == {1, 2}


def test_spread_repetitions_by_hand():
    labels = np.array([0, 0, 5, 5, 0, 7, 0, 0], np.int16)
    repetitions = np.array([0, 9, 3, 3, 9, 4, 1, 9], np.int16)
    spread = spread_repetitions(labels, repetitions)
    np.testing.assert_array_equal(spread, [3, 3, 3, 3, 3, 4, 4, 4])


def test_a_rest_is_split_between_the_repetitions_beside_it():
    labels = np.array([0, 5, 0, 0, 0, 0, 5, 0], np.int16)
    repetitions = np.array([9, 1, 9, 9, 9, 9, 2, 9], np.int16)
    spread = spread_repetitions(labels, repetitions)
    np.testing.assert_array_equal(spread, [1, 1, 1, 1, 2, 2, 2, 2])


@pytest.mark.parametrize("userblock", [0, 512])
def test_v73_equals_v5(userblock, variables, write_v5, write_v73):
    new = read_db2(write_v73(variables, userblock=userblock))
    old = read_db2(write_v5(variables))
    for field in ("samples", "labels", "repetitions"):
        np.testing.assert_array_equal(getattr(new, field), getattr(old, field))
    assert (new.subject, new.spec, new.notes) == (old.subject, old.spec, old.notes)


def test_v73_doubles_are_fine(variables, write_v73):
    doubles = {key: value.astype(np.float64) for key, value in variables.items()}
    recording = read_db2(write_v73(doubles))
    assert recording.samples.dtype == np.float32
    assert recording.labels.dtype == np.int16


def test_exercise_3_falls_back_to_prompts(variables, write_v5):
    variables["stimulus"] += 40 * (variables["stimulus"] > 0).astype(np.int8)
    del variables["restimulus"], variables["rerepetition"]
    variables |= {"exercise": [[3]], "force": np.zeros((5, 6)), "forcecal": np.zeros((2, 6))}
    recording = read_db2(write_v5(variables, "S1_E3_A1.mat"))
    np.testing.assert_array_equal(recording.labels, variables["stimulus"].ravel())
    assert any("stimulus and repetition are used" in note for note in recording.notes)
    assert all(recording.classes[label] for label in np.unique(recording.labels))


@pytest.mark.parametrize("n_channels", [1, 8, 16])
def test_channels_come_from_the_file(n_channels, variables, write_v5):
    variables["emg"] = np.resize(variables["emg"], (len(variables["emg"]), n_channels))
    recording = read_db2(write_v5(variables))
    assert recording.samples.shape[1] == len(recording.spec.channels) == n_channels


def test_the_mark_of_synthesis_is_kept(variables, write_v5):
    assert read_db2(write_v5(variables | {"synthetic": [[1]]})).dataset == "synthetic"
    assert read_db2(write_v5(variables | {"synthetic": [[0]]})).dataset == "db2"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("S1_E1_A1.mat", (1, 1)),
        ("S40_E3_A1.mat", (40, 3)),
        ("S7_A1_E2.mat", (7, 2)),
        ("S1_E1_A1.txt", None),
        ("xS1_E1_A1.mat", None),
    ],
)
def test_both_spellings_of_the_name(name, wanted):
    assert parse_name(name) == wanted


def test_subject_from_the_name_or_the_variable(variables, write_v5):
    variables["subject"] = [[4]]
    assert read_subject(write_v5(variables, "mine.mat")) == 4
    assert read_db2(write_v5(variables, "mine.mat")).subject == 4
    named = write_v5(variables, "S9_A1_E1.mat")
    assert read_subject(named) == 9
    assert read_db2(named).subject == 9
    assert any("subject 4" in note for note in read_db2(named).notes)


def test_some_lost_values_are_kept_and_noted(variables, write_v5):
    variables["emg"][[3, 5, 5], [0, 1, 2]] = np.nan, np.inf, np.nan
    assert any("2 samples hold NaN" in note for note in read_db2(write_v5(variables)).notes)


# ------------------------------------------------------------------------------ failures
def _set(key, value):
    return lambda variables: variables | {key: value}


def _drop(*keys):
    return lambda variables: {k: v for k, v in variables.items() if k not in keys}


BROKEN = {
    "no emg": (_drop("emg"), "no variable 'emg'"),
    "no refined labels": (_drop("restimulus"), "no variable 'restimulus'"),
    "no refined repetitions": (_drop("rerepetition"), "no variable 'rerepetition'"),
    "flat emg": (_set("emg", np.zeros((1, 500))), "must be (samples, channels)"),
    "three axes": (_set("emg", np.zeros((500, 12, 2))), "must be (samples, channels)"),
    "emg of text": (_set("emg", "hello"), "not an array of real numbers"),
    "complex emg": (_set("emg", np.zeros((500, 2), complex)), "not an array of real numbers"),
    "emg a struct": (_set("emg", {"a": 1}), "not an array of real numbers"),
    "emg of NaN": (_set("emg", np.full((90_000, 3), np.nan)), "no sample of finite values"),
    "two label columns": (_set("restimulus", np.ones((500, 2))), "must be one column"),
    "no labels": (_set("restimulus", np.zeros((0, 0))), "must be one column"),
    "labels with fractions": (_set("restimulus", np.full((500, 1), 1.5)), "whole numbers"),
    "unknown movement": (_set("restimulus", np.full((500, 1), 50)), "from 0 to 49"),
    "negative movement": (_set("restimulus", np.full((500, 1), -1)), "from 0 to 49"),
    "infinite label": (_set("restimulus", np.full((500, 1), np.inf)), "whole numbers"),
    "only rest": (_set("restimulus", np.zeros((500, 1))), "holds no movement"),
}


NOT_IN_HDF5 = {"emg of text", "emg a struct", "no labels"}
"""What h5py does not write as MATLAB does."""


def _assert_refused(path, message):
    with pytest.raises(RecordingError) as caught:
        read_db2(path)
    assert message in str(caught.value)
    assert "S1_E1_A1.mat" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", BROKEN)
def test_wrong_schema_is_refused(case, variables, write_v5):
    change, message = BROKEN[case]
    _assert_refused(write_v5(change(variables)), message)


@pytest.mark.parametrize("case", sorted(set(BROKEN) - NOT_IN_HDF5))
def test_wrong_schema_is_refused_in_v73(case, variables, write_v73):
    change, message = BROKEN[case]
    _assert_refused(write_v73(change(variables)), message)


def test_subject_must_be_somewhere(variables, write_v5):
    with pytest.raises(RecordingError, match="no variable 'subject'"):
        read_subject(write_v5(_drop("subject")(variables), "mine.mat"))
    with pytest.raises(RecordingError, match="must be one number"):
        read_subject(write_v5(variables | {"subject": [[1, 2]]}, "mine.mat"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"time,emg1,emg2\n0,1,2\n" * 50, "not a MATLAB file"),
        (b"short", "not a MATLAB file"),
        (b"PK\3\4" + b"\0" * 1000, "not a MATLAB file"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 1000, "is damaged"),
    ],
    ids=["empty", "text", "short", "zip", "broken HDF5"],
)
def test_other_content_is_refused(content, message, tmp_path):
    path = tmp_path / "S1_E1_A1.mat"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=message):
        read_db2(path)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_truncated_v5_is_refused(kept, compress, variables, tmp_path):
    path = tmp_path / "S1_E1_A1.mat"
    last = {"rerepetition": variables.pop("rerepetition")}  # as in Ninapro's files
    savemat(path, variables | last, do_compression=compress)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(RecordingError):
        read_db2(path)


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.9])
def test_truncated_v73_is_refused(kept, variables, write_v73):
    path = write_v73(variables)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(RecordingError, match="is damaged"):
        read_db2(path)


@pytest.mark.parametrize("kind", ["soft link", "external link", "external numbers", "virtual"])
def test_a_v73_file_reads_no_other_file(kind, variables, write_v73, tmp_path):
    """HDF5 can name any file of the machine as the place of a dataset."""
    emg = variables.pop("emg")
    path = write_v73(variables)
    (tmp_path / "secret").write_bytes(emg.T.tobytes())
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["emg"] = emg.T
    with h5py.File(path, "r+") as file:
        if kind == "soft link":
            file["emg"] = h5py.SoftLink("/stimulus")
        elif kind == "external link":
            file["emg"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/emg")
        elif kind == "external numbers":
            place = [(str(tmp_path / "secret"), 0, emg.nbytes)]
            file.create_dataset("emg", emg.T.shape, emg.dtype, external=place)
        else:
            layout = h5py.VirtualLayout(emg.T.shape, emg.dtype)
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "emg", emg.T.shape)
            file.create_virtual_dataset("emg", layout)
    with pytest.raises(RecordingError, match="has no variable 'emg'"):
        read_db2(path)


@pytest.mark.parametrize("version", ["v5", "v7.3"])
def test_a_bomb_is_refused(version, variables, tmp_path):
    """77 MB of zeros in less than 0.1 MB."""
    path = tmp_path / "S1_E1_A1.mat"
    if version == "v7.3":
        with h5py.File(path, "w") as file:
            file.create_dataset("emg", (12, 1_600_000), "f4", chunks=(12, 100_000))
    else:
        savemat(path, {"emg": np.zeros((1_600_000, 12), np.float32)}, do_compression=True)
    assert path.stat().st_size < 100_000
    with pytest.raises(RecordingError, match="inflates to more than"):
        read_db2(path)


def test_a_pipe_and_a_device_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "S1_E1_A1.mat")
    for path in (tmp_path / "S1_E1_A1.mat", Path("/dev/zero")):
        with pytest.raises(RecordingError, match="is no file"):
            read_db2(path)


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(RecordingError, match=r"nowhere.mat' cannot be read"):
        read_db2(tmp_path / "nowhere.mat")
    with pytest.raises(RecordingError, match="cannot be read"):
        read_db2(tmp_path)
