"""What a listener on this machine receives, and that nobody has to listen."""

from __future__ import annotations

import json
import math
import socket
import time

import numpy as np
import pytest
from signals import tiny_contract

from semgfin_rt.contracts import NO_LABEL, Decision, Movement, State
from semgfin_rt.errors import OptionError
from semgfin_rt.sinks.udp import UdpSink


def decision(sample=57_599_999, state=State.VALID, age_ms=1.25):
    p = np.array([0.1, 0.7, 0.2], np.float32)
    movements = (
        Movement(0, 1, 0.7, p, state),
        Movement(50, NO_LABEL, 0.25, p[::-1], State.REJECT),
    )
    return Decision(sample, 12345.678901, movements, np.ones((2, 2, 3), np.float32), age_ms)


@pytest.fixture
def listener():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(5)
        yield made


@pytest.fixture
def sink(listener):
    made = UdpSink(tiny_contract(), listener.getsockname()[1])
    yield made
    made.close()


def heard(listener):
    return json.loads(listener.recv(65_535), parse_constant=pytest.fail)


def test_a_datagram_says_all_of_a_decision(sink, listener):
    sink.write(decision())
    assert heard(listener) == {
        "sample": 57_599_999,
        "time": 12345.678901,
        "age_ms": 1.25,
        "horizons": [
            {
                "horizon_ms": 0,
                "label": 1,
                "name": "fist",
                "confidence": 0.7,
                "state": "VALID",
                "probabilities": {"0": 0.1, "1": 0.7, "2": 0.2},
            },
            {
                "horizon_ms": 50,
                "label": -1,
                "name": "-",
                "confidence": 0.25,
                "state": "REJECT",
                "probabilities": {"0": 0.2, "1": 0.7, "2": 0.1},
            },
        ],
    }
    assert sink.dropped == 0


def test_every_decision_is_a_datagram_of_its_own_in_order(sink, listener):
    for i in range(50):
        sink.write(decision(i))
    assert [heard(listener)["sample"] for _ in range(50)] == list(range(50))


@pytest.mark.parametrize("state", list(State))
def test_every_state_looks_alike(sink, listener, state):
    sink.write(decision(state=state, age_ms=150.0))
    told = heard(listener)
    assert (told["horizons"][0]["state"], told["age_ms"]) == (state.value, 150.0)
    assert told["horizons"][0].keys() == told["horizons"][1].keys()


def test_what_is_no_number_is_null(sink, listener):
    sink.write(decision(age_ms=math.nan))
    assert heard(listener)["age_ms"] is None
    odd = Movement(0, 1, math.inf, np.array([np.nan, 1, 0], np.float32), State.REJECT)
    sink.write(Decision(1, 2.0, (odd,), np.ones((1, 2, 3), np.float32)))
    told = heard(listener)["horizons"][0]
    assert (told["confidence"], told["probabilities"]["0"]) == (None, None)


def test_nobody_has_to_listen_and_nothing_waits():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
    sink = UdpSink(tiny_contract(), port)
    start = time.perf_counter()
    for i in range(2000):
        sink.write(decision(i))
    assert time.perf_counter() - start < 2  # 1 ms each is far more than it takes
    sink.close()


def test_a_listener_that_reads_nothing_holds_nothing_up(sink, listener):
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for i in range(2000):
        sink.write(decision(i))
    assert heard(listener)["sample"] == 0


def test_what_the_system_does_not_take_is_counted(listener):
    sink = UdpSink(tiny_contract(), listener.getsockname()[1])
    sink.close()
    sink.close()
    sink.write(decision())
    assert sink.dropped == 1


@pytest.mark.parametrize("port", [0, 65_536])
def test_a_port_that_does_not_exist_is_refused(port):
    with pytest.raises(OptionError, match=f"port {port} does not exist"):
        UdpSink(tiny_contract(), port)
