import subprocess
import sys

import pytest

from semgfin_rt.errors import SystemLibraryError
from semgfin_rt.qt.require import APT_LINE, has_display, require_qt


def test_offscreen_needs_nothing_more(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    require_qt()


def test_qt_that_cannot_be_imported_names_the_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "PyQt6.QtGui", None)
    with pytest.raises(SystemLibraryError, match="Qt cannot be loaded") as caught:
        require_qt()
    assert APT_LINE in str(caught.value)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="xcb is Linux's")
def test_display_that_does_not_answer_is_a_message_not_an_abort(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    monkeypatch.setenv("DISPLAY", ":4711")
    with pytest.raises(SystemLibraryError, match="Qt cannot open a window"):
        require_qt()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux may lack one")
def test_display_is_found_in_the_environment(monkeypatch):
    for name in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not has_display()
    monkeypatch.setenv("DISPLAY", ":0")
    assert has_display()


def test_asking_for_qt_does_not_load_it():
    code = "import sys, semgfin_rt.qt.require, semgfin_rt.app.display, semgfin_rt.app.readout; "
    code += "sys.exit(any(m.startswith(('PyQt6', 'pyqtgraph')) for m in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert loaded.returncode == 0
