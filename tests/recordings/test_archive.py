"""Zip archives: Ninapro's layout is read, anything harmful is refused."""

import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from semgfin_rt.errors import RecordingError
from semgfin_rt.recordings import archive, load
from semgfin_rt.recordings.archive import list_members, read_member
from semgfin_rt.recordings.db2 import read_db2


def _zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_member_equals_file(variables, write_v5, write_v73, tmp_path):
    for file in (write_v5(variables), write_v73(variables)):
        path = _zip(tmp_path / "DB2_s1.zip", {"DB2_s1/S1_E1_A1.mat": file.read_bytes()})
        zipped, plain = read_db2(path, "DB2_s1/S1_E1_A1.mat"), read_db2(file)
        np.testing.assert_array_equal(zipped.samples, plain.samples)
        np.testing.assert_array_equal(zipped.labels, plain.labels)
        assert zipped.path == f"{path}:DB2_s1/S1_E1_A1.mat"


def test_load_takes_only_the_exercise_asked_for(variables, write_v5, tmp_path):
    good = write_v5(variables).read_bytes()
    members = {
        "DB2_s1/": b"",
        "DB2_s1/S1_E1_A1.mat": good,
        "DB2_s1/S1_E2_A1.mat": b"not to be read",
        "DB2_s1/readme.txt": b"hello",
    }
    path = _zip(tmp_path / "DB2_s1.zip", members)
    (recording,) = load(path)
    assert recording.subject == 1
    assert recording.path.endswith("S1_E1_A1.mat")
    with pytest.raises(RecordingError, match="not a MATLAB file"):
        load(path, exercise=2)
    with pytest.raises(RecordingError, match="holds no recording"):
        load(path, exercise=3)


@pytest.mark.parametrize(
    "name",
    [
        "../S1_E1_A1.mat",
        "/tmp/S1_E1_A1.mat",
        "a/../../S1_E1_A1.mat",
        "..\\S1_E1_A1.mat",
        "C:\\S1_E1_A1.mat",
    ],
)
def test_slip_is_refused(name, tmp_path):
    path = _zip(tmp_path / "slip.zip", {"DB2_s1/S1_E1_A1.mat": b"x", name: b"x"})
    with pytest.raises(RecordingError, match="leads out of the archive"):
        load(path)
    assert [p.name for p in tmp_path.iterdir()] == ["slip.zip"]


def test_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("S1_E1_A1.mat")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(RecordingError, match="a link"):
        load(path)


def test_bomb_is_refused_by_its_ratio(tmp_path):
    path = _zip(tmp_path / "bomb.zip", {"DB2_s1/S1_E1_A1.mat": bytes(20_000_000)})
    with pytest.raises(RecordingError, match="to 20000000 bytes"):
        load(path)


def test_bomb_is_refused_by_its_size(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).bytes(300_000)
    path = _zip(tmp_path / "big.zip", {f"S{n}_E1_A1.mat": noise for n in range(4)})
    assert len(list_members(path)) == 4
    monkeypatch.setattr(archive, "MAX_BYTES", 1_000_000)
    with pytest.raises(RecordingError, match="to 1200000 bytes"):
        list_members(path)


def test_a_size_that_lies_is_refused(variables, write_v5, tmp_path):
    content = write_v5(variables).read_bytes()
    path = _zip(tmp_path / "lie.zip", {"S1_E1_A1.mat": content}, zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    entry = raw.rindex(b"PK\1\2")  # the directory's entry: inflated size at 24
    raw[entry + 24 : entry + 28] = (1000).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(RecordingError):
        load(path)


def test_damaged_archives_are_refused(variables, write_v5, tmp_path):
    path = tmp_path / "DB2_s1.zip"
    for content in (b"", b"no archive at all" * 100):
        path.write_bytes(content)
        with pytest.raises(RecordingError, match="not a readable zip"):
            load(path)
    _zip(path, {"S1_E1_A1.mat": write_v5(variables).read_bytes()})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordingError, match="not a readable zip"):
        load(path)
    path.write_bytes(whole[:5000] + b"\xff" * 500 + whole[5500:])
    with pytest.raises(RecordingError, match="is damaged"):
        load(path)


def test_missing_member_is_refused(tmp_path):
    path = _zip(tmp_path / "a.zip", {"b": b""})
    with pytest.raises(RecordingError, match="holds no 'c'"):
        read_member(path, "c")
