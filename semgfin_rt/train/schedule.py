"""Forecasts that know no muscle: repeat what is, or read on in the timetable of the prompts.

Prompts come in a fixed order and last a fixed time, so a network can learn the timetable instead
of the muscle. Forecast skill counts only above these.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import NO_LABEL, LabelArray, Recording
from semgfin_rt.model_contract import ModelContract

IndexArray = npt.NDArray[np.int64]


def persistence(present: LabelArray, n_horizons: int) -> LabelArray:
    """Repeat a label as the forecast at every horizon.

    Parameters
    ----------
    present : (n_windows,) int16
        A method's present decisions, or the present truth for the upper bound.
    n_horizons : int

    Returns
    -------
    (n_windows, n_horizons) int16
    """
    return np.repeat(present[:, None], n_horizons, axis=1)


@dataclass(frozen=True, eq=False)
class Schedule:
    """The label that followed most often, by the present label and how long it has lasted.

    Attributes
    ----------
    table : (n_labels, n_hops, n_horizons) int16
        By label and hops since it began; `NO_LABEL` where training does not say.
    hop : int
        In samples.
    first : int
        Hops that have gone by when the first window after a break is whole.
    """

    table: LabelArray
    hop: int
    first: int

    @classmethod
    def fit(
        cls, recordings: Sequence[Recording], repetitions: Collection[int], contract: ModelContract
    ) -> Schedule:
        """Learn from the labels of `repetitions` alone.

        A label begins where it, the repetition or the stretch changes: in a test repetition too,
        what came before is not known.
        """
        parts = [
            _positions(recording, list(repetitions), contract.horizons, contract.hop)
            for recording in recordings
        ]
        label, elapsed, target = (np.concatenate(p) for p in zip(*parts, strict=True))
        if not len(label):
            unknown = np.full((1, 1, len(contract.horizons)), NO_LABEL, np.int16)
            return cls(unknown, contract.hop, 0)
        n_labels, n_hops = int(max(label.max(), target.max())) + 1, int(elapsed.max()) + 1
        table = np.full((n_labels, n_hops, len(contract.horizons)), NO_LABEL, dtype=np.int16)
        for h in range(len(contract.horizons)):
            known = target[:, h] != NO_LABEL
            key = (label[known] * n_hops + elapsed[known]) * n_labels + target[known, h]
            seen, count = np.unique(key, return_counts=True)
            seen = seen[np.argsort(count, kind="stable")]  # the most frequent is written last
            table.reshape(-1, table.shape[2])[seen // n_labels, h] = seen % n_labels
        return cls(table, contract.hop, (contract.window - 1) // contract.hop)

    def forecast(self, present: LabelArray, newest: IndexArray) -> LabelArray:
        """Forecast from present decisions in the order of time.

        Parameters
        ----------
        present : (n_windows,) int16
        newest : (n_windows,) int64
            Sample index of each window's newest sample; a jump by more than a hop is a break.

        Returns
        -------
        (n_windows, n_horizons) int16
            The present decision, where training never saw it last as long.
        """
        n_labels, n_hops, n_horizons = self.table.shape
        fallback = persistence(present, n_horizons)
        if not len(present):
            return fallback
        breaks = np.insert(np.diff(newest) != self.hop, 0, True)
        begins = breaks | np.insert(np.diff(present) != 0, 0, True)
        elapsed = _since(begins)
        elapsed += np.where(breaks[np.arange(len(present)) - elapsed], self.first, 0)
        seen = (present >= 0) & (present < n_labels) & (elapsed < n_hops)
        read = self.table[np.where(seen, present, 0), np.where(seen, elapsed, 0)]
        return np.where(seen[:, None] & (read != NO_LABEL), read, fallback)


def _positions(
    recording: Recording, repetitions: list[int], horizons: Sequence[int], hop: int
) -> tuple[IndexArray, IndexArray, IndexArray]:
    """Label, hops since it began, and label at each horizon, at every whole hop of a label."""
    labels, numbers = recording.labels.astype(np.int64), recording.repetitions
    stretch = np.zeros(len(labels), dtype=np.int64)
    stretch[list(recording.breaks)] = 1
    stretch = np.cumsum(stretch)
    allowed = np.isin(numbers, repetitions)
    elapsed = np.concatenate([np.arange(stop - start) for start, stop in recording.runs])
    at = np.flatnonzero(allowed & (elapsed % hop == 0))
    target = at[:, None] + np.asarray(horizons)
    inside = target < len(labels)
    target = np.where(inside, target, 0)
    inside &= allowed[target] & (stretch[target] == stretch[at, None])
    return labels[at], elapsed[at] // hop, np.where(inside, labels[target], NO_LABEL)


def _since(begins: npt.NDArray[np.bool_]) -> IndexArray:
    """How many entries ago the last True was; the first entry is one."""
    index = np.arange(len(begins))
    since: IndexArray = index - np.maximum.accumulate(np.where(begins, index, 0))
    return since
