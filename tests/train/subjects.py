"""Small subjects: three movements, short repetitions, and muscles that are easy to tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from semgfin_rt.contracts import Recording, SignalSpec
from semgfin_rt.nn.checkpoint_folder import WEIGHTS
from semgfin_rt.train.options import FinetuneOptions, FitOptions

RATE = 1000.0
CHANNELS = ("flexor", "extensor", "thumb")
CLASSES = {0: "rest", 1: "fist", 2: "point", 3: "open"}
TEST = frozenset({2, 5})
REST_N, MOVE_N = 160, 260
"""Samples of a rest and of a movement."""

SMOKE = FitOptions(window_ms=100, horizons_ms=(0, 50), shorten=0.02)
"""Options of a training that takes a second."""
TUNE = FinetuneOptions(shorten=0.02)


def quiet(_stage: str, _step: int, _steps: int, _loss: float) -> None:
    """Tell nobody how training fares."""


def small_subject(
    subject: int = 1, *, n_repetitions: int = 6, breaks: tuple[int, ...] = ()
) -> Recording:
    """Build a recording in which each repetition is a cycle through the movements.

    Every movement drives its own channel; rest follows it and belongs to its repetition.
    """
    rng = np.random.default_rng(subject)
    samples, labels, repetitions = [], [], []
    for repetition in range(1, n_repetitions + 1):
        for movement in (1, 2, 3):
            effort = np.full((MOVE_N + REST_N, 3), 0.1)
            effort[:MOVE_N] = 0.3
            effort[:MOVE_N, movement - 1] = rng.uniform(0.8, 1.2)
            samples.append(2e-5 * effort * rng.standard_normal(effort.shape))
            labels.append([movement] * MOVE_N + [0] * REST_N)
            repetitions.append([repetition] * (MOVE_N + REST_N))
    return Recording(
        np.concatenate(samples).astype(np.float32),
        SignalSpec(CHANNELS, RATE, "V"),
        np.concatenate(labels).astype(np.int16),
        np.concatenate(repetitions).astype(np.int16),
        CLASSES,
        subject=subject,
        dataset="synthetic",
        path=f"small subject {subject}",
        test_repetitions=TEST,
        breaks=breaks,
    )


def options(**changes: object) -> FitOptions:
    """Change some of SMOKE."""
    return FitOptions(**(SMOKE.model_dump() | changes))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint."""
    return load_file(folder / WEIGHTS)


def assert_same_weights(one: Path, other: Path) -> None:
    """Compare two checkpoints to the bit."""
    ours, theirs = weights(one), weights(other)
    assert set(ours) == set(theirs)
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
