"""The arm of a synthetic subject: muscles, what they do in each movement, where electrodes lie.

Shared by all subjects: which muscle works how hard in which movement, and roughly where it lies.
A subject of its own: exact places, strengths, spectra, and how the band of electrodes sits.
Muscle roles follow textbooks of anatomy; the numbers are ours, set for plausible difficulty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Angle around the forearm in degrees (0 palmar, 90 radial, 180 dorsal), depth in units of the
# fat-and-skin layer, middle of the spectrum in Hz.
MUSCLES: dict[str, tuple[float, float, float]] = {
    "flexor carpi radialis": (25, 1.0, 95),
    "flexor carpi ulnaris": (-60, 1.0, 90),
    "flexor digitorum superficialis": (-15, 1.5, 105),
    "flexor digitorum profundus": (-35, 2.2, 85),
    "flexor pollicis longus": (45, 2.2, 100),
    "pronator teres": (55, 1.3, 90),
    "extensor carpi radialis": (120, 1.0, 110),
    "extensor digitorum": (165, 1.0, 120),
    "extensor indicis": (190, 2.0, 130),
    "extensor digiti minimi": (205, 1.4, 125),
    "extensor carpi ulnaris": (235, 1.0, 105),
    "thumb abductor and extensors": (145, 1.9, 135),
    "supinator": (105, 2.2, 85),
    "biceps": (0, 1.0, 75),
    "triceps": (180, 1.0, 70),
}
N_FOREARM = 13
"""The first muscles lie in the forearm; biceps and triceps are beyond the ring's reach."""

# Effort of each muscle, 0 to 9, a row for each movement 1 to 17 of DB2's exercise 1.
#    FCR FCU FDS FDP FPL  PT ECR  ED  EI EDM ECU THB SUP BIC TRI
_SYNERGIES = """
      1   1   2   3   1   0   2   2   1   1   1   8   1   1   0
      1   1   5   4   4   1   3   5   5   0   2   0   0   0   0
      0   2   4   3   2   0   3   5   4   0   2   2   0   0   0
      1   2   2   2   7   1   2   1   0   3   2   2   0   0   0
      0   1   0   0   0   0   3   7   4   5   4   5   0   0   1
      3   3   8   6   5   1   5   2   1   1   3   0   0   1   0
      1   1   5   4   5   0   3   3   6   0   1   1   0   0   0
      0   2   1   1   2   0   3   6   4   4   4   1   0   0   1
      0   0   1   0   0   0   2   1   1   1   1   2   7   6   0
      3   1   1   1   0   7   1   1   0   0   1   0   0   0   1
      0   1   1   0   0   0   2   1   0   2   2   1   7   6   1
      2   2   1   1   0   7   1   1   0   1   1   0   0   0   2
      7   7   4   3   1   1   0   0   0   0   0   0   0   1   0
      0   0   0   0   0   0   7   5   3   3   7   1   0   0   1
      5   0   1   0   1   1   7   1   1   0   0   5   1   1   0
      0   7   1   1   0   0   1   1   1   3   7   0   0   0   1
      2   2   7   5   4   0   7   4   2   2   6   0   0   1   1
"""
SYNERGIES: Floats = np.array([row.split() for row in _SYNERGIES.strip().splitlines()], float) / 9
"""(17, n_muscles) efforts from 0 to 1."""


@dataclass(frozen=True, eq=False)
class Arm:
    """One subject's arm under one placement of electrodes.

    Attributes
    ----------
    synergies : (17, n_muscles) float64
        Effort of each muscle in each movement.
    mixing : (n_muscles, n_channels) float64
        Gain from muscle to electrode, cross-talk included.
    centres : (n_muscles,) float64
        Middle of each muscle's spectrum in Hz.
    """

    synergies: Floats
    mixing: Floats
    centres: Floats


def draw_arm(rng: np.random.Generator, n_channels: int) -> Arm:
    """Draw a subject's arm.

    With 8 channels or more the last four are DB2's: on the flexor and extensor of the fingers, on
    biceps and triceps; the others stand in a ring. With fewer, all stand in the ring.
    """
    angles, depths, centres = np.array(list(MUSCLES.values())).T
    n_muscles = len(angles)
    angles = angles + rng.normal(0, 10, n_muscles)
    n_ring = n_channels - 4 if n_channels >= 8 else n_channels
    ring = np.arange(n_ring) * 360 / n_ring + rng.normal(0, 20)  # the band is never put on alike

    gaps = np.abs((angles[:N_FOREARM, None] - ring + 180) % 360 - 180)
    mixing = np.zeros((n_muscles, n_channels))
    # Fields fall with distance and spread with depth; bone and fluid carry some everywhere.
    spread = 22 * np.sqrt(depths[:N_FOREARM, None])
    mixing[:N_FOREARM, :n_ring] = np.exp(-((gaps / spread) ** 2) / 2) + 0.06
    if n_ring < n_channels:
        names = list(MUSCLES)
        mixing[:, n_ring:] = 0.03
        mixing[:N_FOREARM, n_ring : n_ring + 2] = 0.12
        mixing[names.index("flexor digitorum superficialis"), n_ring] = 1
        mixing[names.index("extensor digitorum"), n_ring + 1] = 1
        mixing[names.index("biceps"), n_ring + 2] = 1
        mixing[names.index("triceps"), n_ring + 3] = 1
    mixing *= rng.lognormal(0, 0.35, (n_muscles, 1)) / depths[:, None]
    mixing *= rng.lognormal(0, 0.15, (1, n_channels))
    # The waveform changes along the fibre, so two electrodes see one muscle with either sign.
    mixing *= rng.choice([-1.0, 1.0], mixing.shape)
    return Arm(
        synergies=SYNERGIES * rng.lognormal(0, 0.45, SYNERGIES.shape),
        mixing=mixing,
        centres=centres * rng.lognormal(0, 0.08, n_muscles),
    )
