"""What a row of the table of faults is asked, and what it answers."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Scale:
    """How thoroughly to measure.

    Attributes
    ----------
    long : bool
        As often and as long as the promise says; otherwise enough to see it broken.
    model : Path
        Folder of the checkpoint that decides meanwhile.
    """

    long: bool
    model: Path

    def pick(self, short: T, long: T) -> T:
        """Return one of the two."""
        return long if self.long else short


@dataclass(frozen=True)
class Finding:
    """What came of a row.

    Attributes
    ----------
    measured : str
        For people.
    ok : bool
        The promise was kept.
    figures : mapping of str to float
        For programs.
    skipped : str or None
        Why it was not measured; then it is not ok.
    """

    measured: str
    ok: bool
    figures: Mapping[str, float] = field(default_factory=dict)
    skipped: str | None = None


def skipped(reason: str) -> Finding:
    """Return the finding of a row that this machine cannot measure."""
    return Finding(f"not measured: {reason}", False, {}, reason)


@dataclass(frozen=True)
class Spread:
    """Median and worst of some measurements.

    Attributes
    ----------
    median, worst : float
    """

    median: float
    worst: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Take at least one value; the worst is the largest."""
        return cls(statistics.median(values), max(values))

    def text(self, unit: str, digits: int = 0) -> str:
        """Say both, as in ``"12 ms (worst 31)"``."""
        return f"{self.median:.{digits}f} {unit} (worst {self.worst:.{digits}f})"
