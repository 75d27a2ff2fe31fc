"""Checkpoint x recordings -> figures, beside their controls, on test repetitions alone.

Windows and their targets lie wholly in test repetitions; the definitions of accuracy are those of
`semgfin_rt.scoring`. The controls are computed in the same run, on the same windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from semgfin_rt.contracts import NO_LABEL, FloatArray, LabelArray, Recording
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing, window_table
from semgfin_rt.errors import OptionError
from semgfin_rt.features import RICH_FEATURES, closed_form
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.backends import Backend
from semgfin_rt.scoring import Tally, accuracy, summarise, tally
from semgfin_rt.train import dataset
from semgfin_rt.train.heads import lda
from semgfin_rt.train.loop import Progress

_BATCH = 512
_MOST_FITTED = 40_000


@dataclass(frozen=True, eq=False)
class TestWindows:
    """Windows of one recording to be scored.

    Attributes
    ----------
    signal : (n_samples, n_channels) float32
        Filtered and z-scored.
    newest : (n_windows,) int64
    truth : (n_windows, n_horizons) int16
        `NO_LABEL` where the target is not in a test repetition.
    steady : (n_windows, n_horizons) bool
    present : (n_windows,) int16
    """

    __test__ = False  # not a test class, whatever pytest thinks of the name

    signal: FloatArray
    newest: npt.NDArray[np.int64]
    truth: LabelArray
    steady: npt.NDArray[np.bool_]
    present: LabelArray

    @classmethod
    def build(
        cls, recording: Recording, contract: ModelContract, repetitions: Sequence[int]
    ) -> TestWindows:
        """Collect the windows of a filtered and z-scored recording."""
        windowing = Windowing(contract.window, contract.hop)
        table = window_table(recording, windowing, (0, *contract.horizons))
        wanted = np.isin(table.repetitions[:, 0], repetitions)
        wanted &= np.isin(table.first_repetitions, repetitions)
        table = table.select(wanted)
        tested = np.isin(table.repetitions[:, 1:], repetitions)
        return cls(
            recording.samples,
            table.newest,
            np.where(tested, table.labels[:, 1:], np.int16(NO_LABEL)),
            table.steady[:, 1:] & tested,
            table.labels[:, 0],
        )

    def windows(self, rows: slice, length: int) -> FloatArray:
        """Windows `rows`, (n_windows, length, n_channels)."""
        at = self.newest[rows, None] + np.arange(1 - length, 1)
        gathered: FloatArray = self.signal[at]
        return gathered


@dataclass(eq=False)
class R2:
    """R² = 1 - SS_res / SS_tot, summed up batch by batch, for each horizon, feature, channel."""

    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        self._n = np.zeros((self.shape[0], 1, 1))
        self._sums = np.zeros((3, *self.shape))  # of squared residuals, targets, squared targets

    def add(self, estimate: FloatArray, target: FloatArray, valid: npt.NDArray[np.bool_]) -> None:
        """Take estimates and targets (n, n_horizons, n_features, n_channels), valid (n, n_h)."""
        mask = valid[:, :, None, None]
        wide = np.where(mask, target, 0).astype(np.float64)
        self._n[:, 0, 0] += valid.sum(axis=0)
        self._sums[0] += np.where(mask, (estimate - wide) ** 2, 0).sum(axis=0)
        self._sums[1] += wide.sum(axis=0)
        self._sums[2] += (wide**2).sum(axis=0)

    def pooled(self) -> npt.NDArray[np.float64]:
        """Over all windows and channels, (n_horizons, n_features)."""
        residual, total, squares = self._sums.sum(axis=3)
        n = self._n[:, :, 0] * self.shape[2]
        with np.errstate(invalid="ignore", divide="ignore"):
            pooled: npt.NDArray[np.float64] = 1 - residual / (squares - total**2 / n)
        return pooled

    def channel_median(self) -> npt.NDArray[np.float64]:
        """Median over channels of each channel's own R², (n_horizons, n_features)."""
        residual, total, squares = self._sums
        with np.errstate(invalid="ignore", divide="ignore"):
            each = 1 - residual / (squares - total**2 / self._n)
        median: npt.NDArray[np.float64] = np.median(each, axis=2)
        return median


def evaluate(
    contract: ModelContract,
    backend: Backend,
    recordings: Sequence[Recording],
    repetitions: Sequence[int] | None,
    progress: Progress,
) -> dict[str, object]:
    """Score a checkpoint on test repetitions, with its controls.

    Parameters
    ----------
    contract : ModelContract
    backend : Backend
        Of the same checkpoint.
    recordings : sequence of Recording
        One a subject.
    repetitions : sequence of int or None
        Those to score; None: the ones that the dataset keeps for testing.
    progress : callable

    Returns
    -------
    dict
        What `semgfin-train evaluate --json` writes.

    Raises
    ------
    OptionError
        When the data has no window in these repetitions.
    """
    first = recordings[0]
    wanted = sorted(first.test_repetitions if repetitions is None else set(repetitions))
    total: Tally | None = None
    shape = (len(contract.horizons), len(contract.features), len(contract.channels))
    r2, r2_persistence = R2(shape), R2(shape)
    lda_hits = lda_scored = 0
    by_subject: dict[str, dict[str, float | None]] = {"all": {}, "steady": {}, "lda": {}}
    lda_repetitions: dict[str, list[int]] = {}
    for number, recording in enumerate(recordings):
        contract.require_fit(recording.spec, recording.path)
        prepared = dataset.scaled(
            dataset.filtered(recording, contract.filter_sos),
            Scaler(contract.scale_mean, contract.scale_std),
        )
        windows = TestWindows.build(prepared, contract, wanted)
        decided = _decide(contract, backend, windows, r2, r2_persistence)
        counts = tally(windows.truth, decided, windows.steady, windows.present, contract.class_ids)
        total = counts if total is None else total + counts
        subject = str(recording.subject)
        lda_repetitions[subject] = _control_repetitions(recording, contract, wanted)
        hits, scored = _lda_control(prepared, contract, windows, lda_repetitions[subject])
        by_subject["all"][subject] = accuracy(counts.confusion[0])
        by_subject["steady"][subject] = accuracy(counts.confusion_steady[0])
        by_subject["lda"][subject] = hits / scored if scored else None
        lda_hits, lda_scored = lda_hits + hits, lda_scored + scored
        progress("evaluate", number + 1, len(recordings), 0.0)
    if total is None or not total.scored:
        raise OptionError(
            f"no window of {first.path} lies in repetitions {', '.join(map(str, wanted))}: "
            "give --repetitions that the data has."
        )
    figures = summarise(total, contract.horizons_ms)
    windows_scored = figures.pop("scored")
    return figures | {
        "windows": windows_scored,
        "accuracy_by_subject": by_subject["all"],
        "accuracy_steady_by_subject": by_subject["steady"],
        "controls": {
            "lda": lda_hits / lda_scored if lda_scored else None,
            "lda_by_subject": by_subject["lda"],
            "lda_repetitions": lda_repetitions,
            "majority": figures.pop("majority"),
            "persistence_by_horizon": figures.pop("persistence_by_horizon"),
            "truth_persistence_by_horizon": figures.pop("truth_persistence_by_horizon"),
        },
        "r2": _named(contract, r2.pooled()[0]),
        "r2_channel_median": _named(contract, r2.channel_median()[0]),
        "r2_by_horizon": {
            str(ms): _named(contract, row)
            for ms, row in zip(contract.horizons_ms, r2.pooled(), strict=True)
        },
        "r2_persistence_by_horizon": {
            str(ms): _named(contract, row)
            for ms, row in zip(contract.horizons_ms, r2_persistence.pooled(), strict=True)
        },
        "test_repetitions": wanted,
        "seen_in_training": any(
            set(wanted) & set(record.repetitions)
            and {r.subject for r in recordings} & set(record.subjects)
            and record.dataset == first.dataset
            for record in contract.history
        ),
        "dataset": first.dataset,
        "preset": contract.preset,
    }


def _decide(
    contract: ModelContract, backend: Backend, windows: TestWindows, r2: R2, persistence: R2
) -> LabelArray:
    """Decided labels (n_windows, n_horizons); the imitation, and today's features, go to R²."""
    ids = np.array(contract.class_ids, dtype=np.int16)
    decided = np.empty(windows.truth.shape, dtype=np.int16)
    if not len(decided):
        return decided
    # Every target is the present of a later window: each feature is computed once.
    target = windows.newest[:, None] + np.array([0, *contract.horizons])
    scored = np.isin(windows.truth, ids)
    reachable = np.where(np.insert(scored, 0, True, axis=1), target, windows.newest[:, None])
    looked_at, row_of = np.unique(reachable, return_inverse=True)
    values = _closed_form(replace(windows, newest=looked_at), contract.window, contract.features)
    row_of = row_of.reshape(target.shape)
    whole = np.isfinite(values[:, 0, 0])  # a window that holds NaN has no features
    for start in range(0, len(windows.newest), _BATCH):
        rows = slice(start, start + _BATCH)
        feature_map = backend.imitate(windows.windows(rows, contract.window))
        log_probabilities = backend.classify(feature_map)
        decided[rows] = np.where(
            np.isfinite(log_probabilities).all(axis=-1),
            ids[log_probabilities.argmax(axis=-1)],
            np.int16(NO_LABEL),
        )
        valid = scored[rows] & whole[row_of[rows, 1:]] & whole[row_of[rows, :1]]
        later, now = values[row_of[rows, 1:]], values[row_of[rows, :1]]
        r2.add(backend.features(feature_map), later, valid)
        persistence.add(np.broadcast_to(now, later.shape), later, valid)
    return decided


def _control_repetitions(
    recording: Recording, contract: ModelContract, tested: Sequence[int]
) -> list[int]:
    """Repetitions of this person that the control may learn from.

    Those that the checkpoint itself learnt from, where it knows the person; otherwise all that are
    neither tested nor kept for testing.
    """
    for record in reversed(contract.history):
        if record.dataset == recording.dataset and recording.subject in record.subjects:
            return [i for i in record.repetitions if i not in tested]
    kept_back = {*tested, *recording.test_repetitions}
    return [int(i) for i in np.unique(recording.repetitions) if i not in kept_back]


def _lda_control(
    prepared: Recording, contract: ModelContract, test: TestWindows, learnt: Sequence[int]
) -> tuple[int, int]:
    """Hits and windows of LDA on rich8, trained on repetitions `learnt` of the same person.

    Scored on the windows of `accuracy_steady` at the first horizon.
    """
    known = [c.id for c in contract.classes if np.any(prepared.labels == c.id)]
    chosen = test.steady[:, 0] & np.isin(test.truth[:, 0], known)
    chosen &= ~dataset.holds_damage(prepared, test.newest, contract.window)
    windowing = Windowing(contract.window, contract.hop)
    table = dataset.training_table(prepared, learnt, known, windowing, (0,))
    if len(np.unique(table.labels)) < 2 or not chosen.any():
        return 0, 0
    keep = np.unique(np.linspace(0, len(table) - 1, _MOST_FITTED).astype(np.int64))
    training = replace(test, newest=table.newest[keep])
    control = lda().fit(_rich(training, contract.window), table.labels[keep, 0])
    scored = replace(test, newest=test.newest[chosen])
    hits = control.predict(_rich(scored, contract.window)) == test.truth[chosen, 0]
    return int(hits.sum()), len(hits)


def _rich(windows: TestWindows, length: int) -> FloatArray:
    """Closed-form rich8 of windows, (n_windows, 8 * n_channels)."""
    return _closed_form(windows, length, RICH_FEATURES).reshape(len(windows.newest), -1)


def _closed_form(windows: TestWindows, length: int, names: Sequence[str]) -> FloatArray:
    """Features of windows, (n_windows, n_features, n_channels)."""
    parts = [
        # torch is about twice as fast here as NumPy
        closed_form(torch.from_numpy(windows.windows(slice(start, start + _BATCH), length)), names)
        for start in range(0, len(windows.newest), _BATCH)
    ]
    stacked: FloatArray = torch.cat(parts).numpy()
    return stacked


def _named(contract: ModelContract, values: npt.NDArray[np.float64]) -> dict[str, float | None]:
    return {
        name: float(value) if np.isfinite(value) else None
        for name, value in zip(contract.features, values, strict=True)
    }
