"""Small signals and checkpoints that several tests build their streams from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from semgfin_rt.contracts import Recording, SignalSpec
from semgfin_rt.model_contract import ClassLabel, ModelContract, NetworkSpec

CHANNELS = ("left", "right", "top")
RATE = 2000.0


def counting_recording(n_samples: int, breaks: tuple[int, ...] = ()) -> Recording:
    """Build a recording whose first channel is the sample index, with a label every 0.25 s."""
    index = np.arange(n_samples)
    samples = np.column_stack([index, -index, index % 7]).astype(np.float32)
    labels = ((index // 500) % 3).astype(np.int16)
    repetitions = (1 + index // 1500).astype(np.int16)
    classes = {0: "rest", 1: "fist", 2: "point"}
    return Recording(
        samples,
        SignalSpec(CHANNELS, RATE, "V"),
        labels,
        repetitions,
        classes,
        subject=3,
        dataset="synthetic",
        path="counting",
        test_repetitions=frozenset({2}),
        breaks=breaks,
    )


def tiny_contract(horizons_ms: tuple[int, ...] = (0, 50)) -> ModelContract:
    """Build a contract that fits `counting_recording`: windows of 100 ms, a hop of 10 ms."""
    return ModelContract(
        preset="realtime",
        channels=CHANNELS,
        rate=RATE,
        unit="V",
        filter_sos=(),
        scale_mean=(0.0,) * 3,
        scale_std=(1e4,) * 3,
        window=200,
        hop=20,
        features=("rms", "wl"),
        classifier_features=("rms", "wl"),
        feature_mean=(0.0, 0.0),
        feature_std=(1.0, 1.0),
        horizons_ms=horizons_ms,
        classes=tuple(ClassLabel(id=i, name=n) for i, n in enumerate(("rest", "fist", "point"))),
        network=NetworkSpec(patch=20, hidden=8, pooled=True),
        test_repetitions=(2,),
    )


def tiny_checkpoint(folder: Path, seed: int = 0) -> Path:
    """Write a checkpoint with random weights for `tiny_contract`."""
    import torch  # the rest is for processes that start without it

    from semgfin_rt.nn.checkpoint import save_checkpoint
    from semgfin_rt.nn.network import Network

    contract = tiny_contract()
    torch.manual_seed(seed)
    save_checkpoint(folder, Network(contract), contract, "# random weights, for a test\n")
    return folder
