"""Filtered signals on the disk, mapped into memory, which takes it back when others need it.

A file is named after what was filtered and how, and after its own content: a run that goes on, or
another process, finds it and need not filter again, and one that is damaged is not trusted.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy

from semgfin_rt.contracts import FloatArray, Recording
from semgfin_rt.dsp.filters import Sos
from semgfin_rt.errors import TrainingError
from semgfin_rt.train import dataset
from semgfin_rt.train.code import code_sha256


@dataclass(frozen=True)
class SignalCache:
    """Filtered signals in a folder, an .npy file each.

    Several processes may use the same folder at the same time.

    Parameters
    ----------
    folder : Path
        Made when it is needed; nothing in it is ever removed.
    """

    folder: Path

    def filtered(self, recording: Recording, sos: Sos) -> Recording:
        """Filter a recording, or find the signal that was filtered before.

        Returns
        -------
        Recording
            As `dataset.filtered` gives it, but its samples are a mapped file, read-only: they
            take memory only while they are looked at.

        Raises
        ------
        TrainingError
            When the folder cannot be written or read.
        """
        key = _key(recording, sos)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self._find(key)
            if file is None:
                file = self._write(key, dataset.filtered(recording, sos).samples)
            mapped = np.load(file, mmap_mode="r")
        except OSError as error:
            raise TrainingError(
                f"{self.folder} cannot keep the filtered signal of {recording.path} ({error}): "
                f"make room, {recording.samples.nbytes / 1e6:.0f} MB for this subject, or choose "
                "another folder."
            ) from error
        return replace(recording, samples=mapped.view(np.ndarray))

    def _find(self, key: str) -> Path | None:
        for file in self.folder.glob(f"{key}-*.npy"):
            if file.stem == f"{key}-{_checksum(file)}":
                return file
        return None

    def _write(self, key: str, samples: FloatArray) -> Path:
        """Write the whole file, and only then give it the name under which it is found."""
        with tempfile.TemporaryDirectory(prefix="new-", dir=self.folder) as unfinished:
            fresh = Path(unfinished) / "signal.npy"
            np.save(fresh, samples)
            file = self.folder / f"{key}-{_checksum(fresh)}.npy"
            os.replace(fresh, file)
        return file


def _key(recording: Recording, sos: Sos) -> str:
    """Of the data, the filter, and the code that filters."""
    parts = (dataset.data_sha256([recording]), sos, code_sha256(), scipy.__version__)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
