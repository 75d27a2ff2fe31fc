"""What `doctor` looks at, on this very machine."""

from __future__ import annotations

import socket
import uuid

import pytest

from semgfin_rt import lsl
from semgfin_rt.app import doctor
from semgfin_rt.contracts import SignalSpec


@pytest.fixture(scope="module")
def stream():
    source_id = f"amplifier-{uuid.uuid4()}"
    info = lsl.make_info("an amplifier", "EMG", source_id, SignalSpec(("a",), 500.0, "V"))
    outlet = lsl.api().StreamOutlet(info)
    yield source_id
    del outlet


def test_everything_is_found_on_a_machine_that_works(stream):
    findings = {f.what: f for f in doctor.examine(look_s=1.0)}
    # How many ports are free depends on the streams that other programs hold open just now.
    assert not [f for f in findings.values() if f.level == "bad" and f.what != "ports"]
    assert "liblsl" in findings["library"].text
    assert "this machine only" in findings["scope"].text
    assert "came through" in findings["loopback"].text
    assert "'an amplifier'" in findings["streams"].text
    assert "500 Hz" in findings["streams"].text


def test_a_name_is_shown_and_not_obeyed():
    name = f"a\x1b[2J{uuid.uuid4()}"
    info = lsl.make_info(name, "EMG", str(uuid.uuid4()), SignalSpec(("a",), 500.0, "V"))
    outlet = lsl.api().StreamOutlet(info)
    finding = doctor._streams(1.0)
    assert r"'a\x1b[2J" in finding.text
    assert finding.text.isprintable()
    del outlet


def test_taken_ports_are_counted(monkeypatch):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        monkeypatch.setattr(doctor, "DATA_PORTS", range(port, port + 1))
        finding = doctor._ports()
    assert (finding.level, finding.text[:6]) == ("bad", "0 of 1")


def test_a_configuration_of_its_own_is_told(monkeypatch):
    monkeypatch.setenv("LSLAPICFG", "/etc/lsl.cfg")
    finding = doctor._scope()
    assert (finding.level, "/etc/lsl.cfg" in finding.text) == ("warn", True)
