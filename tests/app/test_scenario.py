"""Scenarios: what may be written in them, what they play, and how their result is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from decisions import tiny_contract

from semgfin_rt.app.scenario import (
    Expect,
    Scenario,
    changed,
    check,
    make_scenario,
    read_scenario,
)
from semgfin_rt.decision import PolicySpec
from semgfin_rt.errors import CheckpointError, OptionError
from semgfin_rt.recordings.synthetic import write_subject

WHOLE = """
about = "a walk"
recording = "S2_E1_A1.mat"
subject = 2
repetitions = [2]
model = "arm"
speed = 2
seconds = 1.5
loop = true
horizons_ms = [0, 100]
[policy]
vote = 3
reject = 0.2
hold_ms = 50
rest_gate = false
thresholds = { 6 = 0.4, Rest = 0.3 }
hysteresis = 2
[expect]
accuracy_min = 0.5
latency_p95_ms_max = 8
"""
SUMMARY = {
    "decisions": 98,
    "expected_decisions": 100,
    "lost_samples": 4,
    "accuracy": 0.6,
    "accuracy_steady": None,
    "end_to_end_ms": {"p50": 3.0, "p95": 5.0, "p99": 9.0},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two short subjects."""
    folder = tmp_path_factory.mktemp("db2")
    for subject in (2, 3):
        write_subject(folder, subject, 1, movements=2, repetitions=3, movement_s=1, rest_s=1)
    return folder


def test_every_key_reaches_the_session(folder):
    path = folder / "walk.toml"
    path.write_text(WHOLE)
    (folder / "arm").mkdir()
    (folder / "arm" / "contract.json").touch()
    scenario = read_scenario(path)
    settings = scenario.settings(folder, backend="onnx", publish_id="x")
    assert settings.model == folder / "arm"
    assert (settings.backend, settings.publish_id, settings.seconds) == ("onnx", "x", 1.5)
    assert settings.horizons_ms == (0, 100)
    assert (settings.vote, settings.reject, settings.hold_ms) == (3, 0.2, 50)
    assert settings.rest_gate is False
    assert settings.policy(tiny_contract()) == PolicySpec(
        3, 0.2, 50, False, thresholds=((6, 0.4), (0, 0.3)), hysteresis=2
    )
    source = scenario.replay(folder)
    assert (source.speed, source.loop) == (2, True)
    assert source.recording.subject == 2
    assert set(source.recording.repetitions.tolist()) == {2}
    assert scenario.expect == Expect(accuracy_min=0.5, latency_p95_ms_max=8)
    assert scenario.expect.lost_max == scenario.expect.missed_max == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            'recording = "x"\npace = 1',
            "has the key 'pace', which no scenario has: correct or remove it",
        ),
        ('recording = "x"\n[expect]\naccuracy = 1', "has the key 'expect.accuracy', which"),
        ('recording = "x"\nspeed = 0', "speed = 0 cannot be used"),
        ('recording = "x"\nspeed = 9', "speed = 9 cannot be used .*less than or equal to 8"),
        ('recording = "x"\nseconds = inf', "seconds = inf cannot be used"),
        ('recording = "x"\n[expect]\naccuracy_min = 80', "accuracy_min = 80 cannot be used"),
        ('recording = "synthetic"', "a synthetic recording needs a subject"),
        ('recording = "synthetic"\nsubject = 1\nunit = "uV"', "has a unit of its own"),
        ('recording = "x"\nloop = true\n[expect]', "a loop without seconds has no end"),
        ("", "Field required"),
        ("recording =", "is not TOML"),
        ("\udc80", "is not TOML"),
    ],
)
def test_what_cannot_be_used_is_said(text, words, tmp_path):
    path = tmp_path / "walk.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(OptionError, match=words) as error:
        read_scenario(path)
    assert "walk.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_are_said(tmp_path):
    with pytest.raises(OptionError, match=r"cannot be read \(No such file"):
        read_scenario(tmp_path / "no.toml")
    with pytest.raises(CheckpointError, match="no checkpoint 'surely-not-there'"):
        Scenario(recording="x", model="surely-not-there").settings(tmp_path)


def test_options_of_a_command_line_replace_values():
    written = make_scenario({"recording": "x", "speed": 2.0, "policy": {"vote": 3}}, "it")
    scenario = changed(written, {"seconds": 5.0}, {"reject": 0.1})
    assert (scenario.speed, scenario.seconds) == (2.0, 5.0)
    assert (scenario.policy.vote, scenario.policy.reject) == (3, 0.1)
    assert changed(written, {}, {}) == written
    with pytest.raises(OptionError, match=r"the command line: speed = 20.0 cannot be used"):
        changed(written, {"speed": 20.0}, {})


def test_the_highest_speed_has_no_number(folder):
    written = make_scenario({"recording": str(folder), "subject": 2, "speed": "max"}, "it")
    assert changed(written, {}, {}) == written
    assert written.replay(Path()).at_full_speed
    assert not changed(written, {"speed": "8"}, {}).replay(Path()).at_full_speed


def test_a_subject_must_be_chosen_where_there_are_two(folder):
    with pytest.raises(OptionError, match="subject 2 and others: choose one with --subject"):
        Scenario(recording=str(folder)).replay(Path())
    whole = Scenario(recording=str(folder), subject=3).replay(Path()).recording
    assert whole.subject == 3
    assert set(whole.repetitions.tolist()) == {1, 2, 3}  # of DB2 all are played by default


def test_of_3dc_the_test_repetitions_are_played(threedc_folder):
    recording = Scenario(recording=str(threedc_folder), subject=7).replay(Path()).recording
    assert set(recording.repetitions.tolist()) == {4, 5, 6, 7}
    assert len(recording.breaks) == 3


def test_the_demo_plays_what_the_demo_checkpoint_has_not_seen():
    folder = Path(__file__).parents[2] / "replay"
    scenario = read_scenario(folder / "demo.toml")
    recording = scenario.replay(folder).recording
    assert recording.dataset == "synthetic"
    assert set(recording.repetitions.tolist()) == recording.test_repetitions == {2, 5}
    assert len(np.unique(recording.labels)) == 18
    assert len(recording.breaks) == 1


@pytest.mark.parametrize(
    ("expect", "verdicts"),
    [
        (Expect(), [False, False]),
        (Expect(lost_max=4, missed_max=2), [True, True]),
        (Expect(lost_max=4, missed_max=2, latency_p95_ms_max=5), [True, True, True]),
        (Expect(lost_max=4, missed_max=2, latency_p95_ms_max=4.9), [True, True, False]),
        (Expect(lost_max=4, missed_max=2, accuracy_min=0.6), [True, True, True]),
        (Expect(lost_max=4, missed_max=2, accuracy_min=0.61), [True, True, False]),
        (Expect(lost_max=4, missed_max=2, accuracy_steady_min=0.0), [True, True, False]),
    ],
)
def test_a_result_is_judged(expect, verdicts):
    assert [c.ok for c in check(expect, SUMMARY, as_written=True)] == verdicts


def test_accuracy_is_judged_only_of_the_scenario_as_written():
    checks = check(Expect(accuracy_min=0.9), SUMMARY, as_written=False)
    assert [c.ok for c in checks] == [False, False, None]
    assert checks[0].line == "samples lost: 4, expected at most 0: FAILED"
    assert checks[2].line == "accuracy: 0.6, expected at least 0.9: not checked"
    nothing = SUMMARY | {"end_to_end_ms": None}
    assert not check(Expect(latency_p95_ms_max=5), nothing, as_written=True)[2].ok
