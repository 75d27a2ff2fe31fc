"""How the presets are trained: the numbers, apart from the code that uses them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

_FEWEST_WINDOWS = 2_000
_MOST_HELD = 10_000


@dataclass(frozen=True)
class StageRecipe:
    """Numbers of one stage.

    Attributes
    ----------
    batch : int
        Windows in a batch, all channels of each.
    steps : int
        Most steps; `epochs` may end it earlier. 0 leaves the stage out.
    epochs : float
        Passes over the training windows; infinity to count steps alone.
    fin_rate, classifier_rate : float
        Learning rates; 0 leaves that part as it is.
    weight_decay, clip, average, one_cycle
        See `loop.Stage`.
    early_stop : bool
        Stop when the loss on the held-out repetition has not fallen by 0.005 for 15 epochs.
    """

    batch: int
    steps: int
    epochs: float = math.inf
    fin_rate: float = 0.0
    classifier_rate: float = 0.0
    weight_decay: float = 0.0
    optimizer: Literal["adam", "adamw"] = "adamw"
    one_cycle: bool = True
    clip: float = math.inf
    average: bool = False
    early_stop: bool = False

    def n_steps(self, n_windows: int) -> int:
        """Count the steps for that many training windows."""
        passes = self.epochs * math.ceil(n_windows / self.batch)
        return max(1, int(min(self.steps, passes))) if self.steps else 0


@dataclass(frozen=True)
class Recipe:
    """Numbers of a whole training.

    Attributes
    ----------
    imitate, classify, joint : StageRecipe
        FIN pre-training; the classifier on the frozen FIN; both together.
    gain_jitter : float
        Standard deviation of the logarithm of a random gain for each window and channel in
        FIN pre-training, the targets computed from the changed window.
    target_noise : float
        Standard deviation of the noise on standardised targets, one for each of the k outputs.
    label_smoothing : float
    imitation_weight : float
        Weight of the imitation loss in joint training: features stay features.
    present_weight : float
        Weight of the present features in the imitation loss, those of each horizon have 1: what is
        not in the signal yet makes most of the loss, and cannot be learnt.
    windows : int
        An MLP learns from so many at most, evenly spread: beyond that an LDA of some hundred inputs
        does not change. See `held` as well.
    """

    imitate: StageRecipe
    classify: StageRecipe
    joint: StageRecipe
    gain_jitter: float = 0.0
    target_noise: float = 0.0
    label_smoothing: float = 0.0
    imitation_weight: float = 0.0
    present_weight: float = 1.0
    windows: int = 40_000

    def shortened(self, factor: float) -> Recipe:
        """Take `factor` of the steps, of 1000 where there are more, and of the windows.

        Below 1 it is a smoke run; no fewer than 2000 windows are left.
        """
        if factor == 1:
            return self
        shorter = {
            name: replace(stage, steps=math.ceil(factor * min(stage.steps, 1000)))
            for name, stage in self.stages.items()
        }
        return replace(
            self,
            imitate=shorter["imitate"],
            classify=shorter["classify"],
            joint=shorter["joint"],
            windows=max(_FEWEST_WINDOWS, round(factor * self.windows)),
        )

    @property
    def held(self) -> int:
        """Held-out windows on which it is judged, at most."""
        return min(self.windows, _MOST_HELD)

    @property
    def from_labels(self) -> Recipe:
        """The control of imitation: as many steps of the FIN, which learns from labels alone."""
        joint = replace(
            self.imitate, classifier_rate=self.classify.classifier_rate, early_stop=False
        )
        return replace(self, joint=joint, imitation_weight=0.0)

    @property
    def stages(self) -> dict[str, StageRecipe]:
        """The stages by name."""
        return {"imitate": self.imitate, "classify": self.classify, "joint": self.joint}


REALTIME = Recipe(
    imitate=StageRecipe(batch=16, steps=2000, fin_rate=8e-3, weight_decay=1e-4, clip=1.0),
    classify=StageRecipe(batch=256, steps=400, classifier_rate=3e-3, weight_decay=1e-2),
    joint=StageRecipe(
        batch=256,
        steps=150,
        fin_rate=1e-3,
        classifier_rate=2e-3,
        weight_decay=1e-2,
        clip=2.0,
        average=True,
    ),
    gain_jitter=0.3,
    label_smoothing=0.1,
    imitation_weight=1.0,
    present_weight=4.0,
)

# arXiv 2405.19356: batch 4000 of single channels, here 4000 / 12 windows of all 12 channels
PAPER = Recipe(
    imitate=StageRecipe(
        batch=333,
        steps=1_000_000,
        epochs=60,
        fin_rate=1e-3,
        weight_decay=2e-5,
        optimizer="adam",
        one_cycle=False,
        early_stop=True,
    ),
    classify=StageRecipe(
        batch=300,
        steps=1_000_000,
        epochs=30,
        classifier_rate=1e-2,
        weight_decay=3e-5,
        one_cycle=False,
    ),
    joint=StageRecipe(
        batch=250,
        steps=1_000_000,
        epochs=10,
        fin_rate=1e-3,
        classifier_rate=1e-2,
        optimizer="adam",
        one_cycle=False,
    ),
    target_noise=0.01,
)

RECIPES = {"realtime": REALTIME, "paper": PAPER}
FINETUNE_RECIPES = {
    "realtime": replace(
        REALTIME,
        imitate=replace(REALTIME.imitate, steps=300, fin_rate=2e-3),
        classify=replace(REALTIME.classify, steps=200),
    ),
    "paper": replace(PAPER, imitate=replace(PAPER.imitate, epochs=5, early_stop=False)),
}
_NOTHING = StageRecipe(batch=1, steps=0)


def finetune_recipe(
    preset: str, classifier: Literal["cnn", "mlp"], tune: str | None, shorten: float
) -> Recipe:
    """Numbers of an adaptation.

    An MLP is trained on the FIN as it is; with ``tune="all"`` the FIN goes on imitating first. A
    CNN is trained together with its FIN, as published; with ``tune="head"`` alone.
    """
    recipe = FINETUNE_RECIPES[preset].shortened(shorten)
    if classifier == "cnn":
        recipe = replace(recipe, imitate=_NOTHING)
        if tune == "head":
            return replace(recipe, joint=_NOTHING)
        return replace(recipe, classify=_NOTHING)
    recipe = replace(recipe, joint=_NOTHING)
    return recipe if tune == "all" else replace(recipe, imitate=_NOTHING)
