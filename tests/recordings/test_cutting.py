"""A part of a recording: what is kept, and where windows must not reach across."""

from __future__ import annotations

import numpy as np
import pytest
from signals import counting_recording

from semgfin_rt.errors import OptionError
from semgfin_rt.recordings.cutting import cut_beginning, cut_repetitions


def test_one_repetition_is_one_stretch():
    cut = cut_repetitions(counting_recording(4500), [2])  # repetitions 1, 2, 3 of 1500 samples
    np.testing.assert_array_equal(cut.samples[:, 0], np.arange(1500, 3000))
    assert set(cut.repetitions.tolist()) == {2}
    assert len(cut.labels) == 1500
    assert cut.breaks == ()
    assert cut.test_repetitions == {2}


def test_breaks_stand_where_something_was_left_out_or_was_broken_before():
    whole = counting_recording(4500, breaks=(400, 1500, 3700))
    assert cut_repetitions(whole, {1, 3}).breaks == (400, 1500, 1500 + 700)
    assert cut_repetitions(whole, {1, 2, 3}).breaks == whole.breaks
    assert cut_repetitions(whole, {3}).breaks == (700,)


def test_a_beginning_has_the_breaks_inside_it():
    whole = counting_recording(4500, breaks=(400, 1500, 3700))
    cut = cut_beginning(whole, 1500)
    assert len(cut.samples) == len(cut.labels) == len(cut.repetitions) == 1500
    assert cut.breaks == (400,)
    assert cut_beginning(whole, 9999).runs == whole.runs


def test_the_recording_itself_stays():
    whole = counting_recording(3000)
    cut_repetitions(whole, [1]).samples[:] = 0
    assert whole.samples[5, 0] == 5


@pytest.mark.parametrize(
    ("asked", "words"),
    [([2, 9], "repetition 9 is not in counting: choose among 1, 2"), ([], "no repetition")],
)
def test_what_is_not_there_is_refused(asked, words):
    with pytest.raises(OptionError, match=words):
        cut_repetitions(counting_recording(3000), asked)
