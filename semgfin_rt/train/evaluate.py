"""Checkpoint x recordings -> figures, beside their controls, on test repetitions alone.

Windows and their targets lie wholly in test repetitions; the definitions of accuracy are those of
`semgfin_rt.scoring`. The controls are computed in the same run, on the same windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import length_hint

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import LabelArray, Recording
from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.backend import Backend
from semgfin_rt.scoring import Tally, accuracy, summarise, tally
from semgfin_rt.train import controls, dataset
from semgfin_rt.train.loop import Progress
from semgfin_rt.train.measures import decide
from semgfin_rt.train.outputs import Imitation, feature_maps
from semgfin_rt.train.r2 import R2
from semgfin_rt.train.test_windows import TestWindows, features_of


def evaluate(
    contract: ModelContract,
    backend: Backend,
    recordings: Iterable[Recording],
    repetitions: Sequence[int] | None,
    progress: Progress,
) -> dict[str, object]:
    """Score a checkpoint on test repetitions, with its controls.

    Parameters
    ----------
    contract : ModelContract
    backend : Backend
        Of the same checkpoint.
    recordings : iterable of Recording
        One a subject; taken one at a time.
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
    n_recordings = length_hint(recordings)  # 0 where nobody knows it beforehand
    coming = iter(recordings)
    first = next(coming, None)
    if first is None:
        raise OptionError("there is no recording to score: give one or more.")
    wanted = sorted(first.test_repetitions if repetitions is None else set(repetitions))
    sums = _Sums(contract)
    for number, recording in enumerate(chain([first], coming), start=1):
        contract.require_fit(recording.spec, recording.path)
        sums.add(recording, backend, wanted)
        progress("evaluate", number, max(number, n_recordings), 0.0)
    if sums.total is None or not sums.total.scored:
        raise OptionError(
            f"no window of {first.path} lies in repetitions {', '.join(map(str, wanted))}: "
            "give --repetitions that the data has."
        )
    return sums.figures(sums.total) | {
        "test_repetitions": wanted,
        "seen_in_training": any(
            contract.learnt_repetitions(first.dataset, int(subject)) & set(wanted)
            for subject in sums.accuracy
        ),
        "dataset": first.dataset,
        "preset": contract.preset,
    }


class _Sums:
    """What is known of all people so far."""

    def __init__(self, contract: ModelContract) -> None:
        self.contract = contract
        self.total: Tally | None = None
        shape = (len(contract.horizons), len(contract.features), len(contract.channels))
        self.r2, self.r2_persistence = R2(shape), R2(shape)
        self.accuracy: dict[str, float | None] = {}
        self.accuracy_steady: dict[str, float | None] = {}
        self.lda: dict[str, float | None] = {}
        self.lda_repetitions: dict[str, list[int]] = {}
        self.lda_hits = self.lda_scored = 0

    def add(self, recording: Recording, backend: Backend, wanted: Sequence[int]) -> None:
        """Score a person."""
        contract, subject = self.contract, str(recording.subject)
        prepared = dataset.filtered(recording, contract.filter_sos)
        windows = TestWindows.build(prepared, contract, wanted)
        imitation = Imitation(contract, windows, self.r2, self.r2_persistence)
        decided = _decide(contract, backend, imitation)
        counts = tally(windows.truth, decided, windows.steady, windows.present, contract.class_ids)
        self.total = counts if self.total is None else self.total + counts
        self.accuracy[subject] = accuracy(counts.confusion[0])
        self.accuracy_steady[subject] = accuracy(counts.confusion_steady[0])
        learnt = _control_repetitions(recording, contract, wanted)
        hits, scored = _lda_control(prepared, contract, windows, learnt)
        self.lda_repetitions[subject] = learnt
        self.lda[subject] = hits / scored if scored else None
        self.lda_hits, self.lda_scored = self.lda_hits + hits, self.lda_scored + scored

    def figures(self, total: Tally) -> dict[str, object]:
        """Put together what `evaluate` returns of people."""
        figures = summarise(total, self.contract.horizons_ms)
        return figures | {
            "windows": figures.pop("scored"),
            "accuracy_by_subject": self.accuracy,
            "accuracy_steady_by_subject": self.accuracy_steady,
            "controls": {
                "lda": self.lda_hits / self.lda_scored if self.lda_scored else None,
                "lda_by_subject": self.lda,
                "lda_repetitions": self.lda_repetitions,
                "majority": figures.pop("majority"),
                "persistence_by_horizon": figures.pop("persistence_by_horizon"),
                "truth_persistence_by_horizon": figures.pop("truth_persistence_by_horizon"),
            },
            "r2": _named(self.contract, self.r2.pooled()[0]),
            "r2_channel_median": _named(self.contract, self.r2.channel_median()[0]),
            "r2_by_horizon": self._by_horizon(self.r2),
            "r2_persistence_by_horizon": self._by_horizon(self.r2_persistence),
        }

    def _by_horizon(self, r2: R2) -> dict[str, object]:
        rows = zip(self.contract.horizons_ms, r2.pooled(), strict=True)
        return {str(ms): _named(self.contract, row) for ms, row in rows}


def _decide(contract: ModelContract, backend: Backend, imitation: Imitation) -> LabelArray:
    """Decided labels (n_windows, n_horizons); the imitated features go to `imitation`."""
    windows = imitation.windows
    shape = (*windows.truth.shape, len(contract.classes))
    log_probabilities = np.empty(shape, dtype=np.float32)
    for rows, feature_map in feature_maps(contract, backend, windows):
        log_probabilities[rows] = backend.classify(feature_map)
        imitation.add(rows, backend.features(feature_map))
    return decide(log_probabilities, contract)[0]


def _control_repetitions(
    recording: Recording, contract: ModelContract, tested: Sequence[int]
) -> list[int]:
    """Repetitions of this person that the control may learn from.

    Those that the checkpoint itself learnt from, where it has learnt from the person at all;
    otherwise all that are neither tested nor kept for testing.
    """
    if learnt := contract.learnt_repetitions(recording.dataset, recording.subject):
        return sorted(learnt - set(tested))
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
    lessons = controls.learn(prepared, contract, test.scaler, learnt).at_first_horizon
    if len(np.unique(lessons.known(0)[1])) < 2 or not chosen.any():
        return 0, 0
    tested = features_of(
        test.signal, test.scaler, test.newest[chosen], contract.window, controls.FEATURES
    )
    decided, _ = decide(controls.decide_with("lda", lessons, tested, contract.class_ids), contract)
    hits = decided[:, 0] == test.truth[chosen, 0]
    return int(hits.sum()), len(hits)


def _named(contract: ModelContract, values: npt.NDArray[np.float64]) -> dict[str, float | None]:
    return {
        name: float(value) if np.isfinite(value) else None
        for name, value in zip(contract.features, values, strict=True)
    }
