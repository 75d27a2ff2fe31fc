"""Tasks of what has a network: have it adapted as the amount says, then score it."""

from __future__ import annotations

import copy
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semgfin_rt.contracts import FloatArray, Recording
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.nn.choosing import choose_backend
from semgfin_rt.nn.graph import can_be_graph
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.reference import TorchBackend, choose_device, one_thread
from semgfin_rt.recordings import iter_recordings
from semgfin_rt.train import heads
from semgfin_rt.train.adapt import adapt
from semgfin_rt.train.finetune import finetune
from semgfin_rt.train.fit import fit
from semgfin_rt.train.measures import decide
from semgfin_rt.train.options import AdaptOptions, FinetuneOptions
from semgfin_rt.train.outputs import probabilities
from semgfin_rt.train.protocols.scoring import Setting, figure, scored, with_horizons
from semgfin_rt.train.protocols.shares import first_share
from semgfin_rt.train.protocols.tasks import Amount, Base, Task
from semgfin_rt.train.results import Figure, TaskResult
from semgfin_rt.train.schedule import Schedule, persistence
from semgfin_rt.train.test_windows import TestWindows


def train_base(base: Base, setting: Setting) -> TaskResult:
    """Train a checkpoint of a plan; an unfinished one goes on where it was."""
    fit(
        iter_recordings(setting.data, base.subjects),
        setting.bases / base.key,
        base.options,
        _quiet,
        cache=setting.signals,
    )
    return TaskResult(figures=[])


@dataclass(frozen=True, eq=False)
class Trained:
    """A checkpoint that is ready to decide, and how long its training took."""

    network: Network
    contract: ModelContract
    seconds: float


def score_networks(task: Task, recording: Recording, setting: Setting) -> TaskResult:
    """Score the networks of a task, with every amount of what is known of the person."""
    result = TaskResult(figures=[])
    for amount in task.amounts:
        trained = [
            adapted(setting.bases / key, recording, amount, task, setting) for key in task.bases
        ]
        _score(result, task, amount, trained, recording, setting)
    return result


def adapted(
    base: Path, recording: Recording, amount: Amount, task: Task, setting: Setting
) -> Trained:
    """Make of a checkpoint what the person's signal allows; the checkpoint itself stays."""
    contract = load_contract(base)
    trained_s = contract.history[-1].seconds
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="semgfin-") as folder:
        out = Path(folder) / "adapted"
        if amount.kind == "nothing":
            return Trained(*load_checkpoint(base), trained_s)
        if amount.kind == "unlabelled":
            seconds = AdaptOptions(seconds=setting.unlabelled_s, device=setting.device)
            adapt(base, setting.excerpt(recording, task, contract), out, seconds, _quiet)
        else:
            options = FinetuneOptions(
                repetitions=amount.repetitions,
                seed=task.seed,
                device=setting.device,
                shorten=setting.shorten,
                keep_worse=True,  # what it does is scored, for better or worse
            )
            whole = amount.percent == 100
            shown = recording if whole else _share(recording, amount, contract)
            finetune(base, [shown], out, options, _quiet, setting.signals if whole else None)
        return Trained(*load_checkpoint(out), time.perf_counter() - started)


def _share(recording: Recording, amount: Amount, contract: ModelContract) -> Recording:
    windowing = Windowing(contract.window, contract.hop)
    ahead = contract.horizons[-1]
    return first_share(recording, amount.repetitions, amount.percent, windowing, ahead)


def _score(
    result: TaskResult,
    task: Task,
    amount: Amount,
    trained: list[Trained],
    recording: Recording,
    setting: Setting,
) -> None:
    contract = with_horizons([t.contract for t in trained])
    prepared = setting.filtered(recording, contract)
    windows = setting.windows(prepared, contract)
    outputs = [_outputs(t, prepared, setting, both=task.method == "fin") for t in trained]
    for method, parts in zip((task.method, "fin_linear"), zip(*outputs, strict=True), strict=False):
        output = np.concatenate(parts, axis=1)
        figures, details = scored(task, amount, method, windows, output, contract)
        result.figures.extend(figures)
        result.details.extend(details)
        if method == "fin":
            result.figures.extend(_forecasts(task, amount, windows, output, contract, recording))
    seconds = sum(t.seconds for t in trained)
    result.figures.append(figure(task, amount, task.method, "seconds", seconds))
    if task.protocol == "horizon":
        compute_ms = decision_ms(trained[0], setting.device)
        result.figures.extend(
            figure(task, amount, task.method, "lead_ms", ms - compute_ms, ms)
            for ms in contract.horizons_ms
        )


def _outputs(
    trained: Trained, prepared: Recording, setting: Setting, *, both: bool
) -> list[FloatArray]:
    """Probabilities of the network, and with `both` those of its closed-form head alone."""
    contract, device = trained.contract, choose_device(setting.device)
    backends = [TorchBackend(trained.network, contract, device)]
    if both and heads.linear_heads(trained.network):
        linear = copy.deepcopy(trained.network)
        for head in heads.linear_heads(linear):
            head.mix.fill_(1.0)
        backends.append(TorchBackend(linear, contract, device))
    return probabilities(contract, backends, setting.windows(prepared, contract))


def _forecasts(
    task: Task,
    amount: Amount,
    windows: TestWindows,
    output: FloatArray,
    contract: ModelContract,
    recording: Recording,
) -> list[Figure]:
    """Score what stands beside the forecasts of `fin`; nothing where there are none."""
    n_horizons = len(contract.horizons_ms)
    if n_horizons < 2 or contract.horizons_ms[0] != 0:
        return []
    present = decide(output, contract)[0][:, 0]
    schedule = Schedule.fit([recording], task.repetitions, contract)
    controls = {
        "persistence": persistence(present, n_horizons),
        "truth_persistence": persistence(windows.present, n_horizons),
        "schedule": schedule.forecast(present, windows.newest),
    }
    return [
        found
        for method, decided in controls.items()
        for found in scored(task, amount, method, windows, decided, contract)[0]
        if found.horizon_ms > 0
    ]


def decision_ms(trained: Trained, device: str) -> float:
    """Median time of one decision in ms, on the fastest backend of a device, on one CPU thread."""
    wanted = "auto"
    if choose_device(device).type == "cpu":
        wanted = "onnx" if can_be_graph(trained.contract) else "torch"
    with one_thread():
        choice = choose_backend(trained.network, trained.contract, wanted)
    return choice.median_ms[choice.backend.name]


def _quiet(_stage: str, _step: int, _steps: int, _loss: float) -> None:
    """Progress is told by the grid, task by task."""
