"""Row 20: the window fails in every way, and the engine does not notice.

The window runs in a process of its own, without a screen: this layer knows nothing of Qt.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from semgfin_rt.app.faults.finding import Finding, Scale, skipped
from semgfin_rt.app.preferences import VARIABLE
from semgfin_rt.errors import SystemLibraryError

_DRILL = "semgfin_rt.qt.fault_drill"
_LEAST_SLOTS = 20  # fewer were not every slot


def shaken(scale: Scale) -> Finding:
    """Let every slot raise, and Qt's thread stand still."""
    blocked_s = scale.pick(2.0, 5.0)
    if subprocess.run(
        [sys.executable, "-c", "import PyQt6.QtWidgets"], capture_output=True, check=False
    ).returncode:
        return skipped("Qt cannot be loaded; `semgfin-rt doctor` says what it lacks")
    with tempfile.TemporaryDirectory() as folder:
        own = {"QT_QPA_PLATFORM": "offscreen", VARIABLE: str(Path(folder) / "window.json")}
        command = [sys.executable, "-P", "-m", _DRILL, str(scale.model), str(blocked_s)]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | own,
            start_new_session=True,
        ) as process:
            try:
                told, trouble = process.communicate()
            finally:
                process.kill()
    if process.returncode or not told:
        words = " ".join(trouble.split())[-300:]
        raise SystemLibraryError(f"the window ended (exit code {process.returncode}): {words}")
    found = json.loads(told.splitlines()[-1])
    return judge(found, blocked_s)


def judge(found: dict[str, Any], blocked_s: float) -> Finding:
    """Judge what the drill printed; nothing if the window was closed before its end."""
    slots, dialogs = found.get("slots", []), found.get("dialogs", [])
    lost, missed, frames = (found.get(k, -1) for k in ("lost", "missed", "frames_after"))
    survived = found.get("phase") == "running" and frames > 0
    return Finding(
        f"{len(slots)} slots of the window and {len(dialogs)} kinds of dialogs raised, and it "
        f"{'goes on' if survived else 'does not go on'}; {lost} samples lost, blocked for "
        f"{blocked_s:g} s ({missed} decisions late enough to be skipped)",
        survived and lost == 0 and len(slots) >= _LEAST_SLOTS,
        {"slots": len(slots), "dialogs": len(dialogs), "lost": lost, "skipped": missed},
    )
