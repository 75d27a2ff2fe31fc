"""Results of other code are not taken for those of this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import semgfin_rt
from semgfin_rt.train.code import code_sha256, sources_sha256

PACKAGE = Path(semgfin_rt.__file__).parent
KEYS = """
from subjects import RATE, small_subject
from semgfin_rt.dsp.filters import design_filter
from semgfin_rt.train.outcome import fingerprint, versions
from semgfin_rt.train.signals import _key
print(fingerprint("options"), versions()["code"], _key(small_subject(), design_filter(RATE)))
"""


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "semgfin_rt", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "semgfin_rt"


@pytest.mark.parametrize(
    ("module", "counts"),
    [
        ("dsp/filters.py", True),
        ("features.py", True),
        ("nn/fin.py", True),
        ("recordings/db2.py", True),
        ("train/protocols/networks.py", True),
        ("train/report/tables.py", False),
        ("app/session.py", False),
        ("cli/train.py", False),
    ],
)
def test_a_changed_module_is_other_code_where_results_depend_on_it(copied, module, counts):
    assert sources_sha256(copied) == code_sha256()
    with (copied / module).open("a") as file:
        file.write("# changed\n")
    assert (sources_sha256(copied) != code_sha256()) is counts


def test_other_code_has_other_fingerprints_versions_and_signals(copied):
    def keys():
        path = os.pathsep.join(map(str, (copied.parent, Path(__file__).parent)))
        told = subprocess.run(
            [sys.executable, "-c", KEYS],
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
            cwd=copied.parent,
        )
        return told.stdout.split()

    before = keys()
    with (copied / "dsp" / "filters.py").open("a") as file:
        file.write("# changed\n")
    assert len(before) == 3
    assert all(one != other for one, other in zip(before, keys(), strict=True))
