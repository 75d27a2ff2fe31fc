"""Feature-Imitating Networks: LSTMs that learn to output closed-form features of a window.

Source: Wu et al., "An LSTM Feature Imitation Network for Hand Movement Recognition from sEMG
Signals", ICASSP 2025, arXiv 2405.19356. The preset `paper` is its topology; `realtime` lets each
LSTM step read a patch of samples, so that a 300 ms window takes 30 steps instead of 600.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from semgfin_rt.features import closed_form
from semgfin_rt.model_contract import ModelContract, NetworkSpec

MOST_STEPS = 600_000
"""LSTM steps, rows x steps, whose activations are kept for the gradient at a time (4 GB)."""


class Fin(nn.Module):
    """One LSTM over the window of one channel.

    Parameters
    ----------
    spec : NetworkSpec
    n_outputs : int
        Values imitated for each window.
    n_beside : int
        FINs that run on as many windows at the same time, this one included.
    """

    def __init__(self, spec: NetworkSpec, n_outputs: int, n_beside: int = 1) -> None:
        super().__init__()
        self.n_beside = n_beside
        self.patch = spec.patch
        self.embed: nn.Module = (
            nn.Identity()
            if spec.patch == 1
            else nn.Sequential(nn.Linear(spec.patch, spec.hidden), nn.GELU())
        )
        self.lstm = nn.LSTM(
            1 if spec.patch == 1 else spec.hidden,
            spec.hidden,
            num_layers=spec.layers,
            batch_first=True,
            bidirectional=spec.bidirectional,
        )
        self.pooled = spec.pooled
        directions = 2 if spec.bidirectional else 1
        n_read = spec.hidden + (self.lstm.input_size + directions * spec.hidden) * spec.pooled
        self.head = nn.Linear(n_read, n_outputs)

    def forward(self, signal: Tensor) -> Tensor:
        """(n, n_samples) -> (n, n_outputs).

        In training, more steps than fit the memory are run in parts, and each part once more for
        the gradient: 4,000 windows of 600 steps would need 8 GB for every feature otherwise.
        """
        rows = max(1, MOST_STEPS * self.patch // signal.shape[1])
        if not torch.is_grad_enabled() or len(signal) * self.n_beside <= rows:
            return self._run(signal)
        parts = [
            checkpoint(self._run, part, use_reentrant=False) for part in torch.split(signal, rows)
        ]
        return torch.cat(parts)

    def _run(self, signal: Tensor) -> Tensor:
        # (n, steps, patch); `len` would be a constant of an exported graph
        patches = signal.reshape(signal.shape[0], -1, self.patch)
        embedded = self.embed(patches)
        states, (final, _) = self.lstm(embedded)
        # the last layer's final state; where it is bidirectional, of the reverse direction only,
        # as published
        read = final[-1]
        if self.pooled:
            read = torch.cat([read, states.mean(dim=1), embedded.mean(dim=1)], dim=1)
        output: Tensor = self.head(read)
        return output


class FeatureImitator(nn.Module):
    """All FINs of a model: `spec.trunks` x `spec.copies` of them.

    Parameters
    ----------
    spec : NetworkSpec
    n_features, n_horizons : int
    """

    def __init__(self, spec: NetworkSpec, n_features: int, n_horizons: int) -> None:
        super().__init__()
        self.copies = spec.copies
        self.shape = (n_horizons, n_features // spec.trunks, spec.k_outputs)
        self.fins = nn.ModuleList(
            Fin(spec, math.prod(self.shape), spec.trunks * spec.copies)
            for _ in range(spec.trunks * spec.copies)
        )

    def forward(self, windows: Tensor) -> Tensor:
        """Imitate the standardised features of `windows`.

        Parameters
        ----------
        windows : (n_windows, n_samples, n_signals)

        Returns
        -------
        (n_windows, n_horizons, n_features, n_signals, k_outputs)
        """
        n_windows, n_samples, _ = windows.shape
        # rows that share weights: all channels together, or one channel each
        rows = windows.transpose(1, 2).reshape(n_windows, self.copies, -1, n_samples)
        trunks = []
        for start in range(0, len(self.fins), self.copies):
            outputs = [
                self.fins[start + copy](rows[:, copy].flatten(0, 1)).reshape(
                    n_windows, -1, *self.shape
                )
                for copy in range(self.copies)
            ]
            trunks.append(torch.cat(outputs, dim=1))  # (n_windows, n_signals, *shape)
        return torch.cat(trunks, dim=3).permute(0, 2, 3, 1, 4)


class ClosedForm(nn.Module):
    """The features themselves in the place of their imitation: the control of every FIN.

    What a window's features will be later is not known: every horizon gets those of the present.
    """

    def __init__(self, contract: ModelContract) -> None:
        super().__init__()
        self.names = contract.features
        self.n_horizons = len(contract.horizons_ms)
        self.k_outputs = contract.network.k_outputs
        mean, std = contract.feature_mean, contract.feature_std
        self.mean = nn.Buffer(torch.tensor(mean)[:, None], persistent=False)
        self.std = nn.Buffer(torch.tensor(std)[:, None], persistent=False)

    def forward(self, windows: Tensor) -> Tensor:
        """As `FeatureImitator`."""
        features: Tensor = (closed_form(windows, self.names) - self.mean) / self.std
        return features[:, None, ..., None].expand(-1, self.n_horizons, -1, -1, self.k_outputs)
