"""The whole network: FIN, then one classifier for each horizon."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.classifiers import FeatureCNN, FeatureMLP
from semgfin_rt.nn.fin import ClosedForm, FeatureImitator
from semgfin_rt.nn.montage import Alignment, Montage


class Network(nn.Module):
    """FIN and classifiers of a checkpoint.

    Parameters
    ----------
    contract : ModelContract
        Of which the topology, the features, channels, horizons and classes are read.
    """

    def __init__(self, contract: ModelContract) -> None:
        super().__init__()
        spec = contract.network
        n_horizons = len(contract.horizons_ms)
        montage = Montage.of(contract)
        self.derive = nn.Buffer(torch.tensor(montage.matrix), persistent=False)
        self.imitator: FeatureImitator | ClosedForm = (
            ClosedForm(contract)
            if spec.imitator == "closed_form"
            else FeatureImitator(spec, len(contract.features), n_horizons)
        )
        classifier = FeatureCNN if spec.classifier == "cnn" else FeatureMLP
        self.classifiers = nn.ModuleList(
            classifier(
                len(contract.classifier_features),
                montage.n_signals,
                spec.k_outputs,
                len(contract.classes),
                spec.dropout,
            )
            for _ in range(n_horizons)
        )
        read = [contract.features.index(name) for name in contract.classifier_features]
        order = montage.order(Alignment(contract.rotation, contract.mirrored))
        self.read = _everything_or(read, len(contract.features))
        self.order = _everything_or(order.tolist(), montage.n_signals)

    def imitate(self, windows: Tensor) -> Tensor:
        """Standardised features of windows (n_windows, n_samples, n_channels).

        Returns (n_windows, n_horizons, n_features, n_signals, k_outputs): of the channels first,
        then of what is derived from them.
        """
        derived = windows if len(self.derive) == windows.shape[2] else windows @ self.derive.T
        features: Tensor = self.imitator(derived)
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Logits, (n_windows, n_horizons, n_classes), from what `imitate` returns."""
        read = features[:, :, self.read][..., self.order, :]
        return torch.stack([c(read[:, h]) for h, c in enumerate(self.classifiers)], dim=1)

    def forward(self, windows: Tensor) -> Tensor:
        """Logits, (n_windows, n_horizons, n_classes)."""
        return self.classify(self.imitate(windows))


def _everything_or(indices: list[int], n: int) -> slice | nn.Buffer:
    """Return a slice where nothing is left out or moved: no copy."""
    everything = indices == list(range(n))
    return slice(None) if everything else nn.Buffer(torch.tensor(indices), persistent=False)
