"""Synthetic subjects in the schema and timing of DB2: seeded, so that all can be run at once.

What is modelled: synergies of muscles mixed to electrodes with cross-talk (`anatomy`), noise with
a spectrum of its own for each muscle, modulated in amplitude, reaction delay and onset ramps,
repetitions that differ, fatigue, tone at rest, sensor noise, what is left of mains, and the
quirks of DB2's labels. Accuracy on these is never accuracy on people.

The order is random, unlike DB2's: each repetition is a cycle through all movements in an order of
its own, so that no timetable can be learnt and repetitions lie apart in time, as fatigue does. A
timetable of somebody else's can be performed as well (`synthetic_performance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
import numpy.typing as npt
from scipy import signal

from semgfin_rt.contracts import FloatArray, Recording, SignalSpec
from semgfin_rt.errors import OptionError, RecordingError
from semgfin_rt.recordings.anatomy import SYNERGIES, Arm, Floats, draw_arm
from semgfin_rt.recordings.db2 import recording_from, spread_repetitions
from semgfin_rt.recordings.db2_schema import CLASSES, RATE, RING, channel_names
from semgfin_rt.recordings.mat import Arrays, write_mat

VOLTS = 4e-5
"""RMS of a muscle at full effort, right under an electrode."""
SENSOR_NOISE = 1e-6
MAINS = 1e-6
"""Amplitude of what a filter left at 50 Hz, in V."""
TONE = 0.03
"""Effort of a muscle at rest."""
EFFORT_SPREAD = 0.35
"""Standard deviation of log effort between repetitions, all muscles together."""
MUSCLE_SPREAD = 0.77
"""The same for each muscle by itself."""
MAX_EFFORT = 1.5
FATIGUE = 0.15
"""Fall of the spectrum, and rise of the amplitude, over the session."""
_ACCELEROMETER, _GLOVE, _INCLINATION = 36, 22, 2


class Options(TypedDict, total=False):
    """How long and wide a session is; see `synthetic_variables`."""

    movements: int
    repetitions: int
    movement_s: float
    rest_s: float
    n_channels: int


@dataclass(frozen=True)
class Cue:
    """A prompt of a timetable: which movement, and the samples at which it comes on and goes off.

    They count from the first of the performance, at `RATE`.
    """

    movement: int
    repetition: int
    start: int
    stop: int


@dataclass(frozen=True)
class _Trial:
    movement: int
    repetition: int
    prompt: int
    """Sample at which the prompt comes on; it goes off `movement_s` later."""
    start: int
    stop: int
    """Samples at which the muscles begin to work and to relax."""


def synthetic_variables(
    subject: int,
    seed: int,
    *,
    movements: int = 17,
    repetitions: int = 6,
    movement_s: float = 5.0,
    rest_s: float = 3.0,
    n_channels: int = 12,
) -> Arrays:
    """Generate the variables of a subject's DB2 file.

    Parameters
    ----------
    subject, seed : int
        Together they fix every sample.
    movements : int
        The first so many of DB2's 17.
    repetitions : int
    movement_s, rest_s : float
        Length of a prompt and of the rest around it, in s.
    n_channels : int

    Returns
    -------
    dict of str to array
        DB2's variables in DB2's types, and ``synthetic``.

    Raises
    ------
    OptionError
        A value is out of range.
    """
    if not 1 <= movements <= len(SYNERGIES):
        raise OptionError(f"{movements} movements were asked for: choose 1 to {len(SYNERGIES)}.")
    if repetitions < 1 or n_channels < 1 or movement_s < 1 or rest_s < 1:
        raise OptionError(
            f"{repetitions} repetitions of {movement_s} s with {rest_s} s of rest on {n_channels} "
            "channels were asked for: each must be at least 1."
        )
    rng = np.random.default_rng((seed, subject))
    trials, n = _timetable(
        rng, movements, repetitions, round(movement_s * RATE), round(rest_s * RATE)
    )
    emg = _emg(rng, draw_arm(rng, n_channels), trials, n)
    # Odd subjects have more signal than labels, even ones more labels than signal.
    spare = int(rng.integers(20, 400))
    n_emg, n_labels = (n, n - spare) if subject % 2 else (n - spare, n)
    variables: Arrays = {
        "subject": np.array([[subject]], np.int16),
        "exercise": np.array([[1]], np.int8),
        "emg": emg[:n_emg],
        "synthetic": np.array([[1]], np.int8),
    }
    for name, column in _labels(rng, trials, n, round(movement_s * RATE)).items():
        variables[name] = column[:n_labels, None]
    # Not simulated; DB2 has single precision here, and zeros need no room.
    for name, width in (("acc", _ACCELEROMETER), ("glove", _GLOVE), ("inclin", _INCLINATION)):
        variables[name] = np.zeros((n_labels, width), np.int8)
    return variables


def synthetic_subject(subject: int, seed: int, **options: Unpack[Options]) -> Recording:
    """Generate a subject as the DB2 reader would read it; see `synthetic_variables`."""
    where = f"synthetic subject {subject} of seed {seed}"
    return recording_from(synthetic_variables(subject, seed, **options), where, "", where)


def synthetic_performance(
    subject: int, seed: int, cues: Sequence[Cue], n: int, *, n_channels: int = 12, take: int = 0
) -> Recording:
    """Let a synthetic subject follow a timetable of prompts.

    Parameters
    ----------
    subject, seed : int
        Fix the arm; it is not the arm of `synthetic_subject` of the same numbers.
    cues : sequence of Cue
        Ascending and apart; at least one.
    n : int
        Samples in all.
    n_channels : int
    take : int
        Another take is another performance of the same arm under the same electrodes.

    Returns
    -------
    Recording
        Its labels are the truth: from when the muscles begin to work to when they begin to relax.

    Raises
    ------
    OptionError
        The subject does not know a movement.
    """
    unknown = [cue.movement for cue in cues if not 1 <= cue.movement <= len(SYNERGIES)]
    if unknown:
        raise OptionError(
            f"a synthetic subject does not know movement {unknown[0]}: choose 1 to "
            f"{len(SYNERGIES)}."
        )
    arm = draw_arm(np.random.default_rng((seed, subject)), n_channels)
    rng = np.random.default_rng((seed, subject, 1 + take))
    trials = [_reaction(rng, c.movement, c.repetition, c.start, c.stop) for c in cues]
    labels, repetitions = np.zeros((2, n), np.int16)
    for trial in trials:
        labels[trial.start : trial.stop] = trial.movement
        repetitions[trial.start : trial.stop] = trial.repetition
    return Recording(
        _emg(rng, arm, trials, n),
        SignalSpec(channel_names(n_channels), RATE, "V"),
        labels,
        spread_repetitions(labels, repetitions),
        CLASSES,
        subject=subject,
        dataset="synthetic",
        path=f"synthetic subject {subject} of seed {seed}, take {take}",
        test_repetitions=frozenset(),
        ring=RING if n_channels >= len(RING) else (),
    )


def write_db2(path: Path, variables: Arrays) -> None:
    """Write the variables of a DB2 file as MATLAB v5; the file appears whole or not at all.

    Raises
    ------
    RecordingError
        It cannot be written.
    """
    noise = {name: variables[name] for name in variables if name == "emg"}
    rest = {name: variables[name] for name in variables if name != "emg"}
    write_mat(path, noise, rest, compress=(False, True))


def write_subject(folder: Path, subject: int, seed: int, **options: Unpack[Options]) -> Path:
    """Generate a subject and write it as ``S{subject}_E1_A1.mat``.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    subject, seed, **options
        As in `synthetic_variables`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    RecordingError
        It cannot be written.
    OptionError
        An option is out of range.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(
            f"'{folder}' cannot be made ({error.strerror}): give a folder."
        ) from error
    path = folder / f"S{subject}_E1_A1.mat"
    write_db2(path, synthetic_variables(subject, seed, **options))
    return path


def _timetable(
    rng: np.random.Generator, movements: int, repetitions: int, moving: int, resting: int
) -> tuple[list[_Trial], int]:
    """Prompts, and when the muscles follow; with the number of samples in all."""
    trials = []
    at = resting
    for repetition in range(1, repetitions + 1):
        for movement in rng.permutation(movements) + 1:
            trials.append(_reaction(rng, int(movement), repetition, at, at + moving))
            at += moving + resting
    return trials, at


def _reaction(
    rng: np.random.Generator, movement: int, repetition: int, prompt: int, end: int
) -> _Trial:
    """Follow a prompt as people do: late to begin, and late to end."""
    delay, late = rng.uniform((0.2, 0.1), (0.6, 0.5)) * RATE
    return _Trial(movement, repetition, prompt, int(prompt + delay), int(end + late))


def _labels(
    rng: np.random.Generator, trials: list[_Trial], n: int, moving: int
) -> dict[str, npt.NDArray[np.int8]]:
    """DB2's four label columns, (n,) each."""
    columns = {
        name: np.zeros(n, np.int8)
        for name in ("stimulus", "repetition", "restimulus", "rerepetition")
    }
    stale = 0
    for trial in trials:
        prompted = slice(trial.prompt, trial.prompt + moving)
        columns["stimulus"][prompted] = trial.movement
        columns["repetition"][prompted] = trial.repetition
        # The refinement finds the muscle's own times to some 30 ms.
        start, stop = np.add((trial.start, trial.stop), rng.normal(0, 0.03 * RATE, 2)).astype(int)
        columns["restimulus"][start:stop] = trial.movement
        # In rest this column is wrong: it turns to the new repetition somewhere before onset.
        columns["rerepetition"][stale:] = trial.repetition
        columns["rerepetition"][start:] = trial.repetition
        stale = int(stop + rng.uniform(0, 0.5) * RATE)
    return columns


def _emg(rng: np.random.Generator, arm: Arm, trials: list[_Trial], n: int) -> FloatArray:
    """(n, n_channels) in V."""
    emg = np.zeros((arm.mixing.shape[1], n), np.float32)  # a channel's samples side by side
    strengths = _strengths(rng, arm, trials)
    for muscle, gains in enumerate(arm.mixing.astype(np.float32)):
        effort = _effort(rng, trials, strengths[:, muscle], n)
        source = _motor_noise(rng, arm.centres[muscle], n) * effort
        for row, gain in enumerate(gains):
            emg[row] += gain * source
    emg *= VOLTS
    time = np.arange(n) / RATE
    band = signal.butter(4, (20, 450), "bandpass", fs=RATE, output="sos")
    for channel in emg:
        sensor = SENSOR_NOISE * rng.standard_normal(n, np.float32)
        mains = MAINS * np.sin(2 * np.pi * (50 * time + rng.random()))
        channel[:] = signal.sosfilt(band, channel + sensor + mains)
    return np.ascontiguousarray(emg.T)


def _strengths(rng: np.random.Generator, arm: Arm, trials: list[_Trial]) -> Floats:
    """Effort of each muscle in each trial, (n_trials, n_muscles)."""
    wanted = arm.synergies[[trial.movement - 1 for trial in trials]]
    together = rng.lognormal(0, EFFORT_SPREAD, (len(trials), 1))
    strengths = wanted * together * rng.lognormal(0, MUSCLE_SPREAD, wanted.shape)
    return np.minimum(strengths, MAX_EFFORT)


def _effort(
    rng: np.random.Generator, trials: list[_Trial], strengths: Floats, n: int
) -> FloatArray:
    """Effort of one muscle over time, (n,): ramps between rest and plateau, and slow tremor."""
    effort = np.full(n, TONE * rng.lognormal(0, 0.3), np.float32)
    for trial, strength in zip(trials, strengths, strict=True):
        rise, fall = (rng.uniform((0.12, 0.15), (0.3, 0.4)) * RATE).astype(int)
        ramp = np.r_[
            np.sin(np.linspace(0, np.pi / 2, rise)) ** 2, np.ones(trial.stop - trial.start - rise)
        ]
        ramp = np.r_[ramp, np.cos(np.linspace(0, np.pi / 2, fall)) ** 2]
        stretch = effort[trial.start : trial.start + len(ramp)]
        stretch += (strength * ramp[: len(stretch)]).astype(np.float32)
    # About 2 Hz: nobody holds a force still.
    knots = rng.normal(0, 0.2, n // 1000 + 2)
    tremor = np.exp(np.interp(np.arange(n) / 1000, np.arange(len(knots)), knots))
    return effort * tremor.astype(np.float32)


def _motor_noise(rng: np.random.Generator, centre: float, n: int) -> FloatArray:
    """Noise of unit variance with a muscle's spectrum, (n,); it slows and swells with fatigue."""
    white = rng.standard_normal(n, np.float32)
    fresh, tired = (
        _unit(signal.sosfilt(_spectrum(centre * slowing), white)) for slowing in (1, 1 - FATIGUE)
    )
    progress = np.linspace(0, 1, n, dtype=np.float32)
    noise: FloatArray = (fresh * (1 - progress) + tired * progress) * (1 + FATIGUE * progress)
    return noise


def _spectrum(centre: float) -> Floats:
    """Second-order sections of a band around a muscle's middle frequency."""
    sos: Floats = signal.butter(2, (0.45 * centre, 1.7 * centre), "bandpass", fs=RATE, output="sos")
    return sos


def _unit(noise: Floats) -> FloatArray:
    scaled: FloatArray = (noise / noise.std()).astype(np.float32)
    return scaled
