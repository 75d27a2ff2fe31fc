"""Hours of stream through the engine, as fast as it decides: missed decisions, growth of memory.

See `semgfin_rt.app.soak`. Memory (resident) is read every tenth of an hour of signal; its slope is
the median of those between any two readings but the first, in which caches fill.

    python benchmarks/long_stream.py [--hours 8] [--model demo] [--json benchmarks/long_stream.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from semgfin_rt import lsl
from semgfin_rt.app.soak import soak
from semgfin_rt.folders import find_model

_PER_HOUR = 10  # readings of memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    lsl.configure(False)
    n_readings = max(10, round(_PER_HOUR * arguments.hours))
    found = soak(find_model(arguments.model), arguments.hours, n_readings)
    health = found.health
    document = {
        "hours": arguments.hours,
        "decisions": health.decisions,
        "missed": found.missed,
        "lost_samples": health.lost,
        "mib_per_hour": round(found.mib_per_hour, 3),
        "mib": [round(reading.mib, 1) for reading in found.readings],
        "times_real_time": round(3600 * arguments.hours / found.took_s, 1),
        "compute_ms": vars(health.latency_ms["compute"]),
        "backend": found.backend,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
    }
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
