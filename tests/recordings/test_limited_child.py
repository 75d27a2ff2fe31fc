"""Whatever a file does to the child, the parent gets numbers or one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import in_the_child
import numpy as np
import pytest

from semgfin_rt.errors import RecordingError
from semgfin_rt.recordings.handing_over import Scratch, pack, unpack
from semgfin_rt.recordings.limited_child import Limits, child_pid, end_child, in_child, warm_up

linux = pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")


def refusal(function, *args, limits=None) -> str:
    with pytest.raises(RecordingError) as caught:
        in_child(function, *args, where="'x.mat'", limits=limits)
    message = str(caught.value)
    assert "\n" not in message
    return message


# ------------------------------------------------------------------------------ it works
def test_arrays_come_over_as_they_are():
    value = in_child(in_the_child.arrays, where="x")
    expected = in_the_child.arrays()
    assert value["plain"] == list(expected["plain"])
    assert value.keys() == expected.keys()
    pairs = [(value[k], v) for k, v in expected.items() if isinstance(v, np.ndarray)]
    pairs += [(value["nested"][0], expected["nested"][0])]
    pairs += [(value["nested"][1]["bool"], expected["nested"][1]["bool"])]
    assert len(pairs) == 9
    for got, wanted in pairs:
        np.testing.assert_array_equal(got, wanted)
        assert got.dtype == wanted.dtype.newbyteorder("=")
        assert got.shape == wanted.shape
        assert got.flags.c_contiguous
        assert got.flags.writeable


def test_one_child_serves_many_files():
    first = in_child(os.getpid, where="x")
    assert first == child_pid() != os.getpid()
    refusal(in_the_child.refuse, "no")
    assert in_child(os.getpid, where="x") == first
    with ThreadPoolExecutor(4) as pool:
        pids = list(pool.map(lambda _: in_child(os.getpid, where="x"), range(20)))
    assert set(pids) == {first}


def test_what_a_library_prints_is_no_answer():
    assert in_child(in_the_child.printing, where="x") == "right"


def test_it_can_be_started_before_the_first_file():
    end_child()
    assert child_pid() is None
    warm_up("scipy.io")
    pid = child_pid()
    assert pid is not None
    modules = in_child(_modules, where="x")
    assert "scipy.io" in modules
    assert child_pid() == pid


def _modules() -> list[str]:
    return list(sys.modules)


def test_it_ends_with_its_parent_and_a_fork_has_its_own():
    code = (
        "import os, time; from semgfin_rt.recordings.limited_child import in_child\n"
        "mine = in_child(os.getpid, where='x')\n"
        "fork = os.fork()\n"
        "if not fork:\n"
        "    other = in_child(os.getpid, where='x')\n"
        "    print(mine, other, in_child(os.getpid, where='x'), flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(fork, 0)\n"
        "print(in_child(os.getpid, where='x'), flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        mine, other, again = map(int, parent.stdout.readline().split())
        assert int(parent.stdout.readline()) == mine != other == again
        parent.kill()
    until = time.monotonic() + 10
    while time.monotonic() < until and any(map(_lives, (mine, other))):
        time.sleep(0.02)
    assert not _lives(mine)
    assert not _lives(other)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # a zombie whose parent has not waited is dead enough
    return not stat.exists() or ") Z " not in stat.read_text()


# ----------------------------------------------------------------------- it does not work
def test_a_refusal_comes_as_its_sentence():
    assert refusal(in_the_child.refuse, "'x.mat' is empty.") == "'x.mat' is empty."
    assert refusal(in_the_child.refuse, "a\x1b[31mb\nc") == r"a\x1b[31mb\nc"


@pytest.mark.parametrize(
    ("function", "args", "said"),
    [
        (in_the_child.crash, (), "'x.mat' made its reader crash (SIGSEGV)"),
        (in_the_child.leave, (3,), "'x.mat' made its reader crash (exit status 3)"),
        (in_the_child.fail, (), "'x.mat' is damaged (ZeroDivisionError)"),
    ],
)
def test_a_crash_is_a_sentence_and_the_next_file_is_read(function, args, said):
    before = in_child(os.getpid, where="x")
    assert refusal(function, *args).startswith(said)
    assert in_child(os.getpid, where="x") != before
    assert not _lives(before)


def test_a_child_that_was_killed_between_two_files_is_replaced():
    before = in_child(os.getpid, where="x")
    os.kill(before, signal.SIGKILL)
    while _lives(before):
        time.sleep(0.01)
    assert in_child(os.getpid, where="x") != before


@pytest.mark.parametrize("function", [in_the_child.loop, in_the_child.sleep])
def test_too_much_time(function):
    began = time.monotonic()
    message = refusal(function, limits=Limits(seconds=0.3))
    assert "'x.mat' took longer than 0 s to read and was given up" in message
    assert time.monotonic() - began < 10


@linux
def test_too_much_memory():
    message = refusal(in_the_child.fill, 3 << 30)
    assert "'x.mat' needs more than 2048 MB of memory" in message
    assert in_child(in_the_child.fill, 1 << 20, where="x") == 1 << 20


@linux
def test_too_large_a_result():
    limits = Limits(result=1 << 20)
    assert len(in_child(in_the_child.zeros, 1 << 20, where="x", limits=limits)) == 1 << 20
    message = refusal(in_the_child.zeros, (1 << 20) + 1, limits=limits)
    assert "inflates to more than 1 MB" in message


@linux
def test_it_writes_no_file(tmp_path):
    assert "is damaged (OSError)" in refusal(in_the_child.write, str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == ""


@linux
@pytest.mark.parametrize(
    "answer",
    [
        "no JSON",
        "{}",
        '{"value": 1, "size": 5000000000}',
        '{"value": {"__array__": ["<f4", [17], 0]}, "size": 64}',
        "[" * 5_000_000,
    ],
    ids=lambda text: text[:40],
)
def test_nonsense_is_refused(answer):
    message = refusal(in_the_child.say, answer, limits=Limits(seconds=5.0))
    assert "made its reader answer nonsense" in message
    assert in_child(int, "5", where="x") == 5


# ----------------------------------------------------------------------- numbers, unchecked
@pytest.mark.parametrize(
    "array",
    [
        ["<f4", [17], 0],
        ["<f4", [16], 64],
        ["<f4", [-1], 0],
        ["<f4", [1 << 62, 1 << 62], 0],
        ["<f4", [1] * 70, 0],
        ["<f4", [1], -64],
        ["<f4", [1], 4],
        ["<f4", [1], 0.0],
        ["<f4", [1.5], 0],
        ["<f4", "16", 0],
        ["<f4", 16, 0],
        ["<f4", [16, -1, -1], 0],
        ["<f4", [True], 0],
        ["<f4", [None], 0],
        ["|O", [1], 0],
        ["<c8", [1], 0],
        ["|V4", [1], 0],
        ["<M8[s]", [1], 0],
        ["<U4", [1], 0],
        ["f4,f4", [1], 0],
        ["(2,)f4", [1], 0],
        [["a", "<f4"], [1], 0],
        ["nonsense", [1], 0],
        ["<f4", [1]],
        [],
        None,
    ],
)
def test_an_array_that_is_none_is_refused(array):
    with pytest.raises((TypeError, ValueError)):
        unpack({"__array__": array}, bytearray(64))


def test_any_byte_but_0_is_true():
    flags = unpack({"__array__": ["|b1", [3], 0]}, bytearray([0, 1, 77]))
    assert flags.view(np.uint8).tolist() == [0, 1, 1]


@linux
def test_the_child_can_neither_change_nor_shorten_what_was_taken():
    with Scratch(1 << 20) as scratch:
        rest, size = pack([np.arange(5)], scratch.path, 1 << 20)
        with open(scratch.path, "r+b", buffering=0) as child:
            with pytest.raises(PermissionError):
                child.truncate(0)
            (array,) = unpack(json.loads(json.dumps(rest)), scratch.take(size))
            with pytest.raises(PermissionError):
                child.write(b"x")
    np.testing.assert_array_equal(array, np.arange(5))


@linux
def test_memory_that_the_child_still_maps_is_not_taken():
    import mmap

    with Scratch(4096) as scratch, open(scratch.path, "r+b") as child:
        with mmap.mmap(child.fileno(), 4096), pytest.raises(OSError, match="busy"):
            scratch.take(64)
        assert len(scratch.take(64)) == 64


def test_limits_grow_with_the_file(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.touch()
    with large.open("wb") as file:
        file.truncate(200_000_000)  # sparse; a real DB2 file has 50 to 200 MB
    assert Limits.for_file(small) == Limits(result=64 << 20, seconds=10.0)
    assert Limits.for_file(large) == Limits(result=1 << 30, seconds=30.0)
    assert Limits.for_file(tmp_path / "nowhere").seconds == 10.0
