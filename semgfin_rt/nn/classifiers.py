"""From the imitated features of one horizon to the movement: the published CNN, or an MLP.

Both map (n_windows, n_features, n_signals, k_outputs) to logits (n_windows, n_classes).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FeatureCNN(nn.Module):
    """The published CNN, its kernels following from the number of signals and FIN outputs.

    Kernels 1 and 2 are 5 on each axis, or what is left of it; kernel 3 covers the remainder: with
    12 channels and 12 outputs 5x5, 5x5, 4x4. (arXiv 2405.19356.)
    """

    def __init__(
        self, n_features: int, n_signals: int, k_outputs: int, n_classes: int, dropout: float
    ) -> None:
        super().__init__()
        left = (n_signals, k_outputs)
        first = (min(5, left[0]), min(5, left[1]))
        left = (left[0] - first[0] + 1, left[1] - first[1] + 1)
        second = (min(5, left[0]), min(5, left[1]))
        third = (left[0] - second[0] + 1, left[1] - second[1] + 1)
        self.layers = nn.Sequential(
            nn.Conv2d(n_features, 64, first),
            nn.BatchNorm2d(64),
            nn.PReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(64, 32, second),
            nn.BatchNorm2d(32),
            nn.PReLU(),
            nn.Conv2d(32, n_classes, third),
            nn.BatchNorm2d(n_classes),
            nn.PReLU(),
            nn.Flatten(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Logits, (n_windows, n_classes)."""
        logits: Tensor = self.layers(features)
        return logits


class FeatureMLP(nn.Module):
    """A small MLP, mixed with a linear head that is fitted in closed form (LDA).

    Both read features normalised with the person's own statistics (`shift`, `scale`). The logits
    are ``(1 - mix) * MLP + mix * linear``: a mean of log-probabilities up to a constant. All but
    the MLP are buffers: no gradient changes them.

    `prior_means` and `prior_covariance` are what the normalised features of the people of the
    first training look like, for adapting to another person (`train.adapt`, `train.finetune`).
    """

    mix: Tensor
    shift: Tensor
    scale: Tensor
    linear_weight: Tensor
    linear_bias: Tensor
    prior_means: Tensor
    prior_covariance: Tensor
    prior_people: Tensor

    def __init__(
        self, n_features: int, n_signals: int, k_outputs: int, n_classes: int, dropout: float
    ) -> None:
        super().__init__()
        hidden = 128
        n_inputs = n_features * n_signals * k_outputs
        self.layers = nn.Sequential(
            nn.Dropout(dropout),  # of whole inputs: the few that tell the training set apart
            nn.Linear(n_inputs, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, n_classes),
        )
        self.register_buffer("mix", torch.zeros(()))
        self.register_buffer("shift", torch.zeros(n_inputs))
        self.register_buffer("scale", torch.ones(n_inputs))
        self.register_buffer("linear_weight", torch.zeros(n_classes, n_inputs))
        self.register_buffer("linear_bias", torch.zeros(n_classes))
        self.register_buffer("prior_means", torch.zeros(n_classes, n_inputs))
        self.register_buffer("prior_covariance", torch.zeros(n_inputs, n_inputs))
        self.register_buffer("prior_people", torch.zeros(n_classes))  # that showed each class

    def normalise(self, features: Tensor) -> Tensor:
        """(n_windows, n_features, n_signals, k_outputs) -> (n_windows, n_inputs)."""
        return (features.flatten(1) - self.shift) / self.scale

    def mixed(self, inputs: Tensor) -> Tensor:
        """Logits, (n_windows, n_classes), of normalised inputs (n_windows, n_inputs)."""
        linear = nn.functional.linear(inputs, self.linear_weight, self.linear_bias)
        return torch.lerp(self.layers(inputs), linear, self.mix)

    def forward(self, features: Tensor) -> Tensor:
        """Logits, (n_windows, n_classes)."""
        return self.mixed(self.normalise(features))
