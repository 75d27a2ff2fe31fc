"""What the steps of a training cost on this machine: a few real ones are timed, on random signals.

Of a batch that would take long (a step of the preset `paper` takes minutes on a CPU) a part is
timed. Whatever else the machine does is in the figures, too.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.fin import MOST_STEPS
from semgfin_rt.nn.network import Network
from semgfin_rt.train import controls, dataset, heads
from semgfin_rt.train.loop import Stage
from semgfin_rt.train.objectives import Objective
from semgfin_rt.train.people import FeatureTable
from semgfin_rt.train.recipes import Recipe
from semgfin_rt.train.test_windows import features_of

_ENOUGH_S = 0.3
"""A measurement that takes so long is good enough."""
_WINDOWS = 800


@dataclass(frozen=True)
class Costs:
    """Seconds, with the threads that torch uses now.

    Attributes
    ----------
    imitate, classify, joint : float
        Of a step of that stage, with a whole batch; 0 for a stage that is left out.
    read : float
        Of the FIN on a window, without gradient.
    features : float
        Of the closed-form features of a window.
    heads : float
        Of the linear heads of all horizons, for a window; 0 where there are none.
    step_bytes : int
        Memory of the largest step.
    """

    imitate: float
    classify: float
    joint: float
    read: float
    features: float
    heads: float
    step_bytes: int

    @classmethod
    def measure(cls, contract: ModelContract, recipe: Recipe, device: torch.device) -> Costs:
        """Time a network with random weights on noise, for some seconds."""
        network = Network(contract).to(device)
        shared = contract.network.model_copy(update={"copies": 1})  # until it is pre-trained
        first = Network(contract.model_copy(update={"network": shared})).to(device)
        windows = _noise(contract)
        mlps = heads.linear_heads(network)
        seconds = dict.fromkeys(recipe.stages, 0.0)
        stages = {
            kind: _Slices(
                Objective(first if kind == "imitate" else network, contract, recipe, 0, device),
                kind,
                windows,
            )
            for kind, numbers in recipe.stages.items()
            if numbers.steps and (kind == "imitate" or not mlps)
        }
        FeatureTable.read(first, windows, 2)  # what is loaded once and stays is no step's
        kept: list[Tensor] = []  # none is let go meanwhile: what is free would be used again
        n_bytes = max((_step_bytes(slices, first, kept) for slices in stages.values()), default=0)
        kept.clear()
        for kind, slices in stages.items():
            seconds[kind] = slices.batch * _seconds_each(slices, slices.batch)
        fit = 0.0
        if mlps:
            inputs = torch.randn(len(windows), len(mlps), mlps[0].shift.numel())
            objective = Objective(network, contract, recipe, 0, device)
            made = objective.classifier_stage("classifier", inputs, windows.classes)
            seconds["classify"] = _seconds_each(lambda n: _steps(made, n), 64)
            began = time.perf_counter()
            for h, mlp in enumerate(mlps):
                heads.fit_linear_head(mlp, inputs[:, h].numpy(), windows.classes[:, h])
            fit = (time.perf_counter() - began) / len(windows)
        read = _seconds_each(lambda n: FeatureTable.read(network, windows, n), 512)
        (signal,), (scaler,) = windows.signals, windows.scalers
        features = _seconds_each(
            lambda n: features_of(
                signal, scaler, windows.newest[:n], contract.window, controls.FEATURES
            ),
            512,
        )
        return cls(**seconds, read=read, features=features, heads=fit, step_bytes=n_bytes)


@dataclass(frozen=True)
class ControlCost:
    """Seconds of a control at one horizon.

    Attributes
    ----------
    fit : float
        Of learning from `_WINDOWS` windows.
    decide : float
        Of a test window, after that.
    """

    fit: float
    decide: float

    def seconds(self, method: str, n_windows: int, n_tested: int) -> float:
        """Of learning from so many windows and deciding on so many."""
        if method == "svm":  # every pair of windows is looked at, and each kept one when deciding
            share = min(n_windows, controls.MOST_SVM_WINDOWS) / _WINDOWS
            return self.fit * share**2 + n_tested * self.decide * share
        most = controls.MOST_FOREST_WINDOWS if method == "random_forest" else controls.MOST_WINDOWS
        return self.fit * min(n_windows, most) / _WINDOWS + n_tested * self.decide

    @classmethod
    def measure_all(cls, n_channels: int, n_classes: int) -> dict[str, ControlCost]:
        """Time every control on noise about a mean of each class."""
        rng = np.random.default_rng(0)
        labels = np.arange(_WINDOWS).astype(np.int16) % n_classes
        shape = (len(controls.FEATURES), n_channels)
        means = rng.standard_normal((n_classes, *shape), dtype=np.float32)
        features = rng.standard_normal((_WINDOWS, *shape), dtype=np.float32) + means[labels]
        groups = np.arange(_WINDOWS) * 4 // _WINDOWS
        found = {}
        for name, control in controls.METHODS.items():
            began = time.perf_counter()
            predict = control.fit(features, labels, groups, 0)
            fitted = time.perf_counter()
            predict(features)
            found[name] = cls(fitted - began, (time.perf_counter() - fitted) / _WINDOWS)
        return found


def resident_bytes() -> int:
    """Memory of this process now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux: the most it has had
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * os.sysconf("SC_PAGE_SIZE")


def _seconds_each(run: Callable[[int], object], most: int) -> float:
    """Seconds of one of the n that `run` does, with more of them until it takes a while."""
    n = min(2, most)
    run(n)  # the first time is slower
    while True:
        began = time.perf_counter()
        run(n)
        seconds = time.perf_counter() - began
        if seconds > _ENOUGH_S or n == most:
            return seconds / n
        n = min(4 * n, most)


def _steps(stage: Stage, n: int) -> None:
    """Take steps of the optimiser, as `loop.Run` does."""
    optimizer = torch.optim.AdamW([w for group in stage.groups for w in group.parameters])
    for step in range(n):
        optimizer.zero_grad()
        loss = stage.loss(step)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss.item()  # waits for a GPU


@dataclass(frozen=True, eq=False)
class _Slices:
    """A stage with fewer windows in a batch than its recipe has."""

    objective: Objective
    kind: str
    windows: dataset.TrainingWindows

    @property
    def batch(self) -> int:
        """Windows in a batch of the recipe."""
        return self.objective.recipe.stages[self.kind].batch

    def stage(self, batch: int) -> Stage:
        """Make the stage, with so many windows in a batch."""
        recipe = self.objective.recipe
        numbers = {k: replace(stage, batch=batch) for k, stage in recipe.stages.items()}
        recipe = replace(
            recipe, imitate=numbers["imitate"], classify=numbers["classify"], joint=numbers["joint"]
        )
        objective = replace(self.objective, recipe=recipe)
        return objective.stage(self.kind, self.kind, self.windows, None)

    def __call__(self, batch: int) -> None:
        """Take one step."""
        _steps(self.stage(batch), 1)


def _step_bytes(slices: _Slices, shared: Network, kept: list[Tensor]) -> int:
    """Measure what a step keeps for its gradient, on two windows whose loss goes to `kept`.

    Weights of their own for each channel keep as much, but two rows at a time hardly show it. A
    FIN that runs in parts (see `nn.fin`) keeps one part of one FIN at a time.
    """
    objective = replace(slices.objective, network=shared)
    before = resident_bytes()
    kept.append(replace(slices, objective=objective).stage(2).loss(0))
    n_bytes = slices.batch * max(0, resident_bytes() - before) / 2
    network, contract = slices.objective.network, slices.objective.contract
    n_fins = len(getattr(network.imitator, "fins", ()))
    if not n_fins:
        return int(n_bytes)
    rows = slices.batch * len(network.derive) * contract.network.trunks / n_fins  # of one FIN
    most = max(1, MOST_STEPS * contract.network.patch // contract.window)
    all_rows = rows * n_fins
    return int(n_bytes if all_rows <= most else n_bytes * min(most, rows) / all_rows)


def _noise(contract: ModelContract) -> dataset.TrainingWindows:
    """Windows of noise, of every class."""
    rng = np.random.default_rng(0)
    n_channels = len(contract.channels)
    length = contract.window + _WINDOWS + contract.horizons[-1]
    shape = (_WINDOWS, len(contract.horizons))
    return dataset.TrainingWindows(
        [rng.standard_normal((length, n_channels), dtype=np.float32)],
        [Scaler((0.0,) * n_channels, (1.0,) * n_channels)],
        np.zeros(_WINDOWS, dtype=np.int64),
        contract.window - 1 + np.arange(_WINDOWS),
        rng.integers(len(contract.classes), size=shape),
        np.ones(shape, dtype=np.bool_),
        Windowing(contract.window, contract.hop),
        contract.horizons,
    )
