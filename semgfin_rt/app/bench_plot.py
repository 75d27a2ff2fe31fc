"""The curves of `bench` as a picture."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from semgfin_rt.errors import OptionError

_LABELS = {
    "channels": "channels",
    "classes": "classes",
    "horizons": "horizons",
    "window_ms": "window in ms",
}


def draw(curves: dict[str, dict[str, float]], file: Path) -> None:
    """Draw the cost of a decision against what it follows from.

    Parameters
    ----------
    curves : dict
        Name to value to ms, as `bench` gives them.
    file : Path
        Its ending says the format.

    Raises
    ------
    OptionError
        When the format is not known, or the file cannot be written.
    """
    figure = Figure(figsize=(10, 2.8), layout="constrained")
    axes = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axis, (name, curve) in zip(axes, curves.items(), strict=True):
        axis.plot([int(value) for value in curve], list(curve.values()), marker="o")
        axis.set_xlabel(_LABELS[name])
        axis.set_ylim(bottom=0)
        axis.grid(color="#dddddd")
    axes[0].set_ylabel("one decision, ms")
    try:
        figure.savefig(file)
    except (ValueError, OSError) as error:
        raise OptionError(
            f"'{file}' cannot be drawn ({error}): name a .png or .svg file."
        ) from error
