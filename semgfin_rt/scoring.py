"""Decisions against truth: one set of definitions for offline evaluation and a running replay.

The truth of a decision is the label of its window's newest sample; for a horizon, the label of
the sample that much later. A decision whose window or target reaches across a break, or whose
target is not in the recording, is not scored; nor is one whose true label the model does not know
(rest, for a model without rest). A rejected decision is a wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import NO_LABEL, Decision, LabelArray, TruthEvent
from semgfin_rt.model_contract import ModelContract

Counts = npt.NDArray[np.int64]
IndexArray = npt.NDArray[np.int64]
_MARGIN_S = 1.0  # truth markers may arrive this much later than the samples they belong to


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts from which every figure follows; tallies of several recordings add up.

    Attributes
    ----------
    confusion, confusion_steady : (n_horizons, n_classes, n_classes + 1) int64
        True class x decided class, the last column for rejected; over all scored windows, and
        over those that lie with their target wholly inside one label.
    persistence, truth_persistence : (n_horizons,) int64
        Scored windows for which the model's own present decision, or the present truth, would
        have been right as a forecast.
    """

    confusion: Counts
    confusion_steady: Counts
    persistence: Counts
    truth_persistence: Counts

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.confusion + other.confusion,
            self.confusion_steady + other.confusion_steady,
            self.persistence + other.persistence,
            self.truth_persistence + other.truth_persistence,
        )

    @property
    def scored(self) -> int:
        """Windows scored at the first horizon."""
        return int(self.confusion[0].sum())


def empty_tally(n_horizons: int, n_classes: int) -> Tally:
    """Return a tally of nothing."""
    matrices = np.zeros((2, n_horizons, n_classes, n_classes + 1), dtype=np.int64)
    hits = np.zeros((2, n_horizons), dtype=np.int64)
    return Tally(matrices[0], matrices[1], hits[0], hits[1])


def tally(
    truth: LabelArray,
    decided: LabelArray,
    steady: npt.NDArray[np.bool_],
    present: LabelArray,
    class_ids: Sequence[int],
) -> Tally:
    """Count decisions against truth.

    Parameters
    ----------
    truth, decided : (n_windows, n_horizons) int16
        Labels; `NO_LABEL` where there is no truth, or where the decision was rejected.
    steady : (n_windows, n_horizons) bool
    present : (n_windows,) int16
        True label of each window's newest sample.
    class_ids : sequence of int
        Labels that the model knows, in the order of its classes.
    """
    n_windows, n_horizons = truth.shape
    result = empty_tally(n_horizons, len(class_ids))
    if not n_windows:
        return result
    row, known = class_index(truth, class_ids)
    column, _ = class_index(decided, class_ids)
    for h in range(n_horizons):
        for matrix, mask in (
            (result.confusion[h], known[:, h]),
            (result.confusion_steady[h], known[:, h] & steady[:, h]),
        ):
            np.add.at(matrix, (row[mask, h], column[mask, h]), 1)
    hit = known & (decided[:, :1] == truth)
    result.persistence[:] = hit.sum(axis=0)
    result.truth_persistence[:] = (known & (present[:, None] == truth)).sum(axis=0)
    return result


def class_index(
    labels: LabelArray, class_ids: Sequence[int]
) -> tuple[IndexArray, npt.NDArray[np.bool_]]:
    """Index of each label among the classes (n_classes where it is none), and whether it is one."""
    ids = np.asarray(class_ids)
    order = np.argsort(ids)
    at = np.minimum(np.searchsorted(ids[order], labels), len(ids) - 1)
    known = ids[order][at] == labels
    return np.where(known, order[at], len(ids)), known


def accuracy(confusion: Counts) -> float | None:
    """Share of right decisions of one (n_classes, n_classes + 1) matrix; None where it is empty."""
    total = confusion.sum()
    return float(np.trace(confusion) / total) if total else None


def balanced_accuracy(confusion: Counts) -> float | None:
    """Mean over the classes that occur of the share of them decided rightly."""
    support = confusion.sum(axis=1)
    occurs = support > 0
    if not occurs.any():
        return None
    return float(np.mean(np.diagonal(confusion)[occurs] / support[occurs]))


def majority(confusion: Counts) -> float | None:
    """Accuracy of always deciding on the most frequent true class."""
    total = confusion.sum()
    return float(confusion.sum(axis=1).max() / total) if total else None


def summarise(counts: Tally, horizons_ms: Sequence[int]) -> dict[str, object]:
    """Give the figures of a tally, under the names of the summary JSON."""
    scored = counts.confusion.sum(axis=(1, 2))

    def by_horizon(values: Sequence[float | None]) -> dict[str, float | None]:
        return {str(ms): value for ms, value in zip(horizons_ms, values, strict=True)}

    def share(hits: Counts) -> dict[str, float | None]:
        return by_horizon(
            [float(hit / n) if n else None for hit, n in zip(hits, scored, strict=True)]
        )

    persistence = share(counts.persistence)
    if horizons_ms[0] != 0:  # there is no present decision to repeat
        persistence = dict.fromkeys(persistence)
    return {
        "scored": counts.scored,
        "accuracy": accuracy(counts.confusion[0]),
        "accuracy_steady": accuracy(counts.confusion_steady[0]),
        "balanced_accuracy": balanced_accuracy(counts.confusion[0]),
        "majority": majority(counts.confusion[0]),
        "accuracy_by_horizon": by_horizon([accuracy(m) for m in counts.confusion]),
        "accuracy_steady_by_horizon": by_horizon([accuracy(m) for m in counts.confusion_steady]),
        "persistence_by_horizon": persistence,
        "truth_persistence_by_horizon": share(counts.truth_persistence),
    }


class RunningScore:
    """Scores decisions as the truth markers of a replay come in.

    Parameters
    ----------
    contract : ModelContract
    """

    def __init__(self, contract: ModelContract) -> None:
        self.contract = contract
        self.tally = empty_tally(len(contract.horizons_ms), len(contract.classes))
        self._ahead = np.array(contract.horizons)
        self._events: list[TruthEvent] = []
        self._end: int | None = None
        self._pending: list[Decision] = []

    def update(self, decisions: Sequence[Decision], truth: Sequence[TruthEvent]) -> None:
        """Take new decisions and truth events; score the decisions whose truth is known."""
        for event in truth:
            if event.end:
                self._end = event.sample
            else:
                self._events.append(event)
        self._pending.extend(decisions)
        if not self._pending or not self._events:
            return
        if self._end is None:
            margin = int(self._ahead[-1] + _MARGIN_S * self.contract.rate)
            newest = self._pending[-1].sample
            ready = [d for d in self._pending if d.sample + margin <= newest]
        else:
            ready = self._pending
        self._pending = self._pending[len(ready) :]
        if ready:
            self._score(ready)

    def truth_at(self, sample: int) -> int:
        """Label of `sample`, or `NO_LABEL` where none is known yet."""
        if not self._events:
            return NO_LABEL
        labels, _, _ = self._lookup(np.array([sample]))
        return int(labels[0])

    def summary(self) -> dict[str, object]:
        """Give the figures so far."""
        return summarise(self.tally, self.contract.horizons_ms)

    def _score(self, decisions: Sequence[Decision]) -> None:
        newest = np.array([d.sample for d in decisions])
        decided = np.array([[m.label for m in d.movements] for d in decisions], dtype=np.int16)
        present, _, stretch = self._lookup(newest)
        _, first_run, first_stretch = self._lookup(newest - self.contract.window + 1)
        target = newest[:, None] + self._ahead
        truth, run, target_stretch = self._lookup(target)
        whole = (first_stretch == stretch)[:, None] & (target_stretch == stretch[:, None])
        truth = np.where(whole, truth, np.int16(NO_LABEL))
        steady = run == first_run[:, None]
        self.tally += tally(truth, decided, steady, present, self.contract.class_ids)
        oldest = int(newest[-1]) - self.contract.window  # what no later decision asks about goes
        while len(self._events) > 1 and self._events[1].sample <= oldest:
            del self._events[0]

    def _lookup(self, samples: IndexArray) -> tuple[LabelArray, IndexArray, IndexArray]:
        """Label, number of the run of one label, and number of the stretch, of each sample."""
        starts = np.array([e.sample for e in self._events])
        labels = np.array([e.label for e in self._events], dtype=np.int16)
        stretches = np.cumsum([not e.contiguous for e in self._events])
        at = np.searchsorted(starts, samples, side="right") - 1
        known = at >= 0
        if self._end is not None:
            known &= samples < self._end
        return (
            np.where(known, labels[at], np.int16(NO_LABEL)),
            at,
            np.where(known, stretches[at], -1),
        )
