"""Streams that come and go, seen by a real search."""

import time
import uuid

import pytest
from signals import CHANNELS, RATE

from semgfin_rt import lsl
from semgfin_rt.app import discovery
from semgfin_rt.app.discovery import StreamWatch
from semgfin_rt.contracts import SignalSpec


@pytest.fixture
def watch():
    made = StreamWatch()
    yield made
    made.close()


def find(watch, source_id, condition=lambda stream: True, patience=15.0):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        for seen in watch.seen():
            if seen.stream.source_id == source_id and condition(seen):
                return seen
        time.sleep(0.02)
    raise AssertionError(f"not seen as it should be: {watch.seen()}")


def test_streams_are_seen_described_and_forgotten(watch, monkeypatch):
    monkeypatch.setattr(discovery, "FORGET_S", 1.0)
    pylsl = lsl.api()
    emg, mark = (f"{name}-{uuid.uuid4()}" for name in ("emg", "mark"))
    outlet = pylsl.StreamOutlet(lsl.make_info("EMG", "EMG", emg, SignalSpec(CHANNELS, RATE, "V")))
    marker = pylsl.StreamOutlet(pylsl.StreamInfo("Marks", "Markers", 1, 0.0, "string", mark))
    watch.start()
    begin = time.perf_counter()
    watch.seen()
    assert time.perf_counter() - begin < 0.05  # nobody waits
    seen = find(watch, emg, lambda s: s.xml is not None)
    assert (seen.usable, seen.unit, seen.stream.n_channels) == (True, "V", 3)
    assert lsl.parse_description(seen.xml).spec == SignalSpec(CHANNELS, RATE, "V")
    useless = find(watch, mark)
    assert not useless.usable
    assert "regular rate" in useless.problem
    order = [s.stream.source_id for s in watch.seen()]
    assert order.index(emg) < order.index(mark)  # signals first
    looks = watch.looks
    find(watch, emg, lambda s: watch.looks > looks and s.age_s() < 1.5)
    del outlet, marker
    end = time.monotonic() + 15
    while {emg, mark} & {s.stream.source_id for s in watch.seen()}:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_stream_without_unit_says_so(watch):
    source_id = f"emg-{uuid.uuid4()}"
    pylsl = lsl.api()
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo("E", "EMG", 3, RATE, "float32", source_id))
    watch.start()
    seen = find(watch, source_id, lambda s: s.xml is not None)
    assert (seen.usable, seen.unit) == (True, "")
    del outlet


def test_a_counter_is_no_channel(watch):
    source_id = f"emg-{uuid.uuid4()}"
    spec = SignalSpec(CHANNELS, RATE, "V")
    outlet = lsl.api().StreamOutlet(lsl.make_info("E", "EMG", source_id, spec, counter=True))
    watch.start()
    seen = find(watch, source_id, lambda s: s.xml is not None)
    assert (seen.stream.n_channels, seen.n_channels) == (len(CHANNELS) + 1, len(CHANNELS))
    del outlet
