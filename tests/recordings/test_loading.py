"""What a path can be."""

import shutil
import subprocess
import sys
import zipfile

import pytest

from semgfin_rt.errors import RecordingError
from semgfin_rt.recordings import iter_recordings, load


def test_a_folder_of_everything(variables, write_v5, tmp_path):
    write_v5(variables, "data/S10_E1_A1.mat")
    write_v5(variables, "data/S2_A1_E1.mat")
    write_v5(variables, "data/DB2_s3/S3_E1_A1.mat")
    write_v5(variables, "data/DB2_s3/S3_E2_A1.mat")
    with zipfile.ZipFile(tmp_path / "data/DB2_s1.zip", "w") as file:
        file.write(write_v5(variables, "S1_E1_A1.mat"), "DB2_s1/S1_E1_A1.mat")
    (tmp_path / "data/notes.txt").write_text("mine")
    (tmp_path / "data/other.mat").write_text("not to be read")
    recordings = load(tmp_path / "data")
    assert [recording.subject for recording in recordings] == [1, 2, 3, 10]
    assert [recording.subject for recording in load(tmp_path / "data", [10, 2, 2])] == [2, 10]
    assert [recording.subject for recording in load(tmp_path / "data", exercise=2)] == [3]


def test_a_file_of_any_name_and_exercise(variables, write_v5):
    assert load(write_v5(variables, "mine.mat"))[0].subject == 1
    assert load(write_v5(variables, "S5_E2_A1.mat"), [5])[0].subject == 5
    assert load(str(write_v5(variables, "S5_E2_A1.mat")))[0].subject == 5


def test_recordings_are_read_one_at_a_time(variables, write_v5, tmp_path):
    write_v5(variables, "data/S1_E1_A1.mat")
    write_v5(variables, "data/S2_E1_A1.mat").write_text("broken")
    recordings = iter_recordings(tmp_path / "data")
    assert next(recordings).subject == 1
    with pytest.raises(RecordingError, match=r"S2_E1_A1.mat' is not a MATLAB file"):
        next(recordings)


def test_a_subject_that_is_not_there(variables, write_v5, tmp_path):
    for subject in (4, 11):
        write_v5(variables, f"data/S{subject}_E1_A1.mat")
    with pytest.raises(RecordingError, match="holds no subject 1, 9: choose from 4, 11"):
        load(tmp_path / "data", [9, 4, 1])
    with pytest.raises(RecordingError, match="choose from 4"):
        load(tmp_path / "data/S4_E1_A1.mat", [1])


def test_a_unit_is_for_xdf_alone(variables, write_v5):
    with pytest.raises(RecordingError, match="has a unit of its own: leave it out"):
        iter_recordings(write_v5(variables, "S1_E1_A1.mat"), unit="uV")


def test_a_subject_twice_is_refused(variables, write_v5, tmp_path):
    file = write_v5(variables, "data/S1_E1_A1.mat")
    shutil.copy(file, tmp_path / "data/S1_A1_E1.mat")
    with pytest.raises(RecordingError, match=r"twice, as .*S1_A1_E1.mat' and .*S1_E1_A1.mat'"):
        load(tmp_path / "data")
    (tmp_path / "data/S1_A1_E1.mat").unlink()
    with zipfile.ZipFile(tmp_path / "data/DB2_s1.zip", "w") as archive:
        archive.write(file, "DB2_s1/S1_E1_A1.mat")
    with pytest.raises(RecordingError, match="remove one"):
        load(tmp_path / "data")


def test_nothing_there(tmp_path):
    with pytest.raises(RecordingError, match="holds no recording"):
        load(tmp_path)
    with pytest.raises(RecordingError, match="nowhere' does not exist"):
        load(tmp_path / "nowhere")
    (tmp_path / "table.csv").write_text("1,2,3\n")
    with pytest.raises(RecordingError, match="not a MATLAB file"):
        load(tmp_path / "table.csv")


def test_failure_comes_before_reading(tmp_path):
    with pytest.raises(RecordingError):
        iter_recordings(tmp_path)


def test_importing_is_light():
    code = (
        "import sys, semgfin_rt.recordings\n"
        "heavy = {'torch', 'PyQt6', 'h5py', 'sklearn', 'pandas', 'scipy.signal'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
