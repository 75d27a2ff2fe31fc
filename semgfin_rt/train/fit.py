"""Recordings -> checkpoint.

The order: FIN pre-training, then the classifiers on the frozen FIN. One training repetition is held
out meanwhile; it alone decides how much of the closed-form head (LDA) every horizon's classifier
keeps (`recognition`). Then the classifiers go on with all training repetitions. Test repetitions
are never looked at.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path

import torch

from semgfin_rt.contracts import Recording
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.fin import FeatureImitator
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.reference import choose_device
from semgfin_rt.train import processes
from semgfin_rt.train.drafting import choose_filter, draft_contract, with_feature_statistics
from semgfin_rt.train.loop import Progress, Run
from semgfin_rt.train.objectives import Objective
from semgfin_rt.train.options import FitOptions
from semgfin_rt.train.outcome import (
    fingerprint,
    finish,
    require_replaceable,
    resume_folder,
    training_record,
)
from semgfin_rt.train.preparation import filter_each, prepare, training_repetitions
from semgfin_rt.train.recipes import RECIPES
from semgfin_rt.train.recognition import recognise
from semgfin_rt.train.signals import SignalCache

_FROM_LABELS = "FIN from labels"


def fit(
    recordings: Iterable[Recording],
    out: Path,
    options: FitOptions,
    progress: Progress,
    cache: Path | None = None,
) -> ModelContract:
    """Train a checkpoint.

    Parameters
    ----------
    recordings : iterable of Recording
        Of one or more subjects; the same channels, rate and unit. They are taken one at a time;
        their filtered signals are then read from the disk where they are needed.
    out : Path
        Folder of the checkpoint. The state of an unfinished run lies beside it, in
        ``<out>.resume``, and goes on where it was.
    options : FitOptions
    progress : callable
    cache : Path, optional
        Folder of filtered signals, which is kept and may be shared by processes; by default
        ``<out>.resume/signals``, which goes when the training is done.

    Returns
    -------
    ModelContract
        As it was written. Of several processes only the first goes on after FIN pre-training; the
        others return a contract without history.

    Raises
    ------
    TrainingError, ContractMismatchError, OptionError, CheckpointError
        One sentence on what does not fit.
    """
    require_replaceable(out)
    device = choose_device(options.device)
    fabric = processes.make_fabric(options, device)
    with resume_folder(out) as state:
        signals = SignalCache(cache or state / "signals")
        filtered = filter_each(recordings, lambda first: choose_filter(options, first), signals)
        repetitions = training_repetitions(filtered.recordings, options.repetitions)
        contract = draft_contract(filtered, repetitions, options)
        data = prepare(filtered.recordings, contract, repetitions)
        contract = with_feature_statistics(contract, data)
    recipe = RECIPES[options.preset].shortened(options.shorten)
    identity = fingerprint(options, recipe, contract, repetitions, filtered.sha256)

    learns = options.imitator == "fin" and options.pretrain
    processes.start(fabric)
    torch.manual_seed(options.seed)
    shared = contract.network.model_copy(update={"copies": 1})
    network = Network(contract.model_copy(update={"network": shared})).to(fabric.device)
    imitation = Run(network, state / "imitation.safetensors", identity, progress, fabric)
    objective = Objective(network, contract, recipe, options.seed, fabric.device)
    objective = processes.shared_objective(imitation, objective)
    if learns:
        imitation.run(objective.stage("imitate", "FIN", data.kept, data.held))
    processes.stop(imitation)
    if not fabric.is_global_zero:
        return contract

    if options.imitator == "fin" and not options.pretrain:
        initial = copy.deepcopy(network.classifiers.state_dict())
        objective = Objective(network, contract, recipe.from_labels, options.seed, device)
        imitation = Run(network, state / "labels.safetensors", identity, progress)
        imitation.run(objective.stage("joint", _FROM_LABELS, data.kept, None))
        network.classifiers.load_state_dict(initial)
    if contract.network.copies > 1:
        network = _copied_per_channel(network, contract).to(device)
    run = Run(network, state / "recognition.safetensors", identity, progress)
    objective = Objective(network, contract, recipe, options.seed, device)
    done = recognise(run, objective, data)
    if options.imitator == "fin":
        name = "FIN" if options.pretrain else _FROM_LABELS
        done.steps[name] = recipe.imitate.n_steps(len(data.kept))
    seconds = imitation.seconds + run.seconds
    record = training_record("fit", filtered.sha256, data, options.seed, done, seconds)
    return finish(out, state, network, contract, record, done.metrics)


def _copied_per_channel(network: Network, contract: ModelContract) -> Network:
    """One copy of each pre-trained FIN for every channel."""
    copied = Network(contract)
    if isinstance(copied.imitator, FeatureImitator) and isinstance(
        network.imitator, FeatureImitator
    ):
        for index, fin in enumerate(copied.imitator.fins):
            trained = network.imitator.fins[index // contract.network.copies]
            fin.load_state_dict(trained.state_dict())
    copied.classifiers.load_state_dict(network.classifiers.state_dict())
    return copied
