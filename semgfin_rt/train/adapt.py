"""A checkpoint of other people -> a checkpoint of a new person, from a few seconds without labels.

From the signal alone follow its scale, the level of its features, and how the ring is worn: of all
turns, and all turns of the mirrored ring, the one under which the features are most likely those of
the checkpoint's people.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semgfin_rt.contracts import Recording
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing, window_table
from semgfin_rt.errors import CheckpointError, OptionError
from semgfin_rt.model_contract import ModelContract, TrainingRecord
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.classifiers import FeatureMLP
from semgfin_rt.nn.montage import Montage
from semgfin_rt.nn.reference import choose_device
from semgfin_rt.train import dataset, heads, people
from semgfin_rt.train.loop import Progress
from semgfin_rt.train.options import AdaptOptions
from semgfin_rt.train.outcome import finish, require_replaceable, resume_folder, today, versions
from semgfin_rt.train.recognition import set_person

_RIDGE = 0.01  # of the mean variance: a covariance of few people stays invertible


def adapt(
    base: Path, recording: Recording, out: Path, options: AdaptOptions, progress: Progress
) -> ModelContract:
    """Adapt a checkpoint to one person from unlabelled signal.

    Parameters
    ----------
    base : Path
        Checkpoint to start from; it is not changed.
    recording : Recording
        Some seconds in which the person makes every movement once, in any order. Labels are not
        looked at. Of a longer one the first `options.seconds` are taken.
    out : Path
    options : AdaptOptions
    progress : callable

    Raises
    ------
    OptionError
        When no whole window is in the signal.
    CheckpointError
        When `base` knows nothing of its people (the published CNN does not), or `out` cannot be
        written.
    ContractMismatchError
        When the signal is not the checkpoint's.
    """
    network, contract = load_checkpoint(base)
    require_replaceable(out)
    contract.require_fit(recording.spec, recording.path)
    if not heads.linear_heads(network) or not heads.linear_heads(network)[0].prior_people.any():
        raise CheckpointError(
            f"{base} keeps no statistics of its people, so it cannot be adapted without labels: "
            "use `semgfin-train finetune`."
        )
    filtered = dataset.filtered(recording, contract.filter_sos)
    windows = _whole_windows(filtered, contract, options.seconds)
    with resume_folder(out) as state:
        network = network.to(choose_device(options.device))
        features = people.FeatureTable.read(network, windows, len(windows)).features
        person = find_person(features, contract, heads.linear_heads(network)[0])
        alignment = person.alignment
        progress("adapt", 1, 1, 0.0)
        set_person(network, [person])
        record = TrainingRecord(
            command="adapt",
            dataset=recording.dataset,
            subjects=(recording.subject,),
            repetitions=(),
            held_out=(),
            data_sha256=dataset.data_sha256([recording]),
            windows=len(windows),
            seed=0,
            steps={},
            seconds=round(len(_covered(windows.newest, contract.window)) / contract.rate, 2),
            chosen={"rotation": alignment.rotation, "mirrored": float(alignment.mirrored)},
            versions=versions(),
            date=today(),
        )
        contract = contract.model_copy(
            update={
                "scale_mean": tuple(windows.scalers[0].mean),
                "scale_std": tuple(windows.scalers[0].std),
                "rotation": alignment.rotation,
                "mirrored": alignment.mirrored,
            }
        )
        return finish(out, state, network, contract, record, {})


def find_person(features: Tensor, contract: ModelContract, first: FeatureMLP) -> people.Person:
    """Find the most likely alignment of unlabelled features, and the statistics that go with it.

    Likely are features that come from the movements of the checkpoint's people, and features that
    go together, over all movements, as theirs did; both count alike.

    Parameters
    ----------
    features : (n_windows, n_horizons, n_features, n_signals, k_outputs) tensor
    contract : ModelContract
    first : FeatureMLP
        Of the first horizon, with what is known of other people.
    """
    montage = Montage.of(contract)
    unknown = np.zeros(len(features), dtype=np.int64)
    persons = [
        people.describe_person(features, unknown, montage, alignment)
        for alignment in montage.alignments
    ]
    means = first.prior_means[first.prior_people > 0].double().cpu()
    within = first.prior_covariance.double().cpu()
    between = means.T @ means / len(means)
    scores = torch.zeros(2, len(persons), dtype=torch.double)
    for k, person in enumerate(persons):
        inputs = person(features)[:, 0].double()
        scores[0, k] = _log_likelihood(inputs, means, within)
        scores[1, k] = _log_likelihood(inputs, torch.zeros_like(means[:1]), within + between)
    # the two have different spreads: neither may drown the other
    spread = scores.std(dim=1, keepdim=True, correction=0).clamp_min(1e-9)
    best = int((scores / spread).sum(dim=0).argmax())
    return persons[best]


def _log_likelihood(inputs: Tensor, means: Tensor, covariance: Tensor) -> Tensor:
    """Mean log-likelihood of inputs under Gaussians of one covariance, up to a constant.

    (n_windows, n_inputs), (n_classes, n_inputs), (n_inputs, n_inputs) -> ()
    """
    size = len(covariance)
    ridge = _RIDGE * covariance.diagonal().mean() * torch.eye(size, dtype=covariance.dtype)
    factor = torch.linalg.cholesky(covariance + ridge)
    white, white_means = (
        torch.linalg.solve_triangular(factor, x.T, upper=False).T for x in (inputs, means)
    )
    return (-0.5 * torch.cdist(white, white_means) ** 2).logsumexp(dim=1).mean()


def _whole_windows(
    filtered: Recording, contract: ModelContract, seconds: float
) -> dataset.TrainingWindows:
    """Windows in the first `seconds`, those with damage left out; no class is known of any."""
    windowing = Windowing(contract.window, contract.hop)
    newest = window_table(filtered, windowing, (0,)).newest
    newest = newest[~dataset.holds_damage(filtered, newest, contract.window)]
    newest = newest[newest < round(seconds * contract.rate)]
    if not len(newest):
        raise OptionError(
            f"the first {seconds:g} s of {filtered.path} hold no whole window of "
            f"{1000 * contract.window / contract.rate:g} ms: give some seconds in which every "
            "movement is made once."
        )
    used = _covered(newest, contract.window)
    n = len(newest)
    return dataset.TrainingWindows(
        signals=[filtered.samples],
        scalers=[Scaler.fit([filtered.samples[used]], contract.channels)],
        record=np.zeros(n, dtype=np.int64),
        newest=newest,
        classes=np.full((n, 1), -1),
        valid=np.ones((n, 1), dtype=np.bool_),
        windowing=windowing,
        horizons=(0,),
    )


def _covered(newest: dataset.IndexArray, window: int) -> dataset.IndexArray:
    """Name the samples that some window holds, each once."""
    covered: dataset.IndexArray = np.unique(newest[:, None] + np.arange(1 - window, 1))
    return covered
