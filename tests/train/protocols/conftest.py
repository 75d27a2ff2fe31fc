"""Two small synthetic people on the disk, and options of a run that takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from protocol_people import SMALL

from semgfin_rt.recordings.synthetic import write_subject
from semgfin_rt.train.options import FitOptions
from semgfin_rt.train.protocols.options import ProtocolOptions


@pytest.fixture(scope="session")
def people(tmp_path_factory) -> Path:
    """A folder of subjects 1 and 2: two movements, six repetitions, three channels."""
    folder = tmp_path_factory.mktemp("people")
    for subject in (1, 2):
        write_subject(folder, subject, 3, **SMALL)
    return folder


@pytest.fixture(scope="session")
def brief() -> ProtocolOptions:
    """Windows of 50 ms, five of which make a second: too few to learn much."""
    fit = FitOptions(window_ms=50, hop_ms=50, horizons_ms=(0, 100), shorten=0.004)
    return ProtocolOptions(fit=fit, levels=(40.0,), unlabelled_s=2.0)
