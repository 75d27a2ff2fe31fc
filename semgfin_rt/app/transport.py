"""The controls of a replay: where it is, what is played there, and where to jump to."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from semgfin_rt.contracts import REST, Recording
from semgfin_rt.engine.player import Player

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""To choose from; 8 is the fastest that LSL is paced here."""
SEEK_S = 5.0
LEAD_IN_S = 1.0
"""A jump goes so far before a movement: the windows are full, and rest is seen, when it begins."""
_BACK_S = 1.0  # a jump back, this soon after the last, goes to the movement before


@dataclass(frozen=True)
class Mark:
    """One repetition of a movement.

    Attributes
    ----------
    start, stop : int
        Samples of the recording; `stop` is excluded.
    label, repetition : int
    name : str
        Of the movement.
    jump : int
        Sample to jump to, `LEAD_IN_S` before `start` where the stretch goes back so far.
    """

    start: int
    stop: int
    label: int
    repetition: int
    name: str
    jump: int


def find_marks(recording: Recording) -> tuple[Mark, ...]:
    """Return the repetitions of movements, rest left out, in the order of time."""
    lead_in = round(LEAD_IN_S * recording.spec.rate)
    stretch = 0
    marks = []
    for start, stop in recording.runs:
        if start in recording.breaks:
            stretch = start
        label = int(recording.labels[start])
        if label != REST:
            name = recording.classes.get(label, f"movement {label}")
            repetition = int(recording.repetitions[start])
            marks.append(Mark(start, stop, label, repetition, name, max(stretch, start - lead_in)))
    return tuple(marks)


class Transport:
    """What a person does to a replay, in a person's terms.

    Every command goes to the player at once and raises `StreamError` where none runs.

    Parameters
    ----------
    recording : Recording
    player : Player
        Of that recording.
    hop : int
        Samples of a step: what brings one more decision.

    Attributes
    ----------
    marks : tuple of Mark
    """

    def __init__(self, recording: Recording, player: Player, hop: int) -> None:
        self.marks = find_marks(recording)
        self._recording, self._player, self._hop = recording, player, hop
        self._rate = recording.spec.rate

    # ----------------------------------------------------------------------- what is
    @property
    def length(self) -> int:
        """Samples of the recording."""
        return len(self._recording.samples)

    @property
    def position(self) -> int:
        """Sample of the recording that is next."""
        return min(self._player.position, self.length)

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._player.paused

    @property
    def loop(self) -> bool:
        """Whether it begins again at the end."""
        return self._player.loop

    @property
    def speed(self) -> float:
        """Times the nominal rate."""
        return self._player.speed

    @property
    def time_text(self) -> str:
        """Position and length, as in ``"1:05.2 of 24:10.0"``."""
        return f"{self.clock(self.position)} of {self.clock(self.length)}"

    @property
    def now_text(self) -> str:
        """What the recording shows here, as in ``"fist, repetition 3"``."""
        row = min(self.position, self.length - 1)
        label = int(self._recording.labels[row]) if self.length else REST
        name = self._recording.classes.get(label, f"movement {label}")
        return name if label == REST else f"{name}, repetition {self._recording.repetitions[row]}"

    def clock(self, sample: int) -> str:
        """Time of a sample in the recording, as in ``"1:05.2"``."""
        tenths = round(10 * sample / self._rate)
        return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"

    # ----------------------------------------------------------------------- what to do
    def toggle(self) -> None:
        """Pause, or go on."""
        if self.paused:
            self._player.resume()
        else:
            self._player.pause()

    def step(self) -> None:
        """Play one hop, which brings one decision, and pause."""
        self._player.step(self._hop)

    def seek(self, sample: int) -> None:
        """Go on at `sample`, or at the end of the recording that is nearer."""
        self._player.seek(min(max(sample, 0), self.length - 1))

    def seek_by(self, seconds: float) -> None:
        """Go so many seconds of the recording on, or back."""
        self.seek(self.position + round(seconds * self._rate))

    def home(self) -> None:
        """Go to the beginning."""
        self.seek(0)

    def set_loop(self, loop: bool) -> None:
        """Begin again at the end, or no longer."""
        self._player.set_loop(loop)

    def set_speed(self, speed: float) -> None:
        """Play at another speed; see `SPEEDS`."""
        self._player.set_speed(speed)

    def jump(self, mark: Mark) -> None:
        """Go to where a repetition begins."""
        self.seek(mark.jump)

    def next_repetition(self, direction: int = 1) -> None:
        """Go to the next movement that begins, whichever; the one before with -1."""
        self._jump_among([m.jump for m in self.marks], direction)

    def next_movement(self, direction: int = 1) -> None:
        """Go to the next movement that is another one; the one before with -1."""
        others = [
            mark.jump
            for i, mark in enumerate(self.marks)
            if not i or mark.label != self.marks[i - 1].label
        ]
        self._jump_among(others, direction)

    def _jump_among(self, jumps: list[int], direction: int) -> None:
        """Go to the next of `jumps`, which ascend, if there is one; back, at most to the first."""
        if not jumps:
            return
        if direction > 0:
            at = bisect_right(jumps, self.position)
        else:
            at = bisect_right(jumps, self.position - round(_BACK_S * self._rate)) - 1
        if at < len(jumps):
            self.seek(jumps[max(at, 0)])
