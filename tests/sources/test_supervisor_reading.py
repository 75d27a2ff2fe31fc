"""The signal arrives whole and in order, gaps are counted, what cannot be read is refused."""

from __future__ import annotations

import math
import time
import uuid

import numpy as np
import pytest

from semgfin_rt import lsl
from semgfin_rt.contracts import SignalSpec
from semgfin_rt.errors import StreamError
from semgfin_rt.sources.inlet import the_one
from semgfin_rt.sources.supervisor import SupervisedSource

RATE = 1024.0  # so that the timestamps are exact
SPEC = SignalSpec(("a", "b"), RATE, "V")


class Sender:
    """An outlet whose sample number i is of its tick i, and never of the future."""

    def __init__(self, outlet) -> None:
        self.outlet = outlet
        self.begin = math.ceil(8 * lsl.local_clock()) / 8

    def push(self, *numbers: range) -> None:
        i = np.concatenate(numbers)
        times = self.begin + i / RATE
        time.sleep(max(0.0, times[-1] - lsl.local_clock()))
        self.outlet.push_chunk(np.column_stack([i, -i]).astype(np.float32), times)


@pytest.fixture
def sender_and_source():
    """Return a sender, and a source connected to it."""
    source_id = f"source-{uuid.uuid4()}"
    outlet = lsl.api().StreamOutlet(lsl.make_info("EMG", "EMG", source_id, SPEC))
    source = SupervisedSource(source_id=source_id)
    source.connect()
    assert outlet.wait_for_consumers(3.0)
    yield Sender(outlet), source
    source.close()


def read_all(source, n_samples: int, size: int | None = None):
    """Read until `n_samples` have come; a chunk each."""
    chunks, deadline = [], time.monotonic() + 4
    while sum(len(c.samples) for c in chunks) < n_samples and time.monotonic() < deadline:
        chunk = source.read(0.1, size)
        if len(chunk.samples):
            chunks.append(chunk)
    return chunks


def test_waits_for_exactly_what_was_asked(sender_and_source):
    sender, source = sender_and_source
    sender.push(range(30))
    first = source.read(1.0, 20)
    assert (len(first.samples), first.first, first.lost) == (20, 0, 0)
    rest = source.read(0.05, 20)
    assert (len(rest.samples), rest.first) == (10, 20)
    np.testing.assert_array_equal(rest.samples[:, 0], 20 + np.arange(10))
    np.testing.assert_allclose(rest.times - sender.begin, (20 + np.arange(10)) / RATE)


def test_drains_more_than_one_pull(sender_and_source):
    sender, source = sender_and_source
    sender.push(range(1500))
    time.sleep(0.3)
    chunk = source.read()
    assert len(chunk.samples) == 1500
    assert source.read().first == 1500


def test_empty_read_returns_in_time(sender_and_source):
    _, source = sender_and_source
    begin = time.monotonic()
    chunk = source.read(0.1, 20)
    assert chunk.samples.shape == (0, 2)
    assert 0.05 < time.monotonic() - begin < 0.5


@pytest.mark.parametrize("size", [None, 1, 7, 64])
def test_a_gap_cuts_the_signal_once_it_is_known_however_it_is_read(sender_and_source, size):
    sender, source = sender_and_source
    sender.push(range(100), range(1100, 2000))
    chunks = read_all(source, 1000, size)
    (cut,) = [c for c in chunks if c.lost]
    known = 1100 + math.ceil(0.3 * RATE)
    assert (cut.first, cut.lost, cut.samples[0, 0]) == (known, 1000, known)
    assert cut.times[0] - sender.begin == pytest.approx(known / RATE)
    sender.push(range(2000, 2010))  # follows on the last
    chunk, *more = read_all(source, 10, size)
    assert (chunk.first, chunk.lost) == (2000, 0)
    assert sum(c.lost for c in more) == 0


def test_bursts_are_no_loss(sender_and_source):
    sender, source = sender_and_source
    came, begin = [], time.monotonic()
    for burst in range(20):  # 50 samples every 50 ms, stamped when they are pushed
        time.sleep(max(0.0, begin + 0.05 * burst - time.monotonic()))
        for _ in range(50):
            sender.outlet.push_sample([0.0, 0.0])
        came.append(source.read())
    came += read_all(source, 1000 - sum(len(c.samples) for c in came))
    assert sum(len(c.samples) for c in came) == 1000
    assert sum(c.lost for c in came) == 0


def test_units_are_converted_once():
    source_id = f"unit-{uuid.uuid4()}"
    info = lsl.api().StreamInfo("EMG", "EMG", 1, 1000.0, "int16", source_id)
    outlet = lsl.api().StreamOutlet(info)
    source = SupervisedSource(source_id=source_id, unit="uV", contract_channels=("wrist",))
    source.connect()
    outlet.push_chunk(np.array([[100], [-5]], np.int16))
    samples = source.read(2.0, 2).samples
    source.close()
    assert (source.spec.unit, source.spec.channels) == ("V", ("wrist",))
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples[:, 0], [1e-4, -5e-6], rtol=1e-6)


def test_refusals():
    with pytest.raises(StreamError, match=r"'nobody' was found on this machine within 0\.2 s"):
        SupervisedSource(name="nobody", resolve_s=0.2).connect()
    with pytest.raises(StreamError, match="name or its source_id"):
        SupervisedSource().connect()
    api, word = lsl.api(), f"refused-{uuid.uuid4()}"
    outlets = [
        api.StreamOutlet(api.StreamInfo(f"{word} text", "EMG", 1, 100.0, "string", f"{word} 1")),
        api.StreamOutlet(api.StreamInfo(f"{word} slow", "EMG", 1, 0.0, "float32", f"{word} 2")),
        api.StreamOutlet(api.StreamInfo(f"{word} twin", "EMG", 1, 100.0, "float32", f"{word} 3")),
        api.StreamOutlet(api.StreamInfo(f"{word} twin", "EMG", 1, 100.0, "float32", f"{word} 4")),
    ]
    with pytest.raises(StreamError, match="does not carry numbers"):
        SupervisedSource(name=f"{word} text").connect()
    with pytest.raises(StreamError, match="claims 0 Hz"):
        SupervisedSource(name=f"{word} slow").connect()
    with pytest.raises(StreamError, match="2 LSL streams"):
        SupervisedSource(name=f"{word} twin").connect()
    with pytest.raises(StreamError, match="states no unit"):
        SupervisedSource(source_id=f"{word} 3").connect()
    del outlets


def test_twins_are_told_in_what_is_printable():
    api, name = lsl.api(), f"crowd-{uuid.uuid4()}"
    outlets = [
        api.StreamOutlet(api.StreamInfo(name, "EMG", 1, 100.0, "float32", f"\x1b[2J{i}"))
        for i in range(2)
    ]
    with pytest.raises(StreamError, match=r"'\\x1b\[2J0' on '.*'\\x1b\[2J1' on") as refused:
        the_one(2.0, name, None)
    assert str(refused.value).isprintable()
    del outlets
