"""From a trained network to a checkpoint on the disk, and the folder of an unfinished run."""

from __future__ import annotations

import hashlib
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import scipy
import sklearn
import torch

import semgfin_rt
from semgfin_rt.errors import CheckpointError, SemgfinError
from semgfin_rt.model_contract import ModelContract, TrainingRecord
from semgfin_rt.nn.checkpoint import save_checkpoint
from semgfin_rt.nn.checkpoint_folder import is_replaceable
from semgfin_rt.nn.network import Network
from semgfin_rt.train.card import model_card
from semgfin_rt.train.code import code_sha256
from semgfin_rt.train.preparation import TrainingData
from semgfin_rt.train.recognition import Recognised


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on; ``code`` is the start of `code_sha256`."""
    return {
        "semgfin-rt": semgfin_rt.__version__,
        "code": code_sha256()[:12],
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
    }


def today() -> str:
    """Return the date, in UTC."""
    return datetime.now(UTC).date().isoformat()


def training_record(
    command: Literal["fit", "finetune"],
    digest: str,
    data: TrainingData,
    seed: int,
    done: Recognised,
    seconds: float,
) -> TrainingRecord:
    """Where the weights come from."""
    return TrainingRecord(
        command=command,
        dataset=data.recordings[0].dataset,
        subjects=tuple(r.subject for r in data.recordings),
        repetitions=data.repetitions,
        held_out=data.held_out,
        data_sha256=digest,
        windows=len(data.all),
        seed=seed,
        steps=done.steps,
        seconds=round(seconds, 1),
        chosen=done.chosen,
        versions=versions(),
        date=today(),
    )


def finish(
    out: Path,
    state: Path,
    network: Network,
    contract: ModelContract,
    record: TrainingRecord,
    metrics: dict[str, float],
) -> ModelContract:
    """Write the checkpoint, whole or not at all, and remove the folder of the unfinished run."""
    contract = contract.model_copy(
        update={"history": (*contract.history, record), "metrics": metrics}
    )
    save_checkpoint(out, network.eval(), contract, model_card(contract))
    shutil.rmtree(state, ignore_errors=True)
    return contract


@contextmanager
def resume_folder(out: Path) -> Iterator[Path]:
    """Make the folder of the unfinished state: what cannot be written shows before a long run.

    It goes again where the data or the options are refused before the first step.
    """
    folder = out.with_name(out.name + ".resume")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"{out} cannot be written ({error.strerror}): choose another folder with --out."
        ) from error
    try:
        yield folder
    except SemgfinError:
        if not any(folder.glob("*.safetensors")):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def require_replaceable(out: Path) -> None:
    """Refuse a folder that holds anything but a checkpoint."""
    if out.exists() and not is_replaceable(out):
        raise CheckpointError(
            f"{out} exists and is not a checkpoint: choose another folder with --out."
        )


def fingerprint(*parts: object) -> str:
    """Of everything that the weights follow from, the code included."""
    text = "\n".join(map(repr, (code_sha256(), torch.__version__, *parts)))
    return hashlib.sha256(text.encode()).hexdigest()
