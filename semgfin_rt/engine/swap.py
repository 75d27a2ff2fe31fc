"""Another checkpoint in place of the one that decides, without a window missed.

A thread of its own loads it, warms it and hands it over; the engine's thread only feeds it the
last seconds of signal, which takes some ms, and goes on with it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from semgfin_rt.contracts import Chunk
from semgfin_rt.errors import CheckpointError, ContractMismatchError, SemgfinError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.pipeline import Pipeline

PRIME_S = 2.0
"""Signal that a new pipeline is fed: its window, and its filter's memory before that."""


class RecentSignal:
    """The last `PRIME_S` of raw signal, since the last loss."""

    def __init__(self, rate: float) -> None:
        self._limit = round(PRIME_S * rate)
        self._chunks: deque[Chunk] = deque()
        self._length = 0

    def push(self, chunk: Chunk) -> None:
        """Take a chunk; one after a loss begins afresh."""
        if chunk.lost:
            self._chunks.clear()
            self._length = 0
        self._chunks.append(chunk)
        self._length += len(chunk.samples)
        while self._length - len(self._chunks[0].samples) >= self._limit:
            self._length -= len(self._chunks.popleft().samples)

    def joined(self) -> Chunk | None:
        """Return all of it as one chunk."""
        if not self._chunks:
            return None
        return Chunk(
            np.concatenate([c.samples for c in self._chunks]),
            self._chunks[0].first,
            np.concatenate([c.times for c in self._chunks]),
        )


class ModelSwap:
    """Load a pipeline in the background.

    Parameters
    ----------
    model : Path
    build : callable
        Makes the pipeline; called in the thread.
    now : ModelContract
        Of the checkpoint that decides: sinks, windows and horizons are made for it.
    """

    def __init__(self, model: Path, build: Callable[[Path], Pipeline], now: ModelContract) -> None:
        self.model = model
        self._build, self._now = build, now
        self._pipeline: Pipeline | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._load, name="model swap", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether `take` has an answer."""
        return not self._thread.is_alive()

    def take(self, before: Pipeline, recent: Chunk | None) -> Pipeline:
        """Return the pipeline, fed with the recent signal and with the policy of `before`.

        Raises
        ------
        SemgfinError
            One sentence on why it cannot take over.
        """
        if self._pipeline is None:
            raise self._failure or CheckpointError(
                f"'{self.model}' could not be loaded: see the log."
            )
        pipeline = self._pipeline
        pipeline.set_policy(before.policy)
        if recent is not None:
            # filters all, decides once
            pipeline.push(in_step(recent, before), newest_only=True)
        pipeline.skipped = before.skipped
        return pipeline

    def _load(self) -> None:
        try:
            pipeline = self._build(self.model)
            require_swappable(self._now, pipeline.contract, self.model)
            self._pipeline = pipeline
        except SemgfinError as error:
            self._failure = error


def in_step(recent: Chunk, before: Pipeline) -> Chunk:
    """Leave out the first samples, fewer than a hop, so that windows end where they did before."""
    contract = before.contract
    since = contract.hop - before.samples_to_next
    out = (len(recent.samples) - contract.window - since) % contract.hop
    return Chunk(recent.samples[out:], recent.first + out, recent.times[out:])


def require_swappable(now: ModelContract, new: ModelContract, model: Path) -> None:
    """Refuse a checkpoint that decides on something else, or says it otherwise.

    Raises
    ------
    ContractMismatchError
        If signal, windows, horizons or classes differ.
    """
    new.require_fit(now.spec, "the stream")
    for what in ("window", "hop", "horizons_ms", "class_ids"):
        if getattr(now, what) != getattr(new, what):
            raise ContractMismatchError(
                f"'{model}' cannot take over while running: its {what} is {getattr(new, what)}, "
                f"that of the checkpoint in use {getattr(now, what)}; start again with it."
            )
