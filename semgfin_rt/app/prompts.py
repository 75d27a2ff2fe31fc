"""Prompts of a guided session: which movement when, and what to show at a sample of the signal.

There is no clock here. The sample index is the time, so that a prompt lies where the signal says
it lies, at any speed of a replay and after any stall of the screen. The timing is DB2's: rest, and
then for each trial a prompt and a rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from semgfin_rt.contracts import REST
from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ModelContract

Order: TypeAlias = Literal["random", "contract"]
SHORTEST_S, LONGEST_S = 1.0, 60.0
"""Of a prompt and of a rest: half a rest has room for a late relaxing muscle and a window."""
MOST_REPETITIONS = 20


@dataclass(frozen=True)
class Timing:
    """Length of a prompt, and of the rest before and after it, in s; DB2's by default."""

    movement_s: float = 5.0
    rest_s: float = 3.0

    def __post_init__(self) -> None:
        for name, value in (("movement", self.movement_s), ("rest", self.rest_s)):
            if not SHORTEST_S <= value <= LONGEST_S:
                raise OptionError(
                    f"{value:g} s of {name} cannot be prompted: give {SHORTEST_S:g} to "
                    f"{LONGEST_S:g} s (DB2 has 5 s of movement and 3 s of rest)."
                )


@dataclass(frozen=True)
class Trial:
    """One movement to be made once; a redo is the next attempt at the same."""

    movement: int
    repetition: int
    attempt: int = 1


@dataclass(frozen=True)
class Slot:
    """Samples of a trial: [first, stop) holds it, the prompt is shown in [on, off).

    Half of the rest before and half of the rest after belong to it, as in DB2.
    """

    first: int
    on: int
    off: int
    stop: int


@dataclass(frozen=True)
class Prompt:
    """What to show.

    Attributes
    ----------
    movement : int
        To be made now: a label, or `REST`.
    next : int or None
        The movement that is prompted after this one; None: there is none any more.
    left_s : float
        Until that changes, in s of signal.
    trial : Trial or None
        The one that is shown or comes next; None at the end.
    number, total : int
        Of that trial among all, from 1; redone ones count.
    """

    movement: int
    next: int | None
    left_s: float
    trial: Trial | None
    number: int
    total: int


def plan_trials(
    contract: ModelContract,
    movements: Sequence[int] | None = None,
    repetitions: int = 3,
    order: Order = "random",
    seed: int = 0,
    first_repetition: int = 1,
) -> tuple[Trial, ...]:
    """List the trials of a session, repetition by repetition.

    Parameters
    ----------
    contract : ModelContract
    movements : sequence of int, optional
        Labels; by default every movement that the checkpoint knows. Rest comes by itself.
    repetitions : int
        2 at least: the last one is held out.
    order : {"random", "contract"}
        Within a repetition. In one and the same order, a network could learn the timetable
        instead of the muscles.
    seed : int
    first_repetition : int
        Its number.

    Raises
    ------
    OptionError
        If there is nothing to tell apart or to hold out, or a movement is not the checkpoint's.
    """
    known = [i for i in contract.class_ids if i != REST]
    chosen = known if movements is None else sorted(set(movements))
    unknown = sorted(set(chosen) - set(known))
    if unknown or len(chosen) < 2:
        what = f"movement {unknown[0]} is not the checkpoint's" if unknown else "that is too few"
        raise OptionError(
            f"movements {', '.join(map(str, chosen)) or 'none'} were asked for and {what}: choose "
            f"two or more of {', '.join(map(str, known))}."
        )
    if not 2 <= repetitions <= MOST_REPETITIONS:
        raise OptionError(
            f"{repetitions} repetitions were asked for: give 2 to {MOST_REPETITIONS}, since the "
            "last one is held out for the comparison."
        )
    rng = np.random.default_rng(seed)
    return tuple(
        Trial(movement, first_repetition + i)
        for i in range(repetitions)
        for movement in (rng.permutation(chosen).tolist() if order == "random" else chosen)
    )


class PromptSchedule:
    """Trials one after the other along a signal.

    Parameters
    ----------
    trials : sequence of Trial
    timing : Timing
    rate : float
        In Hz.
    first : int
        Index of the first sample, at which the first rest begins.
    before : int
        Trials that were made before these, for the numbers that are shown.
    """

    def __init__(
        self, trials: Sequence[Trial], timing: Timing, rate: float, first: int = 0, before: int = 0
    ) -> None:
        self.trials = list(trials)
        self.rate = rate
        self._first, self._before = first, before
        self._moving, self._resting = round(timing.movement_s * rate), round(timing.rest_s * rate)

    @property
    def end(self) -> int:
        """Sample at which the last rest ends."""
        return self._on(len(self.trials))

    def slot(self, k: int) -> Slot:
        """Where trial `k`, from 0, lies."""
        on = self._on(k)
        off, half = on + self._moving, self._resting // 2
        return Slot(on - self._resting + half, on, off, off + half)

    def add(self, trial: Trial, after: int | None = None) -> None:
        """Put one more trial at the end, or right after trial `after` in place of what follows."""
        self.trials.insert(len(self.trials) if after is None else after + 1, trial)

    def current(self, sample: int) -> int:
        """Return the number, from 0, of the trial that is shown at a sample or comes next."""
        at = (sample - self._first - self._resting) // (self._moving + self._resting)
        if at < 0:
            return 0
        return min(at if sample < self._on(at) + self._moving else at + 1, len(self.trials))

    def at(self, sample: int) -> Prompt:
        """Say what to show at a sample."""
        k, n = self.current(sample), len(self.trials)
        trial = self.trials[k] if k < n else None
        total = self._before + n
        number = min(self._before + k + 1, total)
        on = self._on(k)
        if trial is not None and sample >= on:
            following = self.trials[k + 1].movement if k + 1 < n else None
            left = on + self._moving - sample
            return Prompt(trial.movement, following, left / self.rate, trial, number, total)
        coming = None if trial is None else trial.movement
        return Prompt(REST, coming, max(0, on - sample) / self.rate, trial, number, total)

    def _on(self, k: int) -> int:
        return self._first + self._resting + k * (self._moving + self._resting)
