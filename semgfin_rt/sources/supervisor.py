"""A stream that comes back: lost, frozen, restarted, imitated, with a clock gone wrong.

Two threads: the reader's, which calls everything here and blocks in `read` for its timeout, in
`connect` for the search and a few round trips, in `close` until the other has ended (at most about
3 s); and that of the search, see `search`, which alone looks for streams once it is connected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from semgfin_rt import lsl
from semgfin_rt.contracts import Chunk, Event, EventKind, SignalSpec
from semgfin_rt.sources.clock import PAUSE_S, PaceMeter, Timeline
from semgfin_rt.sources.gaps import GAP_S
from semgfin_rt.sources.identity import Candidate, Origin
from semgfin_rt.sources.inlet import OPEN_S, Inlet, Pulled, the_one
from semgfin_rt.sources.search import Search
from semgfin_rt.sources.sequence import Sequencer

_EVENTS = 1000  # kept for a reader that does not ask; then the oldest go


class SupervisedSource:
    """A signal stream, found by source_id or name, and found again after it was lost.

    A stream that is only silent is kept: when a frozen program goes on, nothing is lost. A loss is
    known, and cuts the signal, at once where the stream has a counter channel, otherwise 0.3 s
    after it happened; see `gaps`.

    Parameters
    ----------
    name, source_id : str, optional
        What to look for; at least one of them.
    unit : str, optional
        The user's word for the unit, for a stream that states none or a wrong one.
    contract_channels : sequence of str, optional
        Names for a stream that names no channels; see `lsl.describe`.
    resolve_s : float
        How long to look for the stream.
    buffer_s : int
        Length of liblsl's buffer, in s of signal.
    reconnect : bool
        Look for the stream again when it is lost; otherwise it is at its end then.

    Attributes
    ----------
    spec : SignalSpec
        After `connect`; it stays what it is, whoever comes back.
    notes : tuple of str
        What had to be assumed about the stream, a sentence each.
    live : bool
        True: the samples come by a clock, so that a reader can be behind.
    ended : bool
        Closed; without `reconnect` also when the stream is gone.
    origin : Origin or None
        Where the samples come from now; None before `connect`.
    """

    live = True

    def __init__(
        self,
        name: str | None = None,
        source_id: str | None = None,
        unit: str | None = None,
        contract_channels: Sequence[str] = (),
        resolve_s: float = 5.0,
        buffer_s: int = 60,
        reconnect: bool = True,
    ) -> None:
        self.name = name
        self.source_id = source_id
        self.unit = unit
        self.contract_channels = tuple(contract_channels)
        self.resolve_s = resolve_s
        self.buffer_s = buffer_s
        self.reconnect = reconnect
        self.spec = SignalSpec((), 0.0, "count")
        self._speed = 1.0
        self.notes: tuple[str, ...] = ()
        self.ended = False
        self.origin: Origin | None = None
        self._events: deque[Event] = deque(maxlen=_EVENTS)
        self._inlet: Inlet | None = None
        self._search: Search | None = None

    # ------------------------------------------------------------------------- as a source
    def connect(self) -> None:
        """Find the stream, check what it says of itself, and open it.

        Raises
        ------
        StreamError
            If there is no such stream or more than one, or it is not usable.
        """
        stream = the_one(self.resolve_s, self.name, self.source_id)
        inlet = self._open(stream, OPEN_S)
        said = inlet.said
        self.source_id, self.spec = stream.source_id, said.spec
        self._speed, self.notes = said.speed, said.notes
        self._sequence = Sequencer(said)
        self._broken = False  # the next samples come by a new connection
        self._use(inlet)
        self._newest = inlet.opened  # time of the last sample
        self.ended = False
        if self.reconnect:
            self._search = Search(inlet, self._open, self._warn)
            self._search.start()

    def read(self, timeout: float = 0.0, max_samples: int | None = None) -> Chunk:
        """Return what has arrived, up to the next gap, waiting up to `timeout` s for it.

        A lost stream is no error: the chunk is empty, `events` says it, and the first chunk of the
        next connection has ``lost >= 1``.

        Parameters
        ----------
        timeout : float
        max_samples : int, optional
            Wait for so many (at most 1024 a call) and return no more; without it return all there
            is, waiting for the first.
        """
        if not len(self._sequence) and not self.ended:
            until = lsl.local_clock() + timeout
            self._take_over(timeout)
            if self._inlet is not None:
                self._pull(self._inlet, max(0.0, until - lsl.local_clock()), max_samples)
        return self._sequence.take(max_samples)

    def close(self) -> None:
        """Close the stream and end the search. May be called again."""
        if self._search is not None:
            self._search.stop()
            self._search = None
        if self._inlet is not None:
            self._inlet.close()
            self._inlet = None
        self.ended = True

    # ------------------------------------------------------------------------- supervision
    @property
    def speed(self) -> float:
        """Samples come at ``spec.rate * speed``; a player changes it on its way, and says so."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._speed = speed
        self._measure_from(lsl.local_clock())

    def events(self) -> list[Event]:
        """Return what happened since the last call, without waiting."""
        return [self._events.popleft() for _ in range(len(self._events))]

    @property
    def asking(self) -> tuple[Candidate, ...]:
        """Streams that answer in the place of the missing one and wait for `accept`."""
        return () if self._search is None else self._search.asking

    def accept(self, uid: str) -> None:
        """Take the operator's word that the outlet with this uid is the right one.

        It takes over once the stream is missing, if its signal is the same.
        """
        if self._search is not None:
            self._search.accept(uid)

    # ------------------------------------------------------------------------------- parts
    def _open(self, stream: lsl.FoundStream, patience_s: float) -> Inlet:
        return Inlet(stream, self.unit, self.contract_channels, self.buffer_s, patience_s)

    def _use(self, inlet: Inlet) -> None:
        stream, spec = inlet.stream, self.spec
        self.name = stream.name
        self.origin = Origin(
            stream.name,
            stream.source_id,
            stream.host,
            stream.uid,
            len(spec.channels),
            spec.rate,
            spec.unit,
        )
        self._inlet = inlet
        self._heard = inlet.opened
        self._is_silent = False
        self._measure_from(inlet.opened)

    def _measure_from(self, now: float) -> None:
        self._timeline = Timeline(self.spec.rate * self.speed, now)
        self._pace = PaceMeter(self.spec.rate * self.speed, now)

    def _take_over(self, timeout: float) -> None:
        """Go on with the successor, if there is one; wait for it only if there is nothing else."""
        if self._search is None:
            return
        inlet = self._search.take(0.0 if self._inlet is not None else timeout, self._inlet)
        if inlet is not None:
            self._use(inlet)
            self._broken = True
            self._tell(f"'{self.name}' is connected again: {_place(inlet)}.")

    def _pull(self, inlet: Inlet, timeout: float, max_samples: int | None) -> None:
        try:
            pulled = inlet.pull(timeout, max_samples)
        except lsl.lost_error():
            self._lose(inlet)
            return
        now = lsl.local_clock()
        if not len(pulled.times):
            watched = self._search is not None  # a replay may pause
            if watched and not self._is_silent and now - self._heard > PAUSE_S:
                self._is_silent = True
                self._warn(f"'{self.name}' sends nothing: see whether its program still runs.")
            return
        self._judge(now, len(pulled.times))
        times, wrong = self._timeline.place(pulled.times, now)
        for text in wrong:
            self._warn(f"the timestamps of '{self.name}' {text}.")
        self._put(replace(pulled, times=times))
        self._newest = float(times[-1])

    def _judge(self, now: float, n: int) -> None:
        """Hear `n` samples, and see whether they come as they should."""
        if self._is_silent:
            self._is_silent = False
            self._tell(f"'{self.name}' sends again, after {now - self._heard:.1f} s.")
        self._heard = now
        if self._search is not None:
            self._search.heard(now)
        measured = self._pace.add(n, now)
        if measured is not None:
            off = self._pace.is_off
            so = "instead of" if off else "again, as it should be:"
            text = f"'{self.name}' delivers {measured:.0f} Hz {so} {self._pace.pace:g} Hz."
            self._tell(text, trouble=off)

    def _put(self, pulled: Pulled) -> None:
        if not self._broken:
            self._sequence.put(pulled)
            return
        silent_s = float(pulled.times[0]) - self._newest
        lost, exact = self._sequence.put_after_break(pulled, silent_s)
        self._broken = False
        bound = round(GAP_S * self._pace.pace)
        how = (
            f"{lost} samples, counted"
            if exact
            else f"about {lost} samples (+-{bound}), by the clock"
        )
        self._warn(f"lost between the connections: {how}.", "loss")

    def _lose(self, inlet: Inlet) -> None:
        self._inlet = None
        if self._search is None:
            inlet.close()
            self.ended = True
            return
        self._search.lost(inlet)
        self._warn(f"'{self.name}' is lost: it is looked for.")

    def _warn(self, text: str, kind: EventKind = "stream") -> None:
        self._tell(text, kind, trouble=True)

    def _tell(self, text: str, kind: EventKind = "stream", *, trouble: bool = False) -> None:
        self._events.append(Event(lsl.local_clock(), kind, text, trouble))


def _place(inlet: Inlet) -> str:
    return f"uid {inlet.stream.uid} on {inlet.stream.host}"
