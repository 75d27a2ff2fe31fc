"""Recordings -> checkpoint: `fit` from nothing, `finetune` from a checkpoint.

The order: FIN pre-training, classifier on the frozen FIN, both together. One training repetition
is held out meanwhile; it alone decides how much of the closed-form head (LDA) every horizon's
classifier keeps. Then the joint training goes on with all training repetitions. Test repetitions
are never looked at.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import scipy
import torch
from pydantic import ValidationError

import semgfin_rt
from semgfin_rt.contracts import FloatArray, Recording
from semgfin_rt.dsp.filters import design_filter
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.errors import CheckpointError, ContractMismatchError, OptionError, TrainingError
from semgfin_rt.model_contract import ModelContract, TrainingRecord
from semgfin_rt.nn.backends import choose_device
from semgfin_rt.nn.checkpoint import load_checkpoint, save_checkpoint
from semgfin_rt.nn.checkpoint_folder import is_replaceable
from semgfin_rt.nn.network import Network, preset_band, preset_features, preset_network
from semgfin_rt.train import dataset, heads
from semgfin_rt.train.card import model_card
from semgfin_rt.train.loop import Progress, Run
from semgfin_rt.train.objectives import Objective
from semgfin_rt.train.options import FinetuneOptions, FitOptions
from semgfin_rt.train.recipes import FINETUNE_RECIPES, RECIPES

_STATISTICS_WINDOWS = 20_000


@dataclass(frozen=True, eq=False)
class _Data:
    """Recordings, filtered and z-scored, and the windows of the training repetitions."""

    recordings: list[Recording]
    all: dataset.TrainingWindows
    kept: dataset.TrainingWindows
    held: dataset.TrainingWindows | None
    repetitions: tuple[int, ...]
    held_out: tuple[int, ...]


def fit(
    recordings: Sequence[Recording], out: Path, options: FitOptions, progress: Progress
) -> ModelContract:
    """Train a checkpoint.

    Parameters
    ----------
    recordings : sequence of Recording
        Of one or more subjects; the same channels, rate and unit.
    out : Path
        Folder of the checkpoint. The state of an unfinished run lies beside it, in
        ``<out>.resume``, and goes on where it was.
    options : FitOptions
    progress : callable

    Raises
    ------
    TrainingError, ContractMismatchError, OptionError, CheckpointError
        One sentence on what does not fit.
    """
    _require_writable(out)
    dataset.require_same_signal(recordings)
    repetitions = _training_repetitions(recordings, options.repetitions)
    contract, filtered = _draft_contract(recordings, repetitions, options)
    data = _prepare(filtered, contract, repetitions)
    contract = _with_feature_statistics(contract, data)
    recipe = RECIPES[options.preset].shortened(options.shorten)
    digest = dataset.data_sha256(recordings)
    fingerprint = _fingerprint(options, recipe, contract, repetitions, digest)
    state = _resume_folder(out)

    torch.manual_seed(options.seed)
    device = choose_device(options.device)
    shared = contract.network.model_copy(update={"copies": 1})
    network = Network(contract.model_copy(update={"network": shared})).to(device)
    imitation = Run(network, state / "imitation.safetensors", fingerprint, progress)
    objective = Objective(network, contract, recipe, options.seed, device)
    imitation.run(objective.stage("imitate", "FIN", data.kept, data.held))

    if contract.network.copies > 1:
        network = _copied_per_channel(network, contract).to(device)
    run = Run(network, state / "recognition.safetensors", fingerprint, progress)
    objective = Objective(network, contract, recipe, options.seed, device)
    chosen, steps = _recognise(run, objective, data)
    steps["FIN"] = recipe.imitate.n_steps(len(data.kept))
    record = _record("fit", recordings, data, digest, options.seed, steps, chosen)
    record = record.model_copy(update={"seconds": round(imitation.seconds + run.seconds, 1)})
    return _finish(out, state, network, contract, record)


def finetune(
    base: Path,
    recordings: Sequence[Recording],
    out: Path,
    options: FinetuneOptions,
    progress: Progress,
) -> ModelContract:
    """Adapt a checkpoint to the subjects of `recordings`.

    The signal is scaled with the new training repetitions' own statistics, the closed-form head
    is fitted to them, and FIN and classifier are trained together. With a single training
    repetition nothing can be held out: the FIN stays and the closed-form head alone decides.

    Parameters
    ----------
    base : Path
        Checkpoint to start from; it is not changed.
    recordings, out, options, progress
        As for `fit`.
    """
    network, contract = load_checkpoint(base)
    _require_writable(out)
    dataset.require_same_signal(recordings)
    contract.require_fit(recordings[0].spec, recordings[0].path)
    repetitions = _training_repetitions(recordings, options.repetitions)
    _require_known_classes(recordings, repetitions, contract)
    filtered = [dataset.filtered(r, contract.filter_sos) for r in recordings]
    scaler = dataset.fit_scaler(filtered, repetitions)
    contract = contract.model_copy(
        update={"scale_mean": tuple(scaler.mean), "scale_std": tuple(scaler.std)}
    )
    data = _prepare(filtered, contract, repetitions)
    recipe = FINETUNE_RECIPES[contract.preset].shortened(options.shorten)
    digest = dataset.data_sha256(recordings)
    fingerprint = _fingerprint(options, recipe, contract, repetitions, digest)
    state = _resume_folder(out)
    device = choose_device(options.device)
    network = network.to(device)
    run = Run(network, state / "recognition.safetensors", fingerprint, progress)
    objective = Objective(network, contract, recipe, options.seed, device)
    if data.held is None and heads.has_linear_heads(network):
        heads.fit_linear_heads(network, data.all)
        heads.set_mixes(network, [1.0] * len(contract.horizons_ms))
        chosen, steps = {"mix at 0 ms": 1.0}, dict[str, int]()
    else:
        chosen, steps = _recognise(run, objective, data)
    record = _record("finetune", recordings, data, digest, options.seed, steps, chosen)
    record = record.model_copy(update={"seconds": round(run.seconds, 1)})
    return _finish(out, state, network, contract, record)


def _recognise(
    run: Run, objective: Objective, data: _Data
) -> tuple[dict[str, float], dict[str, int]]:
    """Classifier, then both, without and then with the held-out repetition; choose the mix."""
    network, contract = objective.network, objective.contract
    stages = [
        objective.stage("classify", "classifier", data.kept, data.held),
        objective.stage("joint", "joint", data.kept, data.held),
    ]
    for stage in stages:
        run.run(stage)
    steps = {stage.name: stage.steps for stage in stages}
    chosen: dict[str, float] = {}
    if data.held is not None:
        if heads.has_linear_heads(network):
            if "mixes" not in run.notes:
                heads.fit_linear_heads(network, data.kept)
                run.notes["mixes"] = [
                    {str(mix): value for mix, value in accuracies.items()}
                    for accuracies in heads.compare_mixes(network, data.held)
                ]
            compared = [{float(m): a for m, a in row.items()} for row in run.notes["mixes"]]
            mixes = [heads.best_mix(accuracies) for accuracies in compared]
            heads.set_mixes(network, mixes)
            for mix, accuracy in compared[0].items():
                chosen[f"held-out accuracy, mix {mix:g}"] = round(accuracy, 4)
            for ms, mix in zip(contract.horizons_ms, mixes, strict=True):
                chosen[f"mix at {ms} ms"] = mix
        stage = objective.stage("joint", "joint, all repetitions", data.all, None)
        run.run(stage)
        steps[stage.name] = stage.steps
    if heads.has_linear_heads(network):
        heads.fit_linear_heads(network, data.all)
    return chosen, steps


def _draft_contract(
    recordings: Sequence[Recording], repetitions: tuple[int, ...], options: FitOptions
) -> tuple[ModelContract, list[Recording]]:
    """Contract without feature statistics yet, and the filtered recordings."""
    spec = recordings[0].spec
    band = options.band or preset_band(options.preset)
    band = None if band == "none" else band
    sos = design_filter(spec.rate, band, notch=options.notch)
    filtered = [dataset.filtered(r, sos) for r in recordings]
    scaler = dataset.fit_scaler(filtered, repetitions)
    rest = options.rest if options.rest is not None else options.preset == "realtime"
    hop = round(options.hop_ms * spec.rate / 1000)
    window = round(options.window_ms * spec.rate / 1000)
    features, read = preset_features(options.preset)
    if options.features is not None:
        features = read = options.features
    per_channel = (
        options.per_channel if options.per_channel is not None else options.preset == "paper"
    )
    try:
        network = preset_network(
            options.preset, hop, len(spec.channels), len(features), per_channel=per_channel
        )
        if options.classifier is not None:
            network = network.model_copy(update={"classifier": options.classifier})
        contract = ModelContract(
            preset=options.preset,
            channels=spec.channels,
            rate=spec.rate,
            unit=spec.unit,
            filter_sos=sos,
            scale_mean=tuple(scaler.mean),
            scale_std=tuple(scaler.std),
            window=window,
            hop=hop,
            features=features,
            classifier_features=read,
            feature_mean=(0.0,) * len(features),
            feature_std=(1.0,) * len(features),
            horizons_ms=options.horizons_ms,
            classes=dataset.class_set(recordings, repetitions, rest=rest),
            network=network,
            test_repetitions=tuple(sorted(recordings[0].test_repetitions)),
        )
    except ValidationError as error:
        raise OptionError(
            f"these options do not go together: {error.errors()[0]['msg']}."
        ) from error
    return contract, filtered


def _prepare(
    filtered: list[Recording], contract: ModelContract, repetitions: tuple[int, ...]
) -> _Data:
    scaler = Scaler(contract.scale_mean, contract.scale_std)
    recordings = [dataset.scaled(r, scaler) for r in filtered]
    held_out = repetitions[-1:] if len(repetitions) > 1 else ()
    kept = tuple(r for r in repetitions if r not in held_out)

    def windows(wanted: tuple[int, ...]) -> dataset.TrainingWindows:
        windowing = Windowing(contract.window, contract.hop)
        return dataset.TrainingWindows.build(
            recordings, wanted, contract.classes, windowing, contract.horizons
        )

    return _Data(
        recordings,
        windows(repetitions),
        windows(kept),
        windows(held_out) if held_out else None,
        repetitions,
        held_out,
    )


def _with_feature_statistics(contract: ModelContract, data: _Data) -> ModelContract:
    rows = data.all.spread(_STATISTICS_WINDOWS)
    values: FloatArray = data.all.features(rows, contract.features)
    gate = None
    if not contract.has_rest:
        windowing = Windowing(contract.window, contract.hop)
        gate = dataset.rest_threshold(data.recordings, data.repetitions, windowing)
    return contract.model_copy(
        update={
            "feature_mean": tuple(values.mean(axis=(0, 2), dtype=np.float64).tolist()),
            "feature_std": tuple(values.std(axis=(0, 2), dtype=np.float64).tolist()),
            "rest_gate": gate,
        }
    )


def _copied_per_channel(network: Network, contract: ModelContract) -> Network:
    """One copy of each pre-trained FIN for every channel."""
    copied = Network(contract)
    copies = contract.network.copies
    for index, fin in enumerate(copied.imitator.fins):
        fin.load_state_dict(network.imitator.fins[index // copies].state_dict())
    copied.classifiers.load_state_dict(network.classifiers.state_dict())
    return copied


def _training_repetitions(
    recordings: Sequence[Recording], asked: tuple[int, ...] | None
) -> tuple[int, ...]:
    kept_for_test = frozenset().union(*(r.test_repetitions for r in recordings))
    there = {int(i) for r in recordings for i in np.unique(r.repetitions)}
    if asked is None:
        asked = tuple(i for i in sorted(there) if i > 0 or recordings[0].dataset == "3dc")
        asked = tuple(i for i in asked if i not in kept_for_test)
    if forbidden := sorted(set(asked) & kept_for_test):
        raise OptionError(
            f"repetition {forbidden[0]} is kept for testing: train on "
            f"{', '.join(map(str, sorted(there - kept_for_test)))}."
        )
    if missing := sorted(set(asked) - there):
        raise OptionError(
            f"repetition {missing[0]} is not in the data: it has "
            f"{', '.join(map(str, sorted(there)))}."
        )
    if not asked:
        raise TrainingError("the data has no repetition to train on: give --repetitions.")
    return tuple(sorted(set(asked)))


def _require_known_classes(
    recordings: Sequence[Recording], repetitions: tuple[int, ...], contract: ModelContract
) -> None:
    found = {c.id for c in dataset.class_set(recordings, repetitions, rest=contract.has_rest)}
    if unknown := sorted(found - set(contract.class_ids)):
        raise ContractMismatchError(
            f"the recordings hold label {unknown[0]}, which the checkpoint does not know: train a "
            "checkpoint on these movements with `semgfin-train fit`."
        )


def _record(
    command: str,
    recordings: Sequence[Recording],
    data: _Data,
    digest: str,
    seed: int,
    steps: dict[str, int],
    chosen: dict[str, float],
) -> TrainingRecord:
    return TrainingRecord(
        command="fit" if command == "fit" else "finetune",
        dataset=recordings[0].dataset,
        subjects=tuple(r.subject for r in recordings),
        repetitions=data.repetitions,
        held_out=data.held_out,
        data_sha256=digest,
        windows=len(data.all),
        seed=seed,
        steps=steps,
        seconds=0.0,
        chosen=chosen,
        versions={
            "semgfin-rt": semgfin_rt.__version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
        date=datetime.now(UTC).date().isoformat(),
    )


def _finish(
    out: Path, state: Path, network: Network, contract: ModelContract, record: TrainingRecord
) -> ModelContract:
    contract = contract.model_copy(update={"history": (*contract.history, record)})
    save_checkpoint(out, network.eval(), contract, model_card(contract))
    shutil.rmtree(state, ignore_errors=True)
    return contract


def _resume_folder(out: Path) -> Path:
    return out.with_name(out.name + ".resume")


def _require_writable(out: Path) -> None:
    if out.exists() and not is_replaceable(out):
        raise CheckpointError(
            f"{out} exists and is not a checkpoint: choose another folder with --out."
        )


def _fingerprint(*parts: object) -> str:
    """Of everything that the weights follow from."""
    text = "\n".join(map(repr, (semgfin_rt.__version__, torch.__version__, *parts)))
    return hashlib.sha256(text.encode()).hexdigest()
