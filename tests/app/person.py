"""Somebody who follows prompts: noise in one channel for each movement, beginning 0.3 s late."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from signals import tiny_contract

from semgfin_rt.app.calibration import Calibration, Plan
from semgfin_rt.app.prompts import PromptSchedule, Timing
from semgfin_rt.contracts import FloatArray
from semgfin_rt.model_contract import ModelContract

SHORT = Timing(1.5, 1.0)
LATE_S = 0.3


def noisy_contract() -> ModelContract:
    """`tiny_contract` for noise of this strength: rest, fist (1) and point (2)."""
    return tiny_contract().model_copy(update={"scale_std": (1e-5,) * 3})


def calibration(contract: ModelContract | None = None, **plan: object) -> Calibration:
    """Two movements, two repetitions, short prompts."""
    chosen = {"repetitions": 2, "timing": SHORT, "order": "contract"} | plan
    return Calibration(contract or noisy_contract(), Plan(**chosen), subject=4)


def follow(timetable: PromptSchedule, seed: int = 0, lazy: tuple[int, ...] = ()) -> FloatArray:
    """Signal of a timetable whose first sample is 0; nothing happens in the trials `lazy`."""
    rng = np.random.default_rng(seed)
    effort = np.full((timetable.end, 3), 1e-6)
    for k, trial in enumerate(timetable.trials):
        slot, late = timetable.slot(k), round(LATE_S * timetable.rate)
        if k not in lazy:
            effort[slot.on + late : slot.off + late, trial.movement - 1] = 2e-5
    return (effort * rng.standard_normal(effort.shape)).astype(np.float32)


def chunks(samples: FloatArray, size: int, first: int = 0) -> Iterator[tuple[FloatArray, int]]:
    """Cut a signal into chunks with their indices."""
    for start in range(0, len(samples), size):
        yield samples[start : start + size], first + start


def feed(
    session: Calibration,
    samples: FloatArray,
    *,
    size: int = 100,
    first: int = 0,
    drop: Callable[[int], bool] = lambda _index: False,
) -> list:
    """Hand a signal over, but for the chunks whose first index is dropped: all verdicts."""
    verdicts = []
    for chunk, at in chunks(samples, size, first):
        if not drop(at):
            verdicts += session.take(chunk, at)
    return verdicts
