"""Part of a person's recording: some seconds without labels, or a share of the repetitions."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from semgfin_rt.contracts import NO_LABEL, Recording
from semgfin_rt.dsp.windows import Windowing


def unlabelled_excerpt(
    recording: Recording, repetition: int, seconds: float, class_ids: Collection[int]
) -> Recording:
    """Cut a piece out of the middle of every movement, and forget the labels.

    Parameters
    ----------
    recording : Recording
    repetition : int
        Of which the pieces are.
    seconds : float
        Of all pieces together; a movement that is shorter than its piece is taken whole.
    class_ids : collection of int
        Labels that are looked for; of each the longest run.

    Returns
    -------
    Recording
        The pieces in the order of time, a stretch each, all labels `NO_LABEL`.
    """
    longest: dict[int, tuple[int, int]] = {}
    for start, stop in recording.runs:
        label = int(recording.labels[start])
        if recording.repetitions[start] == repetition and label in class_ids:
            before = longest.get(label, (0, 0))
            longest[label] = max(before, (start, stop), key=lambda run: run[1] - run[0])
    size = int(seconds * recording.spec.rate / max(1, len(longest)))
    pieces = []
    for start, stop in sorted(longest.values()):
        spare = max(0, stop - start - size) // 2
        pieces.append(np.arange(start + spare, min(stop, start + spare + size)))
    at = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)
    return replace(
        recording,
        samples=recording.samples[at],
        labels=np.full(len(at), NO_LABEL, dtype=np.int16),
        repetitions=np.full(len(at), repetition, dtype=np.int16),
        breaks=tuple(int(n) for n in np.cumsum([len(piece) for piece in pieces])[:-1]),
    )


def first_share(
    recording: Recording,
    repetitions: Collection[int],
    percent: float,
    windowing: Windowing,
    ahead: int = 0,
) -> Recording:
    """Keep the first windows of every movement of the given repetitions.

    Parameters
    ----------
    recording : Recording
    repetitions : collection of int
        The others stay as they are.
    percent : float
        Of the windows that lie wholly inside one label and repetition; at least one of each.
    windowing : Windowing
    ahead : int
        So many samples after the last of these windows stay too, as targets.

    Returns
    -------
    Recording
        Of the same length; what is left out has no label and repetition (`NO_LABEL`).
    """
    labels, numbers = recording.labels.copy(), recording.repetitions.copy()
    for start, stop in recording.runs:
        if int(recording.repetitions[start]) not in repetitions:
            continue
        stretch = max(edge for edge in (0, *recording.breaks) if edge <= start)
        first = start + (stretch - start) % windowing.hop  # windows lie on the stretch's grid
        n_windows = max(1, math.ceil(windowing.count(stop - first) * percent / 100))
        end = first + windowing.window + (n_windows - 1) * windowing.hop + ahead
        labels[end:stop] = NO_LABEL
        numbers[end:stop] = NO_LABEL
    return replace(recording, labels=labels, repetitions=numbers)
