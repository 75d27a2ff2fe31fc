"""The decision policy: vote, rest gate, thresholds, hysteresis, hold. All off unless asked for.

Each horizon is treated alike and by itself, in this order:

1. vote: the mean log-probability of the last decisions decides which class wins;
2. rest gate: while the energy says rest, there is no label;
3. thresholds: a winner that is not confident enough is rejected. Each class may have a threshold
   of its own (Fumera, Roli and Giacinto, "Reject option with multiple thresholds"; in myoelectric
   control: Scheme, Hudgins and Englehart, "Confidence-based rejection for improved pattern
   recognition myoelectric control");
4. hysteresis: a label is taken only once it has won a number of decisions in a row; until then
   the label before it is repeated, as HOLD, or there is none, if there was none. It is the
   debouncing of a switch, and not a margin of probability, because its delay is then the same for
   every model;
5. hold: what a threshold rejects (never the gate) repeats the last valid label for a while.

A window that cannot be trusted is rejected, and neither votes nor is held. A rejection is never
delayed, and a label after it has to win its decisions in a row again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from semgfin_rt.contracts import NO_LABEL, Decision, FloatArray, Movement, State
from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ModelContract


@dataclass(frozen=True)
class PolicySpec:
    """What the user sets.

    Attributes
    ----------
    vote : int
        Decisions whose mean log-probability decides; 1 is off. Adds (vote - 1) / 2 hops of delay
        in the mean.
    reject : float
        Confidence below which there is no label; 0 is off.
    hold_ms : float
        How long a rejected decision repeats the last valid label; 0 is off.
    rest_gate : bool
        Reject while the energy says rest, for a model without rest class.
    thresholds : tuple of (int, float)
        Class and the confidence below which it is rejected, instead of `reject`.
    hysteresis : int
        Decisions that a label must win in a row to be taken; 1 is off. Adds hysteresis - 1 hops
        of delay.
    """

    vote: int = 1
    reject: float = 0.0
    hold_ms: float = 0.0
    rest_gate: bool = False
    thresholds: tuple[tuple[int, float], ...] = ()
    hysteresis: int = 1

    def __post_init__(self) -> None:
        if self.vote < 1:
            raise OptionError(f"a vote over {self.vote} decisions does not exist: give 1 or more.")
        if not 0 <= self.reject < 1:
            raise OptionError(
                f"reject threshold {self.reject:g} is not a probability below 1: give --reject 0 "
                "(off) to 0.99."
            )
        if not 0 <= self.hold_ms <= 60_000:
            raise OptionError(f"hold of {self.hold_ms:g} ms is not between 0 and 60000 ms.")
        if self.hysteresis < 1:
            raise OptionError(
                f"a hysteresis of {self.hysteresis} decisions does not exist: give 1 (off) or more."
            )
        for label, threshold in self.thresholds:
            if not 0 <= threshold < 1:
                raise OptionError(
                    f"threshold {threshold:g} of class {label} is not a probability below 1: give "
                    "0 (off) to 0.99."
                )
        labels = [label for label, _ in self.thresholds]
        if len(set(labels)) < len(labels):
            raise OptionError(f"a class has two thresholds among those of {labels}: give it one.")

    @property
    def rejects(self) -> bool:
        """Whether any class has a threshold above 0."""
        return self.reject > 0 or any(threshold > 0 for _, threshold in self.thresholds)

    @property
    def words(self) -> str:
        """What is not off, for people."""
        parts = (
            f"vote over {self.vote}" if self.vote > 1 else "",
            f"reject below {self.reject:g}" if self.reject else "",
            *(f"class {label} below {threshold:g}" for label, threshold in self.thresholds),
            f"hysteresis of {self.hysteresis}" if self.hysteresis > 1 else "",
            f"hold for {self.hold_ms:g} ms" if self.hold_ms else "",
            "rest gate" if self.rest_gate else "",
        )
        return ", ".join(filter(None, parts)) or "every decision as the network makes it"


def class_thresholds(
    contract: ModelContract, given: Mapping[str, float]
) -> tuple[tuple[int, float], ...]:
    """Return `PolicySpec.thresholds` for classes that a person names, by number or by name.

    Raises
    ------
    OptionError
        If the checkpoint has no such class.
    """
    labels = {c.name.casefold(): c.id for c in contract.classes}
    labels |= {str(c.id): c.id for c in contract.classes}
    for name in given:
        if name.casefold() not in labels:
            raise _no_such_class(contract, name)
    return tuple((labels[name.casefold()], value) for name, value in given.items())


def _no_such_class(contract: ModelContract, given: str | int) -> OptionError:
    known = ", ".join(f"{c.id} ({c.name})" for c in contract.classes)
    return OptionError(
        f"a threshold was given for '{given}', which is no class of the checkpoint: choose among "
        f"{known}."
    )


@dataclass
class _Past:
    """What one horizon has decided so far."""

    published: int = NO_LABEL
    winner: int = NO_LABEL
    wins: int = 0
    """Decisions that `winner` has won in a row."""
    valid: int = NO_LABEL
    valid_sample: int = -1


class DecisionPolicy:
    """Turns log-probabilities into decisions; holds the votes and what was decided before.

    Parameters
    ----------
    contract : ModelContract
    spec : PolicySpec

    Raises
    ------
    OptionError
        If the policy does not fit the checkpoint.
    """

    def __init__(self, contract: ModelContract, spec: PolicySpec) -> None:
        self.contract = contract
        self._votes: deque[FloatArray] = deque()
        self._past: dict[int, _Past] = {}  # by horizon
        self.reset()
        self.set(spec)

    def set(self, spec: PolicySpec) -> None:
        """Decide by another policy from the next window on; one that is refused changes nothing.

        The newest votes stay, as many as the new vote takes, and so does what was decided before.

        Raises
        ------
        OptionError
            If the policy does not fit the checkpoint.
        """
        contract = self.contract
        if spec.rest_gate and contract.rest_gate is None:
            raise OptionError(
                "the checkpoint has no rest gate (it knows rest as a class, or its data had none): "
                "leave it off."
            )
        own = dict(spec.thresholds)
        for label in own:
            if label not in contract.class_ids:
                raise _no_such_class(contract, label)
        self.spec = spec
        self._labels = contract.class_ids
        self._thresholds = tuple(own.get(c, spec.reject) for c in self._labels)
        self._hold_samples = spec.hold_ms * contract.rate / 1000
        self._votes = deque(self._votes, maxlen=spec.vote)

    def reset(self) -> None:
        """Forget votes and labels: the next window does not follow on the last."""
        self._votes.clear()
        self._past = {ms: _Past() for ms in self.contract.horizons_ms}

    def __call__(
        self,
        log_probabilities: FloatArray,
        features: FloatArray,
        *,
        sample: int,
        time: float,
        energy: float = float("inf"),
        trusted: bool = True,
    ) -> Decision:
        """Decide.

        Parameters
        ----------
        log_probabilities : (n_horizons, n_classes)
        features : (n_horizons, n_features, n_channels)
            Handed on.
        sample, time
            Index and LSL clock of the newest sample.
        energy : float
            Mean log-RMS of the window, for the rest gate.
        trusted : bool
            False where the window holds samples that are not finite.
        """
        trusted = trusted and bool(np.isfinite(log_probabilities).all())
        if trusted:
            self._votes.append(log_probabilities)
            mean = np.mean(self._votes, axis=0) if self.spec.vote > 1 else log_probabilities
        else:
            mean = np.zeros_like(log_probabilities)  # knows nothing: every class alike
        probabilities = np.exp(mean - mean.max(axis=-1, keepdims=True))
        probabilities /= probabilities.sum(axis=-1, keepdims=True)
        gate = self.contract.rest_gate
        at_rest = self.spec.rest_gate and gate is not None and energy < gate
        movements = tuple(
            self._movement(horizon, row, sample, silent=at_rest or not trusted)
            for horizon, row in zip(
                self.contract.horizons_ms, probabilities.astype(np.float32), strict=True
            )
        )
        return Decision(sample, time, movements, features)

    def _movement(
        self, horizon: int, probabilities: FloatArray, sample: int, *, silent: bool
    ) -> Movement:
        past = self._past[horizon]
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        rejected = silent or confidence < self._thresholds[best]
        winner = NO_LABEL if rejected else self._labels[best]
        past.wins = past.wins + 1 if winner == past.winner else 1
        past.winner = winner
        held = past.valid != NO_LABEL and sample - past.valid_sample <= self._hold_samples
        if rejected:
            keep = held and not silent
            label, state = (past.valid, State.HOLD) if keep else (NO_LABEL, State.REJECT)
        elif winner == past.published or past.wins >= self.spec.hysteresis:
            label, state = winner, State.VALID
            past.valid, past.valid_sample = winner, sample
        elif past.published != NO_LABEL:
            label, state = past.published, State.HOLD
        else:
            label, state = NO_LABEL, State.REJECT
        past.published = label
        return Movement(horizon, label, confidence, probabilities, state)
