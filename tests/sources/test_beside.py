"""A connection that is held up, for a while or for ever, while its outlet answers and sends."""

from __future__ import annotations

import ctypes
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from semgfin_rt import lsl
from semgfin_rt.contracts import Chunk, Event, SignalSpec
from semgfin_rt.sources import beside, supervisor
from semgfin_rt.sources.inlet import the_one
from semgfin_rt.sources.supervisor import SupervisedSource

RATE = 1000.0


class Outlet:
    """A real outlet whose sample ``k`` has the value ``k``, counted by the clock from 0 on."""

    def __init__(self, counter: bool) -> None:
        self.source_id = f"beside-{uuid.uuid4()}"
        self.counter = counter
        self.pauses = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _send(self) -> None:
        spec = SignalSpec(("a",), RATE, "V")
        info = lsl.make_info("arm", "EMG", self.source_id, spec, counter=self.counter)
        outlet, began, done = lsl.api().StreamOutlet(info), lsl.local_clock(), 0
        while not self._over.wait(0.01):
            due = int((lsl.local_clock() - began) * RATE)
            if self.pauses.is_set() or due == done:
                continue
            k = np.arange(done, due, dtype=np.float32)
            rows = np.column_stack([k] * (1 + self.counter))
            outlet.push_chunk(np.ascontiguousarray(rows), began + (k + 1.0) / RATE)
            done = due


class Wire:
    """A TCP connection through this process, which can hold up what is on its way."""

    def __init__(self, port: int) -> None:
        self.held = threading.Event()
        self._far_port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._sockets = [self._listening]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def close(self) -> None:
        self.held.clear()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes who waits for it
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    def _start(self, work, *arguments) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):  # shut down
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._far_port))
                self._sockets += [near, far]
                self._start(self._pass_on, near, far)
                self._start(self._pass_on, far, near)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # the other side is gone
            while data := source.recv(65536):
                while self.held.is_set():
                    time.sleep(0.005)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


class Listener:
    """Reads as the engine does and keeps what came."""

    def __init__(self, outlet: Outlet) -> None:
        self.source = SupervisedSource(source_id=outlet.source_id)
        self.source.connect()
        self.chunks: list[Chunk] = []
        self.events: list[Event] = []

    def until(self, found: Callable[[], object], patience_s: float = 20.0) -> None:
        end = time.monotonic() + patience_s
        while not found():
            assert time.monotonic() < end, [e.text for e in self.events]
            chunk = self.source.read(0.05, 10)
            if len(chunk.samples):
                self.chunks.append(chunk)
            self.events += self.source.events()

    def seconds(self, duration: float) -> None:
        end = time.monotonic() + duration
        self.until(lambda: time.monotonic() > end, duration + 5)

    def told(self, words: str) -> bool:
        return any(words in e.text for e in self.events)

    def missing(self) -> tuple[int, int]:
        """Samples that are missing: as said, and by the values."""
        values = np.concatenate([c.samples[:, 0] for c in self.chunks])
        assert np.all(np.diff(values) > 0)
        said = sum(c.lost for c in self.chunks[1:])
        return said, int(values[-1] - values[0]) + 1 - len(values)


@pytest.fixture(params=[True, False], ids=["counter", "no counter"])
def outlet(request) -> Iterator[Outlet]:
    outlet = Outlet(request.param)
    yield outlet
    outlet.close()


@pytest.fixture
def wire(monkeypatch) -> Iterator[list[Wire]]:
    """The wire of the first connection; later ones go straight to the outlet."""
    wires: list[Wire] = []

    def through_a_wire(*arguments):
        stream = the_one(*arguments)
        xml = stream.info.as_xml()
        wires.append(Wire(int(re.search("<v4data_port>(.+)</v4data_port>", xml)[1])))
        xml = re.sub("(<v4data_port>).+<", rf"\g<1>{wires[0].port}<", xml)
        xml = xml.replace("<v4address />", "<v4address>127.0.0.1</v4address>")
        parse = lsl.api().lib.lib.lsl_streaminfo_from_xml
        parse.restype, parse.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
        return replace(stream, info=lsl.api().StreamInfo(handle=parse(xml.encode())))

    monkeypatch.setattr(supervisor, "the_one", through_a_wire)
    yield wires
    for each in wires:
        each.close()


@pytest.fixture
def listen(wire) -> Iterator[Callable[[Outlet], Listener]]:
    made: list[Listener] = []

    def make(outlet: Outlet) -> Listener:
        made.append(Listener(outlet))
        made[-1].seconds(0.5)
        return made[-1]

    yield make
    for each in made:
        each.source.close()


def test_a_dead_connection_is_replaced_and_its_loss_counted(outlet, wire, listen, monkeypatch):
    monkeypatch.setattr(beside, "CHANCE_S", 0.5)
    heard = listen(outlet)
    wire[0].held.set()
    heard.until(lambda: heard.told("connected again"))
    heard.seconds(0.5)
    said, true = heard.missing()
    assert true > 0.3 * RATE  # until the second connection was there, and no longer
    assert true < 5 * RATE
    assert abs(said - true) <= (0 if outlet.counter else 0.02 * RATE)
    assert sum(e.kind == "loss" for e in heard.events) == 1
    assert not heard.source.ended


def test_a_connection_that_comes_back_loses_nothing(outlet, wire, listen):
    heard = listen(outlet)
    wire[0].held.set()
    heard.seconds(3.0)
    n = len(heard.chunks)
    wire[0].held.clear()
    heard.until(lambda: len(heard.chunks) > n)
    heard.seconds(1.0)
    assert heard.missing() == (0, 0)
    assert not heard.told("connected again")
    assert heard.source._search._beside._inlet is None


def test_a_paused_outlet_loses_nothing(outlet, listen, monkeypatch):
    monkeypatch.setattr(beside, "CHANCE_S", 0.0)
    heard = listen(outlet)
    outlet.pauses.set()
    heard.seconds(3.0)
    assert heard.told("sends nothing")
    outlet.pauses.clear()
    heard.until(lambda: heard.told("sends again"))
    heard.seconds(1.0)
    assert heard.missing() == (0, 0)
    assert not heard.told("connected again")


def test_a_reader_that_stands_still_loses_nothing(outlet, listen, monkeypatch):
    monkeypatch.setattr(beside, "CHANCE_S", 0.0)
    heard = listen(outlet)
    time.sleep(3.0)
    heard.seconds(1.0)
    assert heard.missing() == (0, 0)
    assert not heard.told("connected again")
