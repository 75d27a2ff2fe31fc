"""Rows 15 to 17 of the table of faults: files that are damaged, or meant to do harm.

Runs in the calling thread, while another watches the memory; the files are written to a temporary
folder.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from semgfin_rt.app.faults import archives, payloads, samples
from semgfin_rt.app.faults.finding import Finding
from semgfin_rt.app.faults.memory import PeakMemory
from semgfin_rt.errors import SemgfinError
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.checkpoint_folder import CONTRACT, WEIGHTS, check_folder
from semgfin_rt.recordings import load
from semgfin_rt.recordings.limited_child import child_pid, end_child

_MOST_S, _MOST_MB = 10.0, 2048.0
_HEAD = 4096  # bytes: where sizes and offsets are, and most of the harm


@dataclass
class Tally:
    """What became of the files of one format.

    Attributes
    ----------
    loaded, refused : int
        Refused: in one sentence.
    crashes : int
        Children that crashed, were stopped at a limit or talked nonsense; among the refused.
    escaped : list of str
        Other exceptions: none may be.
    worst_s : float
    """

    loaded: int = 0
    refused: int = 0
    crashes: int = 0
    escaped: list[str] = field(default_factory=list)
    worst_s: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.loaded} loaded, {self.refused} refused, {self.crashes} ended the child, "
            f"{len(self.escaped)} escaped, {self.worst_s:.2f} s at most"
        )


def row15(flips: int, seed: int) -> Finding:
    """Flip bits of MATLAB v5 and v7.3 files, XDF, safetensors and contract.json, and read them.

    Parameters
    ----------
    flips : int
        Files of each format.
    seed : int
    """
    end_child()  # what it read before is not this row's
    with PeakMemory(child_pid) as memory:
        tallies = {name: flip(name, flips, seed) for name in FORMATS}
    ok = max(memory.grown_mb, memory.child_mb) <= _MOST_MB and all(
        not tally.escaped and tally.worst_s <= _MOST_S for tally in tallies.values()
    )
    told = [f"{name}: {tally}" for name, tally in tallies.items()]
    return Finding(
        f"{flips} bit flips each; {'; '.join(told)}; at most {memory.grown_mb:.0f} MB more in this "
        f"process and {memory.child_mb:.0f} MB in its child",
        ok,
    )


def flip(name: str, flips: int, seed: int) -> Tally:
    """Read a file of a format so many times, each time with 1 to 4 other bits flipped.

    Parameters
    ----------
    name : str
        Of `FORMATS`.
    flips, seed : int
    """
    rng = np.random.default_rng(seed)
    tally = Tally()
    make, read, file_name = FORMATS[name]
    with tempfile.TemporaryDirectory() as folder:
        wholes = make(Path(folder))
        path = Path(folder) / file_name
        path.write_bytes(wholes[0])
        _try(lambda: read(path), Tally())  # importing the reader takes seconds: not a file's
        for i in range(flips):
            path.write_bytes(flipped(wholes[i % len(wholes)], rng))
            _try(lambda: read(path), tally)
    return tally


def flipped(whole: bytes, rng: np.random.Generator) -> bytes:
    """Return a copy with 1 to 4 bits flipped: in half of all cases among the first 4 kB."""
    data = bytearray(whole)
    end = len(data) if rng.random() < 0.5 else min(_HEAD, len(data))
    for bit in rng.integers(0, 8 * end, rng.integers(1, 5)).tolist():
        data[bit // 8] ^= 1 << (bit % 8)
    return bytes(data)


def _try(read: Callable[[], object], tally: Tally) -> None:
    before = child_pid()
    began = time.perf_counter()
    try:
        read()
        tally.loaded += 1
    except SemgfinError as error:
        sentence = str(error)
        tally.refused += 1
        if "\n" in sentence or len(sentence) > 1000:
            tally.escaped.append(f"not a sentence: {sentence[:200]!r}")
    except Exception as error:  # noqa: BLE001  (what must not happen, whatever it is)
        tally.escaped.append(f"{type(error).__name__}: {error}"[:200])
    tally.worst_s = max(tally.worst_s, time.perf_counter() - began)
    tally.crashes += before is not None and child_pid() != before


def _read_checkpoint(file: Path) -> None:
    load_checkpoint(file.parent)


def _in_checkpoint(name: str) -> Callable[[Path], list[bytes]]:
    return lambda folder: [(samples.write_checkpoint(folder) / name).read_bytes()]


FORMATS: dict[str, tuple[Callable[[Path], list[bytes]], Callable[[Path], object], str]] = {
    "mat v5": (samples.mat_v5, load, "S1_E1_A1.mat"),
    "mat v7.3": (samples.mat_v73, load, "S1_E1_A1.mat"),
    "xdf": (samples.xdf, load, "session.xdf"),
    "safetensors": (_in_checkpoint(WEIGHTS), _read_checkpoint, WEIGHTS),
    "contract.json": (_in_checkpoint(CONTRACT), _read_checkpoint, CONTRACT),
}
"""Of each: whole files, how to read one, and its name."""


def row16() -> Finding:
    """Give pickles that would run something to whatever reads checkpoints and recordings."""
    tried, executed, tally = 0, 0, Tally()
    with tempfile.TemporaryDirectory() as place:
        victim = Path(place) / "executed"
        dangerous = payloads.would_run(victim)
        for path in payloads.write(Path(place), victim):
            for read in (load_checkpoint, check_folder, load):
                _try(lambda read=read, path=path: read(path), tally)  # type: ignore[misc]
                tried += 1
                executed += victim.exists()
    return Finding(
        f"{executed} of {tried} executed, {tally}",
        dangerous and executed == 0 and not tally.escaped and tally.loaded == payloads.HARMLESS,
    )


def row17() -> Finding:
    """Read zip archives that lead out of themselves, inflate without end, or lie."""
    tally, written = Tally(), 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "data"
        folder.mkdir()
        for path in archives.write(folder):
            before = _everything(Path(place))
            _try(lambda path=path: load(path), tally)  # type: ignore[misc]
            written += _everything(Path(place)) != before
            path.unlink()
    return Finding(
        f"{tally}, {written} wrote anything",
        not tally.loaded and not tally.escaped and not written and tally.worst_s <= _MOST_S,
    )


def _everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))
