"""The process that is a device of the field, so that it can be killed, frozen and imitated.

``python -m semgfin_rt.app.faults.device`` reads a manner (JSON) a line from its input and forks a
device for each: having imported everything, it is up within some ms. A device prints its pid, when
it was up (LSL clock) and its uid, and sends until it is killed or its parent is gone. When its
input ends the parent kills all of them. One thread each; a device blocks in nothing but its sleep.

Sample ``k`` of a device, counted by the clock from the epoch of LSL on, whether anybody runs or
not, is row ``k % PERIOD`` of `pattern`: whoever receives it knows which one it is.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semgfin_rt import lsl
from semgfin_rt.contracts import FloatArray, SignalSpec, TimeArray, Unit

PERIOD = 2**16
"""Samples after which the pattern repeats: 33 s at 2 kHz."""
_CHUNK_S = 0.005
_DTYPES = {"float32": np.float32, "double64": np.float64, "int16": np.int16}
_LARGEST = 500  # samples of a ragged chunk


@dataclass(frozen=True)
class Manner:
    """How a device behaves.

    Attributes
    ----------
    source_id : str
    channels : tuple of str
    rate : float
        In Hz.
    unit : {"V", "count"}
    seed : int
        Of the pattern.
    counter : bool
        Send a counter channel, too.
    format : str
        LSL's name of the channel format.
    ragged : bool
        Send chunks of 1 to 500 samples, when they are full, instead of one each 5 ms.
    wrong : tuple of float
        Seconds after somebody began to listen, at which the timestamps go wrong and come right.
    shift_s : float
        Added to wrong timestamps.
    repeat : bool
        Wrong timestamps are all that of the newest sample of their chunk.
    """

    source_id: str
    channels: tuple[str, ...]
    rate: float
    unit: Unit = "V"
    seed: int = 1
    counter: bool = True
    format: str = "float32"
    ragged: bool = False
    wrong: tuple[float, float] = (np.inf, np.inf)
    shift_s: float = 0.0
    repeat: bool = False

    def line(self) -> str:
        """Return what the process reads."""
        return json.dumps(asdict(self))


def pattern(seed: int, n_channels: int) -> FloatArray:
    """Return what a device repeats, (PERIOD, n_channels): noise of the size of EMG, in V."""
    rng = np.random.default_rng(seed)
    return 2e-5 * rng.standard_normal((PERIOD, n_channels), np.float32)


def send(manner: Manner) -> None:
    """Send until the parent is gone."""
    spec = SignalSpec(tuple(manner.channels), manner.rate, manner.unit)
    signals = pattern(manner.seed, len(spec.channels))
    dtype = _DTYPES[manner.format]
    outlet = lsl.api().StreamOutlet(_info(manner, spec))
    parent, rng = os.getppid(), np.random.default_rng(manner.seed)
    began, listened = lsl.local_clock(), np.inf
    _say(began, outlet.get_info().uid())
    done, wanted = int(began * spec.rate), 1
    while os.getppid() == parent:
        time.sleep(_CHUNK_S)
        due = int(lsl.local_clock() * spec.rate)
        if listened == np.inf and outlet.have_consumers():
            listened = lsl.local_clock()
        while due - done >= wanted:
            n = wanted if manner.ragged else due - done
            k = np.arange(done, done + n)
            rows = signals[k % PERIOD]  # (n, n_channels)
            if manner.counter:
                rows = np.column_stack([rows, k % lsl.COUNTER_SPAN])
            outlet.push_chunk(rows.astype(dtype), _stamps(manner, k, listened))
            done += n
            wanted = int(rng.integers(1, _LARGEST + 1)) if manner.ragged else 1


def _say(up: float, uid: str) -> None:
    sys.stdout.write(f"{os.getpid()} {up!r} {uid}\n")
    sys.stdout.flush()


def _info(manner: Manner, spec: SignalSpec) -> Any:
    if manner.format == "float32":
        return lsl.make_info("device", "EMG", manner.source_id, spec, counter=manner.counter)
    n_channels = len(spec.channels) + manner.counter
    return lsl.api().StreamInfo(
        "device", "EMG", n_channels, spec.rate, manner.format, manner.source_id
    )


def _stamps(manner: Manner, k: npt.NDArray[np.int64], listened: float) -> TimeArray:
    """Return the timestamps of samples `k`, right or wrong."""
    stamps: TimeArray = (k + 1) / manner.rate
    since, until = manner.wrong
    wrong = (stamps >= listened + since) & (stamps < listened + until)
    if manner.repeat and wrong.any():
        stamps[wrong] = stamps[wrong][-1]
    stamps[wrong] += manner.shift_s
    return stamps


def main() -> None:
    """Fork a device for each manner; kill them all when there are no more lines."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this ends it
    lsl.configure("--lan" in sys.argv)
    running: list[int] = []
    for line in sys.stdin:
        if not line.strip():  # only to know that this process is up
            _say(0.0, "-")
            continue
        pid = os.fork()
        if not pid:
            send(Manner(**json.loads(line)))
            os._exit(0)
        running.append(pid)
        running = [pid for pid in running if not os.waitpid(pid, os.WNOHANG)[0]]
    for pid in running:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
