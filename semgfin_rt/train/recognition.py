"""From imitated features to movements: classifiers, and the choices on the held-out repetition.

The FIN stays as it is, so its features are computed once. A published CNN is trained together with
the FIN instead (`train_cnn`): it has no linear head, and nothing to choose.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from semgfin_rt.errors import TrainingError
from semgfin_rt.nn.montage import Alignment, Montage
from semgfin_rt.nn.network import Network
from semgfin_rt.train import heads, people
from semgfin_rt.train.dataset import TrainingWindows
from semgfin_rt.train.loop import Progress, Run
from semgfin_rt.train.objectives import Objective
from semgfin_rt.train.people import FeatureTable, Person
from semgfin_rt.train.preparation import TrainingData


@dataclass(frozen=True)
class Recognised:
    """Steps of each stage, what was chosen, held-out figures, and how the person wears the ring."""

    steps: dict[str, int]
    chosen: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    alignment: Alignment = field(default_factory=Alignment)


def recognise(
    run: Run,
    objective: Objective,
    data: TrainingData,
    prior: heads.PriorWeight | None = None,
    *,
    choose: bool = True,
) -> Recognised:
    """Train the classifiers on the FIN's features; choose their mixes on the held-out repetition.

    Parameters
    ----------
    prior : PriorWeight or None
        Weight of what the checkpoint knows of other people, where one is adapted.
    choose : bool
        False: every mix stays, since the checkpoint has learnt the held-out repetition.
    """
    if not heads.linear_heads(objective.network):
        return train_cnn(run, objective, data.all)
    network, contract, most = objective.network, objective.contract, objective.recipe.windows
    tell = None if prior is None else told(run.progress, "features")  # a person waits for it
    kept = FeatureTable.read(network, data.kept, most, tell)
    held = None
    if data.held is not None:
        held = FeatureTable.read(network, data.held, objective.recipe.held, tell)
    alignments = _align(objective, kept, data)
    metrics: dict[str, float] = {}
    chosen: dict[str, float] = {}
    stages = []
    if held is not None:
        persons = _describe(objective, kept, alignments)
        inputs = normalised(kept, persons)
        stages.append(objective.classifier_stage("classifier", inputs, kept.classes))
        run.run(stages[-1])
        fit_heads(objective, inputs, kept, len(data.repetitions) - 1, prior)
        if choose:
            chosen, metrics = _choose_mixes(run, objective, held, persons)
        everything = kept + held
    else:
        everything = kept
        set_mixes(objective, [1.0] * len(contract.horizons_ms))
    persons = _describe(objective, everything, alignments)
    inputs = normalised(everything, persons)
    if held is not None:
        stages.append(objective.classifier_stage("all repetitions", inputs, everything.classes))
        run.run(stages[-1])
    fit_heads(objective, inputs, everything, len(data.repetitions), prior)
    if prior is None:
        for h, classifier in enumerate(heads.linear_heads(network)):
            known = everything.classes[:, h] >= 0
            heads.set_prior(
                classifier,
                inputs[torch.from_numpy(known), h].numpy(),
                everything.classes[known, h],
                everything.person[known],
            )
    set_person(network, persons)
    return Recognised({stage.name: stage.steps for stage in stages}, chosen, metrics, alignments[0])


def told(progress: Progress, stage: str) -> people.Tell:
    """Report batches of windows as the steps of a stage."""
    return lambda done, n: progress(stage, done, n, 0.0)


def normalised(table: FeatureTable, persons: list[Person]) -> Tensor:
    """Turn and normalise everybody's features: (n_windows, n_horizons, n_inputs)."""
    inputs = torch.empty(*table.features.shape[:2], table.features[0, 0].numel())
    for p, person in enumerate(persons):
        mine = torch.from_numpy(table.person == p)
        inputs[mine] = person(table.features[mine])
    return inputs


def fit_heads(
    objective: Objective,
    inputs: Tensor,
    table: FeatureTable,
    n_repetitions: int,
    prior: heads.PriorWeight | None,
) -> None:
    """Fit the linear head of every horizon."""
    for h, classifier in enumerate(heads.linear_heads(objective.network)):
        known = table.classes[:, h] >= 0
        heads.fit_linear_head(
            classifier,
            inputs[torch.from_numpy(known), h].numpy(),
            table.classes[known, h],
            n_repetitions,
            prior,
        )


def set_mixes(objective: Objective, mixes: list[float]) -> None:
    """Set how much of the linear head each horizon's classifier takes."""
    for classifier, mix in zip(heads.linear_heads(objective.network), mixes, strict=True):
        classifier.mix.fill_(mix)


def set_person(network: Network, persons: list[Person]) -> None:
    """Put a person's statistics into the network; of several people, the mean of theirs."""
    shift = torch.stack([p.shift for p in persons]).mean(0)
    scale = torch.stack([p.scale for p in persons]).mean(0)
    for h, classifier in enumerate(heads.linear_heads(network)):
        classifier.shift.copy_(shift[h])
        classifier.scale.copy_(scale[h])


def _align(objective: Objective, table: FeatureTable, data: TrainingData) -> list[Alignment]:
    """How everybody wears the ring, against the checkpoint's people or each other."""
    montage = Montage.of(objective.contract)
    n_classes = len(objective.contract.classes)
    means = []
    for p, recording in enumerate(data.recordings):
        mine = (table.person == p) & (table.classes[:, 0] >= 0)
        if not mine.any():
            kept = ", ".join(str(r) for r in data.repetitions if r not in data.held_out)
            raise TrainingError(
                f"{recording.path} shows no movement in repetitions {kept}: leave it out, or "
                "choose --repetitions that everybody has."
            )
        features = table.features[torch.from_numpy(mine)]
        means.append(people.class_means(features, table.classes[mine, 0], n_classes))
    first = heads.linear_heads(objective.network)[0]
    if first.prior_people.any():
        reference = first.prior_means.cpu().reshape(means[0].shape)
        return [people.most_alike(mean, reference, montage) for mean in means]
    return people.align_people(means, montage)


def _describe(
    objective: Objective, table: FeatureTable, alignments: list[Alignment]
) -> list[Person]:
    montage = Montage.of(objective.contract)
    return [
        people.describe_person(
            table.features[torch.from_numpy(table.person == p)],
            table.classes[table.person == p, 0],
            montage,
            alignment,
        )
        for p, alignment in enumerate(alignments)
    ]


def _choose_mixes(
    run: Run, objective: Objective, held: FeatureTable, persons: list[Person]
) -> tuple[dict[str, float], dict[str, float]]:
    """Compare the mixes on the held-out repetition and set the best of every horizon."""
    horizons = objective.contract.horizons_ms
    if "mixes" not in run.notes:
        inputs = normalised(held, persons)
        run.notes["mixes"] = []
        for h, classifier in enumerate(heads.linear_heads(objective.network)):
            known = held.classes[:, h] >= 0
            compared = heads.compare_mixes(
                classifier, inputs[torch.from_numpy(known), h], held.classes[known, h]
            )
            run.notes["mixes"].append({str(mix): value for mix, value in compared.items()})
    rows = [{float(m): a for m, a in row.items()} for row in run.notes["mixes"]]
    mixes = [heads.best_mix(row) for row in rows]
    set_mixes(objective, mixes)
    chosen = {
        f"held-out accuracy, {horizons[0]} ms, mix {mix:g}": round(accuracy, 4)
        for mix, accuracy in rows[0].items()
    }
    chosen |= {f"mix at {ms} ms": mix for ms, mix in zip(horizons, mixes, strict=True)}
    metrics = {
        f"held_out_accuracy_{ms}ms": row[mix]
        for ms, row, mix in zip(horizons, rows, mixes, strict=True)
    }
    return chosen, metrics


def train_cnn(run: Run, objective: Objective, windows: TrainingWindows) -> Recognised:
    """Train the classifier on the frozen FIN, then both together, as far as the recipe has it."""
    stages = [
        objective.stage("classify", "classifier", windows, None),
        objective.stage("joint", "joint", windows, None),
    ]
    stages = [stage for stage in stages if stage.steps]
    for stage in stages:
        run.run(stage)
    return Recognised({stage.name: stage.steps for stage in stages})


@torch.no_grad()
def held_out_accuracy(
    network: Network,
    held: TrainingWindows,
    most: int,
    tell: people.Tell | None = None,
) -> float:
    """Accuracy of a network as it is, at the first horizon, on the windows of `recognise`."""
    network.eval()
    length = held.windowing.window
    device = network.derive.device
    rows = held.spread(most)
    hits = n = 0
    for part in people.batches(rows, device, tell):
        batch = held.gather(part)
        truth = batch.classes[:, 0]
        decided = network(batch.samples[:, :length].to(device))[:, 0].argmax(1).cpu()
        hits += int(((decided == truth) & (truth >= 0)).sum())
        n += int((truth >= 0).sum())
    return hits / n
