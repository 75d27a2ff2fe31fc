"""What one method decided on one person's test windows -> figures.

Accuracies are those of `semgfin_rt.scoring`. A change of label is known to a hop: it lies between
the newest samples of two successive windows, and counts as midway. Windows of different stretches
never count as successive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import NO_LABEL, REST, FloatArray, LabelArray
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.scoring import accuracy, balanced_accuracy, class_index, majority, tally
from semgfin_rt.train.results import Detail, Figure
from semgfin_rt.train.test_windows import TestWindows

NEAR_MS = 300.0
"""Transition windows: newest sample within this of a change of label, either side."""
GRACE_MS = 300.0
"""After a movement ends, a decision on a movement is no false activation for so long."""
IN_A_ROW = 5
"""Equal correct decisions that make an onset found."""
BINS = 10
REJECT_RATES = (0.01, 0.05, 0.1, 0.2)

BoolArray = npt.NDArray[np.bool_]
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
    course = _Course.of(windows, contract)
    near = course.near_changes()
    close = tally(truth[near], decided[near], windows.steady[near], windows.present[near], ids)

    values: list[tuple[str, int, float | None]] = []
    for h, ms in enumerate(contract.horizons_ms):
        values += [
            ("accuracy", ms, accuracy(counts.confusion[h])),
            ("accuracy_steady", ms, accuracy(counts.confusion_steady[h])),
            ("balanced_accuracy", ms, balanced_accuracy(counts.confusion[h])),
            ("accuracy_transition", ms, accuracy(close.confusion[h])),
        ]
    first = contract.horizons_ms[0]
    wrong = _wrong(counts.confusion[0])
    values += [
        ("majority", first, majority(counts.confusion[0])),
        ("transition_errors", first, _wrong(close.confusion[0]) / wrong if wrong else None),
    ]
    if contract.horizons[0] == 0:  # without a decision on the present there is no delay
        delay, missed = course.onsets(decided[:, 0], contract)
        false = course.false_activations(decided[:, 0]) if contract.has_rest else None
        values += [
            ("onset_delay_ms", first, delay),
            ("onsets_missed", first, missed),
            ("false_activations_per_min", first, false),
        ]
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


# ---------------------------------------------------------------------------------- in time
@dataclass(frozen=True, eq=False)
class _Course:
    """The windows on a clock.

    Attributes
    ----------
    clock : (n_windows,) float64
        Of the newest sample, in ms; stretches lie far apart.
    hop_ms : float
    follows : (n_windows,) bool
        Comes one hop after the window before.
    present : (n_windows,) int16
        True label of the newest sample.
    changed : (n_windows,) bool
        The label changed since the window before.
    """

    clock: npt.NDArray[np.float64]
    hop_ms: float
    follows: BoolArray
    present: LabelArray
    changed: BoolArray

    @classmethod
    def of(cls, windows: TestWindows, contract: ModelContract) -> _Course:
        n = len(windows.newest)
        follows = np.insert(np.diff(windows.newest) == contract.hop, 0, False)[:n]
        differs = np.insert(np.diff(windows.present) != 0, 0, False)[:n]
        ms = 1000 / contract.rate
        clock = windows.newest * ms + _APART_MS * np.cumsum(~follows)
        return cls(clock, contract.hop * ms, follows, windows.present, follows & differs)

    @property
    def changes(self) -> npt.NDArray[np.float64]:
        """Clock of every change of label, (n_changes,)."""
        return self.clock[self.changed] - self.hop_ms / 2

    def near_changes(self) -> BoolArray:
        """Whether each window is one of a transition."""
        changes = np.concatenate([[-np.inf], self.changes, [np.inf]])
        after = np.searchsorted(changes, self.clock)
        to_last, to_next = self.clock - changes[after - 1], changes[after] - self.clock
        return np.asarray(np.minimum(to_last, to_next) <= NEAR_MS)

    def onsets(
        self, decided: LabelArray, contract: ModelContract
    ) -> tuple[float | None, float | None]:
        """Median delay in ms of the onsets found, and the share that was missed.

        An onset is a change to a movement that the model knows and that lasts long enough to be
        found; it is missed when the label changes again, or the stretch ends, before it is.
        """
        movements = [i for i in contract.class_ids if i != REST]
        starts = np.flatnonzero(self.changed & np.isin(self.present, movements))
        edges = np.append(np.flatnonzero(self.changed | ~self.follows), len(self.clock))
        delays, missed = [], 0
        for start in starts:
            stop = edges[np.searchsorted(edges, start, side="right")]
            if stop - start < IN_A_ROW:
                continue
            right = decided[start:stop] == self.present[start]
            rows = np.lib.stride_tricks.sliding_window_view(right, IN_A_ROW).all(axis=1)
            if rows.any():
                waited = self.clock[start + rows.argmax()] - self.clock[start]
                delays.append(float(waited + self.hop_ms / 2))
            else:
                missed += 1
        n = len(delays) + missed
        return (float(np.median(delays)) if delays else None, missed / n if n else None)

    def false_activations(self, decided: LabelArray) -> float | None:
        """Count changes from no movement to a movement, a minute of rest; None without rest."""
        rest = self.present == REST
        ends = np.append(-np.inf, self.changes[rest[self.changed]])
        since = self.clock - ends[np.searchsorted(ends, self.clock) - 1]
        counted = rest & (since > GRACE_MS)
        minutes = counted.sum() * self.hop_ms / 60_000
        moves = (decided != REST) & (decided != NO_LABEL)
        starts = self.follows & moves & ~np.roll(moves, 1)
        return float((starts & counted).sum() / minutes) if minutes else None


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
