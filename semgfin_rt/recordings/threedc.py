"""The 3DC dataset: one participant's text files into a Recording.

Côté-Allard et al., "A low-cost, wireless, 3-D-printed custom armband for sEMG hand gesture
recognition", Sensors 2019. A ring of 10 electrodes, 1 kHz, raw ADC counts; folders
``Participant{p}/{train,test}/EMG/3dc_EMG_gesture_{repetition}_{class}.txt``.

The label is the prompt, so reaction lag lies inside each file.

These files are read in this process, not in the limited child: text holds no sizes or offsets that
would lead the reader astray, and no more numbers than it has characters.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import Recording, SignalSpec
from semgfin_rt.errors import RecordingError

SPEC = SignalSpec(tuple(f"ch{i + 1}" for i in range(10)), 1000.0, "count")
CLASSES = dict(
    enumerate(
        (
            "rest",
            "radial deviation",
            "wrist flexion",
            "ulnar deviation",
            "wrist extension",
            "supination",
            "pronation",
            "power grip",
            "open hand",
            "chuck grip",
            "pinch grip",
        )
    )
)
CYCLES = tuple((part, repetition) for part in ("train", "test") for repetition in range(4))
"""Recording session and repetition of repetitions 0 to 7, in order."""
_LARGEST = 32 << 20  # bytes of one file; a real one has 0.2 MB
TEST_REPETITIONS = frozenset(n for n, (part, _) in enumerate(CYCLES) if part == "test")


def participant_number(path: Path) -> int | None:
    """Return the number of the folder of one participant; None for any other path."""
    match = re.fullmatch(r"Participant(\d+)", path.name)
    return int(match[1]) if match and path.is_dir() else None


def participants(folder: Path) -> dict[int, Path]:
    """Participants in a clone of the dataset, by number; empty where it is another folder."""
    numbers = {path: participant_number(path) for path in folder.iterdir()}
    return {number: path for path, number in numbers.items() if number is not None}


def read_3dc(path: Path) -> Recording:
    """Read one participant.

    A cycle (all classes of one repetition) was recorded without a pause: its files are put end to
    end. Between cycles, and where a file is missing, there is a break.

    Parameters
    ----------
    path : Path
        Folder ``Participant{p}``.

    Returns
    -------
    Recording
        Repetitions 0-3 are `train`, 4-7 are `test`; rest has the repetition of its own cycle.

    Raises
    ------
    RecordingError
        No file of the dataset is there, or one is not 10 columns of whole numbers.
    """
    subject = participant_number(path)
    if subject is None:
        raise RecordingError(f"'{path}' is not a 3DC participant: give a folder Participant<n>.")
    parts: list[npt.NDArray[np.int32]] = []
    labels: list[int] = []
    repetitions: list[int] = []
    fresh: list[bool] = []
    missing: list[str] = []
    for repetition, (part, number) in enumerate(CYCLES):
        follows = False
        for label in CLASSES:
            file = path / part / "EMG" / f"3dc_EMG_gesture_{number}_{label}.txt"
            if not file.exists():
                missing.append(f"{part} {number}_{label}")
                follows = False
                continue
            parts.append(_read_text(file))
            labels.append(label)
            repetitions.append(repetition)
            fresh.append(not follows)
            follows = True
    if not parts:
        raise RecordingError(
            f"'{path}' holds no 3dc_EMG_gesture_<repetition>_<class>.txt under train/EMG or "
            "test/EMG: clone the 3DC dataset again."
        )
    lengths = [len(part) for part in parts]
    starts = np.cumsum([0, *lengths[:-1]])
    return Recording(
        samples=np.concatenate(parts).astype(np.float32),
        spec=SPEC,
        labels=np.repeat(labels, lengths).astype(np.int16),
        repetitions=np.repeat(repetitions, lengths).astype(np.int16),
        classes=CLASSES,
        subject=subject,
        dataset="3dc",
        path=str(path),
        test_repetitions=TEST_REPETITIONS,
        breaks=tuple(int(start) for start in starts[fresh] if start > 0),
        notes=(f"Files missing: {', '.join(missing)}.",) if missing else (),
        ring=tuple(range(len(SPEC.channels))),
    )


def _read_text(path: Path) -> npt.NDArray[np.int32]:
    """One file, (n_samples, 10)."""
    try:
        size = path.stat().st_size if path.is_file() else -1  # opening a pipe would wait for ever
        if not 0 <= size <= _LARGEST:
            what = "is no file" if size < 0 else f"has {size} bytes, more than any of 3DC"
            raise RecordingError(f"'{path}' {what}: clone the 3DC dataset again.")
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise RecordingError(
            f"'{path}' cannot be read ({error.strerror}): check its permissions."
        ) from error
    if not text.strip():
        raise RecordingError(f"'{path}' is empty: clone the 3DC dataset again.")
    try:
        counts = np.loadtxt(io.StringIO(text), dtype=np.int32, delimiter=",", ndmin=2)
    except ValueError as error:
        raise _bad_line(path, text) from error
    if counts.shape[1] != len(SPEC.channels):
        raise _bad_line(path, text)
    return counts


def _bad_line(path: Path, text: str) -> RecordingError:
    row = re.compile(r"\s*(-?\d+\s*,\s*){9}-?\d+\s*")
    lines = enumerate(text.splitlines(), start=1)
    line = next((n for n, line in lines if line.strip() and not row.fullmatch(line)), 1)
    return RecordingError(
        f"'{path}', line {line}, is not {len(SPEC.channels)} whole numbers with commas between: "
        "clone the 3DC dataset again."
    )
