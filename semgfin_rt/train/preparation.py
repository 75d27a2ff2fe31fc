"""Which repetitions are trained on, which one is held out, and the windows of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semgfin_rt.contracts import Recording
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.errors import ContractMismatchError, OptionError, TrainingError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.train import dataset


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Recordings, filtered and z-scored, and the windows of the training repetitions."""

    recordings: list[Recording]
    all: dataset.TrainingWindows
    kept: dataset.TrainingWindows
    held: dataset.TrainingWindows | None
    repetitions: tuple[int, ...]
    held_out: tuple[int, ...]


def prepare(
    filtered: list[Recording], contract: ModelContract, repetitions: tuple[int, ...]
) -> TrainingData:
    """Z-score filtered recordings and collect the windows of their training repetitions.

    The last repetition is held out where there are two or more.
    """
    scaler = Scaler(contract.scale_mean, contract.scale_std)
    recordings = [dataset.scaled(r, scaler) for r in filtered]
    held_out = repetitions[-1:] if len(repetitions) > 1 else ()
    kept = tuple(r for r in repetitions if r not in held_out)

    def windows(wanted: tuple[int, ...]) -> dataset.TrainingWindows:
        windowing = Windowing(contract.window, contract.hop)
        return dataset.TrainingWindows.build(
            recordings, wanted, contract.classes, windowing, contract.horizons
        )

    return TrainingData(
        recordings,
        windows(repetitions),
        windows(kept),
        windows(held_out) if held_out else None,
        repetitions,
        held_out,
    )


def training_repetitions(
    recordings: Sequence[Recording], asked: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Return the repetitions to train on: those asked for, or all that are not for testing.

    Raises
    ------
    OptionError
        For one that is kept for testing, or is not in the data.
    TrainingError
        When none is left.
    """
    kept_for_test = frozenset().union(*(r.test_repetitions for r in recordings))
    there = {int(i) for r in recordings for i in np.unique(r.repetitions)}
    if asked is None:
        asked = tuple(sorted(there - kept_for_test))
    if forbidden := sorted(set(asked) & kept_for_test):
        raise OptionError(
            f"repetition {forbidden[0]} is kept for testing: train on "
            f"{', '.join(map(str, sorted(there - kept_for_test)))}."
        )
    if missing := sorted(set(asked) - there):
        raise OptionError(
            f"repetition {missing[0]} is not in the data: it has "
            f"{', '.join(map(str, sorted(there)))}."
        )
    if not asked:
        raise TrainingError("the data has no repetition to train on: give --repetitions.")
    return tuple(sorted(set(asked)))


def require_known_classes(
    recordings: Sequence[Recording], repetitions: tuple[int, ...], contract: ModelContract
) -> None:
    """Refuse recordings with a movement that the checkpoint does not know."""
    found = {c.id for c in dataset.class_set(recordings, repetitions, rest=contract.has_rest)}
    if unknown := sorted(found - set(contract.class_ids)):
        raise ContractMismatchError(
            f"the recordings hold label {unknown[0]}, which the checkpoint does not know: train a "
            "checkpoint on these movements with `semgfin-train fit`."
        )
