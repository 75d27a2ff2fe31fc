"""Whether a stream is decided exactly as offline evaluation decides the recording.

The recording goes through the pipeline in uneven chunks, as a stream would come. Each decision is
compared with that of its window cut from the recording, filtered as a whole: the same backend and
batch shape must give the same bits. Batches on torch, as `semgfin-train evaluate` has them, may
differ by rounding, which is measured.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from semgfin_rt.contracts import Decision, FloatArray, Recording
from semgfin_rt.decision import DecisionPolicy, PolicySpec
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing, window_table
from semgfin_rt.engine.build import build_pipeline
from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.backends import Backend, TorchBackend
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.sources.recording import RecordingSource
from semgfin_rt.train import dataset

CHUNKS = (1, 7, 20, 499)
"""Samples of the chunks, in turn."""
ROUNDING = 1e-5
"""Of probabilities, between batches and single windows."""
_BATCH = 256

Report = Callable[[str, int, int, float], None]


def verify(
    model: Path,
    recording: Recording,
    backend: str = "auto",
    seconds: float | None = None,
    report: Report = lambda *_: None,
) -> dict[str, Any]:
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

    Returns
    -------
    dict
        ``compared``, ``different``, ``first`` (what differed first, or None), ``rounding`` (of
        probabilities, the largest against evaluation), ``other_labels`` (horizons of decisions
        that evaluation labels otherwise though its two best are further apart than rounding),
        ``not_finite`` (windows that are rejected in both), ``backend``.

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
        recording = _first(recording, round(seconds * contract.rate))
    windows, newest = _windows(recording, contract)
    if not len(newest):
        raise OptionError(
            f"{recording.path} holds no whole window of "
            f"{1000 * contract.window / contract.rate:g} ms: give a longer one."
        )
    offline = _one_by_one(contract, pipeline.backend, windows, newest)
    evaluation = _evaluated(model, windows)
    compared = different = other_labels = not_finite = 0
    rounding = 0.0
    first: dict[str, Any] | None = None
    for decision, expected, batched in zip(
        _streamed(recording, pipeline.push), offline, evaluation, strict=True
    ):
        compared += 1
        if compared % 100 == 0 or compared == len(newest):
            report("verify", compared, len(newest), 0.0)
        if expected is None:
            not_finite += 1
            continue
        if (what := _difference(decision, expected)) is not None:
            different += 1
            first = first or what
        single = np.stack([m.probabilities for m in expected.movements])
        rounding = max(rounding, float(np.abs(single - batched).max()))
        other_labels += _labelled_otherwise(single, batched)
    return {
        "compared": compared,
        "different": different,
        "first": first,
        "rounding": rounding,
        "other_labels": other_labels,
        "not_finite": not_finite,
        "backend": built.backend,
    }


def _first(recording: Recording, n: int) -> Recording:
    return replace(
        recording,
        samples=recording.samples[:n],
        labels=recording.labels[:n],
        repetitions=recording.repetitions[:n],
        breaks=tuple(b for b in recording.breaks if b < n),
    )


def _windows(
    recording: Recording, contract: ModelContract
) -> tuple[FloatArray, np.ndarray[Any, np.dtype[np.int64]]]:
    """All windows, (n_windows, n_samples, n_channels), as views; and their newest samples."""
    filtered = dataset.filtered(recording, contract.filter_sos)
    signal = Scaler(contract.scale_mean, contract.scale_std)(filtered.samples)
    newest = window_table(recording, Windowing(contract.window, contract.hop), (0,)).newest
    if not len(newest):
        return signal[:0, None], newest
    every = np.lib.stride_tricks.sliding_window_view(signal, contract.window, axis=0)
    return every[newest - contract.window + 1].transpose(0, 2, 1), newest


def _streamed(recording: Recording, push: Callable[..., list[Decision]]) -> Iterator[Decision]:
    source = RecordingSource(recording)
    source.connect()
    for size in itertools.cycle(CHUNKS):
        if source.ended:
            return
        source.chunk_samples = size
        yield from push(source.read())


def _one_by_one(
    contract: ModelContract,
    backend: Backend,
    windows: FloatArray,
    newest: np.ndarray[Any, np.dtype[np.int64]],
) -> Iterator[Decision | None]:
    """Decide on each window by itself; None where a sample of it is not finite."""
    policy = DecisionPolicy(contract, PolicySpec())
    for window, sample in zip(windows, newest.tolist(), strict=True):
        if not np.isfinite(window).all():
            yield None
            continue
        feature_map = backend.imitate(np.ascontiguousarray(window[None]))
        yield policy(
            backend.classify(feature_map)[0],
            backend.features(feature_map)[0],
            sample=sample,
            time=0,
        )


def _evaluated(model: Path, windows: FloatArray) -> Iterator[FloatArray]:
    """Probabilities (n_horizons, n_classes) of each window, computed in batches."""
    network, contract = load_checkpoint(model)
    backend = TorchBackend(network, contract, torch.device("cpu"))
    for start in range(0, len(windows), _BATCH):
        batch = np.ascontiguousarray(windows[start : start + _BATCH])
        yield from np.exp(backend.classify(backend.imitate(batch)))


def _difference(decision: Decision, expected: Decision) -> dict[str, Any] | None:
    """Say what differs, or None if every bit is the same."""
    here = {"sample": decision.sample, "offline_sample": expected.sample}
    if decision.sample != expected.sample:
        return here
    for one, other in zip(decision.movements, expected.movements, strict=True):
        if not np.array_equal(one.probabilities, other.probabilities):
            return here | {
                "horizon_ms": one.horizon_ms,
                "label": one.label,
                "offline_label": other.label,
                "largest": float(np.abs(one.probabilities - other.probabilities).max()),
            }
    if not np.array_equal(decision.features, expected.features):
        return here | {"features": float(np.abs(decision.features - expected.features).max())}
    return None


def _labelled_otherwise(single: FloatArray, batched: FloatArray) -> int:
    best = np.sort(batched, axis=1)
    apart = best[:, -1] - best[:, -2] > 2 * ROUNDING
    return int((apart & (single.argmax(axis=1) != batched.argmax(axis=1))).sum())
