"""What to say while the signal is too old to say anything about now.

The promise: a decision whose newest sample is older than `STALE_MS` is STALE; it repeats the last
label until `SAFE_MS` and says rest from then on, so that a device that follows labels comes to
rest by itself when the signal stops.
"""

from __future__ import annotations

from dataclasses import replace

from semgfin_rt.contracts import NO_LABEL, REST, SAFE_MS, STALE_MS, Decision, State

FIRST_MS = STALE_MS - 10.0
"""When the first is due: waking up and publishing (7 ms on a busy machine) end by `STALE_MS`."""


class StaleClock:
    """Says when a stale decision is due: by `STALE_MS`, at `SAFE_MS`, then every `STALE_MS`.

    Once one was published, fresh is what is a hop younger than `FIRST_MS`: a stream whose samples
    always come that late is stale all the time, not every other decision.

    Parameters
    ----------
    hop_ms : float
        From one decision to the next.
    """

    def __init__(self, hop_ms: float) -> None:
        self._due_ms = FIRST_MS
        self._fresh_ms = FIRST_MS - hop_ms

    def hear(self, age_ms: float) -> None:
        """Note that samples have come, and how old the newest was then."""
        if age_ms < self._fresh_ms:
            self._due_ms = FIRST_MS

    def judges(self, age_ms: float) -> bool:
        """Whether a decision on a window that is published at this age is stale."""
        if age_ms < (FIRST_MS if self._due_ms == FIRST_MS else self._fresh_ms):
            return False
        self._due_ms = _next_due(age_ms)
        return True

    def wait_s(self, age_ms: float) -> float:
        """Return how long it is until the next stale decision is due, in s; at least 0."""
        return max(0.0, self._due_ms - age_ms) / 1000

    def strikes(self, age_ms: float) -> bool:
        """Whether one is due at this age of the newest sample; it is due once."""
        if age_ms < self._due_ms:
            return False
        self._due_ms = _next_due(age_ms)
        return True


def _next_due(age_ms: float) -> float:
    return SAFE_MS if age_ms < SAFE_MS else age_ms + STALE_MS


def stale(decision: Decision, age_ms: float, class_ids: tuple[int, ...]) -> Decision:
    """Return the decision as it must be published at an age of `STALE_MS` or more.

    Parameters
    ----------
    decision : Decision
        The last one. Its confidences and probabilities stay: they are of their time.
    age_ms : float
    class_ids : tuple of int
        Labels that the checkpoint knows: without rest among them there is no label in the end.
    """
    safe = REST if REST in class_ids else NO_LABEL
    movements = tuple(
        replace(m, state=State.STALE, label=m.label if age_ms < SAFE_MS else safe)
        for m in decision.movements
    )
    return replace(decision, movements=movements, age_ms=age_ms)
