"""Recordings -> filtered signals on the disk -> the windows that are trained on and held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from semgfin_rt.contracts import Recording
from semgfin_rt.dsp.filters import Sos
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.errors import ContractMismatchError, OptionError, TrainingError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.train import dataset
from semgfin_rt.train.signals import SignalCache


@dataclass(frozen=True, eq=False)
class Filtered:
    """What one pass over the recordings leaves.

    Attributes
    ----------
    recordings : list of Recording
        Filtered, their samples on the disk; only labels and repetitions are in memory.
    sos : tuple of 6-tuples
        The filter.
    sha256 : str
        Of the data as it was before the filter.
    """

    recordings: list[Recording]
    sos: Sos
    sha256: str


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Filtered recordings, and the windows of the training repetitions."""

    recordings: list[Recording]
    all: dataset.TrainingWindows
    kept: dataset.TrainingWindows
    held: dataset.TrainingWindows | None
    repetitions: tuple[int, ...]
    held_out: tuple[int, ...]


def filter_each(
    recordings: Iterable[Recording], design: Callable[[Recording], Sos], cache: SignalCache
) -> Filtered:
    """Filter recordings as they come: no more than one or two are in memory at a time.

    Parameters
    ----------
    recordings : iterable of Recording
    design : callable
        The first recording -> the filter of all.
    cache : SignalCache

    Raises
    ------
    ContractMismatchError
        When one differs from the first in channels, rate or unit.
    TrainingError
        When there is none, or the disk fails.
    """
    done: list[Recording] = []
    digest = dataset.DataDigest()
    sos: Sos = ()
    for recording in recordings:
        if done:
            dataset.require_same_signal([done[0], recording])
        else:
            sos = design(recording)
        digest.add(recording)
        done.append(cache.filtered(recording, sos))
    if not done:
        raise TrainingError("there is no recording to train on: give one or more.")
    return Filtered(done, sos, digest.hexdigest())


def prepare(
    recordings: list[Recording], contract: ModelContract, repetitions: tuple[int, ...]
) -> TrainingData:
    """Collect the windows of the training repetitions of filtered recordings.

    Every person's signal is z-scored with its own statistics. The last repetition is held out
    where there are two or more.
    """
    for recording in recordings:
        if not np.isin(recording.repetitions, repetitions).any():
            raise TrainingError(
                f"{recording.path} has none of the repetitions {', '.join(map(str, repetitions))}: "
                "leave it out, or choose --repetitions that everybody has."
            )
    scalers = [dataset.fit_scaler([r], repetitions) for r in recordings]
    held_out = repetitions[-1:] if len(repetitions) > 1 else ()
    kept = tuple(r for r in repetitions if r not in held_out)

    def windows(wanted: tuple[int, ...]) -> dataset.TrainingWindows:
        windowing = Windowing(contract.window, contract.hop)
        return dataset.TrainingWindows.build(
            recordings, wanted, contract.classes, windowing, contract.horizons, scalers
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
        When none is left, or a recording has no label at all.
    """
    kept_for_test = frozenset().union(*(r.test_repetitions for r in recordings))
    for recording in recordings:
        if (recording.labels < 0).all():
            raise TrainingError(
                f"{recording.path} says nowhere which movement is shown: record it with prompts, "
                "or leave it out."
            )
    there = {int(i) for r in recordings for i in np.unique(r.repetitions[r.labels >= 0]) if i >= 0}
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
        raise TrainingError(
            "the data has no repetition to train on: it takes prompts that number their "
            "repetitions, and one that is not kept for testing."
        )
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
