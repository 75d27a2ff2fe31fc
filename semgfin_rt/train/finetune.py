"""A checkpoint of other people, or of another day -> a checkpoint of one person."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from semgfin_rt.contracts import Recording
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.errors import OptionError, TrainingError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.checkpoint_folder import sha256
from semgfin_rt.nn.reference import choose_device
from semgfin_rt.train import dataset
from semgfin_rt.train.drafting import known_filter, rest_gate
from semgfin_rt.train.heads import PriorWeight
from semgfin_rt.train.loop import Progress, Run
from semgfin_rt.train.objectives import Objective
from semgfin_rt.train.options import FinetuneOptions
from semgfin_rt.train.outcome import (
    fingerprint,
    finish,
    require_replaceable,
    resume_folder,
    training_record,
)
from semgfin_rt.train.preparation import (
    TrainingData,
    filter_each,
    prepare,
    require_known_classes,
    training_repetitions,
)
from semgfin_rt.train.recipes import finetune_recipe
from semgfin_rt.train.recognition import (
    Recognised,
    held_out_accuracy,
    recognise,
    told,
    train_cnn,
)
from semgfin_rt.train.signals import SignalCache

_BEFORE = "before_held_out_accuracy"


def finetune(
    base: Path,
    recordings: Iterable[Recording],
    out: Path,
    options: FinetuneOptions,
    progress: Progress,
    cache: Path | None = None,
) -> ModelContract:
    """Adapt a checkpoint to one person with labelled repetitions.

    The signal is scaled and the features are normalised with the person's own statistics; the ring
    is turned until the movements look most like those of the people of the first training; the
    closed-form head is fitted to the person, drawn towards those people; the MLP is trained on.
    With a single training repetition nothing can be held out, and the closed-form head alone
    decides. Where `base` has learnt the held-out repetition, it chooses nothing: the mix of MLP and
    closed-form head stays as it was. The FIN stays, unless `options.tune` says otherwise. A CNN is
    trained together with it; for the comparison a copy of it is, without the held-out repetition.

    Parameters
    ----------
    base : Path
        Checkpoint to start from; it is not changed.
    recordings : iterable of Recording
        Of one person.
    out, options, progress, cache
        As for `fit`.

    Raises
    ------
    TrainingError
        When the result is worse than `base` on the held-out repetition, which `base` has not learnt
        either; nothing is written then, unless `options.keep_worse`.
    OptionError, ContractMismatchError, CheckpointError
        One sentence on what does not fit.
    """
    network, contract = load_checkpoint(base)
    require_tunable(contract, options)
    require_replaceable(out)
    device = choose_device(options.device)
    with resume_folder(out) as state:
        signals = SignalCache(cache or state / "signals")
        filtered = filter_each(recordings, lambda first: known_filter(contract, first), signals)
        contract, data, as_before = _prepare_person(filtered.recordings, contract, options)
    spec = contract.network
    recipe = finetune_recipe(contract.preset, spec.classifier, options.tune, options.shorten)
    if options.most_windows is not None:
        recipe = replace(recipe, windows=min(recipe.windows, options.most_windows))
    identity = fingerprint(
        options, recipe, contract, data.repetitions, filtered.sha256, sha256(base)
    )
    network = network.to(device)
    objective = Objective(network, contract, recipe, options.seed, device)
    key = f"held_out_accuracy_{contract.horizons_ms[0]}ms"
    metrics = {}
    if as_before is not None:
        tell = told(progress, "before")
        metrics[_BEFORE] = held_out_accuracy(network, as_before, recipe.held, tell)
        if spec.classifier == "cnn" and not options.keep_worse:
            trial = replace(objective, network=copy.deepcopy(network))
            run = Run(trial.network, state / "without held out.safetensors", identity, progress)
            train_cnn(run, trial, data.kept)
            metrics[key] = held_out_accuracy(
                trial.network, replace(as_before, scalers=data.kept.scalers), recipe.held
            )
            _refuse_worse(metrics, key, base, state)
    run = Run(network, state / "recognition.safetensors", identity, progress)
    done = _adapt(run, objective, data, options, choose=as_before is not None)
    if as_before is not None:
        metrics |= done.metrics
        if not options.keep_worse:
            _refuse_worse(metrics, key, base, state)
    contract = contract.model_copy(
        update={"rotation": done.alignment.rotation, "mirrored": done.alignment.mirrored}
    )
    record = training_record("finetune", filtered.sha256, data, options.seed, done, run.seconds)
    return finish(out, state, network, contract, record, metrics)


def _prepare_person(
    recordings: list[Recording], base: ModelContract, options: FinetuneOptions
) -> tuple[ModelContract, TrainingData, dataset.TrainingWindows | None]:
    """Return the contract with the person's scale, what is learnt, and what both are compared on.

    The last is the held-out repetition on the scale of `base`, or None: one that `base` has learnt
    says nothing.
    """
    if len(recordings) > 1:
        raise OptionError(
            f"a checkpoint is adapted to one person and {len(recordings)} were given: choose one "
            "with --subjects."
        )
    repetitions = training_repetitions(recordings, options.repetitions)
    require_known_classes(recordings, repetitions, base)
    scaler = dataset.fit_scaler(recordings, repetitions)
    contract = base.model_copy(
        update={"scale_mean": tuple(scaler.mean), "scale_std": tuple(scaler.std)}
    )
    data = prepare(recordings, contract, repetitions)
    learnt: frozenset[int] = frozenset()
    if not options.new_session:
        learnt = base.learnt_repetitions(recordings[0].dataset, recordings[0].subject)
    as_before = None
    if data.held is not None and not learnt & set(data.held_out):
        as_before = replace(data.held, scalers=[Scaler(base.scale_mean, base.scale_std)])
    if (gate := rest_gate(contract, data)) is not None:
        contract = contract.model_copy(update={"rest_gate": gate})
    return contract, data, as_before


def require_tunable(contract: ModelContract, options: FinetuneOptions) -> None:
    """Refuse to tune a FIN, or to leave out statistics of other people, that are not there.

    Raises
    ------
    OptionError
        Where the checkpoint has closed-form features, or a CNN.
    """
    if contract.network.classifier == "cnn" and not options.replay:
        raise OptionError(
            "the checkpoint's CNN keeps no statistics of other people that could be left out: give "
            "no `--no-replay`."
        )
    if options.tune == "all" and contract.network.imitator == "closed_form":
        raise OptionError(
            "the checkpoint computes its features instead of imitating them, so there is no FIN to "
            "tune: choose `--tune head`."
        )


def _adapt(
    run: Run, objective: Objective, data: TrainingData, options: FinetuneOptions, *, choose: bool
) -> Recognised:
    imitate = objective.stage("imitate", "FIN", data.kept, None)
    if imitate.steps:
        run.run(imitate)
    prior = PriorWeight() if options.replay else PriorWeight(0, 0)
    done = recognise(run, objective, data, prior, choose=choose)
    if imitate.steps:
        done.steps[imitate.name] = imitate.steps
    return done


def _refuse_worse(metrics: Mapping[str, float], key: str, base: Path, state: Path) -> None:
    before, after = metrics[_BEFORE], metrics[key]
    if after >= before:
        return
    shutil.rmtree(state, ignore_errors=True)
    raise TrainingError(
        f"adapted, the checkpoint is right on {100 * after:.1f} % of the held-out repetition "
        f"and was on {100 * before:.1f} % as it was, so nothing was written: keep {base}, "
        "record better repetitions, or insist with --keep-worse."
    )
