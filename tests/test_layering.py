"""Imports point down the layers; see the table in docs/architecture.md.

Every import counts: those inside functions, those under TYPE_CHECKING, relative ones, and
``import_module("...")``.
"""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = "semgfin_rt"
CHECKOUT = Path(__file__).parents[1]
MAX_LINES = 400

# From the bottom up. The root holds only the version.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({ROOT}),
    frozenset({"atomic", "contracts", "errors", "model_contract", "texts"}),
    frozenset({"dsp", "features", "nn", "decision", "recordings", "folders", "interrupts", "lsl"}),
    frozenset({"pipeline", "sources", "sinks", "scoring"}),
    frozenset({"engine", "train"}),
    frozenset({"app"}),
    frozenset({"qt"}),
    frozenset({"cli"}),
)
LAYER_OF = {unit: layer for layer, units in enumerate(LAYERS) for unit in units}

# The only arrows inside a layer: (importing package or module, imported package).
PINNED = frozenset(
    {
        ("model_contract", "contracts"),
        ("model_contract", "errors"),
        ("model_contract", "texts"),
        ("nn", "features"),
    }
)

QT_LIBRARIES = frozenset({"PyQt6", "pyqtgraph"})
TORCH_FREE = frozenset(
    {
        "contracts",
        "model_contract",
        "errors",
        "dsp",
        "recordings",
        "lsl",
        "sources",
        "sinks",
        "scoring",
        "qt",
    }
)


# ---------------------------------------------------------------------------- the checker
@dataclass(frozen=True)
class Module:
    """A source file of the package."""

    name: str
    source: str
    is_package: bool = False


@dataclass(frozen=True)
class Arrow:
    """One import: from module `origin` to module `target`, at its line."""

    origin: str
    target: str
    line: int
    inside_function: bool = False

    def __str__(self) -> str:
        return f"{self.origin}, line {self.line}, imports {self.target}"


def unit(module: str) -> str:
    """Package or module directly under the root that `module` belongs to."""
    return module.split(".")[1] if "." in module else module


def walk(node: ast.AST, inside: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below `node`, and whether it lies in a function."""
    for child in ast.iter_child_nodes(node):
        yield child, inside
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from walk(child, inside or is_function)


def targets(node: ast.AST, module: Module, known: frozenset[str]) -> list[str]:
    """Modules that one node imports, by their full names."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=base, names=names, level=level):
            if level:
                parents = module.name.split(".")
                parents = parents[: len(parents) - level + module.is_package]
                base = ".".join([*parents, base] if base else parents)
            full = [f"{base}.{alias.name}" for alias in names]
            return [name if name in known else str(base) for name in full]
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


def arrows(module: Module, known: frozenset[str]) -> list[Arrow]:
    """Every import of a module."""
    return [
        Arrow(module.name, target, node.lineno, inside)  # type: ignore[attr-defined]
        for node, inside in walk(ast.parse(module.source))
        for target in targets(node, module, known)
    ]


def follows(arrow: Arrow, pin: tuple[str, str]) -> bool:
    """Whether an import is the one that a pin allows."""
    origin, target = pin
    return f"{arrow.origin}.".startswith(f"{ROOT}.{origin}.") and unit(arrow.target) == target


def fault(arrow: Arrow) -> str | None:
    """What is wrong with an import, or None."""
    origin, target = unit(arrow.origin), unit(arrow.target)
    if arrow.target.split(".")[0] != ROOT:
        library = arrow.target.split(".")[0]
        if library in QT_LIBRARIES and origin != "qt":
            return f"{arrow}: only qt may"
        if library == "torch" and origin in TORCH_FREE:
            return f"{arrow}: {origin} is free of torch"
        return None
    for name in (origin, target):
        if name not in LAYER_OF:
            return f"{arrow}: {name} is in no layer"
    is_pinned = any(follows(arrow, pin) for pin in PINNED)
    if origin == target or LAYER_OF[target] < LAYER_OF[origin] or is_pinned:
        return None
    upward = LAYER_OF[target] > LAYER_OF[origin]
    return f"{arrow}: {'upward' if upward else 'sideways'}"


def cycle(found: list[Arrow]) -> list[str] | None:
    """Modules that import each other when they are loaded, in a ring, or None."""
    graph: dict[str, set[str]] = {}
    for arrow in found:
        if not arrow.inside_function:
            graph.setdefault(arrow.origin, set()).add(arrow.target)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return None


# --------------------------------------------------------------------------- the package
def read_modules() -> list[Module]:
    modules = []
    for path in sorted((CHECKOUT / ROOT).rglob("*.py")):
        parts = path.relative_to(CHECKOUT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules.append(Module(name, path.read_text(encoding="utf-8"), is_package))
    return modules


MODULES = read_modules()
KNOWN = frozenset(module.name for module in MODULES)
ARROWS = [arrow for module in MODULES for arrow in arrows(module, KNOWN)]


def test_every_module_is_in_a_layer() -> None:
    assert {ROOT, f"{ROOT}.contracts", f"{ROOT}.engine.snapshot"} <= KNOWN
    assert {unit(name) for name in KNOWN} <= LAYER_OF.keys()


def test_imports_point_down() -> None:
    assert [message for arrow in ARROWS if (message := fault(arrow))] == []


def test_every_pinned_arrow_is_used() -> None:
    unused = {pin for pin in PINNED if not any(follows(arrow, pin) for arrow in ARROWS)}
    assert unused == set(), "take these out of PINNED: nothing needs them"


def test_modules_do_not_import_in_a_ring() -> None:
    assert cycle(ARROWS) is None


def test_no_file_is_long() -> None:
    files = [p for top in (ROOT, "tests", "benchmarks") for p in (CHECKOUT / top).rglob("*.py")]
    lines = {str(p.relative_to(CHECKOUT)): len(p.read_text().splitlines()) for p in files}
    assert {name: n for name, n in lines.items() if n > MAX_LINES} == {}


# ------------------------------------------------------------------ the checker can fail
@pytest.mark.parametrize(
    ("origin", "source", "complaint"),
    [
        ("dsp.ring", "import semgfin_rt.qt.window", "upward"),
        ("dsp.ring", "from semgfin_rt import pipeline", "upward"),
        ("dsp.ring", "def f():\n    from semgfin_rt.engine import loop", "upward"),
        ("dsp.ring", "if TYPE_CHECKING:\n    from semgfin_rt.app import bench", "upward"),
        ("dsp.ring", "from ..train.loop import fit", "upward"),
        ("dsp.ring", "from .. import pipeline", "upward"),
        ("dsp.ring", "import_module('semgfin_rt.cli.rt')", "upward"),
        ("dsp.ring", "importlib.import_module('semgfin_rt.cli.rt')", "upward"),
        ("dsp.ring", "from semgfin_rt.features import rms", "sideways"),
        ("features", "from semgfin_rt.nn import fin", "sideways"),
        ("nn.fin", "from semgfin_rt.dsp import filters", "sideways"),
        ("recordings.synthetic", "from semgfin_rt.features import rms", "sideways"),
        ("scoring", "from semgfin_rt.pipeline import Pipeline", "sideways"),
        ("sources.truth", "from semgfin_rt.pipeline import Pipeline", "sideways"),
        ("train.loop", "from semgfin_rt.engine.snapshot import Health", "sideways"),
        ("errors", "from semgfin_rt.contracts import Chunk", "sideways"),
        ("cli.rt", "from semgfin_rt.utils import tidy", "utils is in no layer"),
        ("helpers", "from semgfin_rt.errors import OptionError", "helpers is in no layer"),
        ("app.bench", "def f():\n    import PyQt6.QtCore", "only qt may"),
        ("cli.rt", "from pyqtgraph import PlotWidget", "only qt may"),
        ("scoring", "from torch import nn", "free of torch"),
        ("recordings.synthetic", "import torch.nn.functional as F", "free of torch"),
    ],
)
def test_a_forbidden_import_is_found(origin: str, source: str, complaint: str) -> None:
    known = frozenset({f"{ROOT}.pipeline", f"{ROOT}.engine.loop", f"{ROOT}.nn.fin"})
    (arrow,) = arrows(Module(f"{ROOT}.{origin}", source), known)
    message = fault(arrow)
    assert message is not None
    assert message.endswith(complaint)


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        ("qt.window", "from PyQt6.QtWidgets import QMainWindow"),
        ("qt.window", "from semgfin_rt.engine.snapshot import Snapshot"),
        ("nn.fin", "import torch"),
        ("nn.fin", "from semgfin_rt import features"),
        ("dsp.ring", "from .windows import expected_decisions"),
        ("cli.rt", "from semgfin_rt import __version__"),
        ("lsl", "import numpy"),
    ],
)
def test_an_allowed_import_is_not(origin: str, source: str) -> None:
    (arrow,) = arrows(Module(f"{ROOT}.{origin}", source), frozenset({f"{ROOT}.features"}))
    assert fault(arrow) is None


def test_relative_imports_of_a_package_start_at_itself() -> None:
    package = Module(f"{ROOT}.dsp", "from . import ring\nfrom .. import errors", is_package=True)
    known = frozenset({f"{ROOT}.dsp.ring", f"{ROOT}.errors"})
    assert [a.target for a in arrows(package, known)] == [f"{ROOT}.dsp.ring", f"{ROOT}.errors"]


def test_a_ring_of_imports_is_found_unless_a_function_breaks_it() -> None:
    a = Arrow("semgfin_rt.nn.a", "semgfin_rt.nn.b", 1)
    back = Arrow("semgfin_rt.nn.b", "semgfin_rt.nn.a", 1)
    assert set(cycle([a, back]) or ()) == {"semgfin_rt.nn.a", "semgfin_rt.nn.b"}
    lazy = Arrow("semgfin_rt.nn.b", "semgfin_rt.nn.a", 1, inside_function=True)
    assert cycle([a, lazy]) is None
