"""How numbers come from the limited child to its parent: in memory that both share, not copied.

The child writes arrays there with `pack`; the parent takes the memory away from it, checks what
it says about it, and sees the arrays with `unpack`.
"""

from __future__ import annotations

import math
import mmap
import os
import sys
import tempfile
from io import FileIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

if sys.platform == "linux":
    import fcntl

Memory: TypeAlias = mmap.mmap | bytearray

_ARRAY = "__array__"  # key of what stands for an array: its dtype, shape and offset
_ALIGNED = 64  # bytes: arrays begin at multiples
_PART = 1 << 20  # bytes
_KINDS = frozenset("buif")
_MOST_AXES = 32


# ------------------------------------------------------------------------------- in the parent
class Scratch:
    """Memory that the child may write to, until `take` takes it away from the child.

    On Linux it has no name and no place on a disk, and is sealed before anybody looks at it: the
    child can neither change nor shorten it any more, and nothing is copied. Elsewhere it is a
    temporary file, and the numbers are copied.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        if sys.platform == "linux":
            number = os.memfd_create("semgfin_rt", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            self._file = os.fdopen(number, "r+b", buffering=0)
            self.path = f"/proc/{os.getpid()}/fd/{number}"
        else:
            number, self.path = tempfile.mkstemp(prefix="semgfin_rt-")
            self._file = os.fdopen(number, "r+b", buffering=0)
        self._file.truncate(size)  # takes no memory before it is written to
        if sys.platform == "linux":
            fcntl.fcntl(number, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *reason: object) -> None:
        self._file.close()
        if sys.platform != "linux":
            Path(self.path).unlink(missing_ok=True)

    def take(self, size: int) -> Memory:
        """Return the first `size` bytes."""
        if type(size) is not int or not 0 <= size <= self._size:
            raise ValueError(f"{size} of {self._size} bytes")
        if size == 0:
            return bytearray()
        if sys.platform == "linux":
            fcntl.fcntl(self._file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
            return mmap.mmap(self._file.fileno(), size, access=mmap.ACCESS_COPY)
        memory = bytearray(size)
        if self._file.readinto(memory) != size:
            raise ValueError("the child shortened its file")
        return memory


def unpack(value: Any, memory: Memory) -> Any:
    """Turn what `pack` returned into what it was given (tuples are lists), and check it.

    Raises
    ------
    TypeError, ValueError, RecursionError
        An array is not of real numbers or does not lie in the memory; lists nest too deep.
    """
    if isinstance(value, list):
        return [unpack(item, memory) for item in value]
    if isinstance(value, dict):
        if _ARRAY in value:
            return _array(memory, *value[_ARRAY])
        return {key: unpack(item, memory) for key, item in value.items()}
    return value


def _array(memory: Memory, name: Any, shape: Any, offset: Any) -> npt.NDArray[Any]:
    # numpy itself takes negative offsets and lengths
    if len(shape) > _MOST_AXES or any(type(n) is not int or n < 0 for n in (offset, *shape)):
        raise TypeError(f"shape {shape!r:.80}, offset {offset!r:.40}")
    if not isinstance(name, str) or len(name) > 8:
        raise TypeError(f"dtype {name!r:.40}")
    dtype = np.dtype(name)
    if dtype.kind not in _KINDS or offset % _ALIGNED:
        raise TypeError(f"dtype {dtype}, offset {offset}")
    if offset + math.prod(shape) * dtype.itemsize > len(memory):
        raise ValueError(f"{shape} of {dtype} from {offset} on reach beyond {len(memory)} bytes")
    is_bool = dtype.kind == "b"
    array: npt.NDArray[Any] = np.ndarray(
        shape, np.uint8 if is_bool else dtype, buffer=memory, offset=offset
    )
    return array != 0 if is_bool else array  # a bool of any other byte is no bool


# -------------------------------------------------------------------------------- in the child
def pack(value: Any, path: str, size: int) -> tuple[Any, int]:
    """Write the arrays of `value` to shared memory; returns the rest of it and their size.

    Raises
    ------
    MemoryError
        They are larger than `size`.
    """
    with open(path, "r+b", buffering=0) as file:
        rest = _pack_into(file, value, size)
        return rest, file.tell()


def _pack_into(file: FileIO, value: Any, size: int) -> Any:
    if isinstance(value, dict):
        return {key: _pack_into(file, item, size) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack_into(file, item, size) for item in value]
    if not isinstance(value, np.ndarray):
        return value
    start = -(-file.tell() // _ALIGNED) * _ALIGNED
    if start + value.nbytes > size:
        raise MemoryError
    file.seek(start)
    _write(file, value)
    return {_ARRAY: [value.dtype.newbyteorder("=").str, value.shape, start]}


def _write(file: FileIO, array: npt.NDArray[Any]) -> None:
    """Row by row, though MATLAB's order is column by column; in parts that stay in the cache."""
    if not array.nbytes:
        return
    rows = np.atleast_1d(array)
    step = max(1, _PART * len(rows) // rows.nbytes)
    for first in range(0, len(rows), step):
        part = rows[first : first + step]
        left = np.ascontiguousarray(part, part.dtype.newbyteorder("=")).data.cast("B")
        while left:
            left = left[file.write(left) :]
