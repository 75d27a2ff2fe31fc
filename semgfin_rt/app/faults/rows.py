"""The table of faults: what is promised, and how each row is put to the test."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from semgfin_rt.app.faults import (
    clocks,
    cycles,
    deaths,
    descriptions,
    disks,
    endurance,
    files,
    link,
    signals,
    stalls,
    streams,
    windows,
)
from semgfin_rt.app.faults.finding import Finding, Scale
from semgfin_rt.app.faults.lateness import Lateness

_SEED = 20


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes
    ----------
    number : int
    fault, promise : str
    short, long : str
        How often or how long each form tries.
    measure : callable
        Returns the finding; what it raises counts as a promise that was not kept.
    """

    number: int
    fault: str
    promise: str
    short: str
    long: str
    measure: Callable[[Scale], Finding]


@dataclass(frozen=True)
class Measured:
    """A row, and what came of it.

    Attributes
    ----------
    row : Row
    finding : Finding
    seconds : float
        That it took.
    late : Lateness
        Of the machine, not the program; the verdict does not know of it.
    """

    row: Row
    finding: Finding
    seconds: float
    late: Lateness

    def record(self) -> dict[str, object]:
        """Return it for a file."""
        return {
            "row": self.row.number,
            "fault": self.row.fault,
            "promise": self.row.promise,
            "measured": self.finding.measured,
            "ok": self.finding.ok,
            "skipped": self.finding.skipped,
            "seconds": round(self.seconds, 1),
            "scheduler_late_ms": _known(self.late.worst_ms),
            "waited_s": _known(self.late.waited_s),
            "figures": {k: round(float(v), 4) for k, v in self.finding.figures.items()},
        }


def measure(row: Row, scale: Scale) -> Measured:
    """Put a row to the test. Nothing that it raises, but Ctrl-C, keeps the others from theirs."""
    began = time.monotonic()
    with Lateness() as late:
        try:
            finding = row.measure(scale)
        except Exception as error:  # noqa: BLE001  (a row that breaks off has not kept its promise)
            words = " ".join(str(error).split()) or "no words"
            finding = Finding(f"it broke off: {words} ({type(error).__name__})", False)
    return Measured(row, finding, time.monotonic() - began, late)


def _known(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


ROWS = (
    Row(
        1,
        "kill -9 the source and restart",
        "STALE <= 100 ms; samples <= 0.25 s after it is up; gap exact with the counter channel, "
        "else estimated with its bound",
        "5 restarts with counter, 3 without",
        "100 and 20",
        streams.killed,
    ),
    Row(
        2,
        "source frozen",
        "STALE <= 100 ms; 0 lost",
        "1 and 2 s",
        "1, 3, 10 and 30 s",
        streams.frozen,
    ),
    Row(
        3,
        "link down",
        "0 lost in the recording; live <= 3 s after link-up",
        "1 and 3 s",
        "1, 3, 10 and 30 s",
        link.unplugged,
    ),
    Row(
        4,
        "gap longer than the buffer",
        "loss counted (exact with the counter channel), marked in the file",
        "2.5 and 3.5 s with buffers of 1 s",
        "75 s with the usual 60 s",
        stalls.overflowed,
    ),
    Row(
        5,
        "duplicate or rogue identity",
        "0 foreign samples used; alert <= 1 s",
        "3 times",
        "50 times",
        streams.imitated,
    ),
    Row(
        6,
        "channel count, rate or format changed",
        "refused with the reason <= 2 s",
        "each once",
        "each 20 times",
        streams.changed,
    ),
    Row(
        7,
        "fuzzed stream descriptions",
        "10,000: 0 crashes, <= 50 MB growth",
        "10,000",
        "100,000",
        descriptions.nonsense,
    ),
    Row(
        8,
        "NaN, Inf, rail, flat: 1 sample to 10 s",
        "100 % of affected windows not VALID; clean one window later",
        "8 of each kind",
        "21 of each kind",
        signals.spoiled,
    ),
    Row(
        9,
        "timestamps +-1 h, -10 ms, duplicate, foreign epoch",
        "window count exact; one event logged",
        "each once, without counter",
        "and with one",
        clocks.misdated,
    ),
    Row(
        10,
        "chunks of 1-500, random jitter",
        "decisions bit-identical to a 1-sample feed",
        "3 s in 5 ways, and through LSL",
        "20 s in 50 ways, and through LSL",
        signals.ragged,
    ),
    Row(
        11,
        "clock drift +-200 ppm",
        "8 h simulated: latency slope < 0.1 ms/h; exact window count",
        "4 h each at 100 Hz",
        "8 h each at the checkpoint's rate",
        clocks.drifting,
    ),
    Row(
        12,
        "decider stalls 0.5-10 s",
        "0 acquisition loss; skips counted; age <= 50 ms within 100 ms",
        "0.5 and 2 s",
        "0.5 to 10 s, 20 times",
        stalls.stalled,
    ),
    Row(
        13,
        "disk full, slow, read-only",
        "decisions unaffected; alert <= 1 s; file valid to the last flush",
        "each once",
        "each 10 times",
        disks.out_of_room,
    ),
    Row(
        14,
        "kill -9 the app while recording",
        "<= 1 s lost; opens in pyxdf",
        "5 times",
        "200 times",
        deaths.killed_while_recording,
    ),
    Row(
        15,
        "bit flips: mat, h5, XDF, safetensors",
        "10,000 each: parent never dies; <= 2 GB, <= 10 s; one clear error",
        "300 each",
        "10,000 each",
        lambda scale: files.row15(scale.pick(300, 10_000), _SEED),
    ),
    Row(
        16,
        "pickle payloads as checkpoints",
        "0 executed",
        "81 payloads, read in 3 ways",
        "the same",
        lambda _scale: files.row16(),
    ),
    Row(
        17,
        "zip slip, symlink, bomb",
        "refused before writing",
        "18 archives",
        "the same",
        lambda _scale: files.row17(),
    ),
    Row(
        18,
        "soak",
        "8 h simulated and 30 min in real time: 0 missed; RSS slope < 1 MB/h; constant fds and "
        "threads",
        "3 min simulated",
        "8 h simulated, 30 min in real time",
        endurance.soaked,
    ),
    Row(
        19,
        "connect/destroy cycles, half in mid-recovery",
        "1,000: 0 aborts, no reruns",
        "20",
        "1,000",
        cycles.cycled,
    ),
    Row(
        20,
        "exception in every slot; GUI blocked 5 s",
        "survives; 0 acquisition loss",
        "blocked 2 s",
        "blocked 5 s",
        windows.shaken,
    ),
)
"""All of them, by number."""
