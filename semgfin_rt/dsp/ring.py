"""A ring buffer whose newest samples are always one contiguous view."""

from __future__ import annotations

import numpy as np

from semgfin_rt.contracts import FloatArray


class RingBuffer:
    """The last `capacity` samples of a signal.

    Every sample is written twice, `capacity` rows apart, so that any run of up to `capacity`
    samples lies contiguous in memory: a window is a view, never a copy.

    Parameters
    ----------
    capacity : int
        Samples kept.
    n_channels : int
    """

    def __init__(self, capacity: int, n_channels: int) -> None:
        self.capacity = capacity
        self.written = 0
        self._rows = np.zeros((2 * capacity, n_channels), dtype=np.float32)

    def clear(self) -> None:
        """Forget all samples."""
        self.written = 0

    def extend(self, samples: FloatArray) -> None:
        """Append `samples`, (n_samples, n_channels); all but the last `capacity` are dropped."""
        skipped = max(0, len(samples) - self.capacity)
        kept = samples[skipped:]
        start = (self.written + skipped) % self.capacity
        to_end = self.capacity - start
        for part, at in ((kept[:to_end], start), (kept[to_end:], 0)):
            self._rows[at : at + len(part)] = part
            self._rows[at + self.capacity : at + self.capacity + len(part)] = part
        self.written += len(samples)

    def newest(self, n_samples: int) -> FloatArray:
        """View of the last `n_samples`, (n_samples, n_channels), overwritten by later samples.

        Raises
        ------
        IndexError
            When fewer samples were written, or more are asked for than the buffer keeps.
        """
        if n_samples > min(self.written, self.capacity):
            raise IndexError(f"{n_samples} samples asked for, {self.written} written")
        stop = (self.written - 1) % self.capacity + 1 + self.capacity
        return self._rows[stop - n_samples : stop]
