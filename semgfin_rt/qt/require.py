"""Is there a Qt that starts, and a screen for it? Asked before Qt is imported.

`require_qt` tries it in a process of its own, for which the caller waits 30 s at most.
"""

from __future__ import annotations

import os
import subprocess
import sys

from semgfin_rt.errors import SystemLibraryError

_OFFSCREEN = "libegl1 libgl1 libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0 libx11-6"
_XCB = (
    "libxcb-cursor0 libxkbcommon-x11-0 libxcb-icccm4 libxcb-keysyms1 libxcb-image0 "
    "libxcb-render-util0 libxcb-randr0 libxcb-shape0 libxcb-xkb1 libx11-xcb1"
)
APT_LINE = f"sudo apt-get install -y {_OFFSCREEN} {_XCB} fonts-dejavu-core"
"""What a bare Debian 12 lacks. Without the fonts package there may be no letter on screen."""

_PROBE = "from PyQt6.QtGui import QGuiApplication; QGuiApplication(['probe'])"


def has_display() -> bool:
    """Whether a window has somewhere to go (``QT_QPA_PLATFORM=offscreen`` counts)."""
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(v) for v in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"))


def require_qt() -> None:
    """Make sure that Qt can be imported and that its platform plugin starts.

    Qt ends the process when its plugin cannot start, so that is tried in a child first.

    Raises
    ------
    SystemLibraryError
        With Qt's own words and the one line that installs what is missing.
    """
    try:
        import PyQt6.QtGui  # noqa: F401
    except ImportError as error:
        raise SystemLibraryError(
            f"Qt cannot be loaded ({error}): run `{APT_LINE}`, or use --headless."
        ) from error
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        return
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=30, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SystemLibraryError(
            "Qt did not start within 30 s: check that the display answers, or use --headless."
        ) from error
    if probe.returncode:
        words = " ".join(probe.stderr.split()[:40]) or f"status {probe.returncode}"
        raise SystemLibraryError(
            f"Qt cannot open a window ({words}): check DISPLAY, run `{APT_LINE}`, "
            "or use --headless."
        )
