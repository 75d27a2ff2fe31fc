"""A second connection to a stream whose first one is silent, though its outlet answers.

A connection can die without a word: after a long break of the link the sender's TCP has given it
up, nothing of which arrives here. It can also live: TCP asks again after as long as the break has
lasted, and then brings what the sender has kept; or the outlet pauses. So the second one takes over
only when it has brought samples for longer than TCP needs. Whichever is first, nothing is lost that
could still come.

No thread of its own; `look` blocks while it opens the connection.
"""

from __future__ import annotations

from collections.abc import Callable

from semgfin_rt import lsl
from semgfin_rt.sources.inlet import Inlet

CHANCE_S = 5.0
"""For the silent connection, beyond the time that TCP needs."""
BACKOFF_S = 120.0
"""TCP waits at most so long before it asks again (Linux; see ``tcp_rto_max_ms``)."""
_GONE_S = 3.0  # without an answer: the link is down again


class Beside:
    """The second connection, while there is one."""

    def __init__(self) -> None:
        self._inlet: Inlet | None = None
        self._answered = self._flows = float("nan")  # LSL clock: last answer, first samples

    def look(
        self,
        stream: lsl.FoundStream,
        first: Inlet,
        heard: float,
        reopen: Callable[[lsl.FoundStream], Inlet | None],
    ) -> Inlet | None:
        """Take that the stream answers; return the second connection once it is to take over.

        Parameters
        ----------
        stream : FoundStream
        first : Inlet
            The silent one.
        heard : float
            LSL clock of what came last.
        reopen : callable
            Opens the stream again, or returns None.
        """
        if first.waits():  # the reader is behind
            self.close()
            return None
        self._answered = now = lsl.local_clock()
        if self._inlet is None:
            self._inlet, self._flows = reopen(stream), float("nan")
            return None
        if not self._flows <= now:  # also at first
            self._flows = now if self._inlet.waits() else float("nan")
            return None
        if now - self._flows < CHANCE_S + min(self._flows - heard, BACKOFF_S):
            return None
        return self.take()

    def take(self) -> Inlet | None:
        """Return it if there is one; it is the caller's from now on."""
        inlet, self._inlet = self._inlet, None
        return inlet

    def miss(self) -> None:
        """Take that the stream did not answer."""
        if lsl.local_clock() - self._answered > _GONE_S:
            self.close()

    def close(self) -> None:
        """Close it if there is one."""
        if (inlet := self.take()) is not None:
            inlet.close()
