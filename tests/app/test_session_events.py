"""What a session tells besides its decisions: where the signal comes from, and what happens."""

from __future__ import annotations

import socket
import time

import pytest
from signals import counting_recording, tiny_checkpoint

from semgfin_rt.app.session import Session
from semgfin_rt.app.settings import Live, Settings
from semgfin_rt.engine.player import Player


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.mark.parametrize("window", [False, True])
def test_origin_and_events_are_told_those_of_the_end_too(model, tmp_path, window):
    with Player(counting_recording(20_000), wait_for_truth=False) as player:
        live = Live(source_id=player.source_id)
        settings = Settings(model, "onnx", seconds=0.3, record=tmp_path / "r.xdf")
        events, origins = [], []
        with Session(settings, live) as session:
            if window:
                link, deadline, phase = session.link(), time.monotonic() + 120, ""
                while phase != "ended" and time.monotonic() < deadline:
                    snapshot = link.poll()
                    if snapshot is not None:
                        phase = snapshot.phase
                        events += snapshot.events
                        origins += [snapshot.origin] if phase == "running" else []
                    time.sleep(0.01)
            else:
                session.run(
                    on_connect=lambda: origins.append(session.origin), on_event=events.append
                )
    assert {(o.source_id, o.host) for o in origins} == {(player.source_id, socket.gethostname())}
    texts = [e.text for e in events if e.kind == "record" and "r.xdf" in e.text]
    assert len(texts) == 2  # it is finished while all is closed
