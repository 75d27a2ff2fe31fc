"""The classifier, then FIN and classifier together, and the choice on the held-out repetition."""

from __future__ import annotations

from dataclasses import dataclass

from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.network import Network
from semgfin_rt.train import dataset, heads
from semgfin_rt.train.loop import Run
from semgfin_rt.train.objectives import Objective
from semgfin_rt.train.preparation import TrainingData


@dataclass(frozen=True)
class Recognised:
    """Steps of each stage, what was chosen, and held-out figures."""

    steps: dict[str, int]
    chosen: dict[str, float]
    metrics: dict[str, float]


def recognise(run: Run, objective: Objective, data: TrainingData) -> Recognised:
    """Train the classifier, then both; choose the mix on the held-out repetition between.

    A classifier without a linear head (the published CNN) leaves nothing to choose: it is trained
    on all training repetitions at once.
    """
    network, contract = objective.network, objective.contract
    chooses = data.held is not None and heads.has_linear_heads(network)
    if heads.has_linear_heads(network):  # a base's own head and mix would stand in the gradient
        heads.set_mixes(network, [0.0] * len(contract.horizons_ms))
    windows = data.kept if chooses else data.all
    stages = [
        objective.stage("classify", "classifier", windows, None),
        objective.stage("joint", "joint", windows, None),
    ]
    if chooses:
        stages.append(objective.stage("joint", "joint, all repetitions", data.all, None))
    stages = [stage for stage in stages if stage.steps]
    chosen: dict[str, float] = {}
    metrics: dict[str, float] = {}
    for stage in stages:
        if chooses and data.held is not None and stage is stages[-1]:
            chosen, metrics = _choose_mixes(run, network, contract, data.kept, data.held)
        run.run(stage)
    if heads.has_linear_heads(network):
        heads.fit_linear_heads(network, data.all)
    return Recognised({stage.name: stage.steps for stage in stages}, chosen, metrics)


def _choose_mixes(
    run: Run,
    network: Network,
    contract: ModelContract,
    kept: dataset.TrainingWindows,
    held: dataset.TrainingWindows,
) -> tuple[dict[str, float], dict[str, float]]:
    """Compare the mixes on the held-out repetition and set the best of every horizon."""
    if "mixes" not in run.notes:
        heads.fit_linear_heads(network, kept)
        run.notes["mixes"] = [
            {str(mix): value for mix, value in accuracies.items()}
            for accuracies in heads.compare_mixes(network, held)
        ]
    compared = [{float(m): a for m, a in row.items()} for row in run.notes["mixes"]]
    mixes = [heads.best_mix(accuracies) for accuracies in compared]
    heads.set_mixes(network, mixes)
    horizons = contract.horizons_ms
    chosen = {
        f"held-out accuracy, {horizons[0]} ms, mix {mix:g}": round(accuracy, 4)
        for mix, accuracy in compared[0].items()
    }
    chosen |= {f"mix at {ms} ms": mix for ms, mix in zip(horizons, mixes, strict=True)}
    metrics = {
        f"held_out_accuracy_{ms}ms": row[mix]
        for ms, row, mix in zip(horizons, compared, mixes, strict=True)
    }
    return chosen, metrics
