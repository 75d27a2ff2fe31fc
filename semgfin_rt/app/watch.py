"""What a run is remembered by: its counters and, where there is truth, its score."""

from __future__ import annotations

from collections.abc import Sequence

from semgfin_rt.app.running import RunningScores, Scores
from semgfin_rt.contracts import Decision, TruthEvent
from semgfin_rt.engine.commands import Command
from semgfin_rt.engine.process import EngineProcess
from semgfin_rt.engine.snapshot import Snapshot
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.scoring import RunningScore, accuracy

_BATCH = 25  # scoring one decision costs as much as scoring a batch of them


class Watch:
    """Scores decisions in batches; without truth it keeps nothing.

    Parameters
    ----------
    contract : ModelContract
        With the horizons that the decisions have.
    has_truth : bool
        A player tells the truth beside the signal.
    """

    def __init__(self, contract: ModelContract, has_truth: bool) -> None:
        self.running = RunningScores(contract) if has_truth else None
        self._waiting: list[Decision] = []
        self._knows = False

    def take(self, decisions: Sequence[Decision], truth: Sequence[TruthEvent]) -> None:
        """Take what a turn of the engine, or a snapshot, brought."""
        if self.running is None:
            return
        self._knows |= bool(truth)
        self._waiting.extend(decisions)
        due: list[Decision] = []
        if len(self._waiting) >= _BATCH:
            due, self._waiting = self._waiting, due
        self.running.take(due, truth)

    def finish(self) -> None:
        """Score what is left."""
        if self.running is not None:
            self.running.take(self._waiting, ())
            self._waiting = []

    @property
    def score(self) -> RunningScore | None:
        """The whole run's tallies; None where there is no truth."""
        return None if self.running is None else self.running.score

    @property
    def accuracy(self) -> float | None:
        """Accuracy so far, at the first horizon; None while nothing is scored."""
        return None if self.score is None else accuracy(self.score.tally.confusion[0])

    def truth_at(self, sample: int) -> int | None:
        """Label of a sample; None where none is known."""
        return self.score.truth_at(sample) if self.score is not None and self._knows else None


class WatchedEngine:
    """An engine in a process of its own, whose snapshots pass a `Watch` on their way."""

    def __init__(self, engine: EngineProcess, watch: Watch) -> None:
        self.last: Snapshot | None = None
        self._engine, self._watch = engine, watch

    def poll(self) -> Snapshot | None:
        """Return everything since the last snapshot, or None."""
        snapshot = self._engine.poll()
        if snapshot is not None:
            self.last = snapshot
            self._watch.take(snapshot.decisions, snapshot.truth)
        return snapshot

    @property
    def accuracy(self) -> float | None:
        """Accuracy so far, at the first horizon; None while nothing is scored."""
        return self._watch.accuracy

    @property
    def scores(self) -> Scores | None:
        """Running figures of a replay (about 0.2 ms); None where there is no truth."""
        return None if self._watch.running is None else self._watch.running.scores()

    def send(self, command: Command) -> None:
        """Tell the engine something."""
        self._engine.send(command)

    def truth_at(self, sample: int) -> int | None:
        """Label of a sample; None where none is known."""
        return self._watch.truth_at(sample)

    def close(self) -> None:
        """End the process. May be called again."""
        self._engine.close()
