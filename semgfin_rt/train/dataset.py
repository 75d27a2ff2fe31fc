"""Recordings -> filtered signals and the training windows in them.

Windows are never copied ahead of time: a batch gathers its samples from the signals, which may be
mapped files, and z-scores what it has gathered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from semgfin_rt.contracts import NO_LABEL, REST, FloatArray, Recording
from semgfin_rt.dsp.filters import CausalFilter, Sos
from semgfin_rt.dsp.quality import recoveries
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing, WindowTable, window_table
from semgfin_rt.errors import ContractMismatchError, TrainingError
from semgfin_rt.features import closed_form
from semgfin_rt.model_contract import ClassLabel
from semgfin_rt.scoring import class_index

IndexArray = npt.NDArray[np.int64]


def filtered(recording: Recording, sos: Sos) -> Recording:
    """Filter each stretch of a recording from its own beginning, as a stream would be.

    Samples that are not finite are NaN in the result, in all channels: no window that holds one is
    trained on or trusted, as in a stream. The filter starts afresh behind them, as there.
    """
    causal = CausalFilter(sos)
    damaged = ~np.isfinite(recording.samples)
    samples = np.empty_like(recording.samples)
    for start, stop in recording.stretches:
        causal.reset()
        samples[start:stop] = causal.afresh(
            recording.samples[start:stop], recoveries(damaged[start:stop])
        )
    samples[damaged.any(axis=1)] = np.nan
    return replace(recording, samples=samples)


def fit_scaler(recordings: Sequence[Recording], repetitions: Collection[int]) -> Scaler:
    """Per-channel statistics of filtered recordings, over the given repetitions alone."""
    wanted = list(repetitions)
    return Scaler.fit(
        (
            r.samples[np.isin(r.repetitions, wanted) & np.isfinite(r.samples[:, 0])]
            for r in recordings
        ),
        recordings[0].spec.channels,
    )


def require_same_signal(recordings: Sequence[Recording]) -> None:
    """Refuse recordings that differ in channels, rate or unit."""
    first = recordings[0]
    for other in recordings[1:]:
        if other.spec != first.spec:
            raise ContractMismatchError(
                f"{other.path} ({len(other.spec.channels)} channels, {other.spec.rate:g} Hz, "
                f"{other.spec.unit}) does not go with {first.path} ({len(first.spec.channels)} "
                f"channels, {first.spec.rate:g} Hz, {first.spec.unit}): train them apart."
            )


def class_set(
    recordings: Sequence[Recording], repetitions: Collection[int], *, rest: bool
) -> tuple[ClassLabel, ...]:
    """Classes that occur in the given repetitions, ascending; rest only when asked for.

    No label is no class.
    """
    labels: set[int] = set()
    for recording in recordings:
        wanted = np.isin(recording.repetitions, list(repetitions))
        labels |= {int(label) for label in np.unique(recording.labels[wanted])}
    labels -= {NO_LABEL} if rest else {NO_LABEL, REST}
    names = recordings[0].classes
    return tuple(ClassLabel(id=i, name=names.get(i, f"label {i}")) for i in sorted(labels))


class DataDigest:
    """SHA-256 over samples, labels, repetitions and breaks of recordings, one after the other."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, recording: Recording) -> None:
        """Go on with the next recording."""
        for array in (recording.samples, recording.labels, recording.repetitions):
            self._digest.update(np.ascontiguousarray(array).data)
        self._digest.update(repr((recording.breaks, recording.spec)).encode())

    def hexdigest(self) -> str:
        """Return the digest of all recordings so far, in hexadecimal."""
        return self._digest.hexdigest()


def data_sha256(recordings: Iterable[Recording]) -> str:
    """SHA-256 of recordings, in order; see `DataDigest`."""
    digest = DataDigest()
    for recording in recordings:
        digest.add(recording)
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows and what follows them.

    Attributes
    ----------
    samples : (n_windows, window + longest horizon, n_channels) tensor
    classes : (n_windows, n_horizons) int64 tensor
        Class index at each horizon; -1 where there is none to learn.
    valid : (n_windows, n_horizons) bool tensor
        Whether the target window may be looked at.
    """

    samples: Tensor
    classes: Tensor
    valid: Tensor


@dataclass(frozen=True, eq=False)
class TrainingWindows:
    """The windows of several filtered recordings that a training stage may use.

    A window lies wholly inside one label and one of the allowed repetitions. The target of a
    horizon may lie in another label, but never in a repetition that is not allowed.

    Attributes
    ----------
    signals : list of (n_samples, n_channels) float32
        Filtered; read where a batch needs them, never written.
    scalers : list of Scaler
        Of each signal. They z-score what is gathered: to the bit as if the whole signal were.
    record, newest : (n_windows,) int64
        Which signal, and the sample index of the newest sample in it.
    classes : (n_windows, n_horizons) int64
    valid : (n_windows, n_horizons) bool
    windowing : Windowing
    horizons : tuple of int
        In samples.
    """

    signals: list[FloatArray]
    scalers: list[Scaler]
    record: IndexArray
    newest: IndexArray
    classes: IndexArray
    valid: npt.NDArray[np.bool_]
    windowing: Windowing
    horizons: tuple[int, ...]

    @classmethod
    def build(
        cls,
        recordings: Sequence[Recording],
        repetitions: Collection[int],
        classes: Sequence[ClassLabel],
        windowing: Windowing,
        horizons: tuple[int, ...],
        scalers: Sequence[Scaler],
    ) -> TrainingWindows:
        """Collect the windows of filtered recordings.

        Raises
        ------
        TrainingError
            When there is none.
        """
        ids = [c.id for c in classes]
        record, newest, targets, valid = [], [], [], []
        for number, recording in enumerate(recordings):
            table = training_table(recording, repetitions, ids, windowing, horizons)
            allowed = np.isin(table.repetitions, list(repetitions))
            target = table.newest[:, None] + np.array(horizons)
            target = np.minimum(target, len(recording.labels) - 1)
            allowed &= ~holds_damage(recording, target, windowing.window)
            index, known = class_index(table.labels, ids)
            record.append(np.full(len(table), number))
            newest.append(table.newest)
            targets.append(np.where(known & allowed, index, -1))
            valid.append(allowed)
        windows = cls(
            [r.samples for r in recordings],
            list(scalers),
            np.concatenate(record),
            np.concatenate(newest),
            np.concatenate(targets),
            np.concatenate(valid),
            windowing,
            horizons,
        )
        if not len(windows):
            raise TrainingError(
                f"no {windowing.window}-sample window lies inside one movement of repetitions "
                f"{', '.join(map(str, sorted(repetitions)))}: check the data and --repetitions."
            )
        if len(empty := np.flatnonzero((windows.classes < 0).all(axis=0))):
            raise TrainingError(
                f"no movement is known {horizons[empty[0]]} samples after any window: choose "
                "shorter --horizons."
            )
        return windows

    def __len__(self) -> int:
        return len(self.newest)

    def gather(self, rows: IndexArray) -> Batch:
        """Copy out and z-score the windows `rows`, (n_windows,), up to the last horizon."""
        offsets = np.arange(1 - self.windowing.window, self.horizons[-1] + 1)
        record, newest = self.record[rows], self.newest[rows]
        samples = np.empty((len(rows), len(offsets), self.signals[0].shape[1]), dtype=np.float32)
        for number in np.unique(record):
            mine = record == number
            signal = self.signals[number]
            at = np.minimum(newest[mine][:, None] + offsets, len(signal) - 1)
            samples[mine] = self.scalers[number](signal[at])
        return Batch(
            torch.from_numpy(samples),
            torch.from_numpy(self.classes[rows]),
            torch.from_numpy(self.valid[rows]),
        )

    def spread(self, most: int) -> IndexArray:
        """At most `most` rows, evenly spread over all windows."""
        return np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).astype(np.int64))


def training_table(
    recording: Recording,
    repetitions: Collection[int],
    class_ids: Sequence[int],
    windowing: Windowing,
    horizons: tuple[int, ...],
) -> WindowTable:
    """Windows wholly inside one known label and one of `repetitions`."""
    # horizon 0 tells whether the window itself is steady, whatever horizons are trained
    table = window_table(recording, windowing, (0, *horizons))
    usable = (
        table.steady[:, 0]
        & np.isin(table.labels[:, 0], class_ids)
        & np.isin(table.repetitions[:, 0], list(repetitions))
        & ~holds_damage(recording, table.newest, windowing.window)
    )
    chosen = table.select(usable)
    return WindowTable(
        chosen.newest,
        chosen.labels[:, 1:],
        chosen.steady[:, 1:],
        chosen.repetitions[:, 1:],
        chosen.first_repetitions,
    )


def holds_damage(recording: Recording, newest: IndexArray, window: int) -> npt.NDArray[np.bool_]:
    """Whether windows of a filtered recording, by their newest samples, hold one that is NaN."""
    before = np.concatenate([[0], np.cumsum(np.isnan(recording.samples[:, 0]))])
    return np.asarray(before[newest + 1] > before[newest - window + 1])


def rest_threshold(
    recordings: Sequence[Recording],
    repetitions: Collection[int],
    windowing: Windowing,
    scalers: Sequence[Scaler],
) -> float | None:
    """Mean log-RMS that best tells rest from movement (balanced accuracy); None without rest.

    Of filtered recordings, their windows z-scored; those without a label do not count.
    """
    energies: dict[bool, list[FloatArray]] = {True: [], False: []}
    for recording, scaler in zip(recordings, scalers, strict=True):
        table = window_table(recording, windowing, (0,))
        wanted = table.steady[:, 0] & np.isin(table.repetitions[:, 0], list(repetitions))
        wanted &= ~holds_damage(recording, table.newest, windowing.window)
        wanted &= table.labels[:, 0] != NO_LABEL
        for newest, label in zip(
            table.newest[wanted][::10], table.labels[wanted, 0][::10], strict=True
        ):
            window = scaler(recording.samples[newest - windowing.window + 1 : newest + 1])
            energies[label == REST].append(closed_form(window, ("log_rms",)).mean())
    if not energies[True] or not energies[False]:
        return None
    rest, movement = np.sort(energies[True]), np.sort(energies[False])
    candidates = np.concatenate([rest, movement])
    below = np.searchsorted(rest, candidates) / len(rest)
    above = 1 - np.searchsorted(movement, candidates) / len(movement)
    return float(candidates[np.argmax(below + above)])
