"""A session that reads its recording instead of playing it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from signals import counting_recording, tiny_checkpoint

from semgfin_rt.app.session import Session
from semgfin_rt.app.settings import Replay, Settings
from semgfin_rt.app.summary import summary_lines


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


def test_at_full_speed_every_figure_and_decision_is_that_of_a_played_recording(model):
    """Of a break the truth alone knows, whoever plays; the end is that of the seconds asked for."""
    settings = Settings(model, "onnx", vote=3, reject=0.3, seconds=1.5)
    told, decided = [], []
    for speed in (1.0, math.inf):
        decisions = []
        with Session(settings, Replay(counting_recording(4000, (1230,)), speed)) as session:
            told.append(session.run(on_decision=decisions.append))
        decided.append([(d.sample, m.label) for d in decisions for m in d.movements])
        decided.append(np.array([[m.probabilities for m in d.movements] for d in decisions]))
    played, read = told
    assert decided[0] == decided[2]
    np.testing.assert_array_equal(decided[1], decided[3])
    ours = {"times_real_time", "floor_times_real_time", "end_to_end_is"}
    of_clock = {"late", "latency_ms", "end_to_end_ms", "source"}
    for key in played.keys() - ours - of_clock:
        assert read[key] == played[key], key
    assert read["ok"]
    assert 0 < read["scored"] < read["decisions"] == 141
    assert played["times_real_time"] is played["floor_times_real_time"] is None
    assert 0 < read["times_real_time"] < read["floor_times_real_time"]
    assert read["source"] == played["source"] | {"speed": "max"}
    assert read["end_to_end_is"] == "read to publish"
    (line,) = [line for line in summary_lines(read) if "At full speed: " in line]
    assert "where the arithmetic of its FIN alone would allow" in line


def test_ctrl_c_at_full_speed_ends_with_the_summary_so_far(model):
    def on_decision(decision):
        if decision.sample > 3000:
            raise KeyboardInterrupt

    with Session(Settings(model, "onnx"), Replay(counting_recording(4000), math.inf)) as session:
        told = session.run(on_decision=on_decision)
    assert session.interrupted
    assert (told["complete"], told["lost_samples"]) == (False, 0)
    assert told["decisions"] == told["expected_decisions"] == 1 + (3020 - 200) // 20
