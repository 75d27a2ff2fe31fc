"""What a signal stream says of itself: written by the player, read from anyone and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from semgfin_rt.contracts import SignalSpec, Unit
from semgfin_rt.errors import StreamError
from semgfin_rt.lsl.library import api

MAX_SPEED = 8.0
"""Of a replay: a hop of 10 ms lasts 1.25 ms then, less than any network here takes to decide."""
_UNITS: dict[str, tuple[Unit, float]] = {
    "v": ("V", 1.0),
    "volt": ("V", 1.0),
    "volts": ("V", 1.0),
    "mv": ("V", 1e-3),
    "millivolt": ("V", 1e-3),
    "millivolts": ("V", 1e-3),
    "uv": ("V", 1e-6),
    "µv": ("V", 1e-6),  # micro sign
    "\u03bcv": ("V", 1e-6),  # Greek mu
    "microvolt": ("V", 1e-6),
    "microvolts": ("V", 1e-6),
    "count": ("count", 1.0),
    "counts": ("count", 1.0),
}


@dataclass(frozen=True)
class StreamDescription:
    """What a signal stream says of itself, checked.

    Attributes
    ----------
    spec : SignalSpec
        `unit` is V or count, whatever the stream's own.
    gain : float
        What a delivered value is multiplied with to be in `spec.unit`.
    speed : float
        Of a player: samples come at rate x speed; 1 for everything else.
    notes : tuple of str
        What had to be assumed, a sentence each, for the caller to print.
    """

    spec: SignalSpec
    gain: float = 1.0
    speed: float = 1.0
    notes: tuple[str, ...] = ()


def make_info(
    name: str,
    type: str,
    source_id: str,
    spec: SignalSpec,
    angles: Sequence[float | None] = (),
    extra: Mapping[str, str] | None = None,
) -> Any:
    """Describe a float32 signal as a `pylsl.StreamInfo`; `describe` reads it back.

    Parameters
    ----------
    name, type, source_id : str
    spec : SignalSpec
    angles : sequence of float or None, optional
        Position of each electrode on its ring, in degrees; None where it sits elsewhere.
    extra : mapping of str to str, optional
        Further fields of the description, such as ``speed`` and ``dataset``.
    """
    info = api().StreamInfo(name, type, len(spec.channels), spec.rate, "float32", source_id)
    desc = info.desc()
    for key, value in (extra or {}).items():
        desc.append_child_value(key, value)
    channels = desc.append_child("channels")
    for i, label in enumerate(spec.channels):
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", spec.unit)
        channel.append_child_value("type", type)
        if i < len(angles) and angles[i] is not None:
            location = channel.append_child("location")
            location.append_child_value("angle_deg", f"{angles[i]:g}")
    return info


def describe(info: Any, unit: str | None = None, channels: Sequence[str] = ()) -> StreamDescription:
    """Read a full stream description (`StreamInlet.info()`).

    Parameters
    ----------
    info : pylsl.StreamInfo
    unit : str, optional
        The user's word for the unit (``--unit``); it wins over the stream's.
    channels : sequence of str, optional
        The checkpoint's channels: a stream of as many channels that names none is taken to
        deliver these, in order, and a note says so.

    Raises
    ------
    StreamError
        If the unit is not stated, not known or not one for all channels; if some channels are
        named and others not; if the player's speed is not a positive number.
    """
    name, n_channels = info.name(), info.channel_count()
    labels, label_notes = _labels(info, n_channels, channels)
    known, gain, unit_notes = _unit(info, n_channels, unit)
    return StreamDescription(
        SignalSpec(labels, info.nominal_srate(), known),
        gain,
        _speed(name, info.desc().child_value("speed")),
        label_notes + unit_notes,
    )


def _channel_values(info: Any, key: str, n_channels: int) -> list[str]:
    """Value of `key` for each channel, empty where it has none."""
    values: list[str] = []
    channel = info.desc().child("channels").child("channel")
    while not channel.empty() and len(values) <= n_channels:
        values.append(channel.child_value(key).strip())
        channel = channel.next_sibling("channel")
    if values and len(values) != n_channels:
        raise StreamError(
            f"the stream '{info.name()}' has {n_channels} channels and describes another number: "
            "correct the description that its program sends."
        )
    return values or [""] * n_channels


def _labels(
    info: Any, n_channels: int, expected: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    labels = _channel_values(info, "label", n_channels)
    if all(labels):
        return tuple(labels), ()
    if any(labels):
        raise StreamError(
            f"the stream '{info.name()}' leaves channel {labels.index('') + 1} without a name: "
            "name all channels or none."
        )
    if len(expected) == n_channels:
        note = f"the stream '{info.name()}' names no channels: taken as {', '.join(expected)}."
        return tuple(expected), (note,)
    names = tuple(f"ch{i + 1}" for i in range(n_channels))
    return names, (f"the stream '{info.name()}' names no channels: called ch1, ch2 and so on.",)


def _unit(info: Any, n_channels: int, given: str | None) -> tuple[Unit, float, tuple[str, ...]]:
    stated = sorted(set(_channel_values(info, "unit", n_channels)) - {""})
    what = f"the stream '{info.name()}' states"
    choice = "pass `--unit V`, `mV`, `uV` or `count`"
    if given is None and not stated:
        raise StreamError(f"{what} no unit: {choice}.")
    if given is None and len(stated) > 1:
        raise StreamError(f"{what} several units ({', '.join(stated)}): {choice} for all of them.")
    word = stated[0] if given is None else given
    if word.lower() not in _UNITS:
        said = f"{what} the unit '{word}'" if given is None else f"--unit is '{word}'"
        raise StreamError(f"{said}, which is not known here: {choice}.")
    contradicted = given is not None and any(
        _UNITS.get(s.lower()) != _UNITS[given.lower()] for s in stated
    )
    note = (f"{what} {', '.join(stated)}; read as {word}, as --unit says.",) if contradicted else ()
    return *_UNITS[word.lower()], note


def _speed(name: str, text: str) -> float:
    try:
        speed = float(text) if text else 1.0
    except ValueError:
        speed = 0.0
    if not 0.0 < speed <= MAX_SPEED:
        raise StreamError(
            f"the stream '{name}' states the replay speed '{text}': it must be above 0 and at "
            f"most {MAX_SPEED:g}."
        )
    return speed
