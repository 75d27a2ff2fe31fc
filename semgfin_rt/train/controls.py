"""Recognisers without a network, on closed-form features: what a result stands beside.

All of them learn from the same windows, whose features are computed once, and give probabilities
on the same test windows. None is ever shown fewer test windows; only the training windows of the
slower ones are thinned out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from semgfin_rt.contracts import NO_LABEL, FloatArray, LabelArray, Recording
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.features import RICH_FEATURES
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.scoring import class_index
from semgfin_rt.train import dataset, heads
from semgfin_rt.train.test_windows import features_of

IndexArray = npt.NDArray[np.int64]

HUDGINS = ("mav", "wl", "zc", "ssc")
FEATURES = (*RICH_FEATURES, *(name for name in HUDGINS if name not in RICH_FEATURES))
"""Everything that a control reads, computed at once."""

MOST_WINDOWS = 40_000
MOST_SVM_WINDOWS = 5_000
MOST_FOREST_WINDOWS = 20_000
_COMPARED = 2_000  # windows on which, and again for which, the SVM's C and gamma are compared
_TREES = 100
_SVM_GRID = ParameterGrid({"C": [1.0, 10.0, 100.0], "gamma": [0.25, 1.0]})
_SVM_DEFAULT = {"C": 10.0, "gamma": 0.25}
"""gamma in units of scikit-learn's `scale`, 1 / (inputs x variance)."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """Training windows as the controls read them.

    Attributes
    ----------
    features : (n_windows, n_features, n_channels) float32
        `FEATURES`.
    labels : (n_windows, n_horizons) int16
        `NO_LABEL` where there is nothing to learn.
    groups : (n_windows,) int64
        Repetition, or person, of each window; the last group is held out to choose by.
    """

    features: FloatArray
    labels: LabelArray
    groups: IndexArray

    @property
    def at_first_horizon(self) -> Lessons:
        """The same, for the first horizon alone."""
        return replace(self, labels=self.labels[:, :1])

    def known(self, horizon: int) -> tuple[FloatArray, LabelArray, IndexArray]:
        """Features, labels and groups of the windows that have a label there."""
        rows = self.labels[:, horizon] != NO_LABEL
        return self.features[rows], self.labels[rows, horizon], self.groups[rows]


def learn(
    prepared: Recording,
    contract: ModelContract,
    scaler: Scaler,
    repetitions: Collection[int],
    *,
    ends: npt.NDArray[np.bool_] | None = None,
    most: int = MOST_WINDOWS,
) -> Lessons:
    """Collect the training windows of a filtered recording, as `fit` does.

    Parameters
    ----------
    prepared : Recording
        Filtered.
    contract : ModelContract
        Of which window, hop, horizons and classes are read.
    scaler : Scaler
    repetitions : collection of int
        The windows, and the targets of every horizon, lie in these.
    ends : (n_samples,) bool, optional
        Where a window may end; everywhere by default.
    most : int
        Windows are thinned out evenly beyond that.
    """
    windowing = Windowing(contract.window, contract.hop)
    table = dataset.training_table(
        prepared, repetitions, contract.class_ids, windowing, (0, *contract.horizons)
    )
    if ends is not None:
        table = table.select(ends[table.newest])
    rows = np.unique(np.linspace(0, len(table) - 1, min(most, len(table))).astype(np.int64))
    allowed = np.isin(table.repetitions, list(repetitions))
    _, known = class_index(table.labels, contract.class_ids)
    labels = np.where(allowed & known, table.labels, np.int16(NO_LABEL))[rows, 1:]
    features = features_of(prepared.samples, scaler, table.newest[rows], contract.window, FEATURES)
    return Lessons(features, labels, table.repetitions[rows, 0].astype(np.int64))


# ----------------------------------------------------------------------------- the methods
Predict: TypeAlias = Callable[[FloatArray], tuple[LabelArray, FloatArray]]
"""Features (n, n_features, n_channels) -> labels (n_known,), probabilities (n, n_known)."""
Fit: TypeAlias = Callable[[FloatArray, LabelArray, IndexArray, int], Predict]
"""Features, labels, groups and seed of training windows -> what predicts."""


@dataclass(frozen=True)
class Control:
    """A method.

    Attributes
    ----------
    description : str
    fit : callable
    every_horizon : bool
        Whether it is cheap enough to be fitted for every horizon.
    """

    description: str
    fit: Fit
    every_horizon: bool = False


def read(features: FloatArray, names: Sequence[str]) -> FloatArray:
    """Those of `FEATURES` that are named, as inputs (n_windows, n_names * n_channels)."""
    chosen: FloatArray = features[:, [FEATURES.index(name) for name in names]]
    return chosen.reshape(len(features), -1)


def _fit_lda(names: Sequence[str]) -> Fit:
    def fit(features: FloatArray, labels: LabelArray, _groups: IndexArray, _seed: int) -> Predict:
        model = heads.lda().fit(read(features, names), labels)
        return lambda tested: (model.classes_, model.predict_proba(read(tested, names)))

    return fit


def _fit_majority(
    _features: FloatArray, labels: LabelArray, _groups: IndexArray, _seed: int
) -> Predict:
    known, counts = np.unique(labels, return_counts=True)
    share = (counts / counts.sum()).astype(np.float32)
    return lambda tested: (known, np.tile(share, (len(tested), 1)))


def _fit_forest(
    features: FloatArray, labels: LabelArray, _groups: IndexArray, seed: int
) -> Predict:
    rows = _at_most(np.arange(len(labels)), MOST_FOREST_WINDOWS, np.random.default_rng(seed))
    model = RandomForestClassifier(_TREES, random_state=seed, n_jobs=1)
    model.fit(read(features[rows], RICH_FEATURES), labels[rows])
    return lambda tested: (model.classes_, model.predict_proba(read(tested, RICH_FEATURES)))


def _fit_svm(features: FloatArray, labels: LabelArray, groups: IndexArray, seed: int) -> Predict:
    rng = np.random.default_rng(seed)
    inputs = read(features, RICH_FEATURES)
    held = groups == groups.max()
    chosen = _SVM_DEFAULT
    rows = balanced(labels, ~held, _COMPARED, rng)
    if len(np.unique(labels[rows])) > 1:
        tried = _at_most(np.flatnonzero(held), _COMPARED, rng)

        def held_out_accuracy(parameters: dict[str, float]) -> float:
            model = _svm(inputs[rows], labels[rows], parameters, seed)
            return float(model.score(inputs[tried], labels[tried]))

        chosen = max(_SVM_GRID, key=held_out_accuracy)
    rows = balanced(labels, np.ones(len(labels), dtype=bool), MOST_SVM_WINDOWS, rng)
    model = _svm(inputs[rows], labels[rows], chosen, seed)

    def predict(tested: FloatArray) -> tuple[LabelArray, FloatArray]:
        margin = model.decision_function(read(tested, RICH_FEATURES))
        if margin.ndim == 1:  # two classes
            margin = np.stack([-margin, margin], axis=1)
        return model.classes_, softmax(margin, axis=1)

    return predict


def _svm(
    inputs: FloatArray, labels: LabelArray, parameters: dict[str, float], seed: int
) -> Pipeline:
    gamma = parameters["gamma"] / inputs.shape[1]  # the variance of z-scored inputs is 1
    svc = SVC(C=parameters["C"], gamma=gamma, random_state=seed)
    return make_pipeline(StandardScaler(), svc).fit(inputs, labels)


def balanced(
    labels: LabelArray, among: npt.NDArray[np.bool_], most: int, rng: np.random.Generator
) -> IndexArray:
    """At most `most` rows of those `among`, drawn evenly from the labels that occur there."""
    known = np.unique(labels[among])
    each = most // max(1, len(known))
    parts = [_at_most(np.flatnonzero(among & (labels == label)), each, rng) for label in known]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)


def _at_most(rows: IndexArray, most: int, rng: np.random.Generator) -> IndexArray:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


METHODS = {
    "lda": Control("shrinkage LDA on rich8", _fit_lda(RICH_FEATURES), every_horizon=True),
    "lda_hudgins": Control(
        "shrinkage LDA on the features of Hudgins", _fit_lda(HUDGINS), every_horizon=True
    ),
    "svm": Control("SVM with RBF kernel on rich8, at most 5,000 balanced windows", _fit_svm),
    "random_forest": Control("random forest of 100 trees on rich8", _fit_forest),
    "majority": Control("the most frequent class", _fit_majority, every_horizon=True),
}


def decide_with(
    method: str, lessons: Lessons, tested: FloatArray, class_ids: Sequence[int], seed: int = 0
) -> FloatArray:
    """Fit a method at every horizon of the lessons, and decide on test windows.

    Parameters
    ----------
    method : str
        Among `METHODS`.
    lessons : Lessons
    tested : (n_windows, n_features, n_channels) float32
        `FEATURES` of the test windows.
    class_ids : sequence of int
        Labels in the order of the result's classes.
    seed : int

    Returns
    -------
    (n_windows, n_horizons, n_classes) float32
        Probabilities; NaN of windows that have no features, or where no class could be learnt.
    """
    n_horizons = lessons.labels.shape[1]
    result = np.full((len(tested), n_horizons, len(class_ids)), np.nan, dtype=np.float32)
    whole = np.flatnonzero(np.isfinite(tested).all(axis=(1, 2)))
    for h in range(n_horizons):
        features, labels, groups = lessons.known(h)
        found = len(np.unique(labels))
        if not found or not len(whole):
            continue
        # an LDA needs two classes, and more windows than these
        fit = METHODS[method].fit if 1 < found < len(labels) else _fit_majority
        known, values = fit(features, labels, groups, seed)(tested[whole])
        columns, _ = class_index(known, class_ids)
        result[whole, h] = 0.0
        result[whole[:, None], h, columns] = values
    return result
