"""Decisions in words, one line each, as often as somebody can read them; events at once."""

from __future__ import annotations

from collections.abc import Callable

from semgfin_rt.app.readout import clock_text, share, spoken
from semgfin_rt.app.ribbon import row_name
from semgfin_rt.contracts import NO_LABEL, Decision, Event
from semgfin_rt.model_contract import ModelContract

AT_LEAST_EVERY_S = 1.0
AT_MOST_EVERY_S = 0.2
TOLD = frozenset({"stream", "loss", "record"})
"""Kinds of events that have a line."""


class Announcer:
    """Says a decision when its label is another, and once a second when it is not.

    Parameters
    ----------
    contract : ModelContract
        With the horizons that the decisions have.
    truth_at : callable
        Gives the label of a sample; None where it is not known.
    """

    def __init__(self, contract: ModelContract, truth_at: Callable[[int], int | None]) -> None:
        self._contract, self._truth_at = contract, truth_at
        self._said: tuple[int, int] | None = None  # sample and label of the last line

    def line(self, decision: Decision) -> str | None:
        """Return the line to print, or None."""
        label = decision.movements[0].label
        if self._said is not None:
            silent_s = (decision.sample - self._said[0]) / self._contract.rate
            due_s = AT_MOST_EVERY_S if label != self._said[1] else AT_LEAST_EVERY_S
            if silent_s < due_s:
                return None
        self._said = decision.sample, label
        return decision_line(decision, self._truth_at(decision.sample), self._contract)


def decision_line(decision: Decision, truth: int | None, contract: ModelContract) -> str:
    """Time in the signal, movement, confidence, state, truth, and the forecasts."""
    now, *ahead = decision.movements
    when = "" if now.horizon_ms == 0 else f"{row_name(now.horizon_ms)}: "
    line = f"{(decision.sample + 1) / contract.rate:8.2f} s  {when}{spoken(now, contract)}"
    line += f" {share(now.confidence)} {now.state}"
    if truth is not None and truth != NO_LABEL:
        line += f"  [truth: {contract.class_name(truth)}]"
    for m in ahead:  # a name is long: it is not repeated
        what = "same" if m.label == now.label else spoken(m, contract)
        line += f"  {row_name(m.horizon_ms)}: {what} {share(m.confidence)}"
    return line


def event_line(event: Event, wall_minus_lsl: float) -> str | None:
    """Time of day, kind and text; None where only programs or panels care."""
    if event.kind not in TOLD:
        return None
    return f"{clock_text(event.time, wall_minus_lsl)}  {event.kind}: {event.text}"
