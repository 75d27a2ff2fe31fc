"""A recording is handed over whole, and no chunk reaches over a break."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from signals import counting_recording

from semgfin_rt.contracts import NO_LABEL, Chunk, TruthEvent
from semgfin_rt.sources.recording import RecordingSource, RecordingTruth, truth_events


def read_all(source: RecordingSource, max_samples: int | None = None) -> list[Chunk]:
    source.connect()
    chunks = []
    while not source.ended:
        chunks.append(source.read(max_samples=max_samples))
    return chunks


@pytest.mark.parametrize(("size", "limit"), [(1, None), (20, None), (499, None), (20, 7)])
def test_everything_comes_once_and_in_order(size, limit):
    recording = counting_recording(1010, breaks=(500, 503))
    chunks = read_all(RecordingSource(recording, size), limit)
    np.testing.assert_array_equal(np.concatenate([c.samples for c in chunks]), recording.samples)
    times = np.concatenate([c.times for c in chunks])
    np.testing.assert_allclose(times, np.arange(1010) / 2000)
    assert [c.first for c in chunks if c.lost] == [500, 503]
    assert all(len(c.samples) <= min(size, limit or size) for c in chunks)
    starts = np.cumsum([0] + [len(c.samples) for c in chunks[:-1]])
    assert [c.first for c in chunks] == starts.tolist()


def test_after_the_end():
    source = RecordingSource(counting_recording(30))
    read_all(source)
    chunk = source.read(1.0)
    assert chunk.samples.shape == (0, 3)
    assert (chunk.first, chunk.lost, source.ended) == (30, 0, True)


def test_can_be_read_again():
    source = RecordingSource(counting_recording(30))
    assert len(read_all(source)) == len(read_all(source)) == 2


def test_across_breaks_only_the_truth_knows_of_them():
    """It is told no earlier than its samples are handed over."""
    source = RecordingSource(counting_recording(1010, breaks=(503,)), 20, across_breaks=True)
    truth = RecordingTruth(source)
    truth.connect()
    source.connect()
    told = []
    while not source.ended:
        chunk = source.read()
        assert not chunk.lost
        assert source.pushed == chunk.first + len(chunk.samples)
        told += [(chunk.first, event) for event in truth.read()]
    truth.close()
    assert [event for _, event in told] == truth_events(source.recording)
    assert [first for first, _ in told] == [0, 500, 500, 1000, 1000]
    assert truth.read() == []


def test_truth_events_tell_every_change():
    recording = counting_recording(1600, breaks=(700,))
    assert truth_events(recording) == [
        TruthEvent(0, 0, 1),
        TruthEvent(500, 1, 1),
        TruthEvent(700, 1, 1, contiguous=False),
        TruthEvent(1000, 2, 1),
        TruthEvent(1500, 0, 2),
        TruthEvent(1600, NO_LABEL, NO_LABEL, end=True),
    ]


def test_truth_events_tell_a_new_repetition_alone():
    recording = counting_recording(400)
    repetitions = recording.repetitions.copy()
    repetitions[100:] += 1
    events = truth_events(replace(recording, repetitions=repetitions))
    assert [(e.sample, e.label, e.repetition) for e in events[:-1]] == [(0, 0, 1), (100, 0, 2)]
