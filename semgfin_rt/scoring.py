"""Decisions against truth: one set of definitions for offline evaluation and a running replay.

The truth of a decision is the label of its window's newest sample; for a horizon, the label of
the sample that much later. A decision whose window or target reaches across a break, or whose
target is not in the recording, is not scored; nor is one whose true label the model does not know
(rest, for a model without rest). A rejected decision is a wrong one.

A change of label is known to a hop: it lies between the newest samples of two successive windows,
and counts as midway. Windows of different stretches never count as successive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import NO_LABEL, REST, Decision, LabelArray, TruthEvent
from semgfin_rt.model_contract import ModelContract

Counts = npt.NDArray[np.int64]
IndexArray = npt.NDArray[np.int64]
_MARGIN_S = 1.0  # truth markers may arrive this much later than the samples they belong to

GRACE_MS = 300.0
"""After a movement ends, a decision on a movement is no false activation for so long."""
IN_A_ROW = 5
"""Equal correct decisions that make an onset found."""


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


# ---------------------------------------------------------------------------------- in time
class Onset(NamedTuple):
    """A change to a movement, and how long the decisions took to follow.

    Attributes
    ----------
    sample : int
        Newest sample of the first window in the movement.
    delay_ms : float or None
        From the change to the first of `IN_A_ROW` equal correct decisions; None where the label
        changed again, or the stretch ended, before.
    """

    sample: int
    delay_ms: float | None


class Course:
    """Decisions against truth, window after window: onsets and false activations.

    An onset is a change to a movement that the model knows and that lasts `IN_A_ROW` windows. A
    false activation is a change from no movement to a movement while the truth is rest, and has
    been for `GRACE_MS`.

    Parameters
    ----------
    contract : ModelContract
    """

    def __init__(self, contract: ModelContract) -> None:
        self.hop_ms = 1000 * contract.hop / contract.rate
        self._hop, self._has_rest = contract.hop, contract.has_rest
        self._movements = frozenset(contract.class_ids) - {REST}
        self._newest: int | None = None  # of the window before
        self._truth = NO_LABEL
        self._moves = False  # the window before was decided to be a movement
        self._onset = -1  # newest sample of the first window of the movement; -1 when found
        self._windows = self._right = 0  # since the onset; of those, right ones up to the last
        self._rest_ms = 0.0  # since the last movement of this stretch ended
        self._activations = self._rest_windows = 0

    def push(self, newest: IndexArray, truth: LabelArray, decided: LabelArray) -> list[Onset]:
        """Take the next windows; return the onsets that were found or missed by their end.

        Parameters
        ----------
        newest : (n_windows,) int64
            Newest sample of each window, ascending; of a forecast, the sample it speaks of.
        truth, decided : (n_windows,) int16
            Labels of that sample.
        """
        onsets = []
        for sample, label, said in zip(
            newest.tolist(), truth.tolist(), decided.tolist(), strict=True
        ):
            follows = self._newest is not None and sample - self._newest == self._hop
            changed = follows and label != self._truth
            if changed or not follows:
                onsets += self.end()
            if changed and label in self._movements:
                self._onset = sample
            if self._onset >= 0:
                onsets += self._seek_onset(said == label)
            self._see_activation(said not in (REST, NO_LABEL), label, follows, changed)
            self._newest, self._truth = sample, label
        return onsets

    def end(self) -> list[Onset]:
        """Give up an onset that was not found yet: nothing follows in its movement."""
        missed = self._onset >= 0 and self._windows >= IN_A_ROW
        gone = [Onset(self._onset, None)] if missed else []
        self._onset, self._windows, self._right = -1, 0, 0
        return gone

    @property
    def false_activations(self) -> float | None:
        """False activations a minute of rest; None without rest."""
        minutes = self._rest_windows * self.hop_ms / 60_000
        return self._activations / minutes if self._has_rest and minutes else None

    def _seek_onset(self, right: bool) -> list[Onset]:
        self._windows += 1
        self._right = self._right + 1 if right else 0
        if self._right < IN_A_ROW:
            return []
        found = Onset(self._onset, (self._windows - IN_A_ROW + 0.5) * self.hop_ms)
        self._onset = -1
        self.end()
        return [found]

    def _see_activation(self, moves: bool, label: int, follows: bool, changed: bool) -> None:
        if not follows:
            self._rest_ms = np.inf  # whatever ended, it was in another stretch
        elif changed and label == REST:
            self._rest_ms = self.hop_ms / 2
        else:
            self._rest_ms += self.hop_ms
        if label == REST and self._rest_ms > GRACE_MS:
            self._rest_windows += 1
            self._activations += follows and moves and not self._moves
        self._moves = moves


# ------------------------------------------------------------------------ a running replay
@dataclass(frozen=True, eq=False)
class Scored:
    """Decisions whose truth is known.

    Attributes
    ----------
    newest : (n_windows,) int64
    target : (n_windows, n_horizons) int64
        Sample that each horizon speaks of.
    truth, decided : (n_windows, n_horizons) int16
        Labels; `NO_LABEL` as truth where window or target reach across a break or the end.
    """

    newest: IndexArray
    target: IndexArray
    truth: LabelArray
    decided: LabelArray


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

    def update(self, decisions: Sequence[Decision], truth: Sequence[TruthEvent]) -> Scored | None:
        """Take new decisions and truth events; score, and return, those whose truth is known."""
        for event in truth:
            if event.end:
                self._end = event.sample
            else:
                self._events.append(event)
        self._pending.extend(decisions)
        if not self._pending:
            return None
        if self._end is None:
            margin = int(self._ahead[-1] + _MARGIN_S * self.contract.rate)
            newest = self._pending[-1].sample
            ready = [d for d in self._pending if d.sample + margin <= newest]
        else:
            ready = self._pending
        self._pending = self._pending[len(ready) :]
        # Without any truth they are as good as never made.
        return self._score(ready) if ready and self._events else None

    def truth_at(self, sample: int) -> int:
        """Label of `sample`, or `NO_LABEL` where none is known yet."""
        if not self._events:
            return NO_LABEL
        labels, _, _ = self._lookup(np.array([sample]))
        return int(labels[0])

    def summary(self) -> dict[str, object]:
        """Give the figures so far."""
        return summarise(self.tally, self.contract.horizons_ms)

    def _score(self, decisions: Sequence[Decision]) -> Scored:
        newest = np.array([d.sample for d in decisions])
        decided = np.array([[m.label for m in d.movements] for d in decisions], dtype=np.int16)
        target = newest[:, None] + self._ahead
        # of each window the first and the newest sample, then the targets
        asked = np.column_stack([newest - self.contract.window + 1, newest, target])
        labels, run, stretch = self._lookup(asked)
        whole = (stretch == stretch[:, :1]) & (stretch[:, 1:2] == stretch[:, :1])
        truth = np.where(whole, labels, np.int16(NO_LABEL))[:, 2:]
        steady = run[:, 2:] == run[:, :1]
        present = labels[:, 1]
        self.tally += tally(truth, decided, steady, present, self.contract.class_ids)
        oldest = int(newest[-1]) - self.contract.window  # what no later decision asks about goes
        while len(self._events) > 1 and self._events[1].sample <= oldest:
            del self._events[0]
        return Scored(newest, target, truth, decided)

    def _lookup(self, samples: IndexArray) -> tuple[LabelArray, IndexArray, IndexArray]:
        """Label, number of the run of one label, and number of the stretch, of each sample."""
        events = self._events
        starts = np.array([e.sample for e in events])
        labels = np.array([e.label for e in events], dtype=np.int16)
        repetitions = np.array([e.repetition for e in events])
        breaks = np.array([not e.contiguous for e in events])
        differs = (np.diff(labels) != 0) | (np.diff(repetitions) != 0)
        runs = np.cumsum(breaks | np.append(False, differs))  # an event may tell a speed alone
        at = np.searchsorted(starts, samples, side="right") - 1
        known = at >= 0
        if self._end is not None:
            known &= samples < self._end
        return (
            np.where(known, labels[at], np.int16(NO_LABEL)),
            np.where(known, runs[at], -1),
            np.where(known, np.cumsum(breaks)[at], -1),
        )
