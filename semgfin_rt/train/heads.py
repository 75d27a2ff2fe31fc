"""The closed-form linear head (LDA) of every horizon, and how much of it the classifier keeps."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from semgfin_rt.nn.classifiers import FeatureMLP
from semgfin_rt.nn.network import Network
from semgfin_rt.train.dataset import IndexArray, TrainingWindows

MIXES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
_MOST_FITTED = 40_000  # windows: beyond that an LDA of 100 inputs does not change
_MOST_COMPARED = 10_000
_BATCH = 512
_NEVER = -1e5  # logit of a class that the windows do not hold


def lda() -> LinearDiscriminantAnalysis:
    """LDA with the Ledoit-Wolf shrinkage of the pooled covariance."""
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


def has_linear_heads(network: Network) -> bool:
    """Whether the classifiers have a linear head at all (the published CNN has none)."""
    return bool(_mixed(network))


@torch.no_grad()
def fit_linear_heads(network: Network, windows: TrainingWindows) -> None:
    """Fit the linear head of every horizon to the FIN's features of training windows."""
    rows = windows.spread(_MOST_FITTED)
    features = _read_features(network, windows, rows)
    for horizon, classifier in enumerate(_mixed(network)):
        classes = windows.classes[rows, horizon]
        known = classes >= 0
        # (n_windows, n_features * n_channels * k_outputs)
        inputs = features[torch.from_numpy(known), horizon].flatten(1).cpu().numpy()
        fitted = lda().fit(inputs, classes[known])
        weight, bias = fitted.coef_, fitted.intercept_
        if len(fitted.classes_) == 2:  # one row that tells the second class from the first
            weight = np.concatenate([-weight / 2, weight / 2])
            bias = np.concatenate([-bias / 2, bias / 2])
        classifier.linear_weight.zero_()
        classifier.linear_bias.fill_(_NEVER)
        shown = torch.from_numpy(fitted.classes_)
        classifier.linear_weight[shown] = torch.tensor(weight).to(classifier.linear_weight)
        classifier.linear_bias[shown] = torch.tensor(bias).to(classifier.linear_bias)


@torch.no_grad()
def compare_mixes(network: Network, held: TrainingWindows) -> list[dict[float, float]]:
    """Accuracy on held-out windows of every mix, for each horizon."""
    rows = held.spread(_MOST_COMPARED)
    features = _read_features(network, held, rows)
    results = []
    for horizon, classifier in enumerate(_mixed(network)):
        classes = torch.from_numpy(held.classes[rows, horizon]).to(features.device)
        known = classes >= 0
        inputs = features[known, horizon]
        network.eval()
        mlp = classifier.layers(inputs)
        linear = classifier.linear(inputs)
        results.append(
            {
                mix: float((mlp.lerp(linear, mix).argmax(1) == classes[known]).float().mean())
                for mix in MIXES
            }
        )
    return results


def set_mixes(network: Network, mixes: list[float]) -> None:
    """Set how much of the linear head each horizon's classifier takes."""
    for classifier, mix in zip(_mixed(network), mixes, strict=True):
        classifier.mix.fill_(mix)


def _mixed(network: Network) -> list[FeatureMLP]:
    return [c for c in network.classifiers if isinstance(c, FeatureMLP)]


def best_mix(accuracies: dict[float, float]) -> float:
    """Pick the mix of the highest accuracy; among equals the one nearest the closed form."""
    return max(accuracies, key=lambda mix: (accuracies[mix], mix))


def _read_features(network: Network, windows: TrainingWindows, rows: IndexArray) -> Tensor:
    """Run the FIN and keep what the classifiers read.

    Returns (n_windows, n_horizons, n_features, n_channels, k_outputs).
    """
    network.eval()
    length = windows.windowing.window
    device = next(network.parameters()).device
    parts = [
        network.imitate(windows.gather(part).samples[:, :length].to(device))[:, :, network.read]
        for part in np.array_split(rows, max(1, len(rows) // _BATCH))
    ]
    return torch.cat(parts)
