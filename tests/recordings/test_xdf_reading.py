"""Sessions, damaged ones and those of other programs as recordings."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from sessions import BEGIN, HEADER, LOST, prompt, turns, write_plain, write_session
from signals import CHANNELS

from semgfin_rt.contracts import NO_LABEL, Event
from semgfin_rt.errors import RecordingError
from semgfin_rt.recordings import load
from semgfin_rt.recordings.xdf import Stretch, read_session, read_with_stretches
from semgfin_rt.sinks.session import SessionFile, read_decisions
from semgfin_rt.sinks.xdf import XdfWriter


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    """2 s of signal with a loss after 1.2 s and prompts by sample and by time."""
    events = [
        prompt(1, 2, 0.0, sample=0),  # the sample counts, whatever the time
        prompt(NO_LABEL, NO_LABEL, BEGIN + 0.3),
        prompt(2, 2, 0.0, sample=1200 + 7),  # one that was lost
    ]
    return write_session(
        tmp_path_factory.mktemp("xdf") / "a.xdf", [*events, *turns(100, loss_at=60)]
    )


def test_a_session_comes_back(session):
    recording = read_session(session)
    index = np.r_[0:1200, 1200 + LOST : 2000 + LOST]
    np.testing.assert_array_equal(recording.samples[:, 0], index)
    assert recording.spec.channels == ("left", "right", "top")
    assert (recording.spec.rate, recording.spec.unit) == (2000.0, "V")
    assert (recording.subject, recording.dataset) == (3, "session")
    assert recording.classes == {0: "rest", 1: "fist", 2: "point"}
    assert recording.test_repetitions == {2}
    assert recording.breaks == (1200,)
    assert recording.notes == (f"The signal has 1 gaps: {LOST} samples are missing.",)
    lengths = (600, 600, 800)
    np.testing.assert_array_equal(recording.labels, np.repeat([1, NO_LABEL, 2], lengths))
    np.testing.assert_array_equal(recording.repetitions, np.repeat([2, NO_LABEL, 2], lengths))


def test_which_samples_the_rows_are(session):
    assert read_with_stretches(session)[1] == [Stretch(0, 0, 0), Stretch(1200, 1200 + LOST, LOST)]


def test_loading_takes_sessions(session):
    (recording,) = load(session)
    assert recording.path == str(session)
    assert load(session, [3])[0].subject == 3
    with pytest.raises(RecordingError, match="holds no subject 4: choose from 3"):
        load(session, [4])


def test_events_may_be_many(tmp_path):
    health = [Event(BEGIN, "mark", "x" * 10_000) for _ in range(600)]
    path = write_session(tmp_path / "a.xdf", [*turns(3), *health, prompt(2, 1, BEGIN)])
    assert set(read_session(path).labels) == {2}


def test_without_prompts_nothing_is_labelled(tmp_path):
    recording = read_session(write_session(tmp_path / "a.xdf", list(turns(3))))
    assert set(recording.labels) == set(recording.repetitions) == {NO_LABEL}


def test_a_label_that_the_checkpoint_does_not_know_is_kept(tmp_path):
    entries = [prompt(7, 1, BEGIN), prompt(10**6, 1, BEGIN + 0.02), *turns(3)]
    recording = read_session(write_session(tmp_path / "a.xdf", entries))
    assert set(recording.labels) == {7}
    assert recording.classes[7] == "movement 7"


def test_a_damaged_tail_is_cut_with_a_word(session, tmp_path):
    whole, data = read_session(session), session.read_bytes()
    for lacking in (1, 7, 700, 20_000):
        path = tmp_path / f"{lacking}.xdf"
        path.write_bytes(data[:-lacking])
        recording = read_session(path)
        n = len(recording.samples)
        np.testing.assert_array_equal(recording.samples, whole.samples[:n])
        assert n > 1900 - lacking / 10  # a flush, and at least 10 bytes a sample
        said = [note for note in recording.notes if "byte" in note or "cut off" in note]
        assert len(said) == 1
        assert read_decisions(path)[0].decisions


def test_a_cut_at_the_end_of_a_chunk(tmp_path):
    file = SessionFile(tmp_path / "a.xdf", HEADER)
    for entry in turns(5):
        file.take(entry)
    file.flush()  # and then the power fails
    recording = read_session(tmp_path / "a.xdf")
    assert len(recording.samples) == 100
    assert "was cut off" in recording.notes[0]
    file.close()


def test_damage_in_the_middle_ends_it(session, tmp_path):
    data = bytearray(session.read_bytes())
    middle = data.index(b"\x03\0\x01\0\0\0", len(data) // 2)  # tag and stream of a chunk
    data[middle] = 99
    (tmp_path / "a.xdf").write_bytes(data)
    recording = read_session(tmp_path / "a.xdf")
    assert 500 < len(recording.samples) < 1500
    assert "bytes, about" in recording.notes[0]


def test_no_bit_flip_crashes_the_reader(session, tmp_path):
    data, path = session.read_bytes(), tmp_path / "a.xdf"
    rng = np.random.default_rng(5)
    refused = 0
    for turn in range(80):
        flipped = bytearray(data)
        for at in rng.integers(0, len(data) if turn % 2 else 4000, 5).tolist():
            flipped[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            read_session(path)
        except RecordingError:
            refused += 1
    assert 0 < refused < 80


# ------------------------------------------------------------------ of other programs
def chunk(tag: int, content: bytes) -> bytes:
    return struct.pack("<BIH", 4, len(content) + 2, tag) + content


def labrecorder(path: Path, unit: str = "uV", rate: str = "1000") -> Path:
    """Two channels of int16, the first sample stamped and the others to be deduced."""
    channel = f"<channel><label>{{}}</label><unit>{unit}</unit></channel>"
    header = (
        "<info><name>Amp</name><type>EMG</type><channel_count>2</channel_count>"
        f"<nominal_srate>{rate}</nominal_srate><channel_format>int16</channel_format><desc>"
        f"<channels>{channel.format('')}{channel.format('b')}</channels></desc></info>"
    )
    samples = [struct.pack("<Bdhh", 8, 50.0, 1, -1)]
    samples += [struct.pack("<Bhh", 0, k, -k) for k in range(2, 101)]
    path.write_bytes(
        b"XDF:"
        + chunk(1, b"<info><version>1.0</version></info>")
        + chunk(2, struct.pack("<I", 7) + header.encode())
        + chunk(3, struct.pack("<IBB", 7, 1, 100) + b"".join(samples))
        + chunk(3, struct.pack("<IBB", 7, 1, 1) + struct.pack("<Bdhh", 8, 51.0, 101, -101))
    )
    return path


def test_emg_of_another_program(tmp_path):
    recording = read_session(labrecorder(tmp_path / "a.xdf"))
    np.testing.assert_allclose(recording.samples[:, 0], 1e-6 * np.arange(1, 102), rtol=1e-6)
    assert recording.spec.channels == ("ch1", "b")
    assert (recording.spec.unit, recording.spec.rate) == ("V", 1000.0)
    assert recording.breaks == (100,)
    assert recording.subject == 0
    assert set(recording.labels) == {NO_LABEL}
    assert recording.notes[1] == "The signal has 1 gaps."
    assert load(tmp_path / "a.xdf")[0].dataset == "session"


def test_emg_that_does_not_say_what_it_is(tmp_path):
    with pytest.raises(RecordingError, match="states the unit 'furlong'"):
        read_session(labrecorder(tmp_path / "unit.xdf", unit="furlong"))
    with pytest.raises(RecordingError, match="states the unit none"):
        read_session(labrecorder(tmp_path / "none.xdf", unit=""))
    for rate in ("0", "inf", "nan"):
        with pytest.raises(RecordingError, match="at a constant rate"):
            read_session(labrecorder(tmp_path / f"{rate}.xdf", rate=rate))


def test_the_users_word_for_the_unit(tmp_path):
    silent = labrecorder(tmp_path / "none.xdf", unit="")
    with pytest.raises(RecordingError, match=r"pass --unit to `semgfin-rt replay` or `verify`"):
        read_session(silent)
    recording = read_session(silent, "mV")
    np.testing.assert_allclose(recording.samples[:, 0], 1e-3 * np.arange(1, 102), rtol=1e-6)
    assert not any("--unit" in note for note in recording.notes)
    stated = labrecorder(tmp_path / "uV.xdf")
    assert not any("--unit" in note for note in read_session(stated, "uV").notes)
    recording = read_session(stated, "count")  # it wins, with a word
    assert (recording.spec.unit, recording.samples[1, 0]) == ("count", 2)
    assert recording.notes[-1] == "It states the unit 'uV'; read as count, as --unit says."
    with pytest.raises(RecordingError, match="--unit is 'furlong', which is not known here"):
        read_session(stated, "furlong")


def test_channels_without_names_are_those_of_the_checkpoint(tmp_path):
    nameless = write_plain(tmp_path / "plain.xdf", 100, "V")
    recording = read_session(nameless, channels=CHANNELS)
    assert recording.spec.channels == CHANNELS
    assert recording.notes == ("It names no channels: taken as left, right, top.",)
    for others in ((), ("a", "b")):  # of another number
        assert read_session(nameless, channels=others).spec.channels == ("ch1", "ch2", "ch3")
    half = labrecorder(tmp_path / "half.xdf")
    assert read_session(half, channels=("a", "b")).spec.channels == ("ch1", "b")


@pytest.mark.parametrize(("types", "what"), [(("EEG",), "no stream"), (("EMG", "emg"), "2 str")])
def test_not_exactly_one_stream_of_emg(types, what, tmp_path):
    writer = XdfWriter(tmp_path / "a.xdf", {}, 0.0)
    for type in types:
        writer.add_stream("one", type, ("a",), "float32", 0.0, 100.0, "V")
    writer.close(1.0)
    with pytest.raises(RecordingError, match=f"holds {what}"):
        read_session(tmp_path / "a.xdf")


def test_headers_are_read_up_to_a_limit(tmp_path):
    path = tmp_path / "a.xdf"
    whole = labrecorder(path).read_bytes()
    header = chunk(1, b"<info/>" + b" " * (5 << 20))  # XML with spaces behind it
    path.write_bytes(whole[:4] + header + whole[4:])
    assert len(read_session(path).samples) == 101
    path.write_bytes(whole[:4] + 2 * header + whole[4:])
    with pytest.raises(RecordingError, match="is damaged where it begins"):
        read_session(path)
    path.write_bytes(whole + 2 * header)
    assert "last 5242894 bytes" in read_session(path).notes[0]


def test_headers_do_not_inflate(tmp_path):
    path = tmp_path / "a.xdf"
    whole = labrecorder(path).read_bytes()
    path.write_bytes(whole[:4] + chunk(1, b"<!DOCTYPE a [<!ENTITY b 'x'>]><a>&b;</a>") + whole[4:])
    with pytest.raises(RecordingError, match="is damaged where it begins"):
        read_session(path)


def test_a_pipe_is_no_recording(tmp_path):
    pipe = tmp_path / "a.xdf"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)  # so that opening it does not wait: it would without a writer
    with pytest.raises(RecordingError, match="since it is no file"):
        load(pipe)
    os.close(held)


def test_what_is_no_recording(tmp_path):
    with pytest.raises(RecordingError, match="cannot be read"):
        read_session(tmp_path / "missing.xdf")
    for content, what in (
        (b"", "is empty"),
        (b"hello", "is not an XDF file"),
        (b"XDF:", "holds no stream"),
        (b"XDF:\x04\xff\xff\xff\x7f\x01\x00", "is damaged where it begins"),
    ):
        (tmp_path / "a.xdf").write_bytes(content)
        with pytest.raises(RecordingError, match=what):
            read_session(tmp_path / "a.xdf")
    writer = XdfWriter(tmp_path / "silent.xdf", {}, 0.0)
    writer.add_stream("one", "EMG", ("a",), "float32", 0.0, 100.0, "V")
    writer.close(1.0)
    with pytest.raises(RecordingError, match="holds no sample of EMG"):
        read_session(tmp_path / "silent.xdf")
    (tmp_path / "header.xdf").write_bytes(b"XDF:" + chunk(1, b"<info><session>[]</session></info>"))
    with pytest.raises(RecordingError, match="not as this program writes it"):
        read_session(tmp_path / "header.xdf")
