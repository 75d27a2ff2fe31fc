"""Checkpoints to start from, and one thread, since these networks gain nothing from a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from rings import ring_subject
from subjects import SMOKE, options, quiet, small_subject

from semgfin_rt.train.fit import fit


@contextmanager
def single_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Let torch use one thread."""
    with single_thread():
        yield


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """A checkpoint of two subjects."""
    out = tmp_path_factory.mktemp("fit") / "base"
    with single_thread():  # it is made before the fixtures of the module
        fit([small_subject(1), small_subject(2)], out, SMOKE, quiet)
    return out


@pytest.fixture(scope="session")
def ring_people(tmp_path_factory) -> Path:
    """A checkpoint of four people who wear a ring alike, on closed-form features."""
    out = tmp_path_factory.mktemp("ring") / "people"
    computed = options(imitator="closed_form", features=("log_rms", "log_wl", "mnf"), shorten=0.2)
    with single_thread():
        fit([ring_subject(s) for s in (1, 2, 3, 4)], out, computed, quiet)
    return out
