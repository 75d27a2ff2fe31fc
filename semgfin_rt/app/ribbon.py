"""Label against time, as runs: the truth, the decision, and the forecasts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from semgfin_rt.contracts import Decision, State, TruthEvent
from semgfin_rt.model_contract import ModelContract

RIBBON_SECONDS = 10.0
TRUTH_ROW = "truth"


class Run(NamedTuple):
    """A stretch of one label.

    Attributes
    ----------
    start, stop : float
        In samples, or in seconds from now where a function says so; `stop` is excluded.
    label : int
    state : State or None
        None in the row of the truth.
    """

    start: float
    stop: float
    label: int
    state: State | None


class Check(NamedTuple):
    """A stretch of the past for which a forecast held, or did not.

    Attributes
    ----------
    start, stop : float
        In seconds from now.
    held : bool
    """

    start: float
    stop: float
    held: bool


def row_name(horizon_ms: int) -> str:
    """Name of the row of a horizon: ``"now"``, ``"+50 ms"``."""
    return f"+{horizon_ms} ms" if horizon_ms else "now"


class Ribbon:
    """Label against time: the truth, the decision, and each forecast at the time it speaks of.

    Attributes
    ----------
    rows : tuple of str
        ``"truth"``, then one for each horizon.
    ahead : float
        How far the longest forecast reaches beyond now, in seconds.
    """

    def __init__(self, contract: ModelContract, seconds: float = RIBBON_SECONDS) -> None:
        self.seconds = seconds
        self.ahead = contract.horizons_ms[-1] / 1000
        self.rows = (TRUTH_ROW, *map(row_name, contract.horizons_ms))
        self._rate, self._hop = contract.rate, contract.hop
        self._known = frozenset(contract.class_ids)
        self._forecasts = frozenset(row_name(ms) for ms in contract.horizons_ms if ms)
        self._runs: dict[str, deque[Run]] = {name: deque() for name in self.rows}
        self._now = 0

    def clear(self) -> None:
        """Forget everything, as at the start of a stream."""
        self._now = 0
        for runs in self._runs.values():
            runs.clear()

    def push(self, decisions: Iterable[Decision]) -> None:
        """Add decisions, oldest first; each speaks for one hop."""
        for decision in decisions:
            self._now = decision.sample + 1
            for movement in decision.movements:
                stop = self._now + round(movement.horizon_ms * self._rate / 1000)
                run = Run(stop - self._hop, stop, movement.label, movement.state)
                self._append(self._runs[row_name(movement.horizon_ms)], run)
        oldest = self._now - self.seconds * self._rate
        for runs in self._runs.values():
            while runs and runs[0].stop < oldest:
                runs.popleft()

    def push_truth(self, events: Iterable[TruthEvent]) -> None:
        """Add what a replay says of itself; the last label holds until the next event."""
        runs = self._runs[TRUTH_ROW]
        for event in events:
            if runs and runs[-1].stop > event.sample:
                runs.append(runs.pop()._replace(stop=event.sample))
            if not event.end:
                runs.append(Run(event.sample, np.inf, event.label, None))

    def segments(self, row: str) -> list[Run]:
        """Return the runs of `row` in seconds from now (past is negative), cut to the picture."""
        end = self.ahead if row != TRUTH_ROW else 0.0
        cut = []
        for run in self._runs[row]:
            start = max((run.start - self._now) / self._rate, -self.seconds)
            stop = min((run.stop - self._now) / self._rate, end)
            if start < stop:
                cut.append(Run(start, stop, run.label, run.state))
        return cut

    def checks(self, row: str) -> list[Check]:
        """Return where the forecasts of `row` held once their future had come.

        What came true is the truth in a replay, and elsewhere the decision on that moment. Where
        either says nothing, rejected or stale, there is no check; nor is there one of the present.
        """
        if row not in self._forecasts:
            return []
        came = self._runs[TRUTH_ROW] or self._runs.get(row_name(0), deque())
        stretches = []
        for start, stop, held in _verdicts(self._known_of(self._runs[row]), self._known_of(came)):
            begin = max((start - self._now) / self._rate, -self.seconds)
            end = min((stop - self._now) / self._rate, 0.0)
            if begin < end:
                stretches.append(Check(begin, end, held))
        return stretches

    def _known_of(self, runs: Iterable[Run]) -> list[Run]:
        """Those that say which of the model's classes it is."""
        return [r for r in runs if r.label in self._known and r.state is not State.STALE]

    @staticmethod
    def _append(runs: deque[Run], run: Run) -> None:
        """Lengthen the last run where nothing changed; a missing decision leaves a hole."""
        if runs and runs[-1].stop >= run.start and runs[-1][2:] == run[2:]:
            run = run._replace(start=runs.pop().start)
        runs.append(run)


def _verdicts(forecasts: list[Run], came: list[Run]) -> Iterator[tuple[float, float, bool]]:
    """Yield start, stop, and whether labels agree, of each stretch in which both rows speak."""
    i = j = 0
    begun = ended = 0.0
    agree: bool | None = None
    while i < len(forecasts) and j < len(came):
        one, other = forecasts[i], came[j]
        start = max(one.start, other.start)
        stop = min(one.stop, other.stop)
        if start < stop:
            same = one.label == other.label
            if same is agree and start <= ended:
                ended = stop
            else:
                if agree is not None:
                    yield begun, ended, agree
                begun, ended, agree = start, stop, same
        if one.stop < other.stop:
            i += 1
        else:
            j += 1
    if agree is not None:
        yield begun, ended, agree
