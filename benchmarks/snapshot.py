"""What the screen costs the engine: snapshots by pipe, and through shared memory.

A process takes turns of the engine's loop, 20 samples of 12 channels and one decision each, and
hands them to this one: after 3 turns, as 30 frames a second ask for them, and after 500, as a
window does that stood still for 5 s. By pipe a second thread pickles them whole; through memory
that is shared (`semgfin_rt.engine.board`) it pickles two numbers and the counters. Measured are

- engine_us: processor time of the engine's process, both threads, for a turn,
- held_ms: how long the engine's thread, which wants to go on every half ms, was kept waiting at
  most while the second one sent,
- take_ms: processor time of the process that draws, for a snapshot.

The two ways take turns; each figure is the median of the rounds.

    python benchmarks/snapshot.py [--rounds 30] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing as mp
import os
import platform
import threading
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from semgfin_rt.contracts import Chunk, Decision, Movement, State
from semgfin_rt.engine.board import Board
from semgfin_rt.engine.snapshot import NO_HEALTH
from semgfin_rt.model_contract import ModelContract

_TURNS = {"a frame at 30 fps": 3, "after 5 s": 500}
_TICK_S = 0.0005
_FIGURES = ("engine_us", "held_ms", "take_ms")


def turns(contract: ModelContract, n: int) -> list[tuple[Chunk, Decision]]:
    """Return what so many turns of the loop bring."""
    rng = np.random.default_rng(0)
    n_channels, n_features = len(contract.channels), len(contract.features)
    shape = (len(contract.horizons_ms), n_features, n_channels)

    def random(*shape: int) -> np.ndarray:
        return rng.random(shape, np.float32)

    return [
        (
            Chunk(random(contract.hop, n_channels), i * contract.hop, np.zeros(contract.hop)),
            Decision(
                (i + 1) * contract.hop - 1,
                0.01 * i,
                tuple(
                    Movement(h, 1, 0.9, random(len(contract.classes)), State.VALID)
                    for h in contract.horizons_ms
                ),
                random(*shape),
                1.0,
            ),
        )
        for i in range(n)
    ]


def engine(contract: ModelContract, board: Board | None, link: Connection) -> None:
    """Take turns, send what they brought, say what that cost; until the other end hangs up."""
    brought = turns(contract, max(_TURNS.values()))
    while (n := link.recv()) is not None:
        cost = [-time.thread_time()]
        if board is None:
            samples = np.concatenate([chunk.samples for chunk, _ in brought[:n]])
            mail = (samples, [decision for _, decision in brought[:n]], NO_HEALTH)
        else:
            for chunk, decision in brought[:n]:
                first = board.signal.written
                board.put(Chunk(chunk.samples, first, chunk.times), (decision,))
            mail = (board.signal.written, board.decisions.written, NO_HEALTH)
        cost.append(time.thread_time())
        postman = threading.Thread(target=send, args=(link, mail, cost))
        postman.start()
        held, last = 0.0, time.perf_counter()
        while postman.is_alive():
            time.sleep(_TICK_S)  # gives the interpreter away, as reading and deciding do
            now = time.perf_counter()
            held, last = max(held, now - last - _TICK_S), now
        link.send((1e6 * sum(cost) / n, 1e3 * held))


def send(link: Connection, mail: object, cost: list[float]) -> None:
    """Send as the postman does; add what it cost."""
    time.sleep(2 * _TICK_S)  # the loop is under way
    link.send(mail)
    cost.append(time.thread_time())  # of this thread alone


class Pair:
    """An engine and a window, by pipe alone or with a board."""

    def __init__(self, contract: ModelContract, board: Board | None) -> None:
        self.board = board
        context = mp.get_context("spawn")
        self.link, child = context.Pipe()
        context.Process(target=engine, args=(contract, board, child), daemon=True).start()

    def round(self, n: int) -> tuple[float, ...]:
        """Return the figures of a snapshot of `n` turns."""
        self.link.send(n)
        self.link.poll(None)
        begun = time.thread_time()
        signal, decisions, _ = self.link.recv()
        if self.board is not None:
            _, signal = self.board.signal.take(signal)
            decisions = self.board.take_decisions(decisions)
        took_ms = 1e3 * (time.thread_time() - begun)
        if (len(signal), len(decisions)) != (20 * n, n):
            raise RuntimeError(f"{len(signal)} samples and {len(decisions)} decisions came of {n}")
        return (*self.link.recv(), took_ms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    from semgfin_rt.app.bench import Signal, untrained  # loads torch, which the child needs not

    contract = untrained("realtime", Signal())
    pairs = {"pipe": Pair(contract, None), "shared": Pair(contract, Board(contract))}
    document: dict[str, object] = {}
    for name, n in _TURNS.items():
        rounds = [[pair.round(n) for pair in pairs.values()] for _ in range(arguments.rounds)]
        figures = np.median(rounds[1:], axis=0)  # (2 ways, 3 figures); the first warms up
        document[name] = {
            way: dict(zip(_FIGURES, row.round(3).tolist(), strict=True))
            for way, row in zip((*pairs, "ratio"), (*figures, figures[0] / figures[1]), strict=True)
        }
    for pair in pairs.values():
        pair.link.send(None)
    document["machine"] = f"{platform.machine()}, {os.cpu_count()} cores"
    document["date"] = datetime.now(UTC).date().isoformat()
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
