"""The curves of `bench` as a picture."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from semgfin_rt.errors import OptionError

_ENDINGS = (".png", ".svg", ".pdf")
_LABELS = {
    "channels": "channels",
    "classes": "classes",
    "horizons": "horizons",
    "window_ms": "window in ms",
}


def require_picture(file: Path | None) -> None:
    """See, before a long run, that the ending is that of a picture.

    Raises
    ------
    OptionError
        When it is another.
    """
    if file is not None and file.suffix.lower() not in _ENDINGS:
        raise OptionError(f"'{file}' cannot be drawn: name a .png or .svg file.")


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
    require_picture(file)
    try:
        figure.savefig(file)
    except OSError as error:
        raise OptionError(
            f"'{file}' cannot be written ({error.strerror}): name a file that you may write to."
        ) from error
