"""What a checkpoint will be, before anything is trained: the draft of its contract."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import ValidationError

from semgfin_rt.contracts import Recording
from semgfin_rt.dsp.filters import Sos, design_filter
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.errors import OptionError
from semgfin_rt.features import closed_form
from semgfin_rt.model_contract import ModelContract, NetworkSpec, first_problem
from semgfin_rt.nn.montage import Montage
from semgfin_rt.nn.presets import PRESETS
from semgfin_rt.train import dataset
from semgfin_rt.train.options import FitOptions
from semgfin_rt.train.preparation import Filtered, TrainingData

_STATISTICS_WINDOWS = 5_000


def choose_filter(options: FitOptions, first: Recording) -> Sos:
    """Design the filter that the options ask for, at the rate of the first recording."""
    band = options.band or PRESETS[options.preset].band
    return design_filter(first.spec.rate, None if band == "none" else band, notch=options.notch)


def known_filter(contract: ModelContract, first: Recording) -> Sos:
    """Take the filter of a checkpoint, after a look at whether the first recording fits it."""
    contract.require_fit(first.spec, first.path)
    return contract.filter_sos


def draft_contract(
    filtered: Filtered, repetitions: tuple[int, ...], options: FitOptions
) -> ModelContract:
    """Contract without feature statistics yet."""
    recordings = filtered.recordings
    spec = recordings[0].spec
    scaler = dataset.fit_scaler(recordings, repetitions)
    preset = PRESETS[options.preset]
    rest = options.rest if options.rest is not None else preset.rest
    hop = round(options.hop_ms * spec.rate / 1000)
    window = round(options.window_ms * spec.rate / 1000)
    if 1000 * hop % spec.rate:  # a hop of no whole ms, as at 2148 Hz: take whole hops
        window = max(1, round(window / hop)) * hop
    features, read = preset.features, preset.classifier_features
    if options.features is not None:
        features = read = options.features
    per_channel = preset.per_channel if options.per_channel is None else options.per_channel
    try:
        network = preset.network(hop, len(features), len(spec.channels) if per_channel else 1)
        derivations = ("channel",) if per_channel else preset.derived(recordings[0].ring)
        chosen = {
            "imitator": options.imitator,
            "derivations": options.derivations or derivations,
            "classifier": options.classifier or network.classifier,
        }
        network = NetworkSpec.model_validate(network.model_dump() | chosen)
        return ModelContract(
            preset=options.preset,
            channels=spec.channels,
            rate=spec.rate,
            unit=spec.unit,
            ring=recordings[0].ring,
            filter_sos=filtered.sos,
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


def with_feature_statistics(contract: ModelContract, data: TrainingData) -> ModelContract:
    """Mean and standard deviation of every feature, over training windows and derived signals."""
    names = contract.features
    rows = data.all.spread(_STATISTICS_WINDOWS)
    derive = torch.tensor(Montage.of(contract).matrix)
    values = torch.cat(
        [
            closed_form(data.all.gather(part).samples[:, : contract.window] @ derive.T, names)
            for part in np.array_split(rows, max(1, len(rows) // 512))
        ]
    ).double()
    return contract.model_copy(
        update={
            "feature_mean": tuple(values.mean(dim=(0, 2)).tolist()),
            "feature_std": tuple(values.std(dim=(0, 2), correction=0).tolist()),
            "rest_gate": rest_gate(contract, data),
        }
    )


def rest_gate(contract: ModelContract, data: TrainingData) -> float | None:
    """Energy below which a model without rest class stays silent; None where none is needed."""
    if contract.has_rest:
        return None
    windowing = Windowing(contract.window, contract.hop)
    return dataset.rest_threshold(data.recordings, data.repetitions, windowing, data.all.scalers)
