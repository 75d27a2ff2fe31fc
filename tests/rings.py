"""Subjects who wear a ring of electrodes, turned and mirrored as a test wants it."""

from __future__ import annotations

import numpy as np

from semgfin_rt.contracts import FloatArray, Recording, SignalSpec
from semgfin_rt.nn.montage import Alignment, Montage

RING = (5, 0, 1, 3, 4)
"""Once around the limb, not in the order of the channels; channel 2 is elsewhere."""
CHANNELS = ("a", "b", "biceps", "c", "d", "e")
MONTAGE = Montage(6, ("channel", "difference", "average"), RING)
CLASSES = {0: "rest", 1: "fist", 2: "point", 3: "open"}
EFFORT = np.array(  # of each class at each channel
    [
        [0.10, 0.12, 0.15, 0.11, 0.10, 0.13],
        [1.00, 0.40, 0.30, 0.20, 0.25, 0.60],
        [0.20, 0.30, 0.35, 1.10, 0.50, 0.25],
        [0.35, 0.20, 0.70, 0.30, 0.90, 0.40],
    ]
)
N = 250
"""Samples of a movement or a rest."""


def worn(samples: FloatArray, ring: tuple[int, ...], alignment: Alignment) -> FloatArray:
    """Give what the channels carry where the ring is worn in that way.

    After reversing it where mirrored, channel k stands where the others have k + rotation.
    """
    theirs = samples.copy()
    around = np.roll(samples[..., list(ring)], -alignment.rotation, axis=-1)
    theirs[..., list(ring)] = around[..., ::-1] if alignment.mirrored else around
    return theirs


def ring_subject(
    subject: int = 1, alignment: Alignment | None = None, n_repetitions: int = 4
) -> Recording:
    """Build a recording with a cycle of three movements, each with a rest, in every repetition.

    The same subject makes the same effort at the same place of the limb, however it wears the ring.
    Repetition 2 is kept for testing.
    """
    rng = np.random.default_rng(subject)
    own = EFFORT * rng.uniform(0.85, 1.15, EFFORT.shape)
    labels = np.tile(np.repeat([1, 0, 2, 0, 3, 0], N), n_repetitions)
    samples = 2e-5 * own[labels] * rng.standard_normal((len(labels), len(CHANNELS)))
    return Recording(
        worn(samples.astype(np.float32), RING, alignment or Alignment()),
        SignalSpec(CHANNELS, 1000.0, "V"),
        labels.astype(np.int16),
        np.repeat(np.arange(1, n_repetitions + 1), 6 * N).astype(np.int16),
        CLASSES,
        subject=subject,
        dataset="synthetic",
        path=f"ring subject {subject}",
        test_repetitions=frozenset({2}),
        ring=RING,
    )
