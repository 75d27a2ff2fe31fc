"""Finding streams, checking what they claim, and opening the ones that can be used.

`find_streams` blocks for its timeout; liblsl's own threads do the looking.
"""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from semgfin_rt.errors import StreamError
from semgfin_rt.lsl.description import StreamDescription, describe, require_text
from semgfin_rt.lsl.library import api
from semgfin_rt.texts import printable

MAX_CHANNELS = 1024
MAX_RATE = 100_000.0
MAX_XML = 2**20
"""Bytes of a full description; 1024 channels need a fifth of it."""
NUMERIC_DTYPES = {1: "f4", 2: "f8", 4: "i4", 5: "i2", 6: "i1", 7: "i8"}
"""NumPy type of each numeric LSL channel format (0 is undefined)."""
TEXT = 3
"""LSL's code of the channel format of texts."""


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
        LSL's code; see `NUMERIC_DTYPES` and `TEXT`.
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
    asked = {"name": name, "source_id": source_id, "type": type}
    wanted = {key: value for key, value in asked.items() if value is not None}
    if wanted:  # what cannot be asked for is compared here, as all is
        can_be_asked = {k: v for k, v in wanted.items() if not {"'", '"'} <= set(v)} or wanted
        predicate = " and ".join(_predicate(key, value) for key, value in can_be_asked.items())
        infos = pylsl.resolve_bypred(predicate, minimum, timeout)
    else:
        infos = pylsl.resolve_streams(timeout)
    found = {s.uid: s for s in map(_found, infos)}.values()
    matching = [s for s in found if all(getattr(s, k) == v for k, v in wanted.items())]
    return sorted(matching, key=lambda s: (s.name, s.source_id))


def _predicate(key: str, value: str) -> str:
    """Return the XPath that asks for `value`, which has no escapes for quotation marks."""
    mark = '"' if "'" in value else "'"
    if mark in value:
        raise StreamError(
            f"the {key} '{printable(value, 40)}' has both kinds of quotation marks: rename the "
            "stream."
        )
    return f"{key}={mark}{value}{mark}"


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


def require_printable(stream: FoundStream) -> None:
    """Refuse a stream whose name, source_id and so on are too long or not printable.

    Raises
    ------
    StreamError
    """
    texts = (stream.name, stream.type, stream.source_id, stream.host, stream.uid)
    for what, text in zip(
        ("a name", "a type", "a source_id", "a host", "a uid"), texts, strict=True
    ):
        require_text(what, text)


def require_usable(stream: FoundStream) -> None:
    """Refuse a description that no signal has, before an inlet allocates anything for it.

    Raises
    ------
    StreamError
        If the channel count, the rate or the format is out of the question, or a name is too
        long or not printable.
    """
    require_printable(stream)
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


def parse_description(
    xml: bytes, unit: str | None = None, channels: Sequence[str] = ()
) -> StreamDescription:
    """Read a description as it comes over the network, without a network: liblsl's own parser.

    Parameters
    ----------
    xml : bytes
    unit, channels
        See `describe`.

    Raises
    ------
    StreamError
        If no inlet may be opened for it.
    """
    _require_size(len(xml))
    parse = api().lib.lib.lsl_streaminfo_from_xml
    parse.restype, parse.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    info = api().StreamInfo(handle=parse(xml))
    require_usable(_found(info))
    return describe(info, unit, channels)


def full_description(
    inlet: Any, timeout: float, unit: str | None, channels: Sequence[str]
) -> StreamDescription:
    """Ask a stream for its full description and read it; see `describe`.

    Raises
    ------
    StreamError
        If it is not usable.
    pylsl.util.TimeoutError, pylsl.util.LostError
        If it does not answer; see `answering`.
    """
    info = inlet.info(timeout=timeout)
    _require_size(len(info.as_xml()))
    require_usable(_found(info))
    return describe(info, unit, channels)


def ask(stream: FoundStream, patience: float) -> bytes:
    """Return the full description of a stream that was found, as it comes over the network.

    Raises
    ------
    StreamError
        If no signal can be read from it, or it does not answer within `patience` s.
    """
    require_usable(stream)
    with answering(stream.name, patience):
        xml: str = open_inlet(stream, 1).info(timeout=patience).as_xml()
    return xml.encode()


def _require_size(size: int) -> None:
    if size > MAX_XML:
        raise StreamError(
            f"a stream describes itself in {size} bytes: at most {MAX_XML} are read, so correct "
            "its program."
        )


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
