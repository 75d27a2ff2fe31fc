"""Whether a stream is decided exactly as offline evaluation decides the recording.

The recording goes through the pipeline in uneven chunks, as a stream would come. Each decision is
compared with that of its window cut from the recording, filtered as a whole: the same backend and
batch shape must give the same bits. Batches on torch, as `semgfin-train evaluate` has them, may
differ by rounding, which is measured. Both judge the quality of the signal alike: a window that is
not trusted must be rejected, and counts as compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from semgfin_rt.contracts import Decision, FloatArray, Recording, State
from semgfin_rt.decision import DecisionPolicy, PolicySpec
from semgfin_rt.dsp.quality import NOT_FINITE, QualityMonitor, recoveries, usable
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing, window_table
from semgfin_rt.engine.build import build_pipeline
from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.backend import Backend
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.reference import TorchBackend
from semgfin_rt.recordings.cutting import cut_beginning
from semgfin_rt.sources.recording import RecordingSource
from semgfin_rt.train import dataset
from semgfin_rt.train.loop import Progress
from semgfin_rt.train.test_windows import BATCH, IndexArray, gather

CHUNKS = (1, 7, 20, 499)
"""Samples of the chunks, in turn."""
ROUNDING = 1e-5
"""Of probabilities, between batches and single windows."""


@dataclass
class Comparison:
    """What a stream and offline evaluation have in common.

    Attributes
    ----------
    backend : str
    compared, different : int
        Decisions, one that is missing or too much included.
    first : dict or None
        What differed first.
    rounding : float
        Largest difference of probabilities from evaluation, which runs in batches on torch.
    other_labels : int
        Horizons that evaluation labels otherwise though its two best are further apart than
        rounding.
    not_finite : int
        Windows with a sample that is not finite: there the decision must be rejected.
    untrusted : int
        Windows of bad quality, those included: there as well.
    notes : list of str
        Why other backends were passed over.
    """

    backend: str
    compared: int = 0
    different: int = 0
    first: dict[str, Any] | None = None
    rounding: float = 0.0
    other_labels: int = 0
    not_finite: int = 0
    untrusted: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether nothing differs but by rounding."""
        return not (self.different or self.other_labels)

    def add(
        self, decision: Decision | None, expected: _Expected | None, batched: FloatArray | None
    ) -> None:
        """Take the decisions of one window."""
        self.compared += 1
        what = _difference(decision, expected)
        if what is not None:
            self.different += 1
            self.first = self.first or what
        if expected is None or batched is None:
            return
        if expected.decision is None:
            self.untrusted += 1
            self.not_finite += expected.not_finite
            return
        single = np.stack([m.probabilities for m in expected.decision.movements])
        gap = float(np.nan_to_num(np.abs(single - batched), nan=1.0).max())
        self.rounding = max(self.rounding, gap)
        best = np.sort(batched, axis=1)
        apart = ~(best[:, -1] - best[:, -2] <= 2 * ROUNDING)  # where it is NaN as well
        self.other_labels += int((apart & (single.argmax(axis=1) != batched.argmax(axis=1))).sum())


@dataclass(frozen=True)
class _Expected:
    """What a window by itself gives; no decision where its quality is bad."""

    sample: int
    decision: Decision | None
    not_finite: bool = False


@dataclass(frozen=True, eq=False)
class _Offline:
    """The windows of a recording that was filtered as a whole."""

    contract: ModelContract
    signal: FloatArray
    marks: FloatArray
    starts: frozenset[int]
    """Newest samples of the first window of each stretch."""
    newest: IndexArray

    @classmethod
    def of(cls, recording: Recording, contract: ModelContract) -> _Offline:
        """Mark what cannot be signal, filter, and find the windows."""
        windowing = Windowing(contract.window, contract.hop)
        newest = window_table(recording, windowing, (0,)).newest
        monitor = _monitor(contract)
        marks = np.empty_like(recording.samples)
        breaks = set(recording.breaks)
        for start, stop in recording.stretches:
            monitor.reset()
            marks[start:stop] = monitor.mark(recording.samples[start:stop])
            breaks |= {start + row for row in recoveries(marks[start:stop])}
        cleaned = replace(
            recording, samples=usable(recording.samples, marks), breaks=tuple(sorted(breaks))
        )
        signal = dataset.filtered(cleaned, contract.filter_sos).samples
        starts = frozenset(start + contract.window - 1 for start, _ in recording.stretches)
        return cls(contract, signal, marks, starts, newest)

    def batches(self) -> Iterator[tuple[FloatArray, IndexArray]]:
        """Windows (n, n_samples, n_channels), z-scored, and their newest samples."""
        scaler = Scaler(self.contract.scale_mean, self.contract.scale_std)
        for start in range(0, len(self.newest), BATCH):
            newest = self.newest[start : start + BATCH]
            yield gather(self.signal, scaler, newest, self.contract.window), newest

    def one_by_one(self, backend: Backend) -> Iterator[_Expected]:
        """Decide on each window by itself."""
        policy = DecisionPolicy(self.contract, PolicySpec())
        monitor = _monitor(self.contract)
        for windows, newest in self.batches():
            for window, sample in zip(windows, newest.tolist(), strict=True):
                if sample in self.starts:
                    monitor.reset()
                marks = self.marks[sample + 1 - self.contract.window : sample + 1]
                if monitor.judge(window, marks).bad.any():
                    yield _Expected(sample, None, bool((marks == NOT_FINITE).any()))
                    continue
                feature_map = backend.imitate(window[None])
                log_probabilities = backend.classify(feature_map)[0]
                features = backend.features(feature_map)[0]
                yield _Expected(
                    sample, policy(log_probabilities, features, sample=sample, time=0.0)
                )

    def evaluated(self, model: Path) -> Iterator[FloatArray]:
        """Probabilities (n_horizons, n_classes) of each window, in batches on torch."""
        network, contract = load_checkpoint(model)
        backend = TorchBackend(network, contract, torch.device("cpu"))
        for windows, _ in self.batches():
            yield from np.exp(backend.classify(backend.imitate(windows)))


def verify(
    model: Path,
    recording: Recording,
    backend: str = "auto",
    seconds: float | None = None,
    report: Progress = lambda *_: None,
) -> Comparison:
    """Compare every decision on a recording with offline evaluation.

    Parameters
    ----------
    model : Path
        Folder of the checkpoint.
    recording : Recording
    backend : {"auto", "onnx", "torch", "cuda"}
    seconds : float, optional
        Of the recording; all of it by default.
    report : callable
        Told ("verify", done, of how many, 0.0).

    Raises
    ------
    CheckpointError, ContractMismatchError
        When the checkpoint is not valid, or the recording does not fit it.
    OptionError
        When no window is whole.
    """
    built = build_pipeline(model, backend)
    pipeline = built.pipeline
    contract = pipeline.contract
    contract.require_fit(recording.spec, recording.path)
    if seconds is not None:
        recording = cut_beginning(recording, round(seconds * contract.rate))
    offline = _Offline.of(recording, contract)
    if not len(offline.newest):
        raise OptionError(
            f"{recording.path} holds no whole window of "
            f"{1000 * contract.window / contract.rate:g} ms: give a longer one."
        )
    found = Comparison(built.backend, notes=list(built.notes))
    streamed = _streamed(recording, pipeline.push)
    evaluated = offline.evaluated(model)
    for expected, decision in itertools.zip_longest(offline.one_by_one(pipeline.backend), streamed):
        batched = next(evaluated, None)
        found.add(decision, expected, batched)
        if found.compared % 100 == 0 or found.compared == len(offline.newest):
            report("verify", found.compared, len(offline.newest), 0.0)
    return found


def _monitor(contract: ModelContract) -> QualityMonitor:
    return QualityMonitor(contract.rate, contract.window, contract.hop, contract.scale_std)


def _streamed(recording: Recording, push: Callable[..., list[Decision]]) -> Iterator[Decision]:
    source = RecordingSource(recording)
    source.connect()
    for size in itertools.cycle(CHUNKS):
        if source.ended:
            return
        source.chunk_samples = size
        yield from push(source.read())


def _difference(decision: Decision | None, expected: _Expected | None) -> dict[str, Any] | None:
    """Say what differs, or None if every bit is the same."""
    here = {
        "sample": None if decision is None else decision.sample,
        "offline_sample": None if expected is None else expected.sample,
    }
    if decision is None or expected is None or decision.sample != expected.sample:
        return here
    if expected.decision is None:
        silent = all(m.state is State.REJECT for m in decision.movements)
        return None if silent else here | {"state": decision.movements[0].state}
    for one, other in zip(decision.movements, expected.decision.movements, strict=True):
        if not np.array_equal(one.probabilities, other.probabilities):
            gap = np.abs(one.probabilities - other.probabilities)
            return here | {
                "horizon_ms": one.horizon_ms,
                "label": one.label,
                "offline_label": other.label,
                "largest": float(np.nan_to_num(gap, nan=1.0).max()),
            }
    if not np.array_equal(decision.features, expected.decision.features):
        return here | {"horizon_ms": None, "largest": None}
    return None
