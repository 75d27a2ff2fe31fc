"""A session as an engine would record it: made of small chunks, decisions and prompts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from signals import RATE, counting_recording, tiny_contract

from semgfin_rt.contracts import Chunk, Decision, Event, Movement, State
from semgfin_rt.decision import PolicySpec
from semgfin_rt.sinks.session import Entry, SessionFile, SessionHeader, session_header
from semgfin_rt.sinks.xdf import XdfWriter

BEGIN = 100.0
"""LSL clock of sample 0, in s."""
LOST = 50
HEADER = session_header(
    tiny_contract(),
    "ab" * 32,
    PolicySpec(vote=3),
    origin={"name": "cuff \x01 µ", "host": "here"},
    subject=3,
)


def chunk_at(first: int, n: int = 20, lost: int = 0, begin: float = BEGIN) -> Chunk:
    """Build a chunk whose first channel is the sample index (below 16 million)."""
    index = np.arange(first, first + n)
    samples = np.column_stack([index, -index, index % 7]).astype(np.float32)
    return Chunk(samples, first, begin + index / RATE, lost)


def decision_at(sample: int, begin: float = BEGIN) -> Decision:
    """Build a decision whose probabilities differ from sample to sample."""
    p = np.array([0.2, 0.3 + 1e-6 * (sample % 1000), 0.5], np.float32)
    movements = tuple(Movement(ms, 1, float(p[2]), p, State.HOLD) for ms in (0, 50))
    features = np.zeros((2, 2, 3), np.float32)
    return Decision(sample, begin + sample / RATE, movements, features, 1.25)


def prompt(label: int, repetition: int, time: float, sample: int | None = None) -> Event:
    """Build a prompt as a player's truth or a calibration is recorded."""
    value = {"label": label, "repetition": repetition}
    if sample is not None:
        value["sample"] = sample
    return Event(time, "prompt", json.dumps(value))


def turns(n: int, loss_at: int | None = None) -> Iterator[Entry]:
    """Yield `n` chunks of 10 ms, each with its decision, `LOST` samples missing before one."""
    first = 0
    for turn in range(n):
        lost = LOST if turn == loss_at else 0
        first += lost
        yield chunk_at(first, lost=lost)
        yield decision_at(first + 19)
        first += 20


def write_session(path: Path, entries: list[Entry], header: SessionHeader = HEADER) -> Path:
    """Write a session's file, flushing every 10 entries as a recorder does by the clock."""
    file = SessionFile(path, header)
    for i, entry in enumerate(entries):
        file.take(entry)
        if i % 10 == 9:
            file.flush()
    file.close()
    return path


def write_plain(path: Path, n_samples: int, unit: str = "") -> Path:
    """Write `counting_recording` as another program does that names no channels."""
    samples = counting_recording(n_samples).samples
    writer = XdfWriter(path, {}, BEGIN)
    stream = writer.add_stream("Amp", "EMG", ("",) * 3, "float32", BEGIN, RATE, unit)
    writer.numbers(stream, BEGIN + np.arange(n_samples) / RATE, samples)
    writer.close(BEGIN)
    return path
