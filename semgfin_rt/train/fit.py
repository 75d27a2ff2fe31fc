"""Recordings -> checkpoint: `fit` from nothing, `finetune` from a checkpoint.

The order: FIN pre-training, classifier on the frozen FIN, both together. One training repetition
is held out meanwhile; it alone decides how much of the closed-form head (LDA) every horizon's
classifier keeps (`recognition`). Then the joint training goes on with all training repetitions.
Test repetitions are never looked at.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import scipy
import torch
from pydantic import ValidationError

import semgfin_rt
from semgfin_rt.contracts import FloatArray, Recording
from semgfin_rt.dsp.filters import design_filter
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.errors import CheckpointError, OptionError
from semgfin_rt.model_contract import ModelContract, TrainingRecord, first_problem
from semgfin_rt.nn.backends import choose_device
from semgfin_rt.nn.checkpoint import load_checkpoint, save_checkpoint
from semgfin_rt.nn.checkpoint_folder import is_replaceable, sha256
from semgfin_rt.nn.network import Network, preset_band, preset_features, preset_network
from semgfin_rt.train import dataset, heads
from semgfin_rt.train.card import model_card
from semgfin_rt.train.loop import Progress, Run
from semgfin_rt.train.objectives import Objective
from semgfin_rt.train.options import FinetuneOptions, FitOptions
from semgfin_rt.train.preparation import (
    TrainingData,
    prepare,
    require_known_classes,
    training_repetitions,
)
from semgfin_rt.train.recipes import FINETUNE_RECIPES, RECIPES
from semgfin_rt.train.recognition import Recognised, recognise

_STATISTICS_WINDOWS = 20_000


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
    _require_replaceable(out)
    dataset.require_same_signal(recordings)
    repetitions = training_repetitions(recordings, options.repetitions)
    contract, filtered = _draft_contract(recordings, repetitions, options)
    data = prepare(filtered, contract, repetitions)
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
    done = recognise(run, objective, data)
    done.steps["FIN"] = recipe.imitate.n_steps(len(data.kept))
    record = _record("fit", recordings, data, digest, options.seed, done)
    record = record.model_copy(update={"seconds": round(imitation.seconds + run.seconds, 1)})
    return _finish(out, state, network, contract, record, done.metrics)


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
    repetition nothing can be held out: the FIN stays and the closed-form head alone decides (a
    CNN, which has no such head, is trained on it together with the FIN).

    Parameters
    ----------
    base : Path
        Checkpoint to start from; it is not changed.
    recordings, out, options, progress
        As for `fit`.
    """
    network, contract = load_checkpoint(base)
    _require_replaceable(out)
    dataset.require_same_signal(recordings)
    contract.require_fit(recordings[0].spec, recordings[0].path)
    repetitions = training_repetitions(recordings, options.repetitions)
    require_known_classes(recordings, repetitions, contract)
    filtered = [dataset.filtered(r, contract.filter_sos) for r in recordings]
    scaler = dataset.fit_scaler(filtered, repetitions)
    contract = contract.model_copy(
        update={"scale_mean": tuple(scaler.mean), "scale_std": tuple(scaler.std)}
    )
    data = prepare(filtered, contract, repetitions)
    if (gate := _rest_gate(contract, data)) is not None:
        contract = contract.model_copy(update={"rest_gate": gate})
    recipe = FINETUNE_RECIPES[contract.preset].shortened(options.shorten)
    digest = dataset.data_sha256(recordings)
    fingerprint = _fingerprint(options, recipe, contract, repetitions, digest, sha256(base))
    state = _resume_folder(out)
    device = choose_device(options.device)
    network = network.to(device)
    run = Run(network, state / "recognition.safetensors", fingerprint, progress)
    objective = Objective(network, contract, recipe, options.seed, device)
    if data.held is None and heads.has_linear_heads(network):
        heads.fit_linear_heads(network, data.all)
        heads.set_mixes(network, [1.0] * len(contract.horizons_ms))
        done = Recognised({}, {f"mix at {ms} ms": 1.0 for ms in contract.horizons_ms}, {})
    else:
        done = recognise(run, objective, data)
    record = _record("finetune", recordings, data, digest, options.seed, done)
    record = record.model_copy(update={"seconds": round(run.seconds, 1)})
    return _finish(out, state, network, contract, record, done.metrics)


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
    if 1000 * hop % spec.rate:  # a hop of no whole ms, as at 2148 Hz: take whole hops
        window = max(1, round(window / hop)) * hop
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
        raise OptionError(f"these options do not go together: {first_problem(error)}.") from error
    return contract, filtered


def _with_feature_statistics(contract: ModelContract, data: TrainingData) -> ModelContract:
    rows = data.all.spread(_STATISTICS_WINDOWS)
    values: FloatArray = data.all.features(rows, contract.features)
    return contract.model_copy(
        update={
            "feature_mean": tuple(values.mean(axis=(0, 2), dtype=np.float64).tolist()),
            "feature_std": tuple(values.std(axis=(0, 2), dtype=np.float64).tolist()),
            "rest_gate": _rest_gate(contract, data),
        }
    )


def _rest_gate(contract: ModelContract, data: TrainingData) -> float | None:
    """Energy below which a model without rest class stays silent; None where none is needed."""
    if contract.has_rest:
        return None
    windowing = Windowing(contract.window, contract.hop)
    return dataset.rest_threshold(data.recordings, data.repetitions, windowing)


def _copied_per_channel(network: Network, contract: ModelContract) -> Network:
    """One copy of each pre-trained FIN for every channel."""
    copied = Network(contract)
    copies = contract.network.copies
    for index, fin in enumerate(copied.imitator.fins):
        fin.load_state_dict(network.imitator.fins[index // copies].state_dict())
    copied.classifiers.load_state_dict(network.classifiers.state_dict())
    return copied


def _record(
    command: str,
    recordings: Sequence[Recording],
    data: TrainingData,
    digest: str,
    seed: int,
    done: Recognised,
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
        steps=done.steps,
        seconds=0.0,
        chosen=done.chosen,
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
    out: Path,
    state: Path,
    network: Network,
    contract: ModelContract,
    record: TrainingRecord,
    metrics: dict[str, float],
) -> ModelContract:
    contract = contract.model_copy(
        update={"history": (*contract.history, record), "metrics": metrics}
    )
    save_checkpoint(out, network.eval(), contract, model_card(contract))
    shutil.rmtree(state, ignore_errors=True)
    return contract


def _resume_folder(out: Path) -> Path:
    """Make the folder of the unfinished state: what cannot be written shows before a long run."""
    folder = out.with_name(out.name + ".resume")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"{out} cannot be written ({error.strerror}): choose another folder with --out."
        ) from error
    return folder


def _require_replaceable(out: Path) -> None:
    if out.exists() and not is_replaceable(out):
        raise CheckpointError(
            f"{out} exists and is not a checkpoint: choose another folder with --out."
        )


def _fingerprint(*parts: object) -> str:
    """Of everything that the weights follow from."""
    text = "\n".join(map(repr, (semgfin_rt.__version__, torch.__version__, *parts)))
    return hashlib.sha256(text.encode()).hexdigest()
