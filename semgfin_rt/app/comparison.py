"""What a calibration brought: the checkpoint before and after, beside an LDA."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """What the held-out repetition says, on windows inside one label, at the first horizon.

    Attributes
    ----------
    before, after : float or None
        Accuracy of the checkpoint as it was, and adapted to the other repetitions; None where it
        cannot be known.
    lda : float or None
        Of an LDA on closed-form features, fitted to the same repetitions; None where they show
        less than two classes.
    held_out : int
        The repetition.
    windows : int
        Of it, that were scored.
    seconds : float
        That the fine-tuning took.
    """

    before: float | None
    after: float | None
    lda: float | None
    held_out: int
    windows: int
    seconds: float

    @property
    def is_worse(self) -> bool:
        """Whether the adapted checkpoint is known to be worse than it was."""
        if self.before is None or self.after is None:
            return False
        return self._right(self.after) < self._right(self.before)

    @property
    def shortfall(self) -> str:
        """Why this is less than a calibration promises; an empty text if it is not."""
        if self.before is None or self.after is None:
            return "before and after cannot be compared"
        if self._right(self.after) <= self._right(self.before):
            return (
                f"adapted, the checkpoint is right on {100 * self.after:.1f} % of the held-out "
                f"repetition and was on {100 * self.before:.1f} % as it was"
            )
        if self.lda is not None and self._right(self.after) < self._right(self.lda):
            return (
                f"adapted, the checkpoint is right on {100 * self.after:.1f} % of the held-out "
                f"repetition and an LDA on {100 * self.lda:.1f} %"
            )
        return ""

    def _right(self, accuracy: float) -> int:
        """Count the windows decided rightly: shares differ by rounding where these do not."""
        return round(accuracy * self.windows)
