"""Decisions on a GPU: the CUDA graph with its LSTM kernel against torch's LSTMs on the same GPU.

Baselines: the published loop of 48 LSTMs on one thread of the CPU, and every LSTM after the other
through torch (cuDNN) on the GPU. All decide on one window at a time, from NumPy to NumPy, in turn.

    python benchmarks/gpu.py [--seconds 10] [--json benchmarks/gpu.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from semgfin_rt.app.bench import Signal, untrained
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.backend import Backend, time_decision
from semgfin_rt.nn.cuda import CudaGraphBackend
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.reference import TorchBackend, compare, one_thread

ROUNDS = 5


def in_turn(
    backends: dict[str, Backend], contract: ModelContract, seconds: float
) -> dict[str, dict[str, float]]:
    """Percentiles of the time of a decision, ms."""
    rng = np.random.default_rng(0)
    shape = 1, contract.window, len(contract.channels)
    times: dict[str, list[float]] = {name: [] for name in backends}
    for _ in range(ROUNDS):
        for name, backend in backends.items():
            spent = 0.0
            while spent < 1000 * seconds / ROUNDS:
                window = rng.standard_normal(shape).astype(np.float32)
                times[name].append(time_decision(backend, window))
                spent += times[name][-1]
    return {
        name: {
            **{f"p{p:g}": round(float(np.percentile(taken, p)), 4) for p in (50, 95, 99, 99.9)},
            "decisions": len(taken),
        }
        for name, taken in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each case")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("No CUDA device was found: run this where there is one.")
    one_horizon = Signal(horizons=1)
    contracts = {
        "paper": untrained("paper", one_horizon, per_channel=True),
        "paper, shared FINs": untrained("paper", one_horizon),
        "realtime": untrained("realtime", Signal()),
    }
    found = {}
    for preset, contract in contracts.items():
        torch.manual_seed(0)
        network = Network(contract)
        graph = CudaGraphBackend(network, contract)
        cases: dict[str, Backend] = {
            "graph": graph,
            "torch_gpu": TorchBackend(Network(contract), contract, torch.device("cuda")),
            "torch_cpu": TorchBackend(network, contract, torch.device("cpu")),
        }
        with one_thread():
            difference = compare(graph, network, contract)
            timings = in_turn(cases, contract, arguments.seconds)
        ours = timings["graph"]["p50"]
        found[preset] = {
            **timings,
            "largest_difference": difference.largest,
            "ratio_to_torch_gpu": round(timings["torch_gpu"]["p50"] / ours, 1),
            "ratio_to_torch_cpu": round(timings["torch_cpu"]["p50"] / ours, 1),
        }
    document = {
        "presets": found,
        "gpu": torch.cuda.get_device_name(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
