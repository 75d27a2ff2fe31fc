"""Small whole files of each format, to be damaged."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from semgfin_rt.model_contract import ClassLabel, ModelContract, NetworkSpec
from semgfin_rt.nn.checkpoint import save_checkpoint
from semgfin_rt.nn.network import Network
from semgfin_rt.recordings.synthetic import synthetic_variables
from semgfin_rt.sinks.xdf import XdfWriter

_RATE = 2000.0
_CHANNELS = ("left", "right", "top")


def mat_v5(folder: Path) -> list[bytes]:
    """DB2 files of MATLAB v5, plain and compressed."""
    from scipy.io import savemat

    files = [BytesIO(), BytesIO()]
    for file, squeeze in zip(files, (False, True), strict=True):
        savemat(file, _variables(), do_compression=squeeze)
    return [file.getvalue() for file in files]


def mat_v73(folder: Path) -> list[bytes]:
    """DB2 files of MATLAB v7.3, which is HDF5: plain, and in compressed pieces."""
    import h5py

    files = []
    for options in ({}, {"compression": "gzip", "shuffle": True}):
        file = BytesIO()
        with h5py.File(file, "w", userblock_size=512) as h5:
            for name, value in _variables().items():
                h5.create_dataset(name, data=value.T, **options)
        files.append(file.getvalue())
    return files


def _variables() -> dict[str, np.ndarray[Any, Any]]:
    variables = synthetic_variables(1, 3, n_channels=2, movements=1, repetitions=1, rest_s=1)
    part = slice(1000, 3000)  # 0.5 s of rest before the movement
    return {name: v if v.size == 1 else v[part] for name, v in variables.items()}


def xdf(folder: Path) -> list[bytes]:
    """XDF of a session: EMG and events."""
    path = folder / "whole.xdf"
    writer = XdfWriter(path, {}, 0.0)
    emg = writer.add_stream("emg", "EMG", _CHANNELS, "float32", 0.0, _RATE, "V")
    events = writer.add_stream("events", "Markers", ("event",), "string", 0.0)
    times = np.arange(400) / _RATE
    for start in range(0, 400, 100):
        part = times[start : start + 100]
        writer.numbers(emg, part, np.outer(part, (1.0, -1.0, 2.0)))
    writer.text(events, 0.1, "begin")
    writer.close(1.0)
    data = path.read_bytes()
    path.unlink()
    return [data]


def write_checkpoint(folder: Path) -> Path:
    """Write a small checkpoint into a folder, which must be empty or one."""
    contract = ModelContract(
        preset="realtime",
        channels=_CHANNELS,
        rate=_RATE,
        unit="V",
        filter_sos=(),
        scale_mean=(0.0,) * 3,
        scale_std=(1.0,) * 3,
        window=200,
        hop=20,
        features=("rms", "wl"),
        classifier_features=("rms", "wl"),
        feature_mean=(0.0,) * 2,
        feature_std=(1.0,) * 2,
        horizons_ms=(0, 50),
        classes=tuple(ClassLabel(id=i, name=n) for i, n in enumerate(("rest", "fist"))),
        network=NetworkSpec(patch=20, hidden=4, pooled=True),
        test_repetitions=(2,),
    )
    save_checkpoint(folder, Network(contract), contract, "# Small\n")
    return folder
