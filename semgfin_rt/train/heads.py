"""The closed-form linear head (LDA) of every horizon, and how much of it the classifier keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from semgfin_rt.contracts import FloatArray
from semgfin_rt.nn.classifiers import FeatureMLP
from semgfin_rt.nn.network import Network
from semgfin_rt.train.dataset import IndexArray

MIXES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
_NEVER = -1e5  # logit of a class that the windows do not hold


@dataclass(frozen=True)
class PriorWeight:
    """How many repetitions of the new person other people's statistics are worth.

    Attributes
    ----------
    means, covariance : float
        On held-out training repetitions of 3DC, weights about these did the same to half a point
        (docs/ablation.md).
    """

    means: float = 0.4
    covariance: float = 0.3


def lda() -> LinearDiscriminantAnalysis:
    """LDA with the Ledoit-Wolf shrinkage of the covariance."""
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


def linear_heads(network: Network) -> list[FeatureMLP]:
    """List the classifiers that have a linear head (the published CNN has none)."""
    return [c for c in network.classifiers if isinstance(c, FeatureMLP)]


@torch.no_grad()
def fit_linear_head(
    classifier: FeatureMLP,
    inputs: FloatArray,
    classes: IndexArray,
    n_repetitions: int = 1,
    prior: PriorWeight | None = None,
) -> None:
    """Fit the linear head to normalised inputs.

    With a prior, class means and covariance are drawn towards those of the people of the first
    training, as if these had shown `prior` repetitions beside the person's `n_repetitions`.

    Parameters
    ----------
    inputs : (n_windows, n_inputs)
    classes : (n_windows,) int64
    """
    fitted = lda().fit(inputs, classes)
    shown = torch.from_numpy(fitted.classes_)
    means, covariance = fitted.means_, fitted.covariance_
    if prior is not None and classifier.prior_people.any():
        known = classifier.prior_people.cpu()[shown].numpy()[:, None] > 0
        share = known * prior.means / (n_repetitions + prior.means)
        means = (1 - share) * means + share * classifier.prior_means.cpu()[shown].numpy()
        weight = prior.covariance / (n_repetitions + prior.covariance)
        covariance = (1 - weight) * covariance + weight * classifier.prior_covariance.cpu().numpy()
    slope = scipy.linalg.lstsq(covariance, means.T)[0].T
    bias = np.log(fitted.priors_) - 0.5 * np.sum(means * slope, axis=1)
    classifier.linear_weight.zero_()
    classifier.linear_bias.fill_(_NEVER)
    classifier.linear_weight[shown] = torch.from_numpy(slope).to(classifier.linear_weight)
    classifier.linear_bias[shown] = torch.from_numpy(bias).to(classifier.linear_bias)


@torch.no_grad()
def set_prior(
    classifier: FeatureMLP, inputs: FloatArray, classes: IndexArray, person: IndexArray
) -> None:
    """Keep the mean over people of their class means and of their covariance within a class."""
    n_classes = len(classifier.prior_people)
    total = np.zeros(tuple(classifier.prior_means.shape))
    people = np.zeros(n_classes)
    covariances = []
    for p in np.unique(person):
        mine = person == p
        fitted = lda().fit(inputs[mine], classes[mine])
        total[fitted.classes_] += fitted.means_
        people[fitted.classes_] += 1
        covariances.append(fitted.covariance_)
    means = total / np.maximum(people, 1)[:, None]
    classifier.prior_means.copy_(torch.from_numpy(means))
    classifier.prior_covariance.copy_(torch.from_numpy(np.mean(covariances, axis=0)))
    classifier.prior_people.copy_(torch.from_numpy(people))


@torch.no_grad()
def compare_mixes(
    classifier: FeatureMLP, inputs: Tensor, classes: IndexArray
) -> dict[float, float]:
    """Accuracy of every mix on held-out normalised inputs (n_windows, n_inputs)."""
    classifier.eval()
    truth = torch.from_numpy(classes)
    inputs = inputs.to(classifier.mix.device)
    mlp = classifier.layers(inputs).cpu()
    linear = (inputs @ classifier.linear_weight.T + classifier.linear_bias).cpu()
    return {mix: float((mlp.lerp(linear, mix).argmax(1) == truth).float().mean()) for mix in MIXES}


def best_mix(accuracies: dict[float, float]) -> float:
    """Pick the mix of the highest accuracy; among equals the one nearest the closed form."""
    return max(accuracies, key=lambda mix: (accuracies[mix], mix))
