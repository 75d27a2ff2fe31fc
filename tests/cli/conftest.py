"""Two small synthetic subjects, and a checkpoint of the first."""

from __future__ import annotations

from pathlib import Path

import pytest
from trainer import done

from semgfin_rt.recordings.synthetic import write_subject


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of subjects 1 and 2, as DB2 files."""
    folder = tmp_path_factory.mktemp("data")
    for subject in (1, 2):
        write_subject(folder, subject, 1, movements=3, movement_s=1.5, rest_s=1.0)
    return folder


@pytest.fixture(scope="session")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of subject 1."""
    out = tmp_path_factory.mktemp("models") / "M"
    done("fit", data, "--quick", "--subjects", 1, "--horizons", "0,100", "--out", out)
    return out
