"""What is worked out from the fields of a contract."""

from __future__ import annotations

import numpy as np
import pytest

from semgfin_rt.contracts import Recording, SignalSpec


def recording(labels, repetitions, breaks=()):
    return Recording(
        samples=np.zeros((len(labels), 1), np.float32),
        spec=SignalSpec(("a",), 1000.0, "V"),
        labels=np.array(labels, np.int16),
        repetitions=np.array(repetitions, np.int16),
        classes={0: "rest", 1: "fist"},
        subject=1,
        dataset="synthetic",
        path="nowhere",
        test_repetitions=frozenset(),
        breaks=breaks,
    )


@pytest.mark.parametrize(
    ("labels", "repetitions", "breaks", "runs"),
    [
        ([], [], (), ()),
        ([0], [1], (), ((0, 1),)),
        ([0, 0, 1, 1], [1, 1, 1, 1], (), ((0, 2), (2, 4))),
        ([0, 0, 0, 0], [1, 1, 2, 2], (), ((0, 2), (2, 4))),
        ([0, 0, 0, 0], [1, 1, 1, 1], (3,), ((0, 3), (3, 4))),
        ([0, 0, 1, 1], [1, 1, 1, 1], (2,), ((0, 2), (2, 4))),
    ],
)
def test_runs_end_with_label_repetition_or_stretch(labels, repetitions, breaks, runs):
    assert recording(labels, repetitions, breaks).runs == runs
