"""A stream of Lab Streaming Layer that is open: what it is, and its samples as they come.

Opening blocks for a few round trips, `pull` for its timeout. In between liblsl's own thread fills
a buffer, which takes up the stalls of the reader; when it overflows it drops the oldest samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semgfin_rt import lsl
from semgfin_rt.contracts import FloatArray, TimeArray
from semgfin_rt.errors import StreamError
from semgfin_rt.sources.identity import listed

OPEN_S = 5.0
"""Patience for an answer of a stream that was just discovered."""
PULL = 1024  # samples a pull; liblsl hands out the oldest first, so pull until empty
_TWIN_S = 0.23  # the search ends at the first match: time for a second to show itself; see `search`


@dataclass(frozen=True, eq=False)
class Pulled:
    """Samples of a stream, oldest first.

    Attributes
    ----------
    samples : (n_samples, n_channels) float32
        In the unit of the description, without the counter channel.
    times : (n_samples,) float64
        The sender's timestamps, on this machine's clock as far as the two can be compared.
    counts : (n_samples,) float64 or None
        The counter channel, where there is one.
    """

    samples: FloatArray
    times: TimeArray
    counts: TimeArray | None


class Inlet:
    """Open a stream that was found, if what it says of itself is usable.

    Parameters
    ----------
    stream : FoundStream
    unit, contract_channels
        See `lsl.describe`.
    buffer_s : int
        Length of liblsl's buffer, in s of signal.
    patience_s : float
        For each of up to three answers.

    Attributes
    ----------
    stream : FoundStream
    said : StreamDescription
    opened : float
        LSL clock: no sample is older.

    Raises
    ------
    StreamError
        If the stream is not usable or does not answer.
    """

    def __init__(
        self,
        stream: lsl.FoundStream,
        unit: str | None,
        contract_channels: Sequence[str],
        buffer_s: int,
        patience_s: float,
    ) -> None:
        lsl.require_usable(stream)
        inlet = lsl.open_inlet(stream, buffer_s)
        with lsl.answering(stream.name, patience_s):
            said = lsl.full_description(inlet, patience_s, unit, contract_channels)
            n_channels = len(said.spec.channels) + said.counter
            if n_channels != stream.n_channels or said.spec.rate != stream.rate:
                raise StreamError(
                    f"the stream '{stream.name}' describes itself as another one than the search "
                    "found: start its program again."
                )
            # Raw timestamps with one offset: liblsl's own synchronisation steps back under jitter.
            self._offset = 0.0 if stream.is_local else inlet.time_correction(timeout=patience_s)
            self.opened = lsl.local_clock()
            inlet.open_stream(timeout=patience_s)
        self.stream, self.said = stream, said
        self._inlet = inlet
        dtype = lsl.NUMERIC_DTYPES[stream.channel_format]
        self._buffer = np.empty((PULL, stream.n_channels), dtype)

    def pull(self, timeout: float, max_samples: int | None) -> Pulled:
        """Wait for `max_samples` (at most 1024), or take all there is, waiting for the first.

        Raises
        ------
        pylsl.util.LostError
            If the stream is gone; see `lsl.lost_error`.
        """
        if max_samples is not None:
            return self._once(timeout, min(max_samples, PULL))
        asked = 1 if timeout else PULL
        parts = [self._once(timeout, asked)]
        while len(parts[-1].times) == asked:
            asked = PULL
            try:
                parts.append(self._once(0.0, asked))
            except lsl.lost_error():  # the next call says so: what has come is not thrown away
                break
        if len(parts) == 1:
            return parts[0]
        counts = [p.counts for p in parts if p.counts is not None]
        return Pulled(
            np.concatenate([p.samples for p in parts]),
            np.concatenate([p.times for p in parts]),
            np.concatenate(counts) if counts else None,
        )

    def waits(self) -> bool:
        """Whether samples have come that were not pulled; another thread may ask, too."""
        return bool(self._inlet.samples_available())

    def close(self) -> None:
        """Close the stream; `pull` is not possible any more."""
        self._inlet.close_stream()

    def _once(self, timeout: float, n: int) -> Pulled:
        _, stamps = self._inlet.pull_chunk(timeout, n, dest_obj=self._buffer)
        rows = self._buffer[: len(stamps)]
        n_signals = len(self.said.spec.channels)
        samples = rows[:, :n_signals].astype(np.float32)  # (n_samples, n_channels), a copy
        if self.said.gain != 1.0:
            samples *= np.float32(self.said.gain)
        counts = rows[:, -1].astype(np.float64) if self.said.counter else None
        return Pulled(samples, np.array(stamps, np.float64) + self._offset, counts)


def the_one(timeout: float, name: str | None, source_id: str | None) -> lsl.FoundStream:
    """Return the one stream that matches.

    Raises
    ------
    StreamError
        If there is none, or more than one.
    """
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
        raise StreamError(
            f"{len(found)} LSL streams {asked} were found ({listed(found, 'source_id')}): stop all "
            "but one."
        )
    return found[0]
