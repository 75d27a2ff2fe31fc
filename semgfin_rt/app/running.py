"""The figures of a replay while it runs: so far, and over the last minute.

Onsets and false activations are those of `semgfin_rt.scoring`, so that a replay that is left to
run ends at the figures of an evaluation. True lead: how much earlier a forecast shows a new
movement in `IN_A_ROW` windows in a row than the present decision does, both watched from the first
window whose forecast speaks of that movement.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semgfin_rt.contracts import NO_LABEL, Decision, LabelArray, TruthEvent
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.scoring import (
    Counts,
    Course,
    IndexArray,
    Onset,
    RunningScore,
    Scored,
    accuracy,
    class_index,
)

RECENT_S = 60.0
"""Of signal: how far back the rolling figures reach."""
KEPT = 1000
"""Onsets, the newest, that medians are taken over: an hour and more of movements."""


@dataclass(frozen=True)
class HorizonScore:
    """How one horizon does.

    Attributes
    ----------
    horizon_ms : int
    accuracy : float or None
        Over the whole replay.
    recent, persistence : float or None
        Over the last minute: accuracy of the forecast, and of the present decision as a forecast.
    lead_ms : float or None
        True lead, median; None for the present, and while no movement was shown by both.
    """

    horizon_ms: int
    accuracy: float | None
    recent: float | None
    persistence: float | None
    lead_ms: float | None

    @property
    def skill(self) -> float | None:
        """Accuracy over the last minute above that of persistence."""
        if self.recent is None or self.persistence is None:
            return None
        return self.recent - self.persistence


@dataclass(frozen=True, eq=False)
class Scores:
    """All figures at one time; None where there is nothing to take one of.

    Attributes
    ----------
    scored : int
        Decisions, at the first horizon.
    accuracy, accuracy_steady : float or None
        At the first horizon; over all windows, and over those inside one label.
    confusion : (n_classes, n_classes + 1) int64
        True class x decided class, the last column for rejected, at the first horizon.
    onsets : int
        Changes to a movement, the newest `KEPT` at most.
    onsets_missed : float or None
        Share of them never decided rightly.
    onset_delay_ms : float or None
        Median of the others.
    false_activations : float or None
        A minute of rest.
    horizons : tuple of HorizonScore
    """

    scored: int
    accuracy: float | None
    accuracy_steady: float | None
    confusion: Counts
    onsets: int
    onsets_missed: float | None
    onset_delay_ms: float | None
    false_activations: float | None
    horizons: tuple[HorizonScore, ...]


class RunningScores:
    """Takes the decisions of a replay and its truth; give it many at a time, as `Watch` does.

    Parameters
    ----------
    contract : ModelContract
        With the horizons that the decisions have.

    Attributes
    ----------
    score : RunningScore
        The counts behind the summary.
    """

    def __init__(self, contract: ModelContract) -> None:
        self.contract = contract
        self.score = RunningScore(contract)
        self._has_present = contract.horizons[0] == 0
        self._course = Course(contract)
        self._onsets: deque[Onset] = deque(maxlen=KEPT)
        self._recent = _Recent(len(contract.horizons), round(RECENT_S * contract.rate))
        self._leads = [_Leads(contract) for _ in contract.horizons[1:]]

    def take(self, decisions: Sequence[Decision], truth: Sequence[TruthEvent]) -> None:
        """Take new decisions and truth events, in any pieces."""
        scored = self.score.update(decisions, truth)
        if scored is None:
            return
        self._recent.push(scored, self.contract.class_ids)
        if not self._has_present:  # no decision on the present, no delay and no lead
            return
        present = scored.decided[:, 0]
        for h in range(len(self.contract.horizons)):
            # Across the edges of a stretch, where there is no truth, no window follows another.
            known = scored.truth[:, h] != NO_LABEL
            rows = scored.target[known, h], scored.truth[known, h], scored.decided[known, h]
            if h == 0:
                self._onsets += self._course.push(*rows)
            else:
                self._leads[h - 1].push(*rows, present[known])

    def scores(self) -> Scores:
        """Return the figures so far."""
        tally = self.score.tally
        delays = [o.delay_ms for o in self._onsets if o.delay_ms is not None]
        n = len(self._onsets)
        recent, persistence = self._recent.shares()
        leads = [None, *(leads.median() for leads in self._leads)]
        return Scores(
            tally.scored,
            accuracy(tally.confusion[0]),
            accuracy(tally.confusion_steady[0]),
            tally.confusion[0],
            n,
            (n - len(delays)) / n if n else None,
            float(np.median(delays)) if delays else None,
            self._course.false_activations if self._has_present else None,
            tuple(
                HorizonScore(
                    ms,
                    accuracy(tally.confusion[h]),
                    recent[h],
                    persistence[h] if self._has_present else None,
                    leads[h],
                )
                for h, ms in enumerate(self.contract.horizons_ms)
            ),
        )


class _Recent:
    """Right and scored decisions of the last `span` samples."""

    def __init__(self, n_horizons: int, span: int) -> None:
        self._span = span
        self._batches: deque[tuple[int, Counts]] = deque()  # newest sample, counts
        self._sum = np.zeros((3, n_horizons), dtype=np.int64)  # scored, right, right if repeated

    def push(self, scored: Scored, class_ids: Sequence[int]) -> None:
        """Add decisions; let those go that are older than the span."""
        _, known = class_index(scored.truth, class_ids)
        right = known & (scored.decided == scored.truth)
        repeated = known & (scored.decided[:, :1] == scored.truth)
        counts: Counts = np.stack([known, right, repeated]).sum(axis=1)
        newest = int(scored.newest[-1])
        self._batches.append((newest, counts))
        self._sum += counts
        while self._batches[0][0] <= newest - self._span:
            self._sum -= self._batches.popleft()[1]

    def shares(self) -> tuple[list[float | None], list[float | None]]:
        """Share of right forecasts, and of right repeated present decisions, by horizon."""
        n, right, repeated = self._sum.tolist()
        return (
            [r / k if k else None for r, k in zip(right, n, strict=True)],
            [r / k if k else None for r, k in zip(repeated, n, strict=True)],
        )


class _Leads:
    """True leads of one horizon: its onsets, and those of the present decision as a forecast."""

    def __init__(self, contract: ModelContract) -> None:
        self._forecast, self._repeated = Course(contract), Course(contract)
        self._shown: dict[int, float | None] = {}  # delay of each change of one, in ms
        self._repeats: dict[int, float | None] = {}  # and of the other; both know the same changes
        self._leads: deque[float] = deque(maxlen=KEPT)

    def push(
        self, target: IndexArray, truth: LabelArray, forecast: LabelArray, present: LabelArray
    ) -> None:
        """Take the next windows, (n_windows,) each."""
        self._shown.update(self._forecast.push(target, truth, forecast))
        self._repeats.update(self._repeated.push(target, truth, present))
        for change in sorted(self._shown.keys() & self._repeats.keys()):
            ahead, now = self._shown.pop(change), self._repeats.pop(change)
            if ahead is not None and now is not None:
                self._leads.append(now - ahead)

    def median(self) -> float | None:
        """Median lead in ms."""
        return float(np.median(self._leads)) if self._leads else None
