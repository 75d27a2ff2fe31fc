"""The types that every layer speaks, and the rules that go with them.

Arrays are samples-first: a signal is ``(n_samples, n_channels)`` float32, windows are
``(n_windows, n_samples, n_channels)``, features of one horizon are ``(n_features, n_channels)``.
Times are seconds of the LSL clock (float64); the sample index is the clock of the pipeline.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float32]
TimeArray: TypeAlias = npt.NDArray[np.float64]
LabelArray: TypeAlias = npt.NDArray[np.int16]
Unit: TypeAlias = Literal["V", "count"]

REST = 0
"""Label of rest in every recording."""
NO_LABEL = -1
"""Label where none is known: an unscored target, a rejected decision."""
UNITS: dict[str, tuple[Unit, float]] = {
    **dict.fromkeys(("v", "volt", "volts"), ("V", 1.0)),
    **dict.fromkeys(("mv", "millivolt", "millivolts"), ("V", 1e-3)),
    # with the micro sign, and with the Greek letter
    **dict.fromkeys(("uv", "\u00b5v", "\u03bcv", "microvolt", "microvolts"), ("V", 1e-6)),
    **dict.fromkeys(("count", "counts"), ("count", 1.0)),
}
"""What streams and files call a unit, in lower case; ours, and the factor from theirs to it."""


# ------------------------------------------------------------------------------ signal
@dataclass(frozen=True)
class SignalSpec:
    """What a signal is.

    Attributes
    ----------
    channels : tuple of str
        Channel names, in the order of the columns.
    rate : float
        Nominal sampling rate in Hz.
    unit : {"V", "count"}
        Volts, or raw ADC counts where no gain is known.
    """

    channels: tuple[str, ...]
    rate: float
    unit: Unit


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some consecutive samples of a stream, as a source hands them over.

    Attributes
    ----------
    samples : (n_samples, n_channels) float32
        May be empty: nothing has come since the last read.
    first : int
        Index of the first sample, counted from the first of the stream, lost ones included.
    times : (n_samples,) float64
        LSL clock of each sample, in seconds.
    lost : int
        Samples found missing before this chunk: no window may reach across. A stream knows of a
        loss up to 0.3 s after it happened; a recording marks the beginning of its next stretch.
    """

    samples: FloatArray
    first: int
    times: TimeArray
    lost: int = 0


@dataclass(frozen=True, eq=False)
class Recording:
    """A labelled recording of one subject.

    Attributes
    ----------
    samples : (n_samples, n_channels) float32
        The signal in `spec.unit`.
    spec : SignalSpec
    labels : (n_samples,) int16
        Movement of each sample (the refined labels where the dataset has them); 0 is rest.
    repetitions : (n_samples,) int16
        Repetition of each sample. The first half of a rest belongs to the repetition of the
        movement before it, the second half to that of the movement after it.
    classes : mapping of int to str
        Name of every label that the dataset defines.
    subject : int
    dataset : {"db2", "3dc", "synthetic", "session"}
        `session` is what this program recorded itself.
    path : str
        Where it came from, for messages and for the training record.
    test_repetitions : frozenset of int
        Repetitions that the dataset's protocol keeps for testing; training never touches them.
    breaks : tuple of int
        Sample indices, ascending, at which a new stretch begins that does not follow in time on
        the sample before. Index 0 is implied and not listed.
    notes : tuple of str
        What the reader had to do to the file (truncation and the like), one sentence each.
    ring : tuple of int
        Indices of the channels that go once around the limb, equally spaced, in order.
    """

    samples: FloatArray
    spec: SignalSpec
    labels: LabelArray
    repetitions: LabelArray
    classes: Mapping[int, str]
    subject: int
    dataset: str
    path: str
    test_repetitions: frozenset[int]
    breaks: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    ring: tuple[int, ...] = ()

    @property
    def stretches(self) -> tuple[tuple[int, int], ...]:
        """Contiguous parts, as (start, stop) sample indices."""
        edges = (0, *self.breaks, len(self.samples))
        return tuple(itertools.pairwise(edges))

    @property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """Contiguous samples of one label and repetition, as (start, stop) sample indices."""
        changed = (np.diff(self.labels) != 0) | (np.diff(self.repetitions) != 0)
        n = len(self.samples)
        edges = {0, *(np.flatnonzero(changed) + 1).tolist(), *self.breaks, n}
        return tuple(itertools.pairwise(sorted(edges)))


class Source(Protocol):
    """Where chunks come from. `read` never blocks longer than its timeout."""

    spec: SignalSpec

    def connect(self) -> None:
        """Open the stream; afterwards `spec` is what the stream truly delivers."""

    def read(self, timeout: float = 0.0, max_samples: int | None = None) -> Chunk:
        """Return what has arrived, waiting up to `timeout` s for `max_samples` of it."""

    def close(self) -> None:
        """Close the stream. May be called again."""


class Sink(Protocol):
    """Where decisions go."""

    def write(self, decision: Decision) -> None:
        """Hand over one decision; never blocks."""

    def close(self) -> None:
        """Flush and close. May be called again."""


@dataclass(frozen=True)
class TruthEvent:
    """From sample `sample` of a replayed recording on, the label is `label`.

    Attributes
    ----------
    sample : int
        Index of the first sample it holds for, counted by the player.
    label, repetition : int
        As in the recording; `NO_LABEL` with `end`.
    contiguous : bool
        False where the sample does not follow in time on the one before (see Recording.breaks).
    end : bool
        The player pushed `sample` samples in all and stops.
    speed : float or None
        From here on samples come at ``rate * speed``; None changes nothing.
    """

    sample: int
    label: int
    repetition: int
    contiguous: bool = True
    end: bool = False
    speed: float | None = None


EventKind: TypeAlias = Literal[
    "stream", "loss", "quality", "policy", "model", "prompt", "record", "mark"
]


@dataclass(frozen=True)
class Event:
    """Something that happened to a run besides samples and decisions: for screen, log and file.

    Attributes
    ----------
    time : float
        LSL clock, in seconds.
    kind : {"stream", "loss", "quality", "policy", "model", "prompt", "record", "mark"}
        `prompt` and `mark` carry a value for programs, the others a sentence for people.
    text : str
    trouble : bool
        Of the kinds `stream`, `loss` and `record`: somebody should act. Not written into files.
    """

    time: float
    kind: EventKind
    text: str
    trouble: bool = False


# ---------------------------------------------------------------------------- decision
class State(StrEnum):
    """How far a decision can be trusted."""

    VALID = "VALID"
    HOLD = "HOLD"
    """The policy repeats its last valid label."""
    REJECT = "REJECT"
    """Not confident enough, or the rest gate is closed: there is no label."""
    STALE = "STALE"
    """The newest sample is older than `STALE_MS` (the engine's word, never the policy's)."""


STALE_MS = 100.0
"""Age of the newest sample, in ms, from which on a decision says nothing about now."""
SAFE_MS = 200.0
"""Age, in ms, from which on a stale decision no longer repeats the last label: it says rest."""


@dataclass(frozen=True, eq=False)
class Movement:
    """The movement at one horizon.

    Attributes
    ----------
    horizon_ms : int
        How far ahead of the newest sample, in ms; 0 is now.
    label : int
        A label of `ModelContract.classes`, or `NO_LABEL` when rejected.
    confidence : float
        Probability of the most probable class, after the vote.
    probabilities : (n_classes,) float32
        In the order of `ModelContract.classes`, after the vote.
    state : State
    """

    horizon_ms: int
    label: int
    confidence: float
    probabilities: FloatArray
    state: State


@dataclass(frozen=True, eq=False)
class Decision:
    """What was decided from the window that ends at sample `sample`.

    Attributes
    ----------
    sample : int
        Index of the window's newest sample, lost ones counted.
    time : float
        LSL clock of that sample, in seconds.
    movements : tuple of Movement
        One for each horizon, ascending; the first is the present where the checkpoint has it.
    features : (n_horizons, n_features, n_channels) float32
        Imitated features in their own units (z-scored signal), in the contract's order.
    age_ms : float
        Age of the newest sample when the decision was published; NaN before.
    """

    sample: int
    time: float
    movements: tuple[Movement, ...]
    features: FloatArray
    age_ms: float = field(default=float("nan"))
