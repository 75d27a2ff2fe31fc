"""One loop for every training stage, resumable to the step.

Every random number of a step follows from (seed, stage, step), so that a run which was killed and
started again ends with the very same weights as one that was not (on a CPU, with as many threads;
CUDA's kernels may round differently from run to run). The state is a safetensors file
beside the result, written whole or not at all; no pickle.

Backward pass, clipping and step go through Fabric. Of several processes (see `processes`), each
runs this loop and reads the state; the first alone writes it and tells of progress.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from semgfin_rt.atomic import written_whole
from semgfin_rt.errors import TrainingError

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricOptimizer

Progress = Callable[[str, int, int, float], None]
"""Called with stage name, step, steps and loss."""
_SAVE_EVERY_S = 10.0
_WARM_UP = 0.3  # share of the steps in which a one-cycle rate rises


@dataclass(frozen=True)
class Group:
    """Parameters that share a learning rate."""

    parameters: list[nn.Parameter]
    rate: float


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes
    ----------
    name : str
    steps : int
    groups : list of Group
    loss : callable
        Step number -> loss; draws its batch itself.
    optimizer : {"adam", "adamw"}
    weight_decay : float
    one_cycle : bool
        Learning rate up over the first 30 % of the steps, then down to 0, both as a cosine;
        otherwise constant.
    clip : float
        Largest norm of the gradient; infinity for none.
    average : bool
        The result is the mean of the weights over the second half of the steps.
    validate : callable or None
        () -> loss on the held-out repetition, for early stopping; the best weights are kept.
    every, patience, min_delta
        Steps between validations; validations without an improvement of `min_delta` that end it.
    """

    name: str
    steps: int
    groups: list[Group]
    loss: Callable[[int], Tensor]
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = 0.0
    one_cycle: bool = True
    clip: float = math.inf
    average: bool = False
    validate: Callable[[], float] | None = None
    every: int = 1
    patience: int = 15
    min_delta: float = 0.005


@dataclass
class _State:
    """What a resumed stage needs beside the weights."""

    stage: int = 0
    step: int = 0
    averaged: int = 0
    best: float = math.inf
    waited: int = 0
    seconds: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)


class Run:
    """A sequence of stages over one network, whose state survives a kill.

    Parameters
    ----------
    network : nn.Module
    file : Path
        Where the state is kept, in a folder of its own; written at least every 10 s.
    fingerprint : str
        Of configuration and data; a state of another fingerprint is refused.
    progress : callable
    fabric : Fabric, optional
        Started; by default one process, on the device of the network.

    Attributes
    ----------
    module : nn.Module
        The network as Fabric has set it up; the same where there is one process.
    """

    def __init__(
        self,
        network: nn.Module,
        file: Path,
        fingerprint: str,
        progress: Progress,
        fabric: Fabric | None = None,
    ) -> None:
        self.fabric = fabric or one_process(next(network.parameters()).device)
        self.network = network
        self.fingerprint = fingerprint
        self.progress = progress
        self._state = _State()
        self._tensors: dict[str, Tensor] = {}
        self._started = 0
        self._file = file
        if self._file.exists():
            self._load()
        self.module: nn.Module = self.fabric.setup_module(network)

    @property
    def notes(self) -> dict[str, Any]:
        """Results of decisions between the stages; kept with the state. JSON values only."""
        return self._state.notes

    @property
    def seconds(self) -> float:
        """Time spent in stages, earlier runs included."""
        return self._state.seconds

    def run(self, stage: Stage) -> None:
        """Run a stage, or what is left of it; a stage that was finished before is passed over.

        Raises
        ------
        TrainingError
            When the loss is not finite.
        """
        number = self._started
        self._started += 1
        state = self._state
        if state.stage > number:
            return
        optimizer = _optimizer(stage)
        steps = cast("_FabricOptimizer", self.fabric.setup_optimizers(optimizer))
        average = {n: t.clone() for n, t in self._floating()} if stage.average else {}
        best: dict[str, Tensor] = {}
        if state.step:
            _restore_optimizer(optimizer, self._tensors)
            average = _with_prefix(self._tensors, "average.")
            best = _with_prefix(self._tensors, "best.")
        saved = began = time.monotonic()
        before = state.seconds
        while state.step < stage.steps and state.waited < stage.patience:
            loss = self._step(stage, steps)
            state.step += 1
            if stage.average and state.step > stage.steps // 2:
                state.averaged += 1
                for name, tensor in self._floating():
                    average[name].lerp_(tensor, 1 / state.averaged)
            if stage.validate and state.step % stage.every == 0:
                self._validate(stage, best)
            if self.fabric.is_global_zero:
                self.progress(stage.name, state.step, stage.steps, loss)
            if time.monotonic() - saved > _SAVE_EVERY_S:
                state.seconds = before + time.monotonic() - began
                self._save(optimizer, average, best)
                saved = time.monotonic()
        if best:
            self.network.load_state_dict(best)
        if stage.average and state.averaged:
            for name, tensor in self._floating():
                tensor.copy_(average[name])
        self._state = _State(
            stage=number + 1, seconds=before + time.monotonic() - began, notes=state.notes
        )
        self._save(None, {}, {})

    def _floating(self) -> Iterable[tuple[str, Tensor]]:
        return (
            (name, tensor)
            for name, tensor in self.network.state_dict().items()
            if tensor.is_floating_point()
        )

    def _step(self, stage: Stage, optimizer: _FabricOptimizer) -> float:
        step = self._state.step
        factor = one_cycle(step / stage.steps) if stage.one_cycle else 1.0
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        optimizer.zero_grad()
        loss = stage.loss(step)
        self.fabric.backward(loss)
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"the loss of stage '{stage.name}' became {loss.item()} at step {step}: check the "
                "recordings for NaN or extreme values, or lower the learning rate."
            )
        if math.isfinite(stage.clip):
            self.fabric.clip_gradients(
                self.module, optimizer, max_norm=stage.clip, error_if_nonfinite=False
            )
        optimizer.step()
        return loss.item()

    def _validate(self, stage: Stage, best: dict[str, Tensor]) -> None:
        loss = stage.validate() if stage.validate else math.inf
        loss = self.fabric.broadcast(loss)  # rounding must not let processes stop apart
        if loss < self._state.best - stage.min_delta or not best:
            self._state.best, self._state.waited = loss, 0
            best.update({n: t.clone() for n, t in self.network.state_dict().items()})
        else:
            self._state.waited += 1

    def _save(
        self,
        optimizer: torch.optim.Optimizer | None,
        average: dict[str, Tensor],
        best: dict[str, Tensor],
    ) -> None:
        if not self.fabric.is_global_zero:
            return
        tensors = {f"network.{n}": t for n, t in self.network.state_dict().items()}
        tensors |= {f"average.{n}": t for n, t in average.items()}
        tensors |= {f"best.{n}": t for n, t in best.items()}
        if optimizer is not None:
            for index, values in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{index}.{key}": t for key, t in values.items()}
        metadata = {"fingerprint": self.fingerprint, "state": json.dumps(vars(self._state))}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(self._file) as part:
                save_file({n: t.contiguous() for n, t in tensors.items()}, part, metadata)
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"{self._file} cannot be written ({error}): make room, then start the same "
                "command again."
            ) from error

    def _load(self) -> None:
        advice = f"delete {self._file.parent} to start afresh, or choose another --out."
        try:
            with safe_open(self._file, framework="pt") as file:
                metadata = file.metadata() or {}
                device = next(self.network.parameters()).device
                tensors = {name: file.get_tensor(name).to(device) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise TrainingError(f"{self._file} cannot be read ({error}): {advice}") from error
        if metadata.get("fingerprint") != self.fingerprint:
            raise TrainingError(
                f"{self._file.parent} holds a run with other data, options or code: {advice}"
            )
        self._tensors = tensors
        self._state = _State(**json.loads(metadata["state"]))
        self.network.load_state_dict(_with_prefix(tensors, "network."))


def one_process(
    device: torch.device, precision: Literal["32-true", "bf16-mixed"] = "32-true"
) -> Fabric:
    """Let a training run in this process alone, whatever job of a cluster it may be part of."""
    from lightning_fabric import Fabric  # what only evaluates need not load it
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    # without an environment of its own, Fabric would look for SLURM and refuse jobs of many tasks
    alone = LightningEnvironment()
    return Fabric(accelerator=device.type, devices=1, precision=precision, plugins=alone)


def _optimizer(stage: Stage) -> torch.optim.Optimizer:
    groups = [{"params": g.parameters, "lr": g.rate, "initial_lr": g.rate} for g in stage.groups]
    if stage.optimizer == "adam":
        return torch.optim.Adam(groups, weight_decay=stage.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=stage.weight_decay)


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    saved = optimizer.state_dict()
    saved["state"] = {}
    for name, tensor in _with_prefix(tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        saved["state"].setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict(saved)


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t.clone() for n, t in tensors.items() if n.startswith(prefix)}


def one_cycle(fraction: float) -> float:
    """Learning rate as a share of its maximum, at `fraction` (0 to 1) of the steps."""
    if fraction < _WARM_UP:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * fraction / _WARM_UP)) / 2
    return (1 + math.cos(math.pi * (fraction - _WARM_UP) / (1 - _WARM_UP))) / 2
