"""A figure from matplotlib's objects to an image inside the page; no pyplot, no global state left.

Colours are those of Okabe and Ito, which stay apart under colour blindness; markers and dashes
tell the methods apart without any colour.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "svg.hashsalt": "semgfin_rt",  # the same plot has the same bytes
}
_OURS = {"color": "#0072b2", "marker": "o", "linewidth": 2.4, "zorder": 5}
_LOOKS: dict[str, dict[str, Any]] = {
    "fin": _OURS,
    "fin_linear": {"color": "#56b4e9", "marker": "s", "linestyle": "--"},
    "closed_form": {"color": "#e69f00", "marker": "^"},
    "lda": {"color": "#d55e00", "marker": "D"},
    "lda_hudgins": {"color": "#cc79a7", "marker": "v", "linestyle": "--"},
    "svm": {"color": "#009e73", "marker": "P"},
    "random_forest": {"color": "#000000", "marker": "X", "linestyle": ":"},
    "random_weights": {"color": "#808080", "marker": "<", "linestyle": "--"},
    "majority": {"color": "#808080", "marker": "_", "linestyle": ":"},
    "persistence": {"color": "#000000", "marker": "x", "linestyle": "--", "zorder": 6},
    "schedule": {"color": "#cc79a7", "marker": "d", "linestyle": "-."},
    "truth_persistence": {"color": "#808080", "marker": "+", "linestyle": ":"},
}
_OTHER = {"color": "#444444", "marker": "*", "linestyle": "-."}


@dataclass(frozen=True)
class Plot:
    """An image in the page.

    Attributes
    ----------
    caption : str
        Also what a screen reader says.
    uri : str
        The SVG itself, as a data URI: images do not share the names inside them.
    """

    caption: str
    uri: str


def look(method: str) -> dict[str, Any]:
    """Colour, marker and dashes of a method, the same in every plot."""
    return {"linewidth": 1.4, "markersize": 6, "linestyle": "-"} | _LOOKS.get(method, _OTHER)


@contextmanager
def drawing(height: float) -> Iterator[Figure]:
    """Give a figure 8 inches wide, 100 px each on the page, in the style of the report."""
    with mpl.rc_context(_STYLE):
        yield Figure(figsize=(8.0, height), layout="constrained")


def finished(figure: Figure, caption: str) -> Plot:
    """Write the figure as SVG; call it inside `drawing`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Plot(caption, f"data:image/svg+xml;base64,{encoded}")
