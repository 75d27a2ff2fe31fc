"""Who a stream is, and which of the streams that claim to be it may take its place.

Pure decisions, no network and no clock: the tests play every order of events through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from semgfin_rt.contracts import Unit
from semgfin_rt.errors import StreamError
from semgfin_rt.lsl import FoundStream, StreamDescription, require_usable
from semgfin_rt.texts import printable

GONE_S = 30.0
"""Silence of a stream that is still open, and not found any more, after which it is given up for
another one: a frozen program (a laptop's lid, a debugger) that wakes before loses nothing."""
_LISTED = 3  # streams named in one message, however many there are


@dataclass(frozen=True)
class Origin:
    """Where the signal comes from, for the screen and the recording.

    Attributes
    ----------
    name, source_id, host, uid : str
    n_channels : int
    rate : float
        Nominal, in Hz.
    unit : {"V", "count"}
    """

    name: str
    source_id: str
    host: str
    uid: str
    n_channels: int
    rate: float
    unit: Unit


@dataclass(frozen=True)
class Candidate:
    """A stream in the place of the missing one, which needs the operator's word.

    Attributes
    ----------
    uid, host : str
    """

    uid: str
    host: str


class Gatekeeper:
    """Chooses the successor of a stream.

    A stream of the pinned source_id, host, channel count, rate and format takes over by itself if
    it is the same outlet (uid), or if it is alone and was never seen beside the one that it
    replaces. Everything else waits for `accept`, or is refused for good.

    Parameters
    ----------
    stream : FoundStream
        The one that was chosen at the beginning.

    Attributes
    ----------
    asking : tuple of Candidate
        Who waits for `accept`, by the last word of `choose`.
    """

    def __init__(self, stream: FoundStream) -> None:
        self.stream = stream
        self._rivals: set[str] = set()
        self._refused: set[str] = set()
        self._accepted: str | None = None
        self._told: set[str] = set()
        self.asking: tuple[Candidate, ...] = ()

    def accept(self, uid: str) -> None:
        """Take the operator's word for the outlet with this uid."""
        self._accepted = uid

    def see_rivals(self, found: Sequence[FoundStream]) -> list[str]:
        """Note who else is there beside the living stream; return what to tell, once for each."""
        others = [s for s in found if s.uid != self.stream.uid and s.uid not in self._rivals]
        self._rivals |= {s.uid for s in others}
        if not others:
            return []
        return [
            f"another stream has the identity of '{self.stream.name}' ({listed(others)}): none of "
            "its samples is used, so find out who sends it."
        ]

    def choose(
        self, found: Sequence[FoundStream], lost: bool, silent_s: float
    ) -> tuple[FoundStream | None, list[str]]:
        """Return the stream to open, if there is one, and what to tell.

        Parameters
        ----------
        found : sequence of FoundStream
            All that answer to the source_id now.
        lost : bool
            The connection is gone; otherwise it is only silent.
        silent_s : float
            For how long there were no samples.
        """
        self.asking = ()
        same = [s for s in found if s.uid == self.stream.uid]
        if same:  # its outlet lives: what was lost is the way to it, or it pauses
            return (same[0] if lost else None), []
        texts = [text for s in found for text in self._refuse_changed(s)]
        fit = [s for s in found if s.uid not in self._refused]
        accepted = [s for s in fit if s.uid == self._accepted]
        if accepted:
            return accepted[0], texts
        gone = lost or silent_s > GONE_S
        if gone and len(fit) == 1 and self._is_trusted(fit[0]):
            return fit[0], texts
        return None, texts + self._ask(fit, gone)

    def refuse(self, stream: FoundStream, reason: str) -> list[str]:
        """Open this one never again; return what to tell, once."""
        if stream.uid in self._refused:
            return []
        self._refused.add(stream.uid)
        return [
            f"a stream that claims to be '{self.stream.name}' ({listed([stream])}) is refused: "
            + reason
        ]

    def settle(self, stream: FoundStream) -> None:
        """Go on with this one from now on."""
        self.stream = stream
        self._accepted = None
        self._told.clear()

    def _is_trusted(self, stream: FoundStream) -> bool:
        return stream.host == self.stream.host and stream.uid not in self._rivals

    def _refuse_changed(self, stream: FoundStream) -> list[str]:
        if stream.uid in self._refused:
            return []
        try:
            require_usable(stream)
        except StreamError as error:
            return self.refuse(stream, str(error))
        names = (("n_channels", "channels"), ("rate", "Hz"), ("channel_format", "as LSL format"))
        for key, word in names:
            now, was = getattr(stream, key), getattr(self.stream, key)
            if now != was:
                return self.refuse(stream, f"it has {now:g} {word}, not {was:g}.")
        return []

    def _ask(self, fit: Sequence[FoundStream], gone: bool) -> list[str]:
        self.asking = tuple(Candidate(s.uid, s.host) for s in fit)
        new = [s for s in fit if s.uid not in self._told]
        self._told |= {s.uid for s in new}
        if not new:
            return []
        why = "the old one may come back" if not gone else "it cannot be told who is the right one"
        return [
            f"'{self.stream.name}' is missing and {listed(new)} answers in its place, but {why}: "
            "confirm the source to go on with it."
        ]


def difference(now: StreamDescription, was: StreamDescription) -> str:
    """Return in words what a stream says of itself that it did not say before; maybe nothing."""
    pairs = {
        "channels": (", ".join(now.spec.channels), ", ".join(was.spec.channels)),
        "rate": (now.spec.rate, was.spec.rate),
        "unit": (now.spec.unit, was.spec.unit),
        "factor of the unit": (now.gain, was.gain),
        "speed": (now.speed, was.speed),
        "counter channel": (now.counter, was.counter),
    }
    changed = (f"{what} {new}, not {old}" for what, (new, old) in pairs.items() if new != old)
    return next(changed, "")


def listed(streams: Sequence[FoundStream], key: str = "uid") -> str:
    """Return in words which streams, by their `key` and host, the first few of many."""
    # Both are claims of an unknown sender: cut, and with nothing in them that moves a cursor.
    texts = [
        f"{key} '{printable(getattr(s, key), 40)}' on '{printable(s.host, 40)}'"
        for s in streams[:_LISTED]
    ]
    return ", ".join(texts) + (f" and {len(streams) - _LISTED} more" * (len(streams) > _LISTED))
