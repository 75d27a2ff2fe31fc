"""What sets people apart: the level of their features, and how they wear the ring.

Features are normalised person by person, and every person's ring is turned (and mirrored, for the
other arm or an armband worn the other way round) until the movements of all look most alike. The
one is known from any signal of a person, the other from movements whose labels are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semgfin_rt.nn.montage import Alignment, Montage
from semgfin_rt.nn.network import Network
from semgfin_rt.train.dataset import IndexArray, TrainingWindows

_BATCH, _CPU_BATCH = 512, 32
"""Windows that a network runs on at a time: a CPU's cache holds no more, which makes it twice as
fast."""
_SMALLEST_SCALE = 1e-3  # of a standardised feature: a dead channel stays finite
_ROUNDS = 4

Tell = Callable[[int, int], None]
"""Told how many batches of how many are done."""


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """What the classifiers read of some windows, before it is turned and normalised.

    Attributes
    ----------
    features : (n_windows, n_horizons, n_features, n_signals, k_outputs) tensor
    classes : (n_windows, n_horizons) int64
        -1 where there is none to learn.
    person : (n_windows,) int64
    """

    features: Tensor
    classes: IndexArray
    person: IndexArray

    def __len__(self) -> int:
        return len(self.person)

    def __add__(self, other: FeatureTable) -> FeatureTable:
        return FeatureTable(
            torch.cat([self.features, other.features]),
            np.concatenate([self.classes, other.classes]),
            np.concatenate([self.person, other.person]),
        )

    @classmethod
    @torch.no_grad()
    def read(
        cls, network: Network, windows: TrainingWindows, most: int, tell: Tell | None = None
    ) -> FeatureTable:
        """Run the FIN on at most `most` windows, evenly spread."""
        rows = windows.spread(most)
        network.eval()
        length = windows.windowing.window
        device = network.derive.device
        parts = [
            network.imitate(windows.gather(part).samples[:, :length].to(device))[
                :, :, network.read
            ].cpu()
            for part in batches(rows, device, tell)
        ]
        return cls(torch.cat(parts), windows.classes[rows], windows.record[rows])


def batches(
    rows: IndexArray, device: torch.device, tell: Tell | None = None
) -> Iterator[IndexArray]:
    """Split windows into as many as a network runs on at a time."""
    size = _CPU_BATCH if device.type == "cpu" else _BATCH
    parts = np.array_split(rows, max(1, len(rows) // size))
    for done, part in enumerate(parts, start=1):
        yield part
        if tell is not None:
            tell(done, len(parts))


@dataclass(frozen=True, eq=False)
class Person:
    """One person's alignment and statistics.

    Attributes
    ----------
    order : (n_signals,) int64
        See `Montage.order`.
    shift, scale : (n_horizons, n_inputs) tensors
        Mean and standard deviation of the features after the turn, every class weighing the same.
    """

    alignment: Alignment
    order: IndexArray
    shift: Tensor
    scale: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Turn and normalise: (n_windows, n_horizons, ...) -> (n_windows, n_horizons, n_inputs)."""
        turned = features[..., torch.from_numpy(self.order), :]
        return (turned.flatten(2) - self.shift) / self.scale


def describe_person(
    features: Tensor, classes: IndexArray, montage: Montage, alignment: Alignment
) -> Person:
    """Alignment and statistics of one person.

    Parameters
    ----------
    features : (n_windows, n_horizons, n_features, n_signals, k_outputs) tensor
    classes : (n_windows,) int64
        Windows of one class weigh as much as those of any other, those of none (-1) nothing. All
        0 where no class is known.
    """
    order = montage.order(alignment)
    turned = features[..., torch.from_numpy(order), :].flatten(2)
    groups = [turned[torch.from_numpy(classes == c)] for c in np.unique(classes[classes >= 0])]
    shift = torch.stack([g.mean(0) for g in groups]).mean(0)
    squares = torch.stack([((g - shift) ** 2).mean(0) for g in groups]).mean(0)
    return Person(alignment, order, shift, squares.sqrt().clamp_min(_SMALLEST_SCALE))


def class_means(features: Tensor, classes: IndexArray, n_classes: int) -> Tensor:
    """Normalised means of every class at the first horizon; 0 for a class that does not occur.

    (n_windows, n_horizons, n_features, n_signals, k_outputs) -> (n_classes, n_features, n_signals,
    k_outputs)
    """
    first = features[:, 0]
    person = describe_person(features, classes, Montage(first.shape[2]), Alignment())
    shape = first.shape[1:]
    means = torch.zeros(n_classes, *shape)
    for c in np.unique(classes):
        mean = first[torch.from_numpy(classes == c)].mean(0)
        means[c] = (mean - person.shift[0].reshape(shape)) / person.scale[0].reshape(shape)
    return means


def most_alike(means: Tensor, reference: Tensor, montage: Montage) -> Alignment:
    """Alignment under which the class means of a person correlate best with others'.

    Parameters
    ----------
    means, reference : (n_classes, n_features, n_signals, k_outputs)
        See `class_means`.
    """

    def likeness(alignment: Alignment) -> float:
        turned = means[..., torch.from_numpy(montage.order(alignment)), :]
        return float((turned * reference).sum())

    return max(montage.alignments, key=likeness)


def align_people(means: list[Tensor], montage: Montage) -> list[Alignment]:
    """Turn everybody's ring until the class means of all are most alike.

    One person after the other is turned towards the sum of the others, a few rounds, from every
    person as the start; the best end counts. The person with whom it began stays as it is.
    """
    best, most = [Alignment()] * len(means), -np.inf
    if len(montage.alignments) == 1:
        return best
    for start in range(len(means)):
        turned = list(means)
        found = [Alignment()] * len(means)
        for round_number in range(_ROUNDS):
            for p, mean in enumerate(means):
                if p == start:
                    continue
                others = [t for q, t in enumerate(turned) if q != p]
                reference = means[start] if round_number == 0 else torch.stack(others).sum(0)
                found[p] = most_alike(mean, reference, montage)
                turned[p] = mean[..., torch.from_numpy(montage.order(found[p])), :]
        together = torch.stack(turned)
        total = float((together.sum(0) ** 2).sum() - (together**2).sum())
        if total > most:
            best, most = found, total
    return best
