"""Tasks of the protocol `imitation`: R² of every feature and horizon, beside persistence."""

from __future__ import annotations

import numpy as np

from semgfin_rt.contracts import Recording
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.reference import TorchBackend, choose_device
from semgfin_rt.train import dataset
from semgfin_rt.train.outputs import Imitation, feature_maps
from semgfin_rt.train.protocols.scoring import Setting, figure
from semgfin_rt.train.protocols.tasks import Amount, Task
from semgfin_rt.train.r2 import R2
from semgfin_rt.train.results import Figure, TaskResult


def score_imitation(task: Task, recording: Recording, setting: Setting) -> TaskResult:
    """R² of the FIN and of today's features on the test windows of one person."""
    network, contract = load_checkpoint(setting.bases / task.bases[0])
    prepared = setting.filtered(recording, contract)
    result = TaskResult(figures=[])
    for amount in task.amounts:
        scaled = contract
        if amount.kind == "unlabelled":
            scaled = _own_scale(setting.excerpt(recording, task, contract), contract)
        backend = TorchBackend(network, scaled, choose_device(setting.device))
        windows = setting.windows(prepared, scaled)
        shape = (len(scaled.horizons), len(scaled.features), len(scaled.channels))
        imitation = Imitation(scaled, windows, R2(shape), R2(shape))
        for rows, feature_map in feature_maps(scaled, backend, windows):
            imitation.add(rows, backend.features(feature_map))
        result.figures.extend(_figures(task, amount, "fin", imitation.fin, scaled))
        result.figures.extend(_figures(task, amount, "persistence", imitation.persistence, scaled))
    return result


def _own_scale(excerpt: Recording, contract: ModelContract) -> ModelContract:
    filtered = dataset.filtered(excerpt, contract.filter_sos)
    scaler = dataset.fit_scaler([filtered], np.unique(filtered.repetitions).tolist())
    return contract.model_copy(
        update={"scale_mean": tuple(scaler.mean), "scale_std": tuple(scaler.std)}
    )


def _figures(
    task: Task, amount: Amount, method: str, r2: R2, contract: ModelContract
) -> list[Figure]:
    values = {
        "r2": r2.pooled(),
        "r2_channel_median": r2.channel_median(),
        "r2_clamped": r2.clamped(),
    }
    return [
        figure(task, amount, method, measure, value, ms, feature)
        for measure, table in values.items()
        for ms, row in zip(contract.horizons_ms, table, strict=True)
        for feature, value in zip(contract.features, row.tolist(), strict=True)
    ]
