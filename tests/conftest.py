"""What every test finds set up: a Qt without screen, an LSL session of its own, the 3DC folder."""

from __future__ import annotations

import os
import signal
import tempfile
import uuid
from pathlib import Path

import pytest

# Before anything imports Qt or pylsl, both of which read their settings once. The session id
# keeps streams of this run apart from those of another run, or of a person, on the same machine.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Graphs that a run builds are kept for the run alone, not in the user's cache.
_CACHE = tempfile.TemporaryDirectory(prefix="semgfin-test-cache-")
os.environ["XDG_CACHE_HOME"] = _CACHE.name
os.environ["SEMGFIN_LSL_SESSION"] = f"test{uuid.uuid4().hex}"

# The networks of tests are too small for two threads, which wait for each other where two tests run
# at a time on two cores: a training of 8 s takes 90 s then.
os.environ["OMP_NUM_THREADS"] = "1"

# A shell starts background jobs with Ctrl-C ignored, and children inherit that: tests of Ctrl-C
# need the ordinary way, whoever started this run.
signal.signal(signal.SIGINT, signal.default_int_handler)

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def threedc_folder() -> Path:
    """Folder of the 3DC recordings, ``Participant2`` and so on; the test is skipped without it."""
    folder = Path(os.environ.get("SEMGFIN_3DC") or CHECKOUT.parent / "shared" / "data" / "3dc")
    if not folder.is_dir():
        pytest.skip(
            f"no 3DC recordings in {folder}: get them as docs/data.md says, set SEMGFIN_3DC"
        )
    return folder
