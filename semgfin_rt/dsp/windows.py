"""The one index arithmetic of windows, offline and streaming, and the labels that go with them.

Window i of a stretch covers samples ``i * hop`` to ``i * hop + window - 1``. No window and no
horizon reaches across the edge of a stretch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import NO_LABEL, FloatArray, LabelArray, Recording

IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windowing:
    """Length and hop of the windows, in samples."""

    window: int
    hop: int

    def count(self, n_samples: int) -> int:
        """Windows that `n_samples` contiguous samples complete."""
        return 0 if n_samples < self.window else 1 + (n_samples - self.window) // self.hop

    def samples_to_next(self, n_samples: int) -> int:
        """How many more samples complete the next window after `n_samples`."""
        return self.window + self.count(n_samples) * self.hop - n_samples

    def view(self, stretch: FloatArray) -> FloatArray:
        """All windows of a stretch as a strided view (no copy).

        Parameters
        ----------
        stretch : (n_samples, n_channels) float32

        Returns
        -------
        (n_windows, window, n_channels) float32, read-only
        """
        if len(stretch) < self.window:
            return np.empty((0, self.window, stretch.shape[1]), dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(stretch, self.window, axis=0)
        return windows[:: self.hop].swapaxes(1, 2)


@dataclass(frozen=True, eq=False)
class WindowTable:
    """Where the windows of a recording lie and what is true of them.

    Attributes
    ----------
    newest : (n_windows,) int64
        Sample index of each window's newest sample.
    labels : (n_windows, n_horizons) int16
        Label of the sample each horizon after the newest; `NO_LABEL` where the stretch has ended.
    steady : (n_windows, n_horizons) bool
        All samples from the window's first to the target lie in one label and repetition.
    repetitions : (n_windows, n_horizons) int16
        Repetition of the target; NO_LABEL where the stretch has ended.
    first_repetitions : (n_windows,) int16
        Repetition of the window's first sample.
    """

    newest: IndexArray
    labels: LabelArray
    steady: npt.NDArray[np.bool_]
    repetitions: LabelArray
    first_repetitions: LabelArray

    def __len__(self) -> int:
        return len(self.newest)

    def select(self, mask: npt.NDArray[np.bool_]) -> WindowTable:
        """Rows where `mask`, (n_windows,) bool, holds."""
        return WindowTable(
            self.newest[mask],
            self.labels[mask],
            self.steady[mask],
            self.repetitions[mask],
            self.first_repetitions[mask],
        )


def window_table(
    recording: Recording, windowing: Windowing, horizons: Sequence[int]
) -> WindowTable:
    """All windows of `recording` with their labels at every horizon.

    Parameters
    ----------
    recording : Recording
    windowing : Windowing
    horizons : sequence of int
        In samples ahead of a window's newest sample.

    Returns
    -------
    WindowTable
        In the order of time.
    """
    ahead = np.asarray(horizons, dtype=np.int64)
    parts = [
        _stretch_table(recording, start, stop, windowing, ahead)
        for start, stop in recording.stretches
    ]
    return WindowTable(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _stretch_table(
    recording: Recording, start: int, stop: int, windowing: Windowing, ahead: IndexArray
) -> tuple[IndexArray, LabelArray, npt.NDArray[np.bool_], LabelArray, LabelArray]:
    labels, repetitions = recording.labels[start:stop], recording.repetitions[start:stop]
    first = windowing.hop * np.arange(windowing.count(stop - start))
    newest = first + windowing.window - 1
    target = newest[:, None] + ahead  # (n_windows, n_horizons)
    inside = target < stop - start
    target = np.where(inside, target, 0)
    # run number of each sample: it changes with the label or the repetition
    changed = (np.diff(labels) != 0) | (np.diff(repetitions) != 0)
    run = np.concatenate([[0], np.cumsum(changed)])
    return (
        newest + start,
        np.where(inside, labels[target], np.int16(NO_LABEL)),
        inside & (run[first][:, None] == run[target]),
        np.where(inside, repetitions[target], np.int16(NO_LABEL)),
        repetitions[first],
    )
