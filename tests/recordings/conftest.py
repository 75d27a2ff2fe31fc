"""Small DB2 files: two movements, two repetitions, a second each."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from semgfin_rt.recordings import limited_child
from semgfin_rt.recordings.synthetic import synthetic_variables

Arrays = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def _measured_child() -> Iterator[None]:
    """Under coverage the child ends by itself: one that is killed writes no data."""
    yield
    if "COVERAGE_RUN" in os.environ and limited_child.child_pid() is not None:
        limited_child.in_child(abs, 1, where="1")  # after a call that went well it may write files
        process = limited_child._child._process
        process.stdin.close()
        process.wait(60)


@pytest.fixture(scope="session")
def _session() -> Arrays:
    return synthetic_variables(1, 3, movements=2, repetitions=2, movement_s=1, rest_s=1)


@pytest.fixture
def variables(_session: Arrays) -> Arrays:
    """Variables of subject 1 as Ninapro publishes them: no mark of synthesis."""
    return {name: value.copy() for name, value in _session.items() if name != "synthetic"}


@pytest.fixture
def write_v5(tmp_path: Path) -> Callable[..., Path]:
    def write(variables: Arrays, name: str = "S1_E1_A1.mat") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(path, variables)
        return path

    return write


@pytest.fixture
def write_v73(tmp_path: Path) -> Callable[..., Path]:
    """As MATLAB's ``save -v7.3``: transposed, behind a user block."""

    def write(variables: Arrays, name: str = "S1_E1_A1.mat", userblock: int = 512) -> Path:
        path = tmp_path / name
        with h5py.File(path, "w", userblock_size=userblock) as file:
            for key, value in variables.items():
                file[key] = np.asarray(value).T
        if userblock:
            with path.open("r+b") as file:
                file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")
        return path

    return write
