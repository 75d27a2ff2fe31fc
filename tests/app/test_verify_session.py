"""A session recorded live decides again to the bit; one that was tampered with does not."""

from __future__ import annotations

import time

import pytest
from sessions import turns, write_session
from signals import counting_recording, tiny_checkpoint, tiny_contract

from semgfin_rt.app.session import Session
from semgfin_rt.app.settings import Replay, Settings
from semgfin_rt.app.verify_session import verify_session
from semgfin_rt.decision import PolicySpec
from semgfin_rt.engine.build import build_engine, build_pipeline
from semgfin_rt.engine.parts import Step
from semgfin_rt.engine.player import Player
from semgfin_rt.engine.spec import EngineSpec
from semgfin_rt.errors import OptionError
from semgfin_rt.nn.checkpoint_folder import sha256
from semgfin_rt.sinks.session import session_header


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def session_file(model, tmp_path_factory):
    """2 s, played through LSL and recorded by a real run."""
    file = tmp_path_factory.mktemp("sessions") / "s.xdf"
    settings = Settings(model, "onnx", vote=3, record=file)
    with Session(settings, Replay(counting_recording(4000))) as session:
        summary = session.run()
    assert summary["decisions"] == 191
    return file


def test_live_is_as_rerun(model, session_file):
    found = verify_session(model, session_file, "onnx")
    assert (found.compared, found.different, found.same) == (191, 0, True)


def test_the_first_seconds(model, session_file):
    found = verify_session(model, session_file, "onnx", seconds=0.5)
    assert (found.compared, found.same) == (41, True)
    with pytest.raises(OptionError, match=r"in its first 0\.05 s: give it more --seconds"):
        verify_session(model, session_file, "onnx", seconds=0.05)


def test_windows_that_were_passed_over_take_no_part(model, tmp_path):
    """An engine that is held up for 0.6 s, in the middle, and jumps to the newest window."""
    file, policy = tmp_path / "held_up.xdf", PolicySpec(vote=3)
    with Player(counting_recording(4000)) as player:
        spec = EngineSpec(
            model,
            source_id=player.source_id,
            truth_id=player.truth_id,
            backend="onnx",
            policy=policy,
            resolve_s=10.0,
            record=file,
        )
        engine = build_engine(spec, build_pipeline(model, "onnx", policy))
        held_up: list[int] = []

        def hold_up(step: Step) -> None:
            if not held_up and step.decisions and step.decisions[-1].sample > 1000:
                held_up.append(step.decisions[-1].sample)
                time.sleep(0.6)

        health = engine.run(hold_up)
    assert health.skipped > 10
    found = verify_session(model, file, "onnx")
    assert (found.compared, found.first) == (health.decisions, None)


def test_another_checkpoint_is_refused(session_file, tmp_path):
    other = tiny_checkpoint(tmp_path / "other", seed=1)
    with pytest.raises(OptionError, match="give that checkpoint"):
        verify_session(other, session_file, "onnx")


def test_what_was_not_decided_so_is_found(model, tmp_path):
    """Decisions that no network made: made up in tests/sessions.py."""
    header = session_header(tiny_contract(), sha256(model), PolicySpec())
    file = write_session(tmp_path / "made_up.xdf", list(turns(30)), header)
    found = verify_session(model, file, "onnx")
    assert found.different == found.compared == 21
    assert found.first["sample"] == 199
    assert found.first["largest"] > 0


def test_from_the_middle_only_what_follows_on_a_loss(model, tmp_path):
    header = session_header(tiny_contract(), sha256(model), PolicySpec())
    entries = list(turns(60, loss_at=30))[10:]
    file = write_session(tmp_path / "middle.xdf", entries, header)
    found = verify_session(model, file, "onnx")
    assert found.compared == 21
    assert any("began in the middle" in note for note in found.notes)
    file = write_session(tmp_path / "whole.xdf", list(turns(30))[10:], header)
    with pytest.raises(OptionError, match="no decision that can be repeated"):
        verify_session(model, file, "onnx")
