"""A stream of many channels through LSL in real time: decisions a second, missed ones, latency.

An untrained network of preset `realtime` decides on noise; the time does not depend on what it
says. The same with 12 channels stands beside it.

    python benchmarks/wide_stream.py [--channels 64] [--seconds 60] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from semgfin_rt.app.bench import Signal, untrained
from semgfin_rt.app.timing import in_real_time
from semgfin_rt.nn.checkpoint import save_checkpoint
from semgfin_rt.nn.network import Network


def streamed(channels: int, seconds: float) -> dict[str, object]:
    """Stream `channels` of noise for so many s of signal."""
    contract = untrained("realtime", Signal(channels))
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "untrained"
        save_checkpoint(model, Network(contract), contract, "# Untrained, for timing\n")
        found = in_real_time(model, seconds, "auto", lambda *_: None)
    return {
        "decisions_a_second": round(found["decisions"] / found["seconds"], 1),
        "missed": found["expected_decisions"] - found["decisions"],
        "lost_samples": found["lost_samples"],
        "late": found["late"],
        "compute_ms": found["latency_ms"]["compute"],
        "end_to_end_ms": found["end_to_end_ms"],
        "backend": found["backend"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    document = {
        str(channels): streamed(channels, arguments.seconds)
        for channels in (12, arguments.channels)
    } | {
        "seconds": arguments.seconds,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
    }
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
