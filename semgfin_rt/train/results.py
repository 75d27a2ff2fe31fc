"""What a protocol run finds, as data: figures in tidy rows, and what is drawn but not averaged.

A task of a grid returns a `TaskResult`; a run is the concatenation of its tasks' results.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

SHARE = "% of the data"
"""Unit of a condition that is a share of a person's training data."""
MEASURES = {
    "accuracy_steady": "accuracy, windows inside one label",
    "accuracy": "accuracy, all windows",
    "balanced_accuracy": "balanced accuracy, all windows",
    "accuracy_transition": "accuracy, newest sample within 300 ms of a change of label",
    "majority": "share of the most frequent class",
    "onset_delay_ms": "onset delay (median), ms",
    "onsets_missed": "onsets never decided rightly, share",
    "false_activations_per_min": "false activations a minute of rest",
    "transition_errors": "share of wrong decisions that lie in transitions",
    "calibration_error": "expected calibration error",
    "r2": "R² pooled over channels",
    "r2_channel_median": "R², median over channels",
    "r2_clamped": "mean over windows of R² clamped to 0-1 (the published figure; for comparison)",
    "seconds": "training time, s",
    "lead_ms": "true lead after compute, ms",
}
"""Every measure of a `Figure`, and its name in words."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Figure(_Row):
    """One number.

    Attributes
    ----------
    subject : int
        Who was tested.
    seed : int
    method : str
        ``fin`` is ours; every other is a control, named in `report.names.METHOD_NAMES`.
    condition : str
        What varies within the protocol, such as ``2 repetitions``; empty where nothing does.
    horizon_ms : int
    measure : str
        Among `MEASURES`.
    feature : str
        Of R²; empty otherwise.
    value : float or None
        None where it is not defined (no onset, say).
    """

    subject: int
    seed: int
    method: str
    condition: str = ""
    horizon_ms: int = 0
    measure: str
    feature: str = ""
    value: float | None


class Detail(_Row):
    """What one method did to one subject at the first horizon; drawn, and summed over subjects.

    Attributes
    ----------
    classes : list of str
        Names, in the order of the rows of `confusion`.
    confusion : (n_classes, n_classes + 1)
        True class x decided class over windows inside one label; the last column is "rejected".
    calibration : list of (confidence, accuracy, n_windows)
        Of ten bins of confidence, all scored windows.
    thresholds : dict of str to dict of str to float
        For every class the confidence below which the given share of its decisions lies:
        ``{"fist": {"0.05": 0.41, "0.1": 0.52}}``.
    """

    subject: int
    seed: int
    method: str
    condition: str = ""
    classes: list[str]
    confusion: list[list[int]]
    calibration: list[tuple[float, float, int]]
    thresholds: dict[str, dict[str, float]]


class TaskResult(_Row):
    """Everything that one task of a grid found."""

    figures: list[Figure]
    details: list[Detail] = []
    notes: list[str] = []
    """Sentences for the report: what was left out, and why."""
