"""The windows of test repetitions, and what is true of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from semgfin_rt.contracts import NO_LABEL, FloatArray, LabelArray, Recording
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing, window_table
from semgfin_rt.features import closed_form
from semgfin_rt.model_contract import ModelContract

IndexArray = npt.NDArray[np.int64]
BATCH = 512
"""Windows that are gathered and looked at at a time."""


@dataclass(frozen=True, eq=False)
class TestWindows:
    """Windows of one recording to be scored.

    Attributes
    ----------
    signal : (n_samples, n_channels) float32
        Filtered.
    scaler : Scaler
        Z-scores the windows as they are read.
    newest : (n_windows,) int64
    truth : (n_windows, n_horizons) int16
        `NO_LABEL` where the target is not in a test repetition.
    steady : (n_windows, n_horizons) bool
    present : (n_windows,) int16
    """

    __test__ = False  # not a test class, whatever pytest thinks of the name

    signal: FloatArray
    scaler: Scaler
    newest: IndexArray
    truth: LabelArray
    steady: npt.NDArray[np.bool_]
    present: LabelArray

    @classmethod
    def build(
        cls, recording: Recording, contract: ModelContract, repetitions: Sequence[int]
    ) -> TestWindows:
        """Collect the windows of a filtered recording."""
        windowing = Windowing(contract.window, contract.hop)
        table = window_table(recording, windowing, (0, *contract.horizons))
        wanted = np.isin(table.repetitions[:, 0], repetitions)
        wanted &= np.isin(table.first_repetitions, repetitions)
        table = table.select(wanted)
        tested = np.isin(table.repetitions[:, 1:], repetitions)
        return cls(
            recording.samples,
            Scaler(contract.scale_mean, contract.scale_std),
            table.newest,
            np.where(tested, table.labels[:, 1:], np.int16(NO_LABEL)),
            table.steady[:, 1:] & tested,
            table.labels[:, 0],
        )

    def __len__(self) -> int:
        return len(self.newest)

    def windows(self, rows: slice, length: int) -> FloatArray:
        """Windows `rows`, z-scored, (n_windows, length, n_channels)."""
        return gather(self.signal, self.scaler, self.newest[rows], length)


def gather(signal: FloatArray, scaler: Scaler, newest: IndexArray, length: int) -> FloatArray:
    """Windows by their newest samples, z-scored, (n_windows, length, n_channels)."""
    return scaler(signal[newest[:, None] + np.arange(1 - length, 1)])


def features_of(
    signal: FloatArray, scaler: Scaler, newest: IndexArray, length: int, names: Sequence[str]
) -> FloatArray:
    """Closed-form features of windows, (n_windows, n_features, n_channels).

    Parameters
    ----------
    signal : (n_samples, n_channels) float32
        Filtered.
    scaler : Scaler
    newest : (n_windows,) int64
    length : int
        Of a window, in samples.
    names : sequence of str
    """
    values = np.empty((len(newest), len(names), signal.shape[1]), dtype=np.float32)
    for start in range(0, len(newest), BATCH):
        rows = slice(start, start + BATCH)
        windows = gather(signal, scaler, newest[rows], length)
        # torch is about twice as fast here as NumPy
        values[rows] = closed_form(torch.from_numpy(windows), names).numpy()
    return values
