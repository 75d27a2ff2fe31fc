"""Finding streams, and opening the ones that can be used.

`find_streams` blocks for its timeout; liblsl's own threads do the looking.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from semgfin_rt.errors import StreamError
from semgfin_rt.lsl.library import api

MAX_CHANNELS = 1024
MAX_RATE = 100_000.0
NUMERIC_DTYPES = {1: "f4", 2: "f8", 4: "i4", 5: "i2", 6: "i1", 7: "i8"}
"""NumPy type of each numeric LSL channel format (3 is text, 0 undefined)."""


@dataclass(frozen=True)
class FoundStream:
    """A stream as discovery describes it: claims of an unknown sender, nothing checked.

    Attributes
    ----------
    name, type, source_id, host, uid : str
    n_channels : int
    rate : float
        Nominal rate in Hz; 0 for an irregular stream.
    channel_format : int
        LSL's code; see `NUMERIC_DTYPES`.
    info : pylsl.StreamInfo
        The handle that an inlet needs.
    """

    name: str
    type: str
    source_id: str
    host: str
    uid: str
    n_channels: int
    rate: float
    channel_format: int
    info: Any = field(repr=False, compare=False)

    @property
    def is_local(self) -> bool:
        """Whether it comes from this machine, so that its clock is ours."""
        return self.host == socket.gethostname()


def find_streams(
    timeout: float,
    name: str | None = None,
    source_id: str | None = None,
    type: str | None = None,
    minimum: int = 1,
) -> list[FoundStream]:
    """Find the streams that match everything given.

    Parameters
    ----------
    timeout : float
        How long to look, in s.
    name, source_id, type : str, optional
    minimum : int
        With a criterion the search ends early, at so many matches.

    Returns
    -------
    list of FoundStream
        By name, then source_id; one for each uid.
    """
    pylsl = api()
    wanted = {"name": name, "source_id": source_id, "type": type}
    wanted = {key: value for key, value in wanted.items() if value is not None}
    if wanted:  # the narrowest first; the rest is compared here
        key = min(wanted, key=["source_id", "name", "type"].index)
        infos = pylsl.resolve_byprop(key, wanted[key], minimum, timeout)
    else:
        infos = pylsl.resolve_streams(timeout)
    found = {s.uid: s for s in map(_found, infos)}.values()
    matching = [s for s in found if all(getattr(s, k) == v for k, v in wanted.items())]
    return sorted(matching, key=lambda s: (s.name, s.source_id))


def _found(info: Any) -> FoundStream:
    return FoundStream(
        info.name(),
        info.type(),
        info.source_id(),
        info.hostname(),
        info.uid(),
        info.channel_count(),
        info.nominal_srate(),
        info.channel_format(),
        info,
    )


def require_usable(stream: FoundStream) -> None:
    """Refuse a description that no signal has, before an inlet allocates anything for it.

    Raises
    ------
    StreamError
        If the channel count, the rate or the format is out of the question.
    """
    what = f"the stream '{stream.name}' ({stream.source_id or 'no source_id'})"
    if not 1 <= stream.n_channels <= MAX_CHANNELS:
        raise StreamError(
            f"{what} claims {stream.n_channels} channels: choose one with 1 to {MAX_CHANNELS}."
        )
    if not 1.0 <= stream.rate <= MAX_RATE:  # also false for NaN
        raise StreamError(
            f"{what} claims {stream.rate:g} Hz: choose one with a regular rate of 1 to "
            f"{MAX_RATE:g} Hz."
        )
    if stream.channel_format not in NUMERIC_DTYPES:
        raise StreamError(f"{what} does not carry numbers: choose a numeric stream.")


def open_inlet(stream: FoundStream, buffer_s: int) -> Any:
    """Return a `pylsl.StreamInlet` that raises `lost_error` when its stream goes.

    liblsl's own recovery is left off: it is silent, and accepts another rate without a word.
    """
    return api().StreamInlet(stream.info, max_buflen=buffer_s, recover=False)


def lost_error() -> type[Exception]:
    """Return what an inlet raises once its stream is gone."""
    return api().util.LostError  # type: ignore[no-any-return]


@contextmanager
def answering(name: str, patience: float) -> Iterator[None]:
    """Turn the silence of a stream that was just found into a `StreamError`."""
    util = api().util
    try:
        yield
    except (util.TimeoutError, util.LostError) as error:
        raise StreamError(
            f"the stream '{name}' was found and did not answer within {patience:g} s: start its "
            "program again, or check the firewall."
        ) from error
