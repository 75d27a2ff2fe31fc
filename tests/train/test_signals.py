"""Filtered signals on the disk: the same as in memory, found again, and trusted only when whole."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from subjects import RATE, SMOKE, TUNE, assert_same_weights, quiet, small_subject

from semgfin_rt.dsp.filters import design_filter
from semgfin_rt.errors import ContractMismatchError, TrainingError
from semgfin_rt.train import dataset
from semgfin_rt.train.finetune import finetune
from semgfin_rt.train.fit import fit
from semgfin_rt.train.preparation import filter_each
from semgfin_rt.train.signals import SignalCache

SOS = design_filter(RATE)


@pytest.fixture
def cache(tmp_path: Path) -> SignalCache:
    return SignalCache(tmp_path / "signals")


def files(cache: SignalCache) -> list[Path]:
    return sorted(cache.folder.iterdir())


def test_the_mapped_signal_is_the_filtered_one(cache):
    recording = small_subject(breaks=(700,))
    recording.samples[300:310, 1] = np.nan
    found = cache.filtered(recording, SOS)
    expected = dataset.filtered(recording, SOS)
    np.testing.assert_array_equal(found.samples, expected.samples)
    assert found.samples.dtype == np.float32
    assert isinstance(found.samples.base, np.memmap)
    assert not found.samples.flags.writeable
    assert found.breaks == (700,)
    np.testing.assert_array_equal(np.load(*files(cache)), expected.samples)


def test_what_was_filtered_is_found_again(cache):
    cache.filtered(small_subject(), SOS)
    (file,) = files(cache)
    written = file.stat()
    cache.filtered(small_subject(), SOS)
    (again,) = files(cache)
    assert (again.stat().st_ino, again.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_other_data_and_another_filter_are_other_files(cache):
    recording = small_subject()
    changed = recording.samples.copy()
    changed[-1, -1] += 1e-6
    cases = [
        (recording, SOS),
        (replace(recording, samples=changed), SOS),
        (replace(recording, breaks=(700,)), SOS),
        (recording, design_filter(RATE, notch=50.0)),
        (recording, ()),
    ]
    for one, sos in cases:
        found = cache.filtered(one, sos)
        np.testing.assert_array_equal(found.samples, dataset.filtered(one, sos).samples)
    assert len(files(cache)) == len(cases)


@pytest.mark.parametrize("damage", ["shortened", "empty", "one bit"])
def test_a_damaged_file_is_not_trusted(cache, damage):
    cache.filtered(small_subject(), SOS)
    (file,) = files(cache)
    content = bytearray(file.read_bytes())
    if damage == "one bit":
        content[5000] ^= 1
    else:
        del content[1000 if damage == "shortened" else 0 :]
    file.write_bytes(content)
    found = cache.filtered(small_subject(), SOS)
    np.testing.assert_array_equal(found.samples, dataset.filtered(small_subject(), SOS).samples)
    assert files(cache) == [file]


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """No file may grow beyond `most` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, cache):
    said = r"cannot keep the filtered signal of small subject 1 .*: make room, 0 MB"
    with full_disk(50_000):
        with pytest.raises(TrainingError, match=said):
            cache.filtered(small_subject(), SOS)
        with pytest.raises(TrainingError, match=said):
            fit([small_subject()], tmp_path / "model", SMOKE, quiet)
    assert not files(cache)
    assert [p.name for p in tmp_path.iterdir()] == ["signals"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"file/signals cannot keep .* another folder"):
        SignalCache(tmp_path / "file" / "signals").filtered(small_subject(), SOS)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(TrainingError, match="cannot keep"):
        SignalCache(tmp_path).filtered(small_subject(), SOS)


# --------------------------------------------------------------------- one recording at a time
def test_recordings_are_taken_one_at_a_time(cache):
    """Each is filtered and on the disk before the next is asked for."""
    seen = []

    def read():
        for subject in (1, 2, 3):
            seen.append(len(files(cache)) if cache.folder.exists() else 0)
            yield small_subject(subject)

    filtered = filter_each(read(), lambda _: SOS, cache)
    assert seen == [0, 1, 2]
    assert [r.subject for r in filtered.recordings] == [1, 2, 3]
    assert filtered.sha256 == dataset.data_sha256(map(small_subject, (1, 2, 3)))


def test_no_recording_at_all(tmp_path):
    with pytest.raises(TrainingError, match="no recording to train on"):
        fit(iter(()), tmp_path / "model", SMOKE, quiet)
    assert not list(tmp_path.iterdir())


def test_a_recording_of_another_signal_ends_it_at_once(cache):
    other = replace(small_subject(2), spec=replace(small_subject(2).spec, rate=2000.0))
    coming = iter([small_subject(1), other, small_subject(3)])
    with pytest.raises(ContractMismatchError, match="small subject 2"):
        filter_each(coming, lambda _: SOS, cache)
    assert [r.subject for r in coming] == [3]


def test_a_shared_folder_stays_and_changes_no_weight(tmp_path, cache, base):
    for name, folder in (("own", None), ("first", cache.folder), ("second", cache.folder)):
        fit(map(small_subject, (1, 2)), tmp_path / name, SMOKE, quiet, folder)
        finetune(base, iter([small_subject(3)]), tmp_path / f"{name}-tuned", TUNE, quiet, folder)
    for other in ("first", "second"):
        assert_same_weights(tmp_path / "own", tmp_path / other)
        assert_same_weights(tmp_path / "own-tuned", tmp_path / f"{other}-tuned")
    assert len(files(cache)) == 3
    assert not list(tmp_path.glob("*.resume"))


def test_a_run_that_goes_on_does_not_filter_again(tmp_path):
    """What an interrupted run has filtered lies beside its state, and goes with it."""
    signals = tmp_path / "model.resume" / "signals"
    written = []

    class StoppedError(Exception):
        """In place of a kill."""

    def stop(*_):
        raise StoppedError

    for _ in range(2):
        with pytest.raises(StoppedError):
            fit([small_subject()], tmp_path / "model", SMOKE, stop)
        (file,) = signals.iterdir()
        written.append((file.stat().st_ino, file.stat().st_mtime_ns))
    assert written[0] == written[1]
    fit([small_subject()], tmp_path / "model", SMOKE, quiet)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
