"""Whether a source fits a checkpoint, in words; what is read; which session comes of it."""

import json
import re
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from signals import CHANNELS, RATE, counting_recording, tiny_checkpoint, tiny_contract

from semgfin_rt import lsl
from semgfin_rt.app.choice import (
    SYNTHETIC_SPEC,
    SourceChoice,
    build_session,
    fit,
    fit_stream,
    models_found,
    read_recording,
)
from semgfin_rt.app.settings import Live, Replay, Settings
from semgfin_rt.contracts import SignalSpec
from semgfin_rt.decision import PolicySpec
from semgfin_rt.errors import RecordingError
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.recordings.db2_schema import RATE as DB2_RATE
from semgfin_rt.recordings.db2_schema import channel_names
from semgfin_rt.recordings.synthetic import write_subject

SPEC = SignalSpec(CHANNELS, RATE, "V")


@pytest.fixture(scope="module")
def contract():
    return tiny_contract()


def described(spec, **changes):
    """Return a stream's full description, with the texts of its channels changed."""
    info = lsl.make_info("EMG", "EMG", "id", spec)
    channel = info.desc().child("channels").child("channel")
    while not channel.empty():
        for key, value in changes.items():
            channel.set_child_value(key, value)
        channel = channel.next_sibling("channel")
    uid = f"<uid>{uuid.uuid4()}</uid>".encode()  # an outlet has one
    return re.sub(rb"<uid ?/>|<uid></uid>", uid, info.as_xml().encode())


def change_contract(folder, **changes):
    path = folder / "contract.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_fits(contract):
    found = fit(contract, SPEC, "the stream 'EMG'")
    assert found.ok
    assert found.words == "the stream 'EMG' fits: 3 channels, 2000 Hz, V."
    assert [row.words for row in found.rows] == ["the same"] * 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rate": 1000.0}, "runs at 1000 Hz and the checkpoint was trained at 2000 Hz"),
        ({"unit": "count"}, "is in count and the checkpoint was trained on V"),
        ({"channels": ("left", "right")}, "has 2 channels and the checkpoint was trained on 3"),
        (
            {"channels": ("left", "top", "right")},
            "calls channel 2 'top' and the checkpoint 'right'",
        ),
    ],
)
def test_what_does_not_fit_is_said(contract, changes, words):
    found = fit(contract, replace(SPEC, **changes), "the stream 'EMG'")
    assert not found.ok
    assert words in found.words


def test_channels_are_compared_by_name(contract):
    spec = replace(SPEC, channels=("right", "left", "thumb", "extra"))
    rows = fit(contract, spec, "it").rows
    assert [(row.source, row.checkpoint, row.fits) for row in rows] == [
        ("right", "left", False),
        ("left", "right", False),
        ("thumb", "top", False),
        ("extra", "", False),
    ]
    assert [row.words for row in rows] == [
        "left is number 2 of the source",
        "right is number 1 of the source",
        "the source has no top",
        "not in the checkpoint",
    ]


def test_unit_of_a_stream_is_converted_or_asked_for(contract):
    found = fit_stream(contract, described(SPEC, unit="microvolts"), "")
    assert (found.ok, found.unit) == (True, "uV")
    assert found.words.endswith("V (uV is converted).")
    silent = described(SPEC, unit="")
    found = fit_stream(contract, silent, "")
    assert (found.ok, found.words) == (
        False,
        "The stream states no unit that is known here: choose its unit.",
    )
    assert fit_stream(contract, silent, "mV").ok
    assert "is in count" in fit_stream(contract, silent, "count").words


def test_names_that_a_stream_lacks_are_taken_with_a_note(contract):
    found = fit_stream(contract, described(SPEC, label=""), "")
    assert found.ok
    assert "names no channels: taken as left, right, top" in found.notes[0]


def test_a_bad_description_is_a_sentence(contract):
    xml = described(SPEC).replace(b"<label>right</label>", b"<label></label>")
    assert "leaves channel 2 without a name" in fit_stream(contract, xml, "").words


def test_the_synthetic_spec_is_that_of_its_subjects():
    assert SignalSpec(channel_names(12), DB2_RATE, "V") == SYNTHETIC_SPEC


def test_models_are_found_where_they_are_looked_for(tmp_path, monkeypatch):
    tiny_checkpoint(tmp_path / "mine")
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("SEMGFIN_MODELS", str(tmp_path))
    found = models_found()
    assert found["mine"] == tmp_path / "mine"
    assert "none" not in found
    assert "demo" in found


def test_recording_is_read_and_cut_to_what_is_kept_for_testing(tmp_path):
    write_subject(tmp_path, 1, 1, movements=2, repetitions=3, movement_s=1, rest_s=1)
    choice = SourceChoice(kind="recording", path=str(tmp_path), subject=1)
    played = set(read_recording(choice).repetitions.tolist())
    assert played == {2}  # DB2 keeps 2 and 5
    whole = read_recording(choice.model_copy(update={"test_only": False}))
    assert set(whole.repetitions.tolist()) == {1, 2, 3}
    with pytest.raises(RecordingError, match="holds no subject 7: choose from 1"):
        read_recording(choice.model_copy(update={"subject": 7}))
    with pytest.raises(RecordingError, match="no recording was given"):
        read_recording(SourceChoice(kind="recording"))


def test_session_of_a_choice_keeps_what_still_fits(tmp_path):
    model = tiny_checkpoint(tmp_path / "m")
    other = tiny_checkpoint(tmp_path / "o", seed=1)
    before = Settings(
        model, vote=3, horizons_ms=(50,), thresholds={"fist": 0.7}, seconds=2.0, publish_id="p"
    )
    choice = SourceChoice(kind="stream", name="EMG", unit="mV", model=str(model))
    session = build_session(choice, before)
    assert session.source == Live("EMG", None, "mV")
    assert session.settings == replace(before, seconds=None)
    moved = build_session(choice.model_copy(update={"model": str(other)}), before).settings
    assert moved == replace(before, seconds=None, model=other, horizons_ms=None)


def test_policy_that_was_set_is_kept_as_far_as_another_checkpoint_takes_it(tmp_path):
    gated, lacks = tiny_checkpoint(tmp_path / "gated"), tiny_checkpoint(tmp_path / "lacks")
    change_contract(gated, rest_gate=-1.0)
    names = ("rest", "pinch", "point")
    change_contract(lacks, classes=[{"id": i, "name": name} for i, name in enumerate(names)])
    contract = load_contract(gated)
    policy = PolicySpec(5, 0.4, 30, True, ((1, 0.7), (2, 0.5)), 2)
    settings = Settings(gated).with_policy(policy, contract)
    assert settings.policy(contract) == policy
    choice = SourceChoice(kind="stream", name="EMG", model=str(gated))
    assert build_session(choice, settings).policy == policy
    moved = build_session(choice.model_copy(update={"model": str(lacks)}), settings)
    assert moved.policy == PolicySpec(5, 0.4, 30, False, ((2, 0.5),), 2)


def test_rest_gate_that_nobody_has_touched_is_still_the_checkpoint_s_own():
    contract = tiny_contract()
    assert Settings(Path("m")).with_policy(PolicySpec(vote=3), contract).rest_gate is None


def test_session_of_a_recording_that_was_read(tmp_path):
    model = tiny_checkpoint(tmp_path / "m")
    choice = SourceChoice(kind="recording", path="x", model=str(model), speed=2.0, loop=False)
    recording = counting_recording(2000)
    source = build_session(choice, Settings(model), recording).source
    assert isinstance(source, Replay)
    assert source.recording is recording
    assert (source.speed, source.loop, source.stay) == (2.0, False, True)
