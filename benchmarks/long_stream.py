"""Hours of stream through the engine, as fast as it decides: missed decisions, growth of memory.

The signal is noise of the checkpoint's channels; the loop, the pipeline, the latency meter and the
LSL sink are those of `semgfin-rt`. Memory (resident) is read every tenth of an hour of signal; its
slope is that of a line through all but the first fifth, in which caches fill.

    python benchmarks/long_stream.py [--hours 8] [--model demo] [--json benchmarks/long_stream.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from semgfin_rt import lsl
from semgfin_rt.app.timing import noise
from semgfin_rt.contracts import Chunk
from semgfin_rt.engine.build import build_engine, build_pipeline
from semgfin_rt.engine.loop import Step
from semgfin_rt.engine.spec import EngineSpec
from semgfin_rt.folders import find_model
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.train.costs import resident_bytes

_NOISE_S = 60
_PER_HOUR = 10  # readings of memory


class EndlessNoise:
    """A source that repeats a minute of noise and counts its samples on."""

    live, speed, ended = False, 1.0, False
    name: str | None = "endless noise"
    notes: tuple[str, ...] = ()

    def __init__(self, contract: ModelContract) -> None:
        recording = noise(contract, _NOISE_S)
        self.spec, self._samples, self._hop = recording.spec, recording.samples, contract.hop
        self._first = 0

    def connect(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing is open."""

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    lsl.configure(False)
    model = find_model(arguments.model)
    built = build_pipeline(model)
    spec = EngineSpec(model, seconds=3600 * arguments.hours, publish_id=f"long-{uuid.uuid4()}")
    source = EndlessNoise(built.pipeline.contract)
    engine = build_engine(spec, built, source)
    hours: list[float] = []
    mib: list[float] = []

    def watch(step: Step) -> None:
        now = (step.chunk.first + len(step.chunk.samples)) / source.spec.rate / 3600
        if now >= len(hours) / _PER_HOUR:
            hours.append(now)
            mib.append(resident_bytes() / 2**20)

    began = time.perf_counter()
    health = engine.run(watch)
    took = time.perf_counter() - began
    settled = len(hours) // 5
    slope = float(np.polyfit(hours[settled:], mib[settled:], 1)[0])
    document = {
        "hours": arguments.hours,
        "decisions": health.decisions,
        "missed": health.expected - health.decisions,
        "lost_samples": health.lost,
        "mib_per_hour": round(slope, 3),
        "mib": [round(value, 1) for value in mib],
        "times_real_time": round(3600 * arguments.hours / took, 1),
        "compute_ms": vars(health.latency_ms["compute"]),
        "backend": built.backend,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
    }
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
