"""Streams of Lab Streaming Layer as chunks: the signal, and a player's truth beside it.

One thread reads a source, the caller's. `connect` blocks for at most `resolve_s` and a few round
trips, `read` for its timeout. A loss is known, and cuts the signal, at once where the stream has a
counter channel, otherwise 0.3 s after it happened; see `gaps`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from semgfin_rt import lsl
from semgfin_rt.contracts import Chunk, SignalSpec, TruthEvent
from semgfin_rt.errors import StreamError
from semgfin_rt.sources.inlet import PULL, Inlet, the_one
from semgfin_rt.sources.sequence import Sequencer

OPEN_S = 5.0
"""Patience for an answer of a stream that was just discovered."""
_TRUTH = TypeAdapter(TruthEvent)


class LslSource:
    """A signal stream, found by source_id or name.

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
        Length of the buffer, in s of signal.

    Attributes
    ----------
    spec : SignalSpec
        After `connect`.
    live : bool
        True: the samples come by a clock, so that a reader can be behind.
    speed : float
        Samples come at ``spec.rate * speed``; other than 1 only for a player.
    notes : tuple of str
        What had to be assumed about the stream, a sentence each.
    ended : bool
        The stream is gone: closed or killed. What was not read by then is lost with it.
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
    ) -> None:
        self.name = name
        self.source_id = source_id
        self.unit = unit
        self.contract_channels = tuple(contract_channels)
        self.resolve_s = resolve_s
        self.buffer_s = buffer_s
        self.spec = SignalSpec((), 0.0, "count")
        self.speed = 1.0
        self.notes: tuple[str, ...] = ()
        self.ended = False
        self._inlet: Inlet | None = None

    def connect(self) -> None:
        """Find the stream, check what it says of itself, and open it.

        Raises
        ------
        StreamError
            If there is no such stream or more than one, or it is not usable.
        """
        stream = the_one(self.resolve_s, self.name, self.source_id)
        inlet = Inlet(stream, self.unit, self.contract_channels, self.buffer_s, OPEN_S)
        said = inlet.said
        self.name, self.source_id = stream.name, stream.source_id
        self.spec, self.speed, self.notes = said.spec, said.speed, said.notes
        self._inlet, self._sequence = inlet, Sequencer(said)
        self.ended = False

    def read(self, timeout: float = 0.0, max_samples: int | None = None) -> Chunk:
        """Return what has arrived, up to the next gap, waiting up to `timeout` s for it.

        Parameters
        ----------
        timeout : float
        max_samples : int, optional
            Wait for so many (at most 1024 a call) and return no more; without it return all there
            is, waiting for the first.
        """
        if not len(self._sequence) and self._inlet is not None:
            try:
                self._sequence.put(self._inlet.pull(timeout, max_samples))
            except lsl.lost_error():
                self.close()
        return self._sequence.take(max_samples)

    def close(self) -> None:
        """Close the stream. May be called again."""
        if self._inlet is not None:
            self._inlet.close()
            self._inlet = None
        self.ended = True


class TruthSource:
    """The truth markers of a player, in the order in which they were sent.

    Parameters
    ----------
    source_id : str
        Of the marker stream: the player's with ``-truth`` behind it.
    resolve_s : float

    Attributes
    ----------
    ended : bool
        The stream is gone.
    """

    def __init__(self, source_id: str, resolve_s: float = 5.0) -> None:
        self.source_id = source_id
        self.resolve_s = resolve_s
        self.ended = False
        self._inlet: Any = None

    def connect(self) -> None:
        """Find and open the stream.

        Raises
        ------
        StreamError
            If there is none, or it does not carry markers.
        """
        stream = the_one(self.resolve_s, None, self.source_id)
        if stream.n_channels != 1 or stream.channel_format in lsl.NUMERIC_DTYPES:
            raise StreamError(
                f"the stream '{stream.name}' ({self.source_id}) does not carry truth markers: "
                "give the source_id of a player's marker stream."
            )
        self._inlet = lsl.open_inlet(stream, 360)
        with lsl.answering(stream.name, OPEN_S):
            self._inlet.open_stream(timeout=OPEN_S)

    def read(self) -> list[TruthEvent]:
        """Return the markers that have arrived, without waiting.

        Raises
        ------
        StreamError
            If one of them is not a truth marker.
        """
        texts: list[str] = []
        while not self.ended:
            try:
                rows, _ = self._inlet.pull_chunk(0.0, PULL)
            except lsl.lost_error():
                self.ended = True
                break
            texts += [row[0] for row in rows]
            if len(rows) < PULL:
                break
        try:
            return [_TRUTH.validate_json(text) for text in texts]
        except ValidationError as error:
            raise StreamError(
                f"the stream {self.source_id} sent a marker that is none of a player's "
                f"({error.errors()[0]['msg']}): replay with `semgfin-rt replay`."
            ) from error

    def close(self) -> None:
        """Close the stream. May be called again."""
        if self._inlet is not None:
            self._inlet.close_stream()
            self._inlet = None
        self.ended = True
