"""What Ninapro DB2 fixes: names, rates, repetitions and the variables of its files.

Source: Atzori et al., "Electromyography data for non-invasive naturally-controlled robotic hand
prostheses", Scientific Data 2014.
"""

from __future__ import annotations

import re

RATE = 2000.0
"""Sampling rate in Hz."""
RING = tuple(range(8))
"""Channels equally spaced around the forearm, at the height of the radio-humeral joint."""
TEST_REPETITIONS = frozenset({2, 5})

CLASSES: dict[int, str] = {
    0: "rest",
    1: "thumb up",
    2: "extension of index and middle, flexion of the others",
    3: "flexion of ring and little finger, extension of the others",
    4: "thumb opposing base of little finger",
    5: "abduction of all fingers",
    6: "fingers flexed together in fist",
    7: "pointing index",
    8: "adduction of extended fingers",
    9: "wrist supination (axis: middle finger)",
    10: "wrist pronation (axis: middle finger)",
    11: "wrist supination (axis: little finger)",
    12: "wrist pronation (axis: little finger)",
    13: "wrist flexion",
    14: "wrist extension",
    15: "wrist radial deviation",
    16: "wrist ulnar deviation",
    17: "wrist extension with closed hand",
} | {label: f"movement {label}" for label in range(18, 50)}

REFINED = ("restimulus", "rerepetition")
"""Labels moved to where the muscle truly worked; exercise 3 lacks them."""
PROMPTED = ("stimulus", "repetition")
"""Labels as the video prompted them."""
WANTED = ("subject", "exercise", "synthetic", "emg", *REFINED, *PROMPTED)
"""The variables that are read; accelerometer, glove and force are not."""

_NAME = re.compile(r"S(\d+)_(?:E(\d)_A1|A1_E(\d))\.mat", re.IGNORECASE)


def channel_names(n_channels: int) -> tuple[str, ...]:
    """Names of the electrodes, in the order of the columns: emg1, emg2, ..."""
    return tuple(f"emg{i + 1}" for i in range(n_channels))


def parse_name(name: str) -> tuple[int, int] | None:
    """Subject and exercise of a file's name.

    Both spellings count: S1_E1_A1.mat, and S1_A1_E1.mat as in the archive copy.

    Parameters
    ----------
    name : str
        The name, without its folder.

    Returns
    -------
    (subject, exercise), or None where the name is not one of DB2.
    """
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2] or match[3])) if match else None
