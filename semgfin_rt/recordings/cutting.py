"""A part of a recording: its beginning, or chosen repetitions with breaks between."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from semgfin_rt.contracts import Recording
from semgfin_rt.errors import OptionError


def cut_beginning(recording: Recording, n_samples: int) -> Recording:
    """Keep the first `n_samples`; all, where there are not so many."""
    return replace(
        recording,
        samples=recording.samples[:n_samples],
        labels=recording.labels[:n_samples],
        repetitions=recording.repetitions[:n_samples],
        breaks=tuple(b for b in recording.breaks if b < n_samples),
    )


def cut_repetitions(recording: Recording, repetitions: Collection[int]) -> Recording:
    """Keep the samples of some repetitions, in the order of time.

    Parameters
    ----------
    recording : Recording
    repetitions : collection of int

    Returns
    -------
    Recording
        With a break wherever something was left out; no window reaches across.

    Raises
    ------
    OptionError
        If the recording lacks one of them, or none is asked for.
    """
    there = np.unique(recording.repetitions)
    lacking = sorted(set(repetitions) - set(there.tolist()))
    if lacking or not repetitions:
        what = f"repetition {lacking[0]} is not in" if lacking else "no repetition was asked of"
        raise OptionError(
            f"{what} {recording.path}: choose among {', '.join(map(str, there.tolist()))}."
        )
    index = np.flatnonzero(np.isin(recording.repetitions, sorted(repetitions)))
    fresh = (np.diff(index) > 1) | np.isin(index[1:], recording.breaks)
    return replace(
        recording,
        samples=recording.samples[index],
        labels=recording.labels[index],
        repetitions=recording.repetitions[index],
        breaks=tuple((np.flatnonzero(fresh) + 1).tolist()),
    )
