"""Rows 15 and 17 of the table of faults, in short: `semgfin-rt faults` flips 10,000 bits."""

from __future__ import annotations

import in_the_child
import numpy as np
import pytest

from semgfin_rt.app.faults import files
from semgfin_rt.recordings.limited_child import Limits, in_child

FLIPS = 60


@pytest.mark.parametrize("name", ["mat v5", "mat v7.3", "xdf"])
@pytest.mark.parametrize("seed", [1])
def test_flipped_bits_give_a_recording_or_a_sentence(name, seed):
    tally = files.flip(name, FLIPS, seed)
    assert tally.escaped == []
    assert tally.loaded + tally.refused == FLIPS
    assert min(tally.loaded, tally.refused) > 5  # neither is all that was tried
    assert tally.worst_s < 10


def test_archives_that_do_harm_are_refused():
    result = files.row17()
    assert result.ok, result.measured


def test_flipping_depends_on_the_seed_alone():
    whole = bytes(10_000)
    one, again = (files.flipped(whole, np.random.default_rng(5)) for _ in range(2))
    assert one == again != whole
    assert 1 <= sum(byte.bit_count() for byte in one) <= 4


# ------------------------------------------------------------------------ the row can fail
def _crash(path):
    if path.read_bytes() != b"whole":
        in_child(in_the_child.crash, where="'x'", limits=Limits(seconds=5.0))


def _escape(_path):
    raise ZeroDivisionError


def test_what_ends_the_child_is_counted(monkeypatch):
    in_child(int, "1", where="x")
    monkeypatch.setattr(files, "FORMATS", {"x": (lambda _: [b"whole"], _crash, "x")})
    tally = files.flip("x", 1, 0)
    assert (tally.refused, tally.crashes, tally.loaded) == (1, 1, 0)
    assert files.row15(1, 0).ok


def test_another_exception_breaks_the_promise(monkeypatch):
    monkeypatch.setattr(files, "FORMATS", {"x": (lambda _: [b"whole"], _escape, "x")})
    result = files.row15(3, 0)
    assert not result.ok
    assert "3 escaped" in result.measured


def test_too_slow_breaks_the_promise(monkeypatch):
    monkeypatch.setattr(files, "FORMATS", {"x": (lambda _: [b"whole"], lambda _: None, "x")})
    assert files.row15(1, 0).ok
    monkeypatch.setattr(files, "_MOST_S", 0.0)
    assert not files.row15(1, 0).ok


LARGE, LIMIT_MB = 400_000_000, 300.0


def _fill_this_process(_path):
    in_the_child.fill(LARGE)


def _fill_the_child(_path):
    in_child(in_the_child.fill, LARGE, where="x")


@pytest.mark.parametrize("fill", [_fill_this_process, _fill_the_child])
def test_too_large_breaks_the_promise_and_earlier_memory_does_not(fill, monkeypatch):
    monkeypatch.setattr(files, "_MOST_MB", LIMIT_MB)
    fill(None)  # before the row: neither this process's peak nor that of a child counts
    held = np.ones(LARGE, np.uint8)
    monkeypatch.setattr(files, "FORMATS", {"x": (lambda _: [b"whole"], lambda _: None, "x")})
    assert files.row15(1, 0).ok
    monkeypatch.setattr(files, "FORMATS", {"x": (lambda _: [b"whole"], fill, "x")})
    assert not files.row15(1, 0).ok
    assert held.all()
