"""An XDF file, checked chunk by chunk before pyxdf reads it.

A recording that was cut off (power, full disk, ``kill -9``) ends in half a chunk, on which pyxdf
may fail or make up a sample: it is given the file up to the last whole chunk. Whatever comes
after the first damage is left out, since nothing there can be placed in time. pyxdf runs in the
limited child: a file from elsewhere can bring down no more than that. Here only the headers are
read, XML of limited size.
"""

from __future__ import annotations

import io
import json
import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pyxdf
from pydantic import BaseModel, ConfigDict, ValidationError

from semgfin_rt.contracts import TimeArray
from semgfin_rt.errors import RecordingError
from semgfin_rt.recordings.limited_child import Limits, in_child

_MAGIC = b"XDF:"
_FILE_HEADER, _STREAM_HEADER, _SAMPLES, _CLOCK_OFFSET, _BOUNDARY, _STREAM_FOOTER = range(1, 7)
_OF_A_STREAM = (_STREAM_HEADER, _SAMPLES, _CLOCK_OFFSET, _STREAM_FOOTER)
_MOST_HEADERS = 8 << 20  # bytes of all in a file; in memory some 45 times as much at worst
_TIME = 8  # bytes of a timestamp, where a sample has one
# Bytes of a value; of a string at least its length of one byte and how many bytes that takes.
_VALUE = {
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "float32": 4,
    "double64": 8,
    "string": 2,
}
# What pyxdf and the parser of XML were seen to raise on damaged files.
_DAMAGE = (
    ElementTree.ParseError,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    MemoryError,
)


class SessionInfo(BaseModel):
    """What the header of a file that this program recorded says, as JSON.

    Attributes
    ----------
    subject : int
    checkpoint_sha256 : str
    policy, settings : dict
        What the user had set when the recording began.
    model : dict
        Of the checkpoint's contract: what is needed to understand the decisions.
    classes : dict of int to str
    ring, test_repetitions : tuple of int
        As in `Recording`.
    origin : dict of str to str
        Where the signal came from: name, source_id, uid, host.
    versions : dict of str to str
    """

    model_config = ConfigDict(frozen=True)

    subject: int = 0
    checkpoint_sha256: str = ""
    policy: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    model: dict[str, Any] = {}
    classes: dict[int, str] = {}
    ring: tuple[int, ...] = ()
    test_repetitions: tuple[int, ...] = ()
    origin: dict[str, str] = {}
    versions: dict[str, str] = {}


@dataclass(frozen=True, eq=False)
class XdfStream:
    """A stream as its header describes it.

    Attributes
    ----------
    number : int
        In the file.
    name, type, format : str
    n_channels : int
    rate : float
        Nominal, in Hz; 0 is irregular.
    xml : Element
        The whole header.
    """

    number: int
    name: str
    type: str
    format: str
    n_channels: int
    rate: float
    xml: ElementTree.Element

    def channel_texts(self, key: str) -> list[str]:
        """Return a field of every channel, empty where it has none."""
        channels = self.xml.findall("desc/channels/channel")
        texts = [(channel.findtext(key) or "").strip() for channel in channels]
        return texts if len(texts) == self.n_channels else [""] * self.n_channels

    def text(self, key: str) -> str:
        """Return a field of the description, empty where there is none."""
        return self.xml.findtext(f"desc/{key}") or ""


@dataclass(eq=False)
class XdfContents:
    """What a file holds, up to its first damage.

    Attributes
    ----------
    path : Path
    size, good : int
        Bytes of the file, and before the first damage.
    streams : list of XdfStream
    session : SessionInfo or None
        None for a file of another program.
    closed : bool
        It has footers: whoever recorded it came to an end.
    remarks : list of str
        What pyxdf had to say.
    """

    path: Path
    size: int
    good: int = 0
    streams: list[XdfStream] = field(default_factory=list)
    session: SessionInfo | None = None
    closed: bool = False
    remarks: list[str] = field(default_factory=list)

    def of_type(self, type: str) -> list[XdfStream]:
        """Return the streams of a type, whatever its case."""
        return [s for s in self.streams if s.type.lower() == type.lower()]

    def load(self, stream: XdfStream) -> tuple[TimeArray, npt.NDArray[Any]]:
        """Read a stream.

        Returns
        -------
        times : (n_samples,) float64
            LSL clock of the recording machine, in s.
        values : (n_samples, n_channels)
            Numbers, or strings as objects.

        Raises
        ------
        RecordingError
            If pyxdf cannot read it, or not within the limits of the child.
        """
        times, values, remarks = in_child(
            load_samples,
            str(self.path),
            self.good,
            stream.number,
            where=f"'{self.path}'",
            limits=_limits(self.size),
        )
        self.remarks += [remark for remark in remarks if remark not in self.remarks]
        if stream.format == "string":
            values = np.array(json.loads(values.tobytes()), object)
        return times, values.reshape(len(times), stream.n_channels)


def _limits(size: int) -> Limits:
    """Limits for a file of `size` bytes: nothing in it inflates, but pyxdf takes its time.

    It reads some 20 MB a second, sample by sample, and holds the signal twice.
    """
    usual = Limits()
    return Limits(
        memory=max(usual.memory, (1 << 30) + 4 * size),
        result=max(64 << 20, 2 * size),
        seconds=usual.seconds + size / 2e6,
    )


def load_samples(path: str, good: int, number: int) -> tuple[TimeArray, Any, list[str]]:
    """Read times and values of a stream, and what pyxdf had to say; for the limited child."""
    remarks: list[str] = []
    try:
        with open(path, "rb") as file, _listening(remarks):
            whole = good == file.seek(0, io.SEEK_END)
            file.seek(0)
            given = file if whole else io.BytesIO(file.read(good))
            loaded, _ = pyxdf.load_xdf(given, [number], dejitter_timestamps=False)
    except _DAMAGE as error:
        raise RecordingError(
            f"'{path}' is damaged ({type(error).__name__}): copy it again."
        ) from error
    times, values = loaded[0]["time_stamps"], loaded[0]["time_series"]
    if isinstance(values, list):  # of texts, which may be more than the child's answer holds
        values = np.frombuffer(json.dumps(values).encode(), np.uint8)
    return np.asarray(times, np.float64), values, remarks


def read_contents(path: Path) -> XdfContents:
    """Look through a file without reading its samples.

    Raises
    ------
    RecordingError
        It is missing, empty, not XDF, or damaged before its first stream.
    """
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise RecordingError(
                f"'{path}' cannot be read, since it is no file: give the path of an .xdf file."
            )
        with path.open("rb") as file:
            contents = XdfContents(path, file.seek(0, io.SEEK_END))
            file.seek(0)
            _scan(file, contents)
    except OSError as error:
        raise RecordingError(
            f"'{path}' cannot be read ({error.strerror}): give the path of an .xdf file."
        ) from error
    if not contents.streams:
        what = "holds no stream" if contents.good == contents.size else "is damaged where it begins"
        raise RecordingError(f"'{path}' {what}: record it again.")
    return contents


def read_subject(path: Path) -> int:
    """Subject of a recorded session, 0 where it says none; the signal is not read.

    Raises
    ------
    RecordingError
        As `read_contents`.
    """
    session = read_contents(path).session
    return 0 if session is None else session.subject


# ---------------------------------------------------------------------------- checking
def _scan(file: BinaryIO, contents: XdfContents) -> None:
    """Go from chunk to chunk until the end or the first damage."""
    if file.read(len(_MAGIC)) != _MAGIC:
        what = "not an XDF file" if contents.size else "empty"
        raise RecordingError(f"'{contents.path}' is {what}: give an .xdf file.")
    known: dict[int, XdfStream] = {}
    headers = 0  # bytes of XML
    contents.good = file.tell()
    while contents.good < contents.size:
        try:
            length = _read_length(file)
            stop = file.tell() + length
            if length < 2 or stop > contents.size:
                return
            (tag,) = struct.unpack("<H", file.read(2))
            headers += length * (tag in (_FILE_HEADER, _STREAM_HEADER))
            if headers > _MOST_HEADERS or not _take(tag, file, stop, known, contents):
                return
        except _DAMAGE:
            return
        file.seek(stop)
        contents.good = stop


def _take(
    tag: int, file: BinaryIO, stop: int, known: dict[int, XdfStream], contents: XdfContents
) -> bool:
    """Note what a chunk says; false where it makes no sense."""
    number = struct.unpack("<I", file.read(4))[0] if tag in _OF_A_STREAM else None
    if tag == _FILE_HEADER:
        contents.session = _session(file.read(stop - file.tell()), contents.path)
    elif tag == _STREAM_HEADER and number is not None and number not in known:
        known[number] = _stream(number, file.read(stop - file.tell()))
        contents.streams.append(known[number])
    elif tag == _SAMPLES and number in known:
        n, stream = _read_length(file), known[number]
        least = 1 + stream.n_channels * _VALUE[stream.format]  # bytes of a sample
        left = stop - file.tell()
        most = left if stream.format == "string" else n * (least + _TIME)
        return n * least <= left <= most
    elif tag in (_CLOCK_OFFSET, _STREAM_FOOTER) and number in known:
        contents.closed |= tag == _STREAM_FOOTER
        return tag == _STREAM_FOOTER or stop - file.tell() == 2 * 8
    else:
        return tag == _BOUNDARY
    return True


def _read_length(file: BinaryIO) -> int:
    size = file.read(1)[0]
    return int(struct.unpack({1: "<B", 4: "<I", 8: "<Q"}[size], file.read(size))[0])


def _session(data: bytes, path: Path) -> SessionInfo | None:
    text = _xml(data).findtext("session")
    if text is None:
        return None
    try:
        return SessionInfo.model_validate_json(text)
    except ValidationError as error:
        raise RecordingError(
            f"the header of '{path}' is not as this program writes it "
            f"({error.errors()[0]['msg']}): record it again, or open it with pyxdf."
        ) from error


def _stream(number: int, data: bytes) -> XdfStream:
    xml = _xml(data)
    name, type, format = (
        (xml.findtext(key) or "").strip() for key in ("name", "type", "channel_format")
    )
    n_channels = int(xml.findtext("channel_count", ""))
    if format not in _VALUE or not 0 < n_channels < 10_000:
        raise ValueError
    rate = float(xml.findtext("nominal_srate", ""))
    return XdfStream(number, name, type, format, n_channels, rate, xml)


def _xml(data: bytes) -> ElementTree.Element:
    text = data.decode("utf-8", "replace")
    if "<!DOCTYPE" in text:  # its entities may inflate, and no recorder writes one
        raise ValueError
    return ElementTree.fromstring(text)


@contextmanager
def _listening(remarks: list[str]) -> Iterator[None]:
    """Collect what pyxdf logs, each thing once, instead of letting it reach the terminal."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() not in remarks:
                remarks.append(record.getMessage())

    logger, collector = logging.getLogger("pyxdf"), Collector(logging.WARNING)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(collector)
    try:
        yield
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagate
