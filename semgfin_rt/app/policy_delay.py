"""The delay that each control of the decision policy adds, in ms.

Counted from the decision that would have changed without the control, for one clean step from a
movement to another (or, for the hold, to something that is rejected):

- vote over V: the new class wins once it outweighs the old one. Where both are equally sure that
  is after half of the votes, (V - 1) / 2 hops in the mean of many steps; where the old one was
  much surer it takes up to V - 1 hops, until no old vote is left.
- hysteresis of N: N - 1 hops, always; a decision in between that another class wins, or that is
  rejected, begins the count anew.
- hold of H ms: the release is late by the whole hops in H, where anything is rejected at all.
- thresholds and rest gate judge the present decision: no delay of their own. But while votes for
  two classes mix, their mean is unsure, and a threshold rejects it: the new label may then come
  later than the mean, never later than the longest.
"""

from __future__ import annotations

from dataclasses import dataclass

from semgfin_rt.decision import PolicySpec
from semgfin_rt.model_contract import ModelContract

CONTROLS = ("vote", "reject", "thresholds", "hysteresis", "hold_ms", "rest_gate")
"""Fields of `PolicySpec`, in the order in which a person sets them."""


@dataclass(frozen=True)
class Delay:
    """What a control adds.

    Attributes
    ----------
    mean_ms, longest_ms : float
        To a new movement.
    release_ms : float
        To the end of a movement, where what follows is rejected.
    """

    mean_ms: float = 0.0
    longest_ms: float = 0.0
    release_ms: float = 0.0

    @property
    def words(self) -> str:
        """For people, such as ``"+20 ms, at most 40 ms"``."""
        if self.longest_ms > self.mean_ms:
            return f"{_added(self.mean_ms)}, at most {_added(self.longest_ms)[1:]}"
        if self.mean_ms:
            return _added(self.mean_ms)
        return f"release {_added(self.release_ms)}" if self.release_ms else "no delay"


def _added(ms: float) -> str:
    return f"+{ms:.0f} ms" if ms >= 100 else f"+{ms:.3g} ms"


def added_delays(spec: PolicySpec, contract: ModelContract) -> dict[str, Delay]:
    """Return what each of `CONTROLS` adds."""
    hop_ms = 1000 * contract.hop / contract.rate
    votes, wins = spec.vote - 1, spec.hysteresis - 1
    held = (spec.hold_ms * contract.rate / 1000) // contract.hop if spec.rejects else 0
    delays = dict.fromkeys(CONTROLS, Delay())
    delays["vote"] = Delay(votes / 2 * hop_ms, votes * hop_ms)
    delays["hysteresis"] = Delay(wins * hop_ms, wins * hop_ms)
    delays["hold_ms"] = Delay(release_ms=held * hop_ms)
    return delays


def whole_delay(spec: PolicySpec, contract: ModelContract) -> Delay:
    """Return what the policy adds as a whole: one step comes after the other, so delays add up."""
    parts = added_delays(spec, contract).values()
    return Delay(
        sum(part.mean_ms for part in parts),
        sum(part.longest_ms for part in parts),
        sum(part.release_ms for part in parts),
    )


def delay_words(spec: PolicySpec, contract: ModelContract) -> dict[str, str]:
    """Return what stands beside each of `CONTROLS`: its delay, or why it does nothing."""
    words = {name: delay.words for name, delay in added_delays(spec, contract).items()}
    if spec.hold_ms and not spec.rejects:
        words["hold_ms"] = "holds nothing: no threshold"
    if contract.rest_gate is None:
        words["rest_gate"] = "not in this checkpoint"
    return words
