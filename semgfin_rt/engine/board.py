"""Signal and decisions for the screen, in memory that the engine's process and the window share.

The engine writes and never waits; the window reads and never holds it up. What the window has no
time for is overwritten, and counted. No lock, and nothing to clean up: the memory is a file
without a name (`multiprocessing.sharedctypes`), which is gone with the last process that maps it,
however that ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from ctypes import c_byte
from dataclasses import replace
from multiprocessing.sharedctypes import RawArray
from typing import Any

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import Chunk, Decision
from semgfin_rt.features import FEATURES
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.sinks.lsl import DecisionLayout

KEEP_S = 5.0
"""What the window finds at most, in s of signal."""
_HEAD = 2  # time, number of features


class SharedRing:
    """The newest rows of a table, written in one process and read in another; neither waits.

    A row that is overwritten before it was read, or while it is being read, is not handed out but
    counted. The writer says first how far it will come, then writes, then says that it is there.
    (A processor that reorders stores, as ARM's may, can show the first of these some ns late.)

    Parameters
    ----------
    capacity, n_columns : int
        Rows kept, and numbers in each.
    dtype : dtype
        Of the numbers.
    memory : ctypes array, optional
        That of the same ring in the other process; new by default.

    Attributes
    ----------
    read, overrun : int
        Rows that the reader has passed, and those among them that it was too late for. Only the
        reading process knows them.
    """

    def __init__(
        self, capacity: int, n_columns: int, dtype: npt.DTypeLike, memory: Any = None
    ) -> None:
        numbers = np.dtype(dtype)
        if memory is None:
            memory = RawArray(c_byte, 16 + capacity * n_columns * numbers.itemsize)
        self._memory = memory
        self._begun = np.ndarray((), np.int64, memory)
        self._written = np.ndarray((), np.int64, memory, 8)
        self._rows: npt.NDArray[Any] = np.ndarray((capacity, n_columns), numbers, memory, 16)
        self.read = self.overrun = 0

    def __reduce__(self) -> tuple[type[SharedRing], tuple[Any, ...]]:
        """Go to a process that is being started, as the same memory."""
        return SharedRing, (*self._rows.shape, self._rows.dtype.str, self._memory)

    @property
    def n_columns(self) -> int:
        """Numbers in a row."""
        return int(self._rows.shape[1])

    @property
    def written(self) -> int:
        """Rows written so far, in whichever process."""
        return int(self._written)

    def write(self, rows: npt.NDArray[Any]) -> None:
        """Append rows, (n_rows, n_columns or fewer); all but the last `capacity` are dropped."""
        capacity = len(self._rows)
        self._begun[...] = stop = self.written + len(rows)
        kept = rows[-capacity:]
        start = (stop - len(kept)) % capacity
        before = kept[: capacity - start]  # the end of the memory
        after = kept[len(before) :]
        width = rows.shape[1]
        self._rows[start : start + len(before), :width] = before
        self._rows[: len(after), :width] = after
        self._written[...] = stop

    def take(self, stop: int) -> tuple[int, npt.NDArray[Any]]:
        """Return what is there of the rows `read` to `stop`, as the first one's index and a copy.

        Parameters
        ----------
        stop : int
            At most `written`.
        """
        start = min(max(self.read, self.written - len(self._rows)), stop)
        rows = self._rows[np.arange(start, stop) % len(self._rows)]
        # Whatever the writer has come to in the meantime may be torn.
        first = min(max(start, int(self._begun) - len(self._rows)), stop)
        self.overrun += first - self.read
        self.read = stop
        return first, rows[first - start :]


class Board:
    """The last `KEEP_S` of signal, and the decisions on it, for whoever looks.

    Parameters
    ----------
    contract : ModelContract
        Of the first checkpoint that decides; a later one may have other features.
    horizons_ms : tuple of int or None
        Those that the decisions carry; all of the contract's by default.

    Attributes
    ----------
    signal : SharedRing
        A row is a sample, (n_channels,) float32, counted as in `Chunk.first`; lost ones are NaN.
    decisions : SharedRing
        A row is a decision, as float64: time, number of features, what is published of it (see
        `DecisionLayout`), features.
    """

    def __init__(self, contract: ModelContract, horizons_ms: tuple[int, ...] | None = None) -> None:
        n_channels = len(contract.channels)
        n_samples = math.ceil(KEEP_S * contract.rate)
        self._layout = DecisionLayout.of(contract, horizons_ms)
        n_horizons = len(self._layout.horizons_ms)
        self._n_head = _HEAD + len(self._layout.columns)
        n_columns = self._n_head + n_horizons * len(FEATURES) * n_channels
        self.signal = SharedRing(n_samples, n_channels, np.float32)
        self.decisions = SharedRing(n_samples // contract.hop + 1, n_columns, np.float64)

    def put(self, chunk: Chunk, decisions: Sequence[Decision]) -> None:
        """Take what a turn of the engine brought."""
        if len(chunk.samples):
            lost = chunk.first - self.signal.written
            if lost:
                shape = (lost, chunk.samples.shape[1])
                self.signal.write(np.broadcast_to(np.float32(np.nan), shape))
            self.signal.write(chunk.samples)
        for decision in decisions:
            features = decision.features.ravel()
            head = decision.time, len(features)
            row = np.concatenate((head, self._layout.encode(decision), features))
            self.decisions.write(row[None])  # (1, n_columns)

    def take_decisions(self, stop: int) -> tuple[Decision, ...]:
        """Return the decisions before the `stop`-th that were not taken yet."""
        _, rows = self.decisions.take(stop)
        features = rows[:, self._n_head :].astype(np.float32)
        shape = (len(self._layout.horizons_ms), -1, self.signal.n_columns)
        return tuple(
            replace(
                self._layout.decode(row[_HEAD : self._n_head], float(row[0])),
                features=values[: int(row[1])].reshape(shape),
            )
            for row, values in zip(rows, features, strict=True)
        )
