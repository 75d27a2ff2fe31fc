"""Hours of stream through the engine, as fast as it decides: what is missed, and what grows.

The signal is noise of the checkpoint's channels; the loop, the pipeline, the latency meter and the
LSL sink are those of `semgfin-rt`. One thread, the caller's.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import theilslopes

from semgfin_rt.app.timing import noise
from semgfin_rt.contracts import Chunk, Event
from semgfin_rt.engine.build import build_engine, build_pipeline
from semgfin_rt.engine.parts import Step
from semgfin_rt.engine.snapshot import Health
from semgfin_rt.engine.spec import EngineSpec
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.sources.identity import Candidate, Origin
from semgfin_rt.train.costs import resident_bytes

_NOISE_S = 60.0
_CACHES_H = 75 / 3600  # half a megabyte is allocated once in the first minute: no part of the slope


class EndlessNoise:
    """A source that repeats a minute of noise and counts its samples on.

    Parameters
    ----------
    contract : ModelContract
    """

    live, speed, ended = False, 1.0, False
    name: str | None = "endless noise"
    notes: tuple[str, ...] = ()
    origin: Origin | None = None
    asking: tuple[Candidate, ...] = ()

    def __init__(self, contract: ModelContract) -> None:
        recording = noise(contract, _NOISE_S)
        self.spec, self._samples, self._hop = recording.spec, recording.samples, contract.hop
        self._first = 0

    def connect(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing is open."""

    def events(self) -> list[Event]:
        """Nothing happens."""
        return []

    def accept(self, uid: str) -> None:
        """Nothing is asked."""

    def read(self, timeout: float = 0.0, max_samples: int | None = None) -> Chunk:
        """Return the next hop."""
        del timeout
        n = self._hop if max_samples is None else min(self._hop, max_samples)
        at = self._first % len(self._samples)
        samples = self._samples[at : at + n]
        times = (self._first + np.arange(len(samples))) / self.spec.rate
        chunk = Chunk(samples, self._first, times)
        self._first += len(samples)
        return chunk


@dataclass(frozen=True)
class Reading:
    """What a process had at one moment.

    Attributes
    ----------
    hours : float
        Of signal until then.
    mib : float
        Resident memory.
    files, threads : int
        Open ones; 0 where the system does not tell.
    """

    hours: float
    mib: float
    files: int
    threads: int

    @classmethod
    def take(cls, hours: float) -> Reading:
        """Read them."""
        return cls(hours, resident_bytes() / 2**20, count_own("fd"), count_own("task"))


@dataclass(frozen=True)
class Soak:
    """What came of it.

    Attributes
    ----------
    health : Health
    readings : tuple of Reading
    backend : str
    took_s : float
    """

    health: Health
    readings: tuple[Reading, ...]
    backend: str
    took_s: float

    @property
    def missed(self) -> int:
        """Decisions that should have been and were not."""
        return self.health.expected - self.health.decisions

    @property
    def mib_per_hour(self) -> float:
        """Growth of the memory; see `slope`."""
        return slope(self.readings)


def slope(readings: tuple[Reading, ...]) -> float:
    """Return the growth of the memory in MiB an hour, once caches are filled.

    It is the median of the slopes between any two readings (Theil and Sen): what was allocated once
    is no growth.
    """
    settled = [r for r in readings if r.hours > max(_CACHES_H, readings[-1].hours / 5)]
    return float(theilslopes([r.mib for r in settled], [r.hours for r in settled]).slope)


def soak(
    model: Path, hours: float, n_readings: int, report: Callable[[float], None] | None = None
) -> Soak:
    """Decide on so many hours of noise.

    Parameters
    ----------
    model : Path
    hours : float
    n_readings : int
        Of memory, evenly spaced.
    report : callable, optional
        Called with the hours done, at each reading.
    """
    built = build_pipeline(model)
    spec = EngineSpec(model, seconds=3600 * hours, publish_id=f"soak-{uuid.uuid4()}")
    source = EndlessNoise(built.pipeline.contract)
    engine = build_engine(spec, built, source)
    readings: list[Reading] = []

    def watch(step: Step) -> None:
        now = (step.chunk.first + len(step.chunk.samples)) / source.spec.rate / 3600
        if now >= (len(readings) + 1) * hours / n_readings:
            readings.append(Reading.take(now))
            if report is not None:
                report(now)

    began = time.perf_counter()
    health = engine.run(watch)
    return Soak(health, tuple(readings), built.backend, time.perf_counter() - began)


def count_own(what: str) -> int:
    """Count the open files (``"fd"``) or threads (``"task"``) of this process; 0 if unknown."""
    folder = Path("/proc/self") / what
    return len(list(folder.iterdir())) if folder.is_dir() else 0
