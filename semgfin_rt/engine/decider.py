"""Who decides: the pipeline of a checkpoint, and what may be changed about it while it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from semgfin_rt.contracts import Chunk, Decision, EventKind
from semgfin_rt.decision import PolicySpec
from semgfin_rt.engine.swap import ModelSwap, RecentSignal
from semgfin_rt.errors import OptionError, SemgfinError
from semgfin_rt.pipeline import Pipeline


class Decider:
    """A pipeline that can be replaced.

    Parameters
    ----------
    pipeline : Pipeline
    model : Path
        Folder of its checkpoint.
    build : callable or None
        Makes the pipeline of another one.
    tell : callable
        Takes the kind and the text of an event.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        model: Path,
        build: Callable[[Path], Pipeline] | None,
        tell: Callable[[EventKind, str], None],
    ) -> None:
        self.pipeline, self.model = pipeline, model
        self._build, self._tell = build, tell
        self._recent = RecentSignal(pipeline.contract.rate)
        self._swap: ModelSwap | None = None
        self._untrusted: tuple[tuple[str, str], ...] = ()

    def push(self, chunk: Chunk, *, newest_only: bool) -> list[Decision]:
        """Decide on every window that a chunk completes, or on the newest alone."""
        self._recent.push(chunk)
        decisions = self.pipeline.push(chunk, newest_only=newest_only)
        now = self.pipeline.untrusted
        if decisions and now != self._untrusted:
            self._untrusted = now
            why = ", ".join(f"{channel} {fault}" for channel, fault in now)
            self._tell(
                "quality", f"Not trusted: {why}." if why else "All channels are trusted again."
            )
        return decisions

    def set_policy(self, policy: PolicySpec) -> None:
        """Decide by another policy from the next window on.

        Raises
        ------
        OptionError
            If it does not fit the checkpoint.
        """
        self.pipeline.set_policy(policy)
        self._tell("policy", f"The policy is now: {policy.words}.")

    def begin_swap(self, model: Path) -> None:
        """Load another checkpoint in the background.

        Raises
        ------
        OptionError
            If this run cannot.
        """
        if self._build is None:
            raise OptionError(f"this run cannot go on with '{model}': start again with it.")
        self._swap = ModelSwap(model, self._build, self.pipeline.contract)

    def swap_when_ready(self) -> bool:
        """Go on with the other checkpoint, once it is there; return whether that is now."""
        swap = self._swap
        if swap is None or not swap.done:
            return False
        self._swap = None
        try:
            self.pipeline = swap.take(self.pipeline, self._recent.joined())
        except SemgfinError as error:
            self._tell("model", str(error))
            return False
        self.model = swap.model
        self._tell("model", f"Now '{swap.model}' decides.")
        return True

    @property
    def swapping(self) -> bool:
        """Whether another checkpoint is being loaded."""
        return self._swap is not None and not self._swap.done
