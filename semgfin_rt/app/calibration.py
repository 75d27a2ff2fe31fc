"""Guided calibration: signal comes in, prompts go out, a labelled recording remains.

No thread, no clock, no screen: whoever has the signal (an engine's chunks or its snapshots) hands
it over and shows the prompt. A trial is judged as soon as the first half of the rest behind it is
there; a bad one is redone, at the end of the session or right away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from semgfin_rt.app import effort
from semgfin_rt.app.prompts import Order, Prompt, PromptSchedule, Slot, Timing, Trial, plan_trials
from semgfin_rt.contracts import REST, FloatArray, LabelArray, Recording
from semgfin_rt.errors import RecordingError
from semgfin_rt.model_contract import ModelContract


@dataclass(frozen=True)
class Plan:
    """What to prompt.

    Attributes
    ----------
    movements : tuple of int or None
        None: all that the checkpoint knows.
    repetitions : int
        2 at least; the last is held out.
    timing : Timing
    order : {"random", "contract"}
        Of the movements within a repetition.
    seed : int
    redos : int
        How often a bad trial is prompted again by itself.
    at_once : bool
        Right away instead of at the end.
    """

    movements: tuple[int, ...] | None = None
    repetitions: int = 3
    timing: Timing = field(default_factory=Timing)
    order: Order = "random"
    seed: int = 0
    redos: int = 2
    at_once: bool = False


@dataclass(frozen=True)
class Verdict:
    """On a trial that was made: what is wrong with it, if anything, and what follows."""

    trial: Trial
    problem: str = ""
    redo: bool = False

    @property
    def ok(self) -> bool:
        """Whether it can be learnt from."""
        return not self.problem


@dataclass(frozen=True, eq=False)
class _Take:
    """A trial as it was recorded: `samples` (n_samples, n_channels), NaN where one is lost."""

    verdict: Verdict
    samples: FloatArray
    slot: Slot
    connection: int

    def follows(self, other: _Take) -> bool:
        """Whether it continues the signal of another one."""
        return self.connection == other.connection and self.slot.first == other.slot.stop


class Calibration:
    """A session of prompts with one person.

    Parameters
    ----------
    contract : ModelContract
        Of the checkpoint that is to be adapted.
    plan : Plan
    subject : int
        Number of the person.
    dataset : {"session", "synthetic"}
        `synthetic` where the person is.

    Attributes
    ----------
    verdicts : list of Verdict
        On every trial so far, in the order of time.

    Raises
    ------
    OptionError
        If the plan does not fit the checkpoint.
    """

    def __init__(
        self, contract: ModelContract, plan: Plan, subject: int = 1, dataset: str = "session"
    ) -> None:
        self.contract, self.plan = contract, plan
        self.subject, self.dataset = subject, dataset
        self.verdicts: list[Verdict] = []
        # A number that the checkpoint has learnt would pass for the very same signal.
        learnt = contract.learnt_repetitions(dataset, subject)
        trials = plan_trials(
            contract,
            plan.movements,
            plan.repetitions,
            plan.order,
            plan.seed,
            1 + max(learnt, default=0),
        )
        self.held_out = trials[-1].repetition
        self._takes: list[_Take] = []
        self._chunks: deque[tuple[int, FloatArray]] = deque()
        self._connection = 0
        self._begun = False  # the signal has
        self._judged = 0  # of the trials of the schedule
        self._await(trials)

    # --------------------------------------------------------------------- what to show
    @property
    def prompt(self) -> Prompt:
        """What to show now."""
        return self._schedule.at(self._next)

    @property
    def over(self) -> bool:
        """Every trial is made and judged."""
        return self._judged == len(self._schedule.trials)

    # ------------------------------------------------------------------------- running
    def timetable(self) -> PromptSchedule:
        """Return what is still to come, for a signal that begins with sample 0."""
        return PromptSchedule(self._to_come, self.plan.timing, self.contract.rate)

    def take(self, samples: FloatArray, first: int) -> tuple[Verdict, ...]:
        """Take signal, in the order of time; return the verdicts that it brought.

        Parameters
        ----------
        samples : (n_samples, n_channels) float32
            A row of NaN stands for a lost sample, as in a snapshot.
        first : int
            Index of the first one; what is missing before it is lost. The session begins with the
            first call.
        """
        if not len(samples) or self.over:
            return ()
        if not self._begun:
            self._await(self._schedule.trials, first)
            self._begun = True
        self._chunks.append((first, samples))
        self._next = first + len(samples)
        new = []
        while not self.over and self._next >= (slot := self._schedule.slot(self._judged)).stop:
            new.append(self._judge(slot))
        return tuple(new)

    def redo(self, trial: Trial, *, at_once: bool = True) -> None:
        """Prompt a trial once more: what counts is the last attempt that is good.

        Parameters
        ----------
        trial : Trial
            Any that was planned, such as the one that is shown.
        at_once : bool
            Next, instead of at the end.
        """
        again = self._next_attempt(trial)
        if self.over:
            self.resume()
            self._await([again])
        elif at_once:
            k = self._schedule.current(self._next)
            shown = self._next >= self._schedule.slot(k).on
            self._schedule.add(again, after=k if shown else k - 1)
        else:
            self._schedule.add(again)

    def resume(self) -> None:
        """Go on with another signal: the next sample does not follow on those before.

        A trial that was not judged yet is prompted again, beginning with its rest.
        """
        self._connection += 1
        self._await(self._to_come)

    # ------------------------------------------------------------------------ the result
    @property
    def redone(self) -> int:
        """How many trials were made again."""
        return sum(verdict.trial.attempt > 1 for verdict in self.verdicts)

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for every movement that no attempt at a repetition of it was good for."""
        good = {_place(take.verdict.trial) for take in self._takes}
        last = {_place(verdict.trial): verdict for verdict in self.verdicts}
        return tuple(
            f"{self.contract.class_name(movement)}, repetition {repetition}, is left out after "
            f"{verdict.trial.attempt} attempts: {verdict.problem}."
            for (movement, repetition), verdict in last.items()
            if (movement, repetition) not in good
        )

    def recording(self) -> Recording:
        """Return what was recorded, labelled by the refined prompts.

        Of every movement and repetition the last good attempt is in it.

        Raises
        ------
        RecordingError
            If a repetition has no good trial.
        """
        takes = sorted(
            {_place(take.verdict.trial): take for take in self._takes}.values(),
            key=lambda take: (take.connection, take.slot.first),
        )
        there = {take.verdict.trial.repetition for take in takes}
        for repetition in range(self.held_out + 1 - self.plan.repetitions, self.held_out + 1):
            if repetition not in there:
                why = f" ({self.notes[-1]})" if self.notes else ""
                raise RecordingError(
                    f"no trial of repetition {repetition} can be learnt from{why.rstrip('.')}: "
                    "look after the electrodes and calibrate again."
                )
        lengths = np.array([len(take.samples) for take in takes])
        starts = np.cumsum(lengths) - lengths
        repetitions = np.array([take.verdict.trial.repetition for take in takes], np.int16)
        return Recording(
            np.concatenate([take.samples for take in takes]),
            self.contract.spec,
            np.concatenate([self._labels(take) for take in takes]),
            np.repeat(repetitions, lengths),
            {REST: "rest"} | {c.id: c.name for c in self.contract.classes},
            subject=self.subject,
            dataset=self.dataset,
            path=f"the calibration of subject {self.subject}",
            test_repetitions=frozenset(),
            breaks=tuple(
                int(start)
                for (one, other), start in zip(pairwise(takes), starts[1:], strict=True)
                if not other.follows(one)
            ),
            notes=self.notes,
            ring=self.contract.ring,
        )

    # --------------------------------------------------------------------------- parts
    @property
    def _to_come(self) -> list[Trial]:
        return self._schedule.trials[self._judged :]

    def _await(self, trials: Sequence[Trial], first: int = 0) -> None:
        """Make a schedule for a signal whose first sample is `first`."""
        self._schedule = PromptSchedule(
            trials, self.plan.timing, self.contract.rate, first, len(self.verdicts)
        )
        self._chunks.clear()
        self._next, self._judged, self._begun = first, 0, False

    def _next_attempt(self, trial: Trial) -> Trial:
        known = [verdict.trial for verdict in self.verdicts] + self._schedule.trials
        return replace(
            trial, attempt=1 + max(t.attempt for t in known if _place(t) == _place(trial))
        )

    def _judge(self, slot: Slot) -> Verdict:
        trial = self._schedule.trials[self._judged]
        samples = self._cut(slot)
        what = effort.problem(samples, slot, self.contract.rate)
        verdict = Verdict(trial, what, redo=bool(what) and trial.attempt <= self.plan.redos)
        if verdict.redo:  # before the trial counts as judged: the session is not over yet
            self.redo(trial, at_once=self.plan.at_once)
        self._judged += 1
        self.verdicts.append(verdict)
        if verdict.ok:
            self._takes.append(_Take(verdict, samples, slot, self._connection))
        while self._chunks and self._chunks[0][0] + len(self._chunks[0][1]) <= slot.stop:
            self._chunks.popleft()
        return verdict

    def _cut(self, slot: Slot) -> FloatArray:
        """Copy the signal of a slot; lost samples are NaN."""
        n_channels = len(self.contract.channels)
        samples = np.full((slot.stop - slot.first, n_channels), np.nan, np.float32)
        for first, chunk in self._chunks:
            start, stop = max(first, slot.first), min(first + len(chunk), slot.stop)
            if start < stop:
                samples[start - slot.first : stop - slot.first] = chunk[
                    start - first : stop - first
                ]
        return samples

    def _labels(self, take: _Take) -> LabelArray:
        labels = np.full(len(take.samples), REST, np.int16)
        start, stop = effort.refined(take.samples, take.slot, self.contract.rate)
        labels[start:stop] = take.verdict.trial.movement
        return labels


def _place(trial: Trial) -> tuple[int, int]:
    return trial.movement, trial.repetition
