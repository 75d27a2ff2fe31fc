"""The one running score, and the one place that knows the truth of a sample."""

from __future__ import annotations

import pytest
from decisions import decide, tiny_contract

from semgfin_rt.app.watch import Watch
from semgfin_rt.contracts import NO_LABEL, TruthEvent


def test_scores_against_truth():
    watch = Watch(tiny_contract(), has_truth=True)
    assert (watch.accuracy, watch.truth_at(9)) == (None, None)
    watch.take([], [TruthEvent(0, 6, 1)])
    watch.take([decide(s, label=6 if s < 300 else 0) for s in range(9, 400)], [])
    watch.take([], [TruthEvent(400, NO_LABEL, 1, end=True)])
    watch.finish()
    assert watch.accuracy == pytest.approx(291 / 391)
    assert watch.truth_at(399) == 6


def test_without_truth_it_keeps_nothing():
    watch = Watch(tiny_contract(), has_truth=False)
    watch.take([decide(s) for s in range(9, 400)], [])
    assert (watch.score, watch.accuracy, watch.truth_at(9)) == (None, None, None)


def test_truth_is_that_of_the_sample():
    watch = Watch(tiny_contract(), has_truth=True)
    watch.take([], [TruthEvent(0, 0, 1), TruthEvent(100, 6, 1)])
    assert [watch.truth_at(s) for s in (0, 99, 100, 170)] == [0, 0, 6, 6]
    watch.take([], [TruthEvent(160, NO_LABEL, 0, end=True)])
    assert watch.truth_at(170) == NO_LABEL
