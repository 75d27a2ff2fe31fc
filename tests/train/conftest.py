"""A checkpoint to start from, and one thread, since these networks gain nothing from a second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from subjects import SMOKE, quiet, small_subject

from semgfin_rt.train.fit import fit


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Let torch use one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """A checkpoint of two subjects."""
    out = tmp_path_factory.mktemp("fit") / "base"
    fit([small_subject(1), small_subject(2)], out, SMOKE, quiet)
    return out
