"""What a signal stream says of itself: written by the player, read from anyone and checked."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from semgfin_rt.contracts import UNITS, SignalSpec, Unit
from semgfin_rt.errors import StreamError
from semgfin_rt.lsl.library import api
from semgfin_rt.texts import printable

MAX_SPEED = 8.0
"""Of a replay: a hop of 10 ms lasts 1.25 ms then, less than any network here takes to decide."""
MAX_TEXT = 256
"""Characters of a name, an id, a unit or a label."""
COUNTER_SPAN = 2**24
"""A counter channel counts modulo this, up to which float32 holds every whole number."""
_COUNTER = "counter"  # label and type of that channel


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
    counter : bool
        One more channel follows, which is no signal: it counts the samples that were sent.
    """

    spec: SignalSpec
    gain: float = 1.0
    speed: float = 1.0
    notes: tuple[str, ...] = ()
    counter: bool = False


def make_info(
    name: str,
    type: str,
    source_id: str,
    spec: SignalSpec,
    angles: Sequence[float | None] = (),
    extra: Mapping[str, str] | None = None,
    counter: bool = False,
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
    counter : bool
        Describe one more channel, the last: the number of samples sent before, modulo
        `COUNTER_SPAN`.
    """
    n_channels = len(spec.channels) + counter
    info = api().StreamInfo(name, type, n_channels, spec.rate, "float32", source_id)
    desc = info.desc()
    for key, value in (extra or {}).items():
        desc.append_child_value(key, value)
    channels = desc.append_child("channels")
    described = [(label, spec.unit, type) for label in spec.channels]
    described += [(_COUNTER, "count", _COUNTER)] * counter
    for i, values in enumerate(described):
        channel = channels.append_child("channel")
        for key, value in zip(("label", "unit", "type"), values, strict=True):
            channel.append_child_value(key, value)
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
        named and others not; if the player's speed is not a positive number; if a text is too
        long or not printable.
    """
    name, n_channels = info.name(), info.channel_count()
    labels = _channel_values(info, "label", n_channels)
    counter = n_channels > 1 and (
        labels[-1] == _channel_values(info, "type", n_channels)[-1] == _COUNTER
    )
    n_signals = n_channels - counter
    names, name_notes = _names(name, labels[:n_signals], channels)
    stated = _channel_values(info, "unit", n_channels)[:n_signals]
    known, gain, unit_notes = _unit(name, stated, unit)
    return StreamDescription(
        SignalSpec(names, info.nominal_srate(), known),
        gain,
        _speed(name, info.desc().child_value("speed")),
        name_notes + unit_notes,
        counter,
    )


def require_text(what: str, text: str) -> None:
    """Refuse a text that would spoil a message, a table or a file: too long, or not printable.

    Raises
    ------
    StreamError
    """
    shown = printable(text, 40)
    if len(text) > MAX_TEXT:
        raise StreamError(
            f"a stream gives {what} of {len(text)} characters ('{shown}'): at most {MAX_TEXT} "
            "are taken, so correct its program."
        )
    if any(unicodedata.category(c)[0] == "C" for c in text):  # also what turns writing around
        raise StreamError(
            f"a stream gives {what} with control characters ('{shown}'): correct its program."
        )


def _channel_values(info: Any, key: str, n_channels: int) -> list[str]:
    """Value of `key` for each channel, empty where it has none."""
    values: list[str] = []
    channel = info.desc().child("channels").child("channel")
    while not channel.empty() and len(values) <= n_channels:
        values.append(channel.child_value(key).strip())
        require_text(f"a channel's {key}", values[-1])
        channel = channel.next_sibling("channel")
    if values and len(values) != n_channels:
        raise StreamError(
            f"the stream '{info.name()}' has {n_channels} channels and describes another number: "
            "correct the description that its program sends."
        )
    return values or [""] * n_channels


def _names(
    name: str, labels: Sequence[str], expected: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if all(labels):
        return tuple(labels), ()
    if any(labels):
        raise StreamError(
            f"the stream '{name}' leaves channel {labels.index('') + 1} without a name: "
            "name all channels or none."
        )
    if len(expected) == len(labels):
        note = f"the stream '{name}' names no channels: taken as {', '.join(expected)}."
        return tuple(expected), (note,)
    names = tuple(f"ch{i + 1}" for i in range(len(labels)))
    return names, (f"the stream '{name}' names no channels: called ch1, ch2 and so on.",)


def _unit(
    name: str, units: Sequence[str], given: str | None
) -> tuple[Unit, float, tuple[str, ...]]:
    stated = sorted(set(units) - {""})
    what = f"the stream '{name}' states"
    choice = "pass `--unit V`, `mV`, `uV` or `count`"
    if given is None and not stated:
        raise StreamError(f"{what} no unit: {choice}.")
    if given is None and len(stated) > 1:
        raise StreamError(
            f"{what} several units ({', '.join(stated[:5])}): {choice} for all of them."
        )
    word = stated[0] if given is None else given
    if word.lower() not in UNITS:
        said = f"{what} the unit '{word}'" if given is None else f"--unit is '{word}'"
        raise StreamError(f"{said}, which is not known here: {choice}.")
    contradicted = given is not None and any(
        UNITS.get(s.lower()) != UNITS[given.lower()] for s in stated
    )
    note = (
        (f"{what} {', '.join(stated[:5])}; read as {word}, as --unit says.",)
        if contradicted
        else ()
    )
    return *UNITS[word.lower()], note


def _speed(name: str, text: str) -> float:
    try:
        speed = float(text) if text else 1.0
    except ValueError:
        speed = 0.0
    if not 0.0 < speed <= MAX_SPEED:
        raise StreamError(
            f"the stream '{name}' states the replay speed '{printable(text, 40)}': it must be "
            f"above 0 and at most {MAX_SPEED:g}."
        )
    return speed
