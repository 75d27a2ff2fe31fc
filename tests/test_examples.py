"""The clients of docs/examples run, as they stand, against real streams of decisions."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from signals import tiny_contract

from semgfin_rt.contracts import NO_LABEL, Decision, Movement, State
from semgfin_rt.lsl import SESSION_VARIABLE
from semgfin_rt.sinks.lsl import LslSink
from semgfin_rt.sinks.udp import UdpSink

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
SAID = {"fist 0.70 VALID", "point 0.70 HOLD", "- 0.70 REJECT", "rest 0.70 STALE"}


def decisions():
    p = np.array([0.1, 0.7, 0.2], np.float32)
    for i, (label, state) in enumerate(zip((1, 2, NO_LABEL, 0), State, strict=True)):
        movements = tuple(Movement(ms, label, 0.7, p, state) for ms in (0, 50))
        yield Decision(i, 100 + i / 100, movements, np.ones((2, 2, 3), np.float32), 1.0)


@contextmanager
def running(name: str, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start an example; it is ended on the way out, and after 20 s in any case."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | environment
    ) as client:
        watchdog = threading.Timer(20, client.kill)
        watchdog.start()
        try:
            yield client
        finally:
            watchdog.cancel()
            client.kill()


def lines_while(client, write):
    """What it prints while decisions are written, until it has said all there is or has ended."""
    printed: list[str] = []
    ended = threading.Event()

    def keep_writing():
        while not ended.wait(0.05):
            for decision in decisions():
                write(decision)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    for line in client.stdout:
        printed.append(line.strip())
        if set(printed) >= SAID:
            break
    ended.set()
    writer.join()
    return printed


def test_udp_client():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sink = UdpSink(tiny_contract(), port)
    with running("udp_client.py", str(port)) as client:
        assert client.stdout.readline() == f"listening on port {port}\n"
        assert set(lines_while(client, sink.write)) == SAID
    sink.close()


def test_lsl_client(tmp_path):
    source_id = f"decisions-{uuid.uuid4()}"
    sink = LslSink(tiny_contract(), source_id)
    # The client knows nothing of this program: it is brought into the test's session by liblsl's
    # own configuration file.
    configuration = tmp_path / "lsl_api.cfg"
    configuration.write_text(
        "[log]\nlevel = -3\n[multicast]\nResolveScope = machine\n"
        f"[lab]\nKnownPeers = {{127.0.0.1}}\nSessionID = {os.environ[SESSION_VARIABLE]}\n"
    )
    with running("lsl_client.py", source_id, LSLAPICFG=str(configuration)) as client:
        assert client.stdout.readline() == f"listening to {source_id}\n"
        assert set(lines_while(client, sink.write)) == SAID
    sink.close()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_read_at_a_glance(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 20
