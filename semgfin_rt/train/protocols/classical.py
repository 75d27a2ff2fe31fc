"""Tasks of the controls without a network: what they learn from, then their scores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from semgfin_rt.contracts import FloatArray, Recording
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing, window_table
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.train import controls, dataset
from semgfin_rt.train.controls import FEATURES, METHODS, Lessons
from semgfin_rt.train.protocols.scoring import Setting, at_first_horizon, figure, scored
from semgfin_rt.train.protocols.shares import first_share
from semgfin_rt.train.protocols.tasks import Amount, Task
from semgfin_rt.train.results import TaskResult
from semgfin_rt.train.test_windows import TestWindows, features_of

_SMALLEST = 1e-6  # a dead channel's features stay finite


def score_controls(task: Task, recording: Recording, setting: Setting) -> TaskResult:
    """Score the controls of a task, with every amount of what is known of the person."""
    result = TaskResult(figures=[])
    contract = setting.contract(task)
    prepared = setting.filtered(recording, contract)
    for amount in task.amounts:
        if amount.kind == "labelled":
            lessons, scaler = own_lessons(prepared, contract, amount)
        else:
            lessons = others_lessons(task, setting, contract, alone=amount.kind == "unlabelled")
            scaler = Scaler(contract.scale_mean, contract.scale_std)
        normalise = _Normalise()
        if amount.kind == "unlabelled":
            scaler, normalise = _from_excerpt(setting.excerpt(recording, task, contract), contract)
        windows = replace(setting.windows(prepared, contract), scaler=scaler)
        tested = normalise(
            features_of(windows.signal, scaler, windows.newest, contract.window, FEATURES)
        )
        for method in amount.controls:
            _score(result, task, amount, method, lessons, windows, tested, contract)
    return result


def _score(
    result: TaskResult,
    task: Task,
    amount: Amount,
    method: str,
    lessons: Lessons,
    windows: TestWindows,
    tested: FloatArray,
    contract: ModelContract,
) -> None:
    if not METHODS[method].every_horizon:
        lessons = lessons.at_first_horizon
        windows, contract = at_first_horizon(windows, contract)
    started = time.perf_counter()
    output = controls.decide_with(method, lessons, tested, contract.class_ids, task.seed)
    seconds = time.perf_counter() - started
    figures, details = scored(task, amount, method, windows, output, contract)
    result.figures.extend(figures)
    result.details.extend(details)
    result.figures.append(figure(task, amount, method, "seconds", seconds))


# --------------------------------------------------------------------------- what they learn
class _Normalise:
    """Z-score features; by default they stay as they are."""

    def __init__(self, shift: FloatArray | float = 0.0, scale: FloatArray | float = 1.0) -> None:
        self.shift, self.scale = shift, np.maximum(scale, _SMALLEST)

    def __call__(self, features: FloatArray) -> FloatArray:
        normalised: FloatArray = ((features - self.shift) / self.scale).astype(np.float32)
        return normalised

    @classmethod
    def of(cls, groups: Sequence[FloatArray]) -> _Normalise:
        """From features in groups (n, n_features, n_channels) that weigh the same."""
        shift = np.mean([group.mean(axis=0) for group in groups], axis=0)
        squares = np.mean([((group - shift) ** 2).mean(axis=0) for group in groups], axis=0)
        return cls(shift, np.sqrt(squares))


def own_lessons(
    prepared: Recording, contract: ModelContract, amount: Amount
) -> tuple[Lessons, Scaler]:
    """Take the windows of the person's own repetitions, and the statistics of their signal."""
    windowing = Windowing(contract.window, contract.hop)
    shown = first_share(prepared, amount.repetitions, amount.percent, windowing)
    scaler = dataset.fit_scaler([shown], amount.repetitions)
    ends = np.isin(shown.repetitions, amount.repetitions)
    return controls.learn(prepared, contract, scaler, amount.repetitions, ends=ends), scaler


def others_lessons(
    task: Task, setting: Setting, contract: ModelContract, *, alone: bool
) -> Lessons:
    """Take the windows of other people's training repetitions.

    Parameters
    ----------
    alone : bool
        Whether signal and features are z-scored person by person, every class weighing the same
        as in the unlabelled excerpt; otherwise the checkpoint's scale is that of all.
    """
    parts = []
    for number, subject in enumerate(task.others):
        recording = setting.read(subject)
        prepared = setting.filtered(recording, contract)
        repetitions = _training(recording, contract)
        scaler = Scaler(contract.scale_mean, contract.scale_std)
        if alone:
            scaler = dataset.fit_scaler([prepared], repetitions)
        most = controls.MOST_WINDOWS // len(task.others)
        lessons = controls.learn(prepared, contract, scaler, repetitions, most=most)
        features = lessons.features
        if alone:
            present = lessons.labels[:, 0]
            features = _Normalise.of([features[present == i] for i in np.unique(present)])(features)
        groups = np.full(len(features), number, dtype=np.int64)
        parts.append((features, lessons.labels, groups))
    return Lessons(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _training(recording: Recording, contract: ModelContract) -> list[int]:
    """Repetitions of another person that the checkpoint has learnt from."""
    learnt = set(contract.history[-1].repetitions) - recording.test_repetitions
    return sorted(learnt & set(np.unique(recording.repetitions).tolist()))


def _from_excerpt(excerpt: Recording, contract: ModelContract) -> tuple[Scaler, _Normalise]:
    """Statistics of signal and features of the unlabelled seconds."""
    filtered = dataset.filtered(excerpt, contract.filter_sos)
    scaler = dataset.fit_scaler([filtered], np.unique(filtered.repetitions).tolist())
    windowing = Windowing(contract.window, contract.hop)
    newest = window_table(filtered, windowing, (0,)).newest
    newest = newest[~dataset.holds_damage(filtered, newest, contract.window)]
    features = features_of(filtered.samples, scaler, newest, contract.window, FEATURES)
    return scaler, _Normalise.of([features])
