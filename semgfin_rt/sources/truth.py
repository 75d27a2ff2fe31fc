"""The truth that a player sends beside its signal, as markers of Lab Streaming Layer.

`connect` blocks for at most `resolve_s` and a few round trips; `read` never does.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from semgfin_rt import lsl
from semgfin_rt.contracts import TruthEvent
from semgfin_rt.errors import StreamError
from semgfin_rt.sources.inlet import OPEN_S, PULL, the_one

_TRUTH = TypeAdapter(TruthEvent)


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
            If there is none, or it does not carry markers, as far as it can be told before an inlet
            exists.
        """
        stream = the_one(self.resolve_s, None, self.source_id)
        lsl.require_printable(stream)
        if (stream.n_channels, stream.rate, stream.channel_format) != (1, 0.0, lsl.TEXT):
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
