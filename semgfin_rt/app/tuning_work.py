"""What the fine-tuning process does: adapt the checkpoint, and the LDA beside it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from semgfin_rt.app.comparison import Comparison
from semgfin_rt.contracts import Recording
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.train import controls, dataset
from semgfin_rt.train.finetune import finetune
from semgfin_rt.train.loop import Progress
from semgfin_rt.train.options import FinetuneOptions

_ENOUGH = 6_000
"""Windows to learn from, and of the held-out repetition to judge on. All 25,000 of 17 movements in
two repetitions brought 0.1 points less on four synthetic people, who differed by -0.2 to 0.8."""


def tune_and_compare(
    base: Path, recording: Recording, out: Path, options: FinetuneOptions, progress: Progress
) -> Comparison:
    """Adapt a checkpoint to a recording, and compare on the last repetition.

    Parameters
    ----------
    base : Path
    recording : Recording
        With two repetitions or more.
    out : Path
        Folder of the adapted checkpoint.
    options : FinetuneOptions
    progress : callable

    Raises
    ------
    SemgfinError
        What `finetune` raises.
    """
    options = options.model_copy(update={"most_windows": _ENOUGH})
    if load_contract(base).network.classifier == "mlp":
        # With its figures, which the caller judges; of a CNN there would be none.
        options = options.model_copy(update={"keep_worse": True})
    began = time.monotonic()
    contract = finetune(base, [recording], out, options, progress)
    seconds = time.monotonic() - began
    progress("LDA", 0, 1, 0.0)
    lda, windows = _lda_accuracy(recording, contract)
    progress("LDA", 1, 1, 0.0)
    return Comparison(
        contract.metrics.get("before_held_out_accuracy"),
        contract.metrics.get(f"held_out_accuracy_{contract.horizons_ms[0]}ms"),
        lda,
        contract.history[-1].held_out[0],
        windows,
        round(seconds, 2),
    )


def _lda_accuracy(recording: Recording, contract: ModelContract) -> tuple[float | None, int]:
    """Accuracy of the LDA on those windows of the held-out repetition, and how many there are."""
    record = contract.history[-1]
    kept = set(record.repetitions) - set(record.held_out)
    prepared = dataset.filtered(recording, contract.filter_sos)
    scaler = Scaler(contract.scale_mean, contract.scale_std)  # the person's, as the network's
    lessons, tested = (
        controls.learn(prepared, contract, scaler, repetitions, most=_ENOUGH).at_first_horizon
        for repetitions in (kept, record.held_out)
    )
    features, truth, _ = tested.known(0)
    if len(np.unique(lessons.known(0)[1])) < 2 or not len(truth):
        return None, len(truth)
    output = controls.decide_with("lda", lessons, features, contract.class_ids)
    decided = np.array(contract.class_ids)[output[:, 0].argmax(axis=1)]
    return float(np.mean(decided == truth)), len(truth)
