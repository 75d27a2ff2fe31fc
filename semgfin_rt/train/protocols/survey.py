"""Who is in the data, before anything is planned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from semgfin_rt.contracts import REST, LabelArray
from semgfin_rt.errors import OptionError
from semgfin_rt.recordings import iter_recordings
from semgfin_rt.train import dataset
from semgfin_rt.train.loop import Progress


class Person(BaseModel):
    """One recording, as far as a plan depends on it.

    Attributes
    ----------
    subject : int
    training, test : tuple of int
        Repetitions, ascending.
    sha256 : str
        Of the data.
    """

    model_config = ConfigDict(frozen=True)

    subject: int
    training: tuple[int, ...]
    test: tuple[int, ...]
    sha256: str = ""


class Survey(BaseModel):
    """All recordings."""

    model_config = ConfigDict(frozen=True)

    dataset: str
    people: tuple[Person, ...]


def movement_repetitions(labels: LabelArray, repetitions: LabelArray) -> frozenset[int]:
    """Return the repetitions in which a movement is shown; both are (n_samples,)."""
    return frozenset(int(i) for i in np.unique(repetitions[labels > REST]) if i >= 0)


def survey(
    data: Path,
    subjects: Sequence[int] | None,
    repetitions: Sequence[int] | None,
    progress: Progress,
) -> Survey:
    """Read all recordings once, one at a time.

    Parameters
    ----------
    data : Path
    subjects : sequence of int or None
    repetitions : sequence of int or None
        Those to train on; None: all that the dataset does not keep for testing.
    progress : callable

    Raises
    ------
    RecordingError
        See `iter_recordings`.
    OptionError
        When a subject has no repetition to train on, or none to test on.
    """
    people: list[Person] = []
    name = ""
    for number, recording in enumerate(iter_recordings(data, subjects), start=1):
        name = recording.dataset
        there = movement_repetitions(recording.labels, recording.repetitions)
        test = there & recording.test_repetitions
        training = there - recording.test_repetitions
        if repetitions is not None:
            training &= set(repetitions)
        if not training or not test:
            missing = "train" if not training else "test"
            raise OptionError(
                f"{recording.path} has no repetition to {missing} on (it has "
                f"{', '.join(map(str, sorted(there)))}): leave this subject out with --subjects, "
                "or give other --repetitions."
            )
        people.append(
            Person(
                subject=recording.subject,
                training=tuple(sorted(training)),
                test=tuple(sorted(test)),
                sha256=dataset.data_sha256([recording]),
            )
        )
        progress("read", number, max(number, len(subjects or ())), 0.0)
    return Survey(dataset=name, people=tuple(people))
