"""What a command must not load: help and headless use start fast and need no Qt."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

IMPORT = "import semgfin_rt"
HELP = """
import contextlib, io, sys
from semgfin_rt.cli.{module} import main
sys.argv = ["semgfin-{module}", "--help"]
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
    main()
if "Usage" not in out.getvalue():
    sys.exit("no help was printed")
"""
LOADED = "\nimport json, sys; print(json.dumps(sorted(m for m in sys.modules if '.' not in m)))"

HEAVY = {"torch", "onnx", "onnxruntime", "PyQt6", "pyqtgraph"}


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running `code`."""
    done = subprocess.run(
        [sys.executable, "-c", code + LOADED],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_the_probe_sees_what_is_loaded() -> None:
    assert {"numpy", "decimal"} <= loaded_by("import numpy, decimal")


def test_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_by(IMPORT)
    assert "semgfin_rt" in loaded
    assert not loaded & (HEAVY | {"numpy", "scipy", "pylsl"})


@pytest.mark.parametrize("module", ["rt", "train"])
def test_help_loads_neither_torch_nor_qt(module: str) -> None:
    if importlib.util.find_spec(f"semgfin_rt.cli.{module}") is None:
        pytest.skip(f"semgfin_rt.cli.{module} is not written yet")
    assert not loaded_by(HELP.format(module=module)) & {
        "torch",
        "onnx",
        "onnxruntime",
        "PyQt6",
        "pyqtgraph",
    }


def test_what_shows_a_window_leaves_torch_and_scipy_to_the_engine() -> None:
    """They take seconds to load, and the first picture would wait for them."""
    loaded = loaded_by(
        "import semgfin_rt.cli.rt, semgfin_rt.cli.view, semgfin_rt.app.scenario\n"
        "import semgfin_rt.app.session, semgfin_rt.app.studio, semgfin_rt.qt.application"
    )
    assert "PyQt6" in loaded
    assert not loaded & {"torch", "onnx", "onnxruntime", "scipy", "sklearn"}
