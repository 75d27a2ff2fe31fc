"""Zip archives: Ninapro's layout is read, anything harmful is refused."""

import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from semgfin_rt.errors import RecordingError
from semgfin_rt.recordings import archive, load
from semgfin_rt.recordings.archive import check_members, list_members, read_member
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


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK])
def test_link_and_device_are_refused(kind, tmp_path):
    link = zipfile.ZipInfo("S1_E1_A1.mat")
    link.external_attr = (kind | 0o777) << 16
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(RecordingError, match="a link"):
        load(path)


@pytest.mark.parametrize("name", ["DB2_s1/S1_E1_A1.zip", "inner.ZIP", "S1_E1_A1.mat.gz", "a.tar"])
def test_an_archive_inside_is_refused(name, variables, write_v5, tmp_path):
    good = write_v5(variables).read_bytes()
    path = _zip(tmp_path / "outer.zip", {"S1_E1_A1.mat": good, name: b"x"})
    with pytest.raises(RecordingError, match=r"holds the archive .*: unpack the outer one"):
        load(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("other", ["S1_E1_A1.mat", "s1_e1_a1.MAT"])
def test_a_name_twice_is_refused(other, tmp_path):
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("S1_E1_A1.mat", "one")
        file.writestr(other, "two")
    with pytest.raises(RecordingError, match=r"'S1_E1_A1.mat' more than once"):
        load(path)


def test_too_many_members_are_refused(tmp_path):
    path = _zip(tmp_path / "many.zip", {str(n): b"" for n in range(10_001)})
    with pytest.raises(RecordingError, match="holds 10001 files"):
        load(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(RecordingError, match="is no file"):
        list_members(tmp_path / "pipe.zip")


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
        check_members(str(path))


def test_a_size_that_lies_is_refused(variables, write_v5, tmp_path):
    content = write_v5(variables).read_bytes()
    path = _zip(tmp_path / "lie.zip", {"S1_E1_A1.mat": content}, zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    entry = raw.rindex(b"PK\1\2")  # the directory's entry: inflated size at 24
    raw[entry + 24 : entry + 28] = (1000).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(RecordingError):
        load(path)


@pytest.mark.parametrize("claimed", [1000, 20_000_000])
def test_no_more_is_inflated_than_a_member_claims(claimed, tmp_path):
    """Neither a smaller nor a larger size helps a member, even with a checksum that fits."""
    content = np.random.default_rng(0).bytes(100_000) * 10
    path = _zip(tmp_path / "lie.zip", {"S1_E1_A1.mat": content})
    raw = bytearray(path.read_bytes())
    for mark, at in ((b"PK\3\4", 14), (b"PK\1\2", 16)):
        entry = raw.rindex(mark)
        struct.pack_into("<I", raw, entry + at, zlib.crc32(content[:claimed]))
        struct.pack_into("<I", raw, entry + at + 8, claimed)
    path.write_bytes(raw)
    if claimed < len(content):
        assert read_member(path, "S1_E1_A1.mat") == content[:claimed]
    else:
        with pytest.raises(RecordingError, match="is not of the 20000000 bytes"):
            read_member(path, "S1_E1_A1.mat")


def test_members_that_overlap_are_a_bomb(tmp_path):
    """2000 entries of the directory for the same stored bytes: each alone inflates 10 times."""
    path = _zip(tmp_path / "overlap.zip", {"S0001_E1.mat": b"0123456789" * 20_000})
    data = path.read_bytes()
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entry = data[start:end]
    entries = b"".join(entry.replace(b"S0001", b"S%04d" % n) for n in range(2000))
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 2000, 2000, len(entries), start, 0)
    path.write_bytes(data[:start] + entries + tail)
    with pytest.raises(RecordingError, match="to 400000000 bytes"):
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
