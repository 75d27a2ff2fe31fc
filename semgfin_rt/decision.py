"""The decision policy: vote, rest gate, confidence reject, hold. All off unless asked for.

Each horizon is treated alike and by itself. The order is fixed: vote over the last decisions,
then the gate and the reject threshold; what the threshold rejects (not the gate) may be held. A
window that cannot be trusted is rejected, and neither votes nor is held.
"""

from __future__ import annotations

from collections import deque
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
    """

    vote: int = 1
    reject: float = 0.0
    hold_ms: float = 0.0
    rest_gate: bool = False

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


class DecisionPolicy:
    """Turns log-probabilities into decisions; holds the votes and the last valid labels.

    Parameters
    ----------
    contract : ModelContract
    spec : PolicySpec
    """

    def __init__(self, contract: ModelContract, spec: PolicySpec) -> None:
        if spec.rest_gate and contract.rest_gate is None:
            raise OptionError(
                "the checkpoint has no rest gate (it knows rest as a class, or its data had none): "
                "leave it off."
            )
        self.contract = contract
        self.spec = spec
        self._hold_samples = spec.hold_ms * contract.rate / 1000
        self._votes: deque[FloatArray] = deque(maxlen=spec.vote)
        self._last_valid: dict[int, tuple[int, int]] = {}  # horizon -> (label, sample)

    def reset(self) -> None:
        """Forget votes and labels: the next window does not follow on the last."""
        self._votes.clear()
        self._last_valid.clear()

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
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        label, state = self.contract.class_ids[best], State.VALID
        if silent:
            label, state = NO_LABEL, State.REJECT
        elif confidence < self.spec.reject:
            held, since = self._last_valid.get(horizon, (NO_LABEL, -1))
            if held != NO_LABEL and sample - since <= self._hold_samples:
                label, state = held, State.HOLD
            else:
                label, state = NO_LABEL, State.REJECT
        else:
            self._last_valid[horizon] = (label, sample)
        return Movement(horizon, label, confidence, probabilities, state)
