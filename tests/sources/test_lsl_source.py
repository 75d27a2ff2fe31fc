"""The signal arrives whole and in order, gaps are counted, a dead stream says so."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid

import numpy as np
import pytest

from semgfin_rt import lsl
from semgfin_rt.contracts import NO_LABEL, SignalSpec, TruthEvent
from semgfin_rt.errors import StreamError
from semgfin_rt.sources.lsl import LslSource, TruthSource

SPEC = SignalSpec(("a", "b"), 1000.0, "V")


@pytest.fixture
def outlet_and_source():
    """Outlet and a source connected to it; `push` gives timestamps at will."""
    source_id = f"source-{uuid.uuid4()}"
    outlet = lsl.api().StreamOutlet(lsl.make_info("EMG", "EMG", source_id, SPEC))
    source = LslSource(source_id=source_id)
    source.connect()
    assert outlet.wait_for_consumers(3.0)
    yield outlet, source
    source.close()


def push(outlet, times) -> None:
    index = np.round(np.asarray(times) * 1000)
    outlet.push_chunk(np.column_stack([index, -index]).astype(np.float32), np.asarray(times))


def read_all(source, n_samples: int):
    """Read until `n_samples` have come; a chunk each."""
    chunks, deadline = [], time.monotonic() + 4
    while sum(len(c.samples) for c in chunks) < n_samples and time.monotonic() < deadline:
        chunk = source.read(0.1)
        if len(chunk.samples):
            chunks.append(chunk)
    return chunks


def test_waits_for_exactly_what_was_asked(outlet_and_source):
    outlet, source = outlet_and_source
    push(outlet, 5.0 + np.arange(30) / 1000)
    first = source.read(1.0, 20)
    assert (len(first.samples), first.first, first.lost) == (20, 0, 0)
    rest = source.read(0.05, 20)
    assert (len(rest.samples), rest.first) == (10, 20)
    np.testing.assert_array_equal(rest.samples[:, 0], 5020 + np.arange(10))
    np.testing.assert_allclose(rest.times, 5.020 + np.arange(10) / 1000)


def test_drains_more_than_one_pull(outlet_and_source):
    outlet, source = outlet_and_source
    push(outlet, 5.0 + np.arange(3000) / 1000)
    time.sleep(0.3)
    chunk = source.read()
    assert len(chunk.samples) == 3000
    assert source.read().first == 3000


def test_empty_read_returns_in_time(outlet_and_source):
    _, source = outlet_and_source
    begin = time.monotonic()
    chunk = source.read(0.1, 20)
    assert chunk.samples.shape == (0, 2)
    assert 0.05 < time.monotonic() - begin < 0.5


def test_a_gap_cuts_the_signal_once_it_is_known(outlet_and_source):
    outlet, source = outlet_and_source
    times = 5.0 + np.r_[0:100, 1100:2000] / 1000  # 1 s is missing
    push(outlet, times)
    chunks = read_all(source, 1000)
    assert [c.lost for c in chunks[:2]] == [0, pytest.approx(1000, rel=0.01)]
    before, after = chunks[:2]
    assert (before.first, len(before.samples)) == (0, pytest.approx(400, abs=2))  # 0.3 s later
    assert after.first == len(before.samples) + after.lost
    assert after.times[0] == pytest.approx(5.0 + after.first / 1000, abs=0.01)
    push(outlet, 7.0 + np.arange(10) / 1000)  # follows on the last
    chunk, *more = read_all(source, 10)
    assert (chunk.first, chunk.lost) == (1000 + after.lost, 0)
    assert sum(c.lost for c in more) == 0


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_gap_is_placed_alike_however_it_is_read(outlet_and_source, size):
    outlet, source = outlet_and_source
    push(outlet, 5.0 + np.r_[0:100, 1100:2000] / 1000)
    time.sleep(0.1)
    chunks = []
    while sum(len(c.samples) for c in chunks) < 1000:
        chunks.append(source.read(0.5, size))
    cuts = [(c.first, c.lost) for c in chunks if c.lost]
    assert cuts == [(1400, 1000)]


def test_bursts_are_no_loss(outlet_and_source):
    outlet, source = outlet_and_source
    came, begin = [], time.monotonic()
    for burst in range(20):  # 50 samples every 50 ms, stamped when they are pushed
        time.sleep(max(0.0, begin + 0.05 * burst - time.monotonic()))
        for _ in range(50):
            outlet.push_sample([0.0, 0.0])
        came.append(source.read())
    came += read_all(source, 1000 - sum(len(c.samples) for c in came))
    assert sum(len(c.samples) for c in came) == 1000
    assert sum(c.lost for c in came) == 0


def test_units_are_converted_once():
    source_id = f"unit-{uuid.uuid4()}"
    info = lsl.api().StreamInfo("EMG", "EMG", 1, 1000.0, "int16", source_id)
    outlet = lsl.api().StreamOutlet(info)
    source = LslSource(source_id=source_id, unit="uV", contract_channels=("wrist",))
    source.connect()
    outlet.push_chunk(np.array([[100], [-5]], np.int16))
    samples = source.read(2.0, 2).samples
    source.close()
    assert (source.spec.unit, source.spec.channels) == ("V", ("wrist",))
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples[:, 0], [1e-4, -5e-6], rtol=1e-6)


def test_refusals():
    with pytest.raises(StreamError, match=r"'nobody' was found on this machine within 0\.2 s"):
        LslSource(name="nobody", resolve_s=0.2).connect()
    with pytest.raises(StreamError, match="name or its source_id"):
        LslSource().connect()
    api, word = lsl.api(), f"refused-{uuid.uuid4()}"
    outlets = [
        api.StreamOutlet(api.StreamInfo(f"{word} text", "EMG", 1, 100.0, "string", f"{word} 1")),
        api.StreamOutlet(api.StreamInfo(f"{word} slow", "EMG", 1, 0.0, "float32", f"{word} 2")),
        api.StreamOutlet(api.StreamInfo(f"{word} twin", "EMG", 1, 100.0, "float32", f"{word} 3")),
        api.StreamOutlet(api.StreamInfo(f"{word} twin", "EMG", 1, 100.0, "float32", f"{word} 4")),
    ]
    with pytest.raises(StreamError, match="does not carry numbers"):
        LslSource(name=f"{word} text").connect()
    with pytest.raises(StreamError, match="claims 0 Hz"):
        LslSource(name=f"{word} slow").connect()
    with pytest.raises(StreamError, match="2 LSL streams"):
        LslSource(name=f"{word} twin").connect()
    with pytest.raises(StreamError, match="states no unit"):
        LslSource(source_id=f"{word} 3").connect()
    with pytest.raises(StreamError, match="truth markers"):
        TruthSource(f"{word} 3").connect()
    del outlets


SENDER = """
import sys, time
from semgfin_rt import lsl
from semgfin_rt.contracts import (SignalSpec)
info = lsl.make_info("EMG", "EMG", sys.argv[1], SignalSpec(("a", "b"), 1000.0, "V"))
outlet = lsl.api().StreamOutlet(info)
while True:
    outlet.push_sample([1.0, 2.0])
    time.sleep(0.001)
"""


def test_killed_stream_ends_soon():
    source_id = f"killed-{uuid.uuid4()}"
    with subprocess.Popen([sys.executable, "-c", SENDER, source_id]) as sender:
        source = LslSource(source_id=source_id, resolve_s=20.0)
        source.connect()
        assert len(source.read(2.0, 10).samples) == 10
        sender.kill()
        begin = time.monotonic()
        while not source.ended and time.monotonic() - begin < 3:
            source.read(0.1, 20)
        assert source.ended
        assert time.monotonic() - begin < 1.0
        assert source.read(0.1).samples.shape == (0, 2)
        source.close()
        source.close()


def test_truth_comes_in_order_and_nonsense_is_refused():
    source_id = f"truth-{uuid.uuid4()}"
    api = lsl.api()
    outlet = api.StreamOutlet(api.StreamInfo("truth", "Markers", 1, 0.0, "string", source_id))
    truth = TruthSource(source_id)
    truth.connect()
    assert truth.read() == []
    sent = [TruthEvent(0, 1, 1), TruthEvent(9, 2, 1, False), TruthEvent(20, NO_LABEL, -1, end=True)]
    for event in sent:
        outlet.push_sample([json.dumps(vars(event))])
    came, deadline = [], time.monotonic() + 3
    while len(came) < 3 and time.monotonic() < deadline:
        came += truth.read()
    assert came == sent
    outlet.push_sample(['{"sample": "many"}'])
    time.sleep(0.2)
    with pytest.raises(StreamError, match="none of a player's"):
        truth.read()
    truth.close()
    truth.close()
    assert truth.ended
