"""The search for a stream that went away, and the watch for others that claim to be it.

One thread of our own, "semgfin search", does all that blocks for longer than a read may: it asks
who answers to the identity (twice a second while the stream lives, without a pause while it is
missing), opens the successor and closes what was given up. It blocks only in liblsl, for at most
three times `_PATIENCE_S`. The reader's thread tells it what it hears and takes the opened inlet
over; it waits for the thread in `stop` alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from semgfin_rt import lsl
from semgfin_rt.errors import StreamError
from semgfin_rt.sources.beside import Beside
from semgfin_rt.sources.clock import PAUSE_S
from semgfin_rt.sources.identity import Candidate, Gatekeeper, difference
from semgfin_rt.sources.inlet import Inlet

# A stream of this machine answers within 1 ms, and is asked every 50 ms. No patience may be a
# multiple of that: a question which falls due as it ends keeps liblsl waiting for 0.2 s more, in
# which it asks nothing.
_LOOK_S = 0.12
_PERIOD_S = 0.35  # between two looks while the stream lives: a rival is seen within 0.6 s
_SEARCH_S = 0.23
_TWIN_S = 0.06  # for a second candidate to answer, too
_PATIENCE_S = 1.0  # for each answer of a stream that was just found


class Search:
    """Keeps looking, from `start` to `stop`.

    Parameters
    ----------
    inlet : Inlet
        The one that is read at the beginning.
    reopen : callable
        Opens a stream, with the patience in s: `Inlet` with what the user said about the unit.
    tell : callable
        Takes sentences for people, trouble all of them; called from the thread of the search.
    """

    def __init__(
        self,
        inlet: Inlet,
        reopen: Callable[[lsl.FoundStream, float], Inlet],
        tell: Callable[[str], None],
    ) -> None:
        self._inlet = inlet
        self._said = inlet.said
        self._gate = Gatekeeper(inlet.stream)
        self._reopen = reopen
        self._tell = tell
        self._lost = False
        self._heard = inlet.opened
        self._retired: list[Inlet] = []
        self._beside = Beside()
        self._opened: Inlet | None = None
        self._given = 0.0  # LSL clock when there was something to take
        self._ready = threading.Event()  # there is something to take
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="semgfin search", daemon=True)

    # ------------------------------------------------------------------ the reader's thread
    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def heard(self, now: float) -> None:
        """Say that samples came."""
        self._heard = now

    def lost(self, inlet: Inlet) -> None:
        """Say that the connection is gone; the inlet is closed here."""
        self._lost = True
        self._retire(inlet)

    @property
    def asking(self) -> tuple[Candidate, ...]:
        """Streams that wait for the operator's word; none while samples come."""
        return self._gate.asking if self._is_missing else ()

    @property
    def _is_missing(self) -> bool:
        return self._lost or lsl.local_clock() - self._heard > PAUSE_S

    def accept(self, uid: str) -> None:
        """Take the operator's word for an outlet."""
        self._gate.accept(uid)
        self._wake.set()

    def take(self, timeout: float, instead_of: Inlet | None) -> Inlet | None:
        """Return the successor once it is open, waiting for it; what it replaces is closed."""
        if not self._ready.wait(timeout):
            return None
        inlet, self._opened = self._opened, None
        if inlet is not None and instead_of is not None:
            if self._is_back(instead_of, inlet):
                instead_of, inlet = inlet, None
            self._retire(instead_of)
        if inlet is not None:
            self._inlet, self._lost, self._heard = inlet, False, lsl.local_clock()
        self._ready.clear()
        return inlet

    def _is_back(self, first: Inlet, second: Inlet) -> bool:
        """Whether samples came at the last moment by the first of two connections to an outlet."""
        same = first.stream.uid == second.stream.uid
        return same and (self._heard > self._given or first.waits())

    def stop(self) -> None:
        """End the thread; what was opened and not taken is closed. May be called again."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _retire(self, inlet: Inlet) -> None:
        self._retired.append(inlet)
        self._wake.set()

    # ----------------------------------------------------------------------- its own thread
    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            self._close_retired()
            if self._ready.is_set():
                self._wake.wait(_PERIOD_S)
            elif self._is_missing:
                self._search()
            else:
                self._watch()
        if self._opened is not None:
            self._opened.close()
        self._beside.close()
        self._close_retired()

    def _close_retired(self) -> None:
        while self._retired:
            self._retired.pop().close()

    def _watch(self) -> None:
        self._beside.close()
        self._compare(self._find(_LOOK_S, minimum=2))
        self._wake.wait(_PERIOD_S)

    def _compare(self, found: list[lsl.FoundStream]) -> None:
        """See whether others in `found` are rivals of the stream, or its successor."""
        own = self._gate.stream.uid
        if all(s.uid == own for s in found):
            return
        # A program may be killed and started again within one look, so that both answer it. Both
        # live if the stream answers, or sends, after the other was seen.
        seen = lsl.local_clock()
        again = self._find(_LOOK_S, minimum=2)
        if self._heard > seen or any(s.uid == own for s in again):
            self._tell_all(self._gate.see_rivals(again))

    def _search(self) -> None:
        lost = self._lost
        found = self._find(_SEARCH_S, minimum=1)
        if not found:
            self._gate.asking = ()
            self._beside.miss()
            return
        twins = self._find(_TWIN_S, minimum=2)
        found = list({s.uid: s for s in [*found, *twins]}.values())
        silent_s = lsl.local_clock() - self._heard
        if not lost and (self._lost or silent_s <= PAUSE_S):  # meanwhile it is lost, or back
            return
        chosen, texts = self._gate.choose(found, lost, silent_s)
        self._tell_all(texts)
        inlet = None
        own = next((s for s in found if s.uid == self._gate.stream.uid), None)
        if own is None:
            self._beside.miss()
        elif not lost:
            inlet = self._beside.look(own, self._inlet, self._heard, self._open)
        else:
            inlet = self._beside.take()
        if chosen is not None:
            inlet = inlet or self._open(chosen)
        if inlet is not None:
            self._give(inlet)
            return
        if not lost:
            self._compare(found)
        self._wake.wait(_SEARCH_S)

    def _find(self, timeout: float, minimum: int) -> list[lsl.FoundStream]:
        stream = self._gate.stream
        name = None if stream.source_id else stream.name  # "" is a source_id that many may have
        return lsl.find_streams(timeout, name, stream.source_id, minimum=minimum)

    def _open(self, stream: lsl.FoundStream) -> Inlet | None:
        try:
            inlet = self._reopen(stream, _PATIENCE_S)
        except StreamError as error:
            if error.__cause__ is None:  # it answered, and is not usable; otherwise try again
                self._tell_all(self._gate.refuse(stream, str(error)))
            return None
        except RuntimeError:  # liblsl could not open it: it may be gone again
            return None
        changed = difference(inlet.said, self._said)
        if changed:
            inlet.close()
            self._tell_all(self._gate.refuse(stream, f"it has the {changed}."))
            return None
        return inlet

    def _give(self, inlet: Inlet) -> None:
        self._gate.settle(inlet.stream)
        self._opened, self._given = inlet, lsl.local_clock()
        self._ready.set()

    def _tell_all(self, texts: list[str]) -> None:
        for text in texts:
            self._tell(text)
