"""What every scored task shares: the person, the test windows, and the figures beside accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from semgfin_rt.contracts import FloatArray, LabelArray, Recording
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.recordings import iter_recordings
from semgfin_rt.train.measures import measure
from semgfin_rt.train.protocols.shares import unlabelled_excerpt
from semgfin_rt.train.protocols.tasks import Amount, Task
from semgfin_rt.train.results import Detail, Figure
from semgfin_rt.train.signals import SignalCache
from semgfin_rt.train.test_windows import TestWindows

_BLOCK = 50  # windows in a row, where a smoke run leaves some out


class Setting(BaseModel):
    """Where a task finds its data, and what it has in common with the others.

    Attributes
    ----------
    data, bases, signals : Path
        Recordings; checkpoints by their keys; filtered signals.
    unlabelled_s : float
    shorten : float
        As for `fit`, where a checkpoint is adapted.
    device : str
    most_windows : int or None
        Test windows of a smoke run; None: all.
    """

    model_config = ConfigDict(frozen=True)

    data: Path
    bases: Path
    signals: Path
    unlabelled_s: float = 10.0
    shorten: float = 1.0
    device: str = "cpu"
    most_windows: int | None = None

    def read(self, subject: int) -> Recording:
        """Read the recording of one person."""
        return next(iter_recordings(self.data, [subject]))

    def filtered(self, recording: Recording, contract: ModelContract) -> Recording:
        """Filter it as a checkpoint has it, or find what was filtered before."""
        return SignalCache(self.signals).filtered(recording, contract.filter_sos)

    def contract(self, task: Task) -> ModelContract:
        """Contract of what is scored: of the task's bases, with the horizons of all."""
        return with_horizons([load_contract(self.bases / key) for key in task.bases])

    def excerpt(self, recording: Recording, task: Task, contract: ModelContract) -> Recording:
        """Cut some seconds out of the first training repetition, without labels.

        Of a model that does not know rest these are movements alone.
        """
        first = task.repetitions[0]
        return unlabelled_excerpt(recording, first, self.unlabelled_s, contract.class_ids)

    def windows(self, prepared: Recording, contract: ModelContract) -> TestWindows:
        """Collect the windows of the test repetitions of a filtered recording."""
        windows = TestWindows.build(prepared, contract, sorted(prepared.test_repetitions))
        return windows if self.most_windows is None else thinned(windows, self.most_windows)


def with_horizons(contracts: Sequence[ModelContract]) -> ModelContract:
    """Take the first contract, with the horizons of all."""
    horizons = tuple(ms for contract in contracts for ms in contract.horizons_ms)
    return contracts[0].model_copy(update={"horizons_ms": horizons})


def at_first_horizon(
    windows: TestWindows, contract: ModelContract
) -> tuple[TestWindows, ModelContract]:
    """Take windows and contract for the first horizon alone."""
    return (
        replace(windows, truth=windows.truth[:, :1], steady=windows.steady[:, :1]),
        contract.model_copy(update={"horizons_ms": contract.horizons_ms[:1]}),
    )


def thinned(windows: TestWindows, most: int) -> TestWindows:
    """Keep about `most` windows, in blocks that lie evenly over all."""
    step = -(-len(windows) // most)
    keep = np.arange(len(windows)) // _BLOCK % max(1, step) == 0
    return replace(
        windows,
        newest=windows.newest[keep],
        truth=windows.truth[keep],
        steady=windows.steady[keep],
        present=windows.present[keep],
    )


def scored(
    task: Task,
    amount: Amount,
    method: str,
    windows: TestWindows,
    output: FloatArray | LabelArray,
    contract: ModelContract,
) -> tuple[list[Figure], list[Detail]]:
    """Score one method of a task; see `measures.measure`."""
    figures, detail = measure(
        windows,
        output,
        contract,
        subject=task.subject,
        seed=task.seed,
        method=method,
        condition=amount.condition,
    )
    return figures, [] if detail is None else [detail]


def figure(
    task: Task,
    amount: Amount,
    method: str,
    measure_name: str,
    value: float,
    horizon_ms: int = 0,
    feature: str = "",
) -> Figure:
    """One number of a task."""
    return Figure(
        subject=task.subject,
        seed=task.seed,
        method=method,
        condition=amount.condition,
        horizon_ms=horizon_ms,
        measure=measure_name,
        feature=feature,
        value=value if np.isfinite(value) else None,
    )
