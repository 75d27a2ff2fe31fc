"""FIN pre-training: windows a second of the preset `realtime` against the published topology.

Baseline: four bidirectional LSTMs of three layers over 600 steps, as published. Ours: the preset
as it is, with its derived signals, and on the channels alone. All take optimiser steps on the same
random windows of 12 channels at 2 kHz, in turn, on one thread; targets are computed as in training.

    python benchmarks/fin_pretraining.py [--rounds 3] [--json benchmarks/fin_pretraining.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import torch

from semgfin_rt.app.bench import Signal, untrained
from semgfin_rt.model_contract import Derivation
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.presets import PRESETS
from semgfin_rt.train.dataset import Batch
from semgfin_rt.train.objectives import Objective
from semgfin_rt.train.recipes import RECIPES

N_CHANNELS, WINDOW, RING = 12, 600, tuple(range(8))


def windows_per_s(
    preset: str, derivations: tuple[Derivation, ...], batch: int, steps: int
) -> float:
    """Windows of all channels that `steps` optimiser steps take in a second, after one more."""
    torch.manual_seed(0)
    signal = Signal(N_CHANNELS, classes=2, horizons=1)
    model = untrained(preset, signal)
    spec = model.network.model_copy(update={"derivations": derivations})
    model = model.model_copy(update={"network": spec})
    network = Network(model)
    objective = Objective(network, model, RECIPES[preset], 0, torch.device("cpu"))
    samples = torch.randn(batch, WINDOW, N_CHANNELS)
    data = Batch(samples, torch.zeros(batch, 1, dtype=torch.int64), torch.ones(batch, 1) > 0)
    optimizer = torch.optim.Adam(network.imitator.parameters())
    began = 0.0
    for step in range(steps + 1):
        if step == 1:
            began = time.perf_counter()
        optimizer.zero_grad()
        objective.imitation(data, augment=False).backward()
        optimizer.step()
    return batch * steps / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = {
        "published": ("paper", ("channel",), 16, 1),
        "ours_channels": ("realtime", ("channel",), 96, 10),
        "ours": ("realtime", PRESETS["realtime"].derived(RING), 32, 10),
    }
    speeds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(arguments.rounds):
        for name, case in cases.items():
            speeds[name].append(windows_per_s(*case))
    median = {name: statistics.median(values) for name, values in speeds.items()}
    document = {
        "windows_per_s": {name: round(value, 2) for name, value in median.items()},
        "ratio": round(median["ours"] / median["published"], 1),
        "ratio_channels_alone": round(median["ours_channels"] / median["published"], 1),
        "window": "12 channels, 300 ms at 2 kHz; ours derives 32 signals from them",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, 1 thread",
        "date": datetime.now(UTC).date().isoformat(),
    }
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
