"""Streams of Lab Streaming Layer as chunks: the signal, and a player's truth beside it.

One thread reads a source, the caller's. `connect` blocks for at most `resolve_s` and a few round
trips, `read` for its timeout. In between liblsl's own thread fills a buffer of `buffer_s`, which
takes up the stalls of the reader; when it overflows it drops the oldest samples, and the timestamps
show it. A loss is known, and cuts the signal, 0.3 s after it happened; see `gaps`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from semgfin_rt import lsl
from semgfin_rt.contracts import Chunk, FloatArray, SignalSpec, TimeArray, TruthEvent
from semgfin_rt.errors import StreamError
from semgfin_rt.sources.gaps import GapFinder

_OPEN_S = 5.0  # patience for an answer of a stream that was just discovered
_TWIN_S = 0.25  # the search ends at the first match: time for a second to show itself
_PULL = 1024  # samples a pull; liblsl hands out the oldest first, so pull until empty
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
        self._inlet: Any = None

    def connect(self) -> None:
        """Find the stream, check what it says of itself, and open it.

        Raises
        ------
        StreamError
            If there is no such stream or more than one, or it is not usable.
        """
        stream = _the_one(self.resolve_s, self.name, self.source_id)
        lsl.require_usable(stream)
        inlet = lsl.open_inlet(stream, self.buffer_s)
        with lsl.answering(stream.name, _OPEN_S):
            info = inlet.info(timeout=_OPEN_S)
            said = lsl.describe(info, self.unit, self.contract_channels)
            if len(said.spec.channels) != stream.n_channels or said.spec.rate != stream.rate:
                raise StreamError(
                    f"the stream '{stream.name}' describes itself as another one than the search "
                    "found: start its program again."
                )
            # Raw timestamps with one offset: liblsl's own synchronisation steps back under jitter.
            self._offset = 0.0 if stream.is_local else inlet.time_correction(timeout=_OPEN_S)
            inlet.open_stream(timeout=_OPEN_S)
        self.name, self.source_id = stream.name, stream.source_id
        self.spec, self.speed, self.notes = said.spec, said.speed, said.notes
        self._inlet, self._gain = inlet, said.gain
        dtype = lsl.NUMERIC_DTYPES[stream.channel_format]
        self._buffer = np.empty((_PULL, stream.n_channels), dtype)
        self._samples, self._times = self._none()  # pulled, and not handed over yet
        self._lost = np.empty(0, np.int64)  # of each of them: how many are missing before it
        self._gaps = GapFinder(said.spec.rate * said.speed)  # of the clock, not of the signal
        self._next = 0
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
        if not len(self._samples) and not self.ended:
            self._samples, self._times = self._pull(timeout, max_samples)
            found = map(self._gaps.lost_before, self._times.tolist())
            self._lost = np.fromiter(found, np.int64, len(self._times))
        stop, lost = self._up_to_gap(max_samples)
        samples, times = self._samples[:stop], self._times[:stop]
        self._samples, self._times = self._samples[stop:], self._times[stop:]
        self._lost = self._lost[stop:]
        first = self._next + lost
        self._next = first + len(times)
        return Chunk(samples, first, times, lost)

    def close(self) -> None:
        """Close the stream. May be called again."""
        if self._inlet is not None:
            self._inlet.close_stream()
            self._inlet = None
        self.ended = True

    def _up_to_gap(self, limit: int | None) -> tuple[int, int]:
        """How many of the pulled samples follow each other, and how many are lost before them."""
        lost = self._lost[:limit]
        later = np.flatnonzero(lost[1:])
        stop = int(later[0]) + 1 if len(later) else len(lost)
        return stop, int(lost[0]) if stop else 0

    def _pull(self, timeout: float, max_samples: int | None) -> tuple[FloatArray, TimeArray]:
        if max_samples is not None:
            return self._pull_once(timeout, min(max_samples, _PULL))
        asked = 1 if timeout else _PULL
        parts = [self._pull_once(timeout, asked)]
        while len(parts[-1][1]) == asked:
            asked = _PULL
            parts.append(self._pull_once(0.0, asked))
        samples, times = zip(*parts, strict=True)
        return np.concatenate(samples), np.concatenate(times)

    def _pull_once(self, timeout: float, n: int) -> tuple[FloatArray, TimeArray]:
        try:
            _, stamps = self._inlet.pull_chunk(timeout, n, dest_obj=self._buffer)
        except lsl.lost_error():
            self.ended = True
            return self._none()
        samples = self._buffer[: len(stamps)].astype(np.float32)  # (n_samples, n_channels), a copy
        if self._gain != 1.0:
            samples *= np.float32(self._gain)
        return samples, np.array(stamps, np.float64) + self._offset

    def _none(self) -> tuple[FloatArray, TimeArray]:
        return np.empty((0, len(self.spec.channels)), np.float32), np.empty(0)


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
        stream = _the_one(self.resolve_s, None, self.source_id)
        if stream.n_channels != 1 or stream.channel_format in lsl.NUMERIC_DTYPES:
            raise StreamError(
                f"the stream '{stream.name}' ({self.source_id}) does not carry truth markers: "
                "give the source_id of a player's marker stream."
            )
        self._inlet = lsl.open_inlet(stream, 360)
        with lsl.answering(stream.name, _OPEN_S):
            self._inlet.open_stream(timeout=_OPEN_S)

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
                rows, _ = self._inlet.pull_chunk(0.0, _PULL)
            except lsl.lost_error():
                self.ended = True
                break
            texts += [row[0] for row in rows]
            if len(rows) < _PULL:
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


def _the_one(timeout: float, name: str | None, source_id: str | None) -> lsl.FoundStream:
    """Return the one stream that matches."""
    asked = f"named '{name}'" if source_id is None else f"with the source_id '{source_id}'"
    if name is None and source_id is None:
        raise StreamError("no stream was asked for: pass its name or its source_id.")
    found = lsl.find_streams(timeout, name, source_id)
    if not found:
        where = "on the network" if lsl.uses_lan() else "on this machine"
        raise StreamError(
            f"no LSL stream {asked} was found {where} within {timeout:g} s: start it, or see what "
            "there is with `semgfin-rt streams`."
        )
    found = lsl.find_streams(_TWIN_S, name, source_id, minimum=2) or found
    if len(found) > 1:
        listed = ", ".join(f"{s.source_id or '-'} on {s.host}" for s in found)
        raise StreamError(
            f"{len(found)} LSL streams {asked} were found ({listed}): stop all but one."
        )
    return found[0]
