"""What one method decided on one person's test windows -> figures.

Accuracies, onsets and false activations are those of `semgfin_rt.scoring`.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import NO_LABEL, FloatArray, LabelArray
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.scoring import (
    Course,
    Tally,
    accuracy,
    balanced_accuracy,
    class_index,
    majority,
    tally,
)
from semgfin_rt.train.results import Detail, Figure
from semgfin_rt.train.test_windows import TestWindows

NEAR_MS = 300.0
"""Transition windows: newest sample within this of a change of label, either side."""
BINS = 10
REJECT_RATES = (0.01, 0.05, 0.1, 0.2)

BoolArray = npt.NDArray[np.bool_]
_Value: TypeAlias = tuple[str, int, float | None]  # measure, horizon in ms, value
_APART_MS = 1e6  # between the clocks of two stretches, more than any reach across


def measure(
    windows: TestWindows,
    output: FloatArray | LabelArray,
    contract: ModelContract,
    *,
    subject: int,
    seed: int,
    method: str,
    condition: str = "",
) -> tuple[list[Figure], Detail | None]:
    """Score one method on one person.

    Parameters
    ----------
    windows : TestWindows
        In the order of time.
    output : (n_windows, n_horizons, n_classes) float32, or (n_windows, n_horizons) int16
        Probabilities in the order of the contract's classes, or decided labels of a method that
        has none. Probabilities that are not finite are a rejection, as is `NO_LABEL`.
    contract : ModelContract
    subject, seed, method, condition
        As in `Figure`.

    Returns
    -------
    figures : list of Figure
        Accuracies at every horizon, the rest at the first. A value is None where it is not
        defined; calibration has no figure without probabilities.
    detail : Detail or None
        At the first horizon; None where no window is scored.
    """
    decided, confidence = decide(output, contract)
    truth, ids = windows.truth, contract.class_ids
    counts = tally(truth, decided, windows.steady, windows.present, ids)
    near = near_changes(windows, contract)
    close = tally(truth[near], decided[near], windows.steady[near], windows.present[near], ids)

    first = contract.horizons_ms[0]
    values = _accuracies(counts, close, contract)
    if contract.horizons[0] == 0:  # without a decision on the present there is no delay
        values += _delays(windows, decided[:, 0], contract)
    _, known = class_index(truth[:, 0], ids)
    calibration: list[tuple[float, float, int]] = []
    thresholds: dict[str, dict[str, float]] = {}
    if confidence is not None:
        sure = known & np.isfinite(confidence)
        calibration = calibrate(confidence[sure], decided[sure, 0] == truth[sure, 0])
        thresholds = reject_thresholds(confidence[sure], decided[sure, 0], contract)
        values.append(("calibration_error", first, calibration_error(calibration)))

    figures = [
        Figure(
            subject=subject,
            seed=seed,
            method=method,
            condition=condition,
            horizon_ms=ms,
            measure=name,
            value=value,
        )
        for name, ms, value in values
    ]
    if not known.any():
        return figures, None
    return figures, Detail(
        subject=subject,
        seed=seed,
        method=method,
        condition=condition,
        classes=[c.name for c in contract.classes],
        confusion=counts.confusion_steady[0].tolist(),
        calibration=calibration,
        thresholds=thresholds,
    )


def _accuracies(counts: Tally, close: Tally, contract: ModelContract) -> list[_Value]:
    """Of all windows and of those near changes."""
    values: list[_Value] = []
    for h, ms in enumerate(contract.horizons_ms):
        values += [
            ("accuracy", ms, accuracy(counts.confusion[h])),
            ("accuracy_steady", ms, accuracy(counts.confusion_steady[h])),
            ("balanced_accuracy", ms, balanced_accuracy(counts.confusion[h])),
            ("accuracy_transition", ms, accuracy(close.confusion[h])),
        ]
    first = contract.horizons_ms[0]
    wrong = _wrong(counts.confusion[0])
    return [
        *values,
        ("majority", first, majority(counts.confusion[0])),
        ("transition_errors", first, _wrong(close.confusion[0]) / wrong if wrong else None),
    ]


def _delays(windows: TestWindows, decided: LabelArray, contract: ModelContract) -> list[_Value]:
    """How late onsets are seen, and what is seen in rest."""
    first = contract.horizons_ms[0]
    course = Course(contract)
    onsets = course.push(windows.newest, windows.present, decided) + course.end()
    delays = [o.delay_ms for o in onsets if o.delay_ms is not None]
    return [
        ("onset_delay_ms", first, float(np.median(delays)) if delays else None),
        ("onsets_missed", first, (len(onsets) - len(delays)) / len(onsets) if onsets else None),
        ("false_activations_per_min", first, course.false_activations),
    ]


def decide(
    output: FloatArray | LabelArray, contract: ModelContract
) -> tuple[LabelArray, FloatArray | None]:
    """Decided labels (n_windows, n_horizons), and the confidence at the first horizon if known."""
    if output.ndim == 2:
        return np.asarray(output, dtype=np.int16), None
    ids = np.array(contract.class_ids, dtype=np.int16)
    whole = np.asarray(np.isfinite(output).all(axis=-1))
    decided = np.where(whole, ids[output.argmax(axis=-1)], np.int16(NO_LABEL))
    confidence = np.where(whole[:, 0], output[:, 0].max(axis=-1), np.nan)
    return decided, confidence.astype(np.float32)


def _wrong(confusion: npt.NDArray[np.int64]) -> int:
    return int(confusion.sum() - np.trace(confusion))


def near_changes(windows: TestWindows, contract: ModelContract) -> BoolArray:
    """Whether each window is one of a transition, (n_windows,)."""
    n = len(windows.newest)
    ms = 1000 / contract.rate
    follows = np.insert(np.diff(windows.newest) == contract.hop, 0, False)[:n]
    differs = np.insert(np.diff(windows.present) != 0, 0, False)[:n]
    clock = windows.newest * ms + _APART_MS * np.cumsum(~follows)
    changes = clock[follows & differs] - contract.hop * ms / 2  # midway, see `scoring`
    changes = np.concatenate([[-np.inf], changes, [np.inf]])
    after = np.searchsorted(changes, clock)
    to_last, to_next = clock - changes[after - 1], changes[after] - clock
    return np.asarray(np.minimum(to_last, to_next) <= NEAR_MS)


# ------------------------------------------------------------------------------- confidence
def calibrate(confidence: FloatArray, right: BoolArray) -> list[tuple[float, float, int]]:
    """Mean confidence, accuracy and windows of ten equal bins of confidence.

    Parameters
    ----------
    confidence : (n_windows,) float32
        In 0 to 1.
    right : (n_windows,) bool

    Returns
    -------
    list of (float, float, int)
        Ascending, always ten; an empty bin has its middle as confidence, and accuracy 0.
    """
    at = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)
    rows = []
    for number in range(BINS):
        inside = at == number
        n = int(inside.sum())
        mean = float(confidence[inside].mean(dtype=np.float64)) if n else (number + 0.5) / BINS
        rows.append((mean, float(right[inside].mean()) if n else 0.0, n))
    return rows


def calibration_error(calibration: list[tuple[float, float, int]]) -> float | None:
    """Mean over windows of how far the accuracy of their bin is from its confidence."""
    total = sum(n for *_, n in calibration)
    if not total:
        return None
    return sum(n * abs(sure - right) for sure, right, n in calibration) / total


def reject_thresholds(
    confidence: FloatArray, decided: LabelArray, contract: ModelContract
) -> dict[str, dict[str, float]]:
    """Confidence below which a share of each class's decisions lies, for `REJECT_RATES`.

    A class that is never decided on is left out.
    """
    return {
        contract.class_name(label): {
            str(rate): float(np.quantile(confidence[decided == label], rate))
            for rate in REJECT_RATES
        }
        for label in contract.class_ids
        if (decided == label).any()
    }
