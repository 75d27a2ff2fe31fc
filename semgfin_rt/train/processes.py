"""FIN pre-training in several processes, one a device: they share each batch as one would see it.

Every process draws the same batch and runs the FIN and the closed-form features on its share of
the windows; then all gather what the others found and compute the same loss. Fabric averages the
gradients, so that the weights are those of one process, up to rounding.

Processes: Fabric starts the others with this command line once more, or SLURM has started all of
them. Each waits for the others in every step (gloo on CPUs, NCCL on GPUs).
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.rank_zero import rank_zero_only
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor

from semgfin_rt.errors import OptionError
from semgfin_rt.nn.network import Network
from semgfin_rt.train.loop import Run, one_process
from semgfin_rt.train.objectives import Objective
from semgfin_rt.train.options import FitOptions


def make_fabric(options: FitOptions, device: torch.device) -> Fabric:
    """Choose what FIN pre-training runs on; nothing is started yet.

    Raises
    ------
    OptionError
        When there are not as many devices, the precision is not for them, or the SLURM job has
        other numbers of tasks and nodes.
    """
    cuda = device.type == "cuda"
    there = torch.cuda.device_count() if cuda else os.cpu_count() or 1
    if options.devices > there:
        raise OptionError(
            f"--devices {options.devices} is more than the {there} "
            f"{'CUDA devices' if cuda else 'processor cores'} of this machine: give at most "
            f"{there}."
        )
    if options.precision == "bf16-mixed" and not cuda:
        raise OptionError(
            "--precision bf16-mixed gains nothing on a CPU: leave it out, or choose --device cuda."
        )
    if options.devices * options.nodes == 1:
        return one_process(device, options.precision)
    # the classifiers are part of the network and have no gradient yet
    strategy = DDPStrategy(find_unused_parameters=True)
    try:
        fabric = Fabric(
            accelerator=device.type,
            devices=options.devices,
            num_nodes=options.nodes,
            precision=options.precision,
            strategy=strategy,
        )
        job = cast(ClusterEnvironment, strategy.cluster_environment)
        job.validate_settings(num_devices=options.devices, num_nodes=options.nodes)
    except (ValueError, RuntimeError) as error:
        raise OptionError(
            f"--devices {options.devices} --nodes {options.nodes} do not fit the job: {error}"
        ) from error
    if options.nodes > 1 and not job.creates_processes_externally:
        raise OptionError(
            f"--nodes {options.nodes} needs a job on so many nodes: start it with `srun --nodes "
            f"{options.nodes} --ntasks-per-node {options.devices}`."
        )
    return fabric


def start(fabric: Fabric) -> None:
    """Start the other processes, if there are to be any, and wait for them."""
    if isinstance(fabric.strategy, DDPStrategy):
        fabric.launch()


def stop(run: Run) -> None:
    """Part from the other processes: none waits for another any more.

    The network of `run` is as if there had been one process.
    """
    if not isinstance(run.fabric.strategy, DDPStrategy):
        return
    run.fabric.barrier()
    # DDP must not be the last to hold the group: it would end it, and wait for gloo's threads,
    # without letting them have Python's lock, which they may want (a deadlock).
    run.module = run.network
    gc.collect()
    torch.distributed.destroy_process_group()


@contextmanager
def one_voice(options: FitOptions) -> Iterator[None]:
    """Let the first of several processes alone write to standard output."""
    with ExitStack() as stack:
        if options.devices * options.nodes > 1 and cast(Any, rank_zero_only).rank:
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(redirect_stdout(nowhere))
        yield


def shared_objective(run: Run, objective: Objective) -> Objective:
    """Let the processes of `run` share the work of an objective; one alone does all of it."""
    cast(_FabricModule, run.module).mark_forward_method("imitate")
    network = cast(Network, _SharedNetwork(run))
    return _SharedObjective(**(vars(objective) | {"network": network}), fabric=run.fabric)


@dataclass(frozen=True, eq=False)
class _SharedObjective(Objective):
    fabric: Fabric

    def targets(self, samples: Tensor) -> Tensor:
        return _share(self.fabric, super().targets, samples)


class _SharedNetwork:
    """Stands for the network; runs the FIN on a share of the windows."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run.module, name)

    def imitate(self, windows: Tensor) -> Tensor:
        with self._run.fabric.autocast():
            imitate = cast(Network, self._run.module).imitate
            features = _share(self._run.fabric, imitate, windows)
        return features.float()  # the loss is computed in full precision


def share_of(n: int, world: int, rank: int) -> Tensor:
    """Rows of `n` that process `rank` of `world` takes; as many for each, some of them twice."""
    each = -(-n // world)
    return (torch.arange(each) * world + rank) % n


def _share(fabric: Fabric, function: Callable[[Tensor], Tensor], windows: Tensor) -> Tensor:
    """Apply a function of each window, every process to its share; all have the whole result.

    (n_windows, ...) -> (n_windows, ...)
    """
    n, world = len(windows), fabric.world_size
    if world == 1:
        return function(windows)
    rows = share_of(n, world, fabric.global_rank).to(windows.device)
    own = function(windows[rows]).contiguous()
    parts = [torch.empty_like(own) for _ in range(world)]
    torch.distributed.all_gather(parts, own.detach())
    parts[fabric.global_rank] = own  # what the others found has its gradient with them
    if own.requires_grad:
        # DDP averages the gradients, which are to be summed
        own.register_hook(lambda gradient: gradient * world)  # type: ignore[no-untyped-call]
    return torch.stack(parts, dim=1).flatten(0, 1)[:n]  # in the order of the windows
