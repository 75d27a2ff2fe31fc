"""What the stages minimise: imitation of the features, and recognition of the movement."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from semgfin_rt.features import closed_form
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.network import Network
from semgfin_rt.train import heads
from semgfin_rt.train.dataset import Batch, IndexArray, TrainingWindows
from semgfin_rt.train.loop import Group, Stage
from semgfin_rt.train.recipes import Recipe, StageRecipe


@dataclass(frozen=True, eq=False)
class Objective:
    """The losses of one network on one set of training windows.

    Parameters
    ----------
    network : Network
    contract : ModelContract
    recipe : Recipe
    seed : int
    device : torch.device
    """

    network: Network
    contract: ModelContract
    recipe: Recipe
    seed: int
    device: torch.device

    def stage(
        self, kind: str, name: str, windows: TrainingWindows, held: TrainingWindows | None
    ) -> Stage:
        """Put a stage together.

        Parameters
        ----------
        kind : {"imitate", "classify", "joint"}
        name : str
            For progress, and part of the seed.
        windows : TrainingWindows
        held : TrainingWindows or None
            Of the held-out repetition, for early stopping where the recipe has it.
        """
        recipe = self.recipe.stages[kind]
        groups = [
            Group(list(module.parameters()), rate)
            for module, rate in (
                (self.network.imitator, recipe.fin_rate),
                (self.network.classifiers, recipe.classifier_rate),
            )
            if rate
        ]
        an_epoch = -(-len(windows) // recipe.batch)
        stops = recipe.early_stop and held is not None
        return Stage(
            name=name,
            steps=recipe.n_steps(len(windows)),
            groups=groups,
            loss=lambda step: self._loss(kind, name, recipe, windows, step),
            optimizer=recipe.optimizer,
            weight_decay=recipe.weight_decay,
            one_cycle=recipe.one_cycle,
            clip=recipe.clip,
            average=recipe.average,
            validate=(lambda: self._held_out_loss(held)) if stops and held else None,
            every=an_epoch,
        )

    def classifier_stage(self, name: str, inputs: Tensor, classes: IndexArray) -> Stage:
        """Train the MLPs on normalised inputs (n_windows, n_horizons, n_inputs)."""
        recipe = self.recipe.classify
        mlps = heads.linear_heads(self.network)
        targets = torch.from_numpy(classes)

        def loss(step: int) -> Tensor:
            rng = np.random.default_rng([self.seed, _number(name), step])
            torch.manual_seed(int(rng.integers(2**62)))
            rows = torch.from_numpy(rng.integers(len(inputs), size=min(recipe.batch, len(inputs))))
            batch = inputs[rows].to(self.device)
            self.network.train()
            logits = torch.stack([mlp.layers(batch[:, h]) for h, mlp in enumerate(mlps)], dim=1)
            return self._cross_entropy(logits, targets[rows].to(self.device))

        return Stage(
            name=name,
            steps=recipe.n_steps(len(inputs)),
            groups=[Group([w for mlp in mlps for w in mlp.parameters()], recipe.classifier_rate)],
            loss=loss,
            optimizer=recipe.optimizer,
            weight_decay=recipe.weight_decay,
            one_cycle=recipe.one_cycle,
            clip=recipe.clip,
            average=recipe.average,
        )

    def _loss(
        self, kind: str, name: str, recipe: StageRecipe, windows: TrainingWindows, step: int
    ) -> Tensor:
        rng = np.random.default_rng([self.seed, _number(name), step])
        torch.manual_seed(int(rng.integers(2**62)))
        batch = windows.gather(rng.integers(len(windows), size=min(recipe.batch, len(windows))))
        batch = Batch(*(part.to(self.device) for part in vars(batch).values()))
        self.network.train()
        if kind == "imitate":
            return self.imitation(batch, augment=True)
        if kind == "classify":
            with torch.no_grad():
                features = self.network.imitate(self._present(batch.samples))
            return self.recognition(features, batch)
        features = self.network.imitate(self._present(batch.samples))
        loss = self.recognition(features, batch)
        if self.recipe.imitation_weight:
            loss = loss + self.recipe.imitation_weight * self._imitation_error(
                features, self.targets(batch.samples), batch.valid
            )
        return loss

    def imitation(self, batch: Batch, *, augment: bool) -> Tensor:
        """Squared error of standardised features, over horizons whose target is valid.

        A mean in which the present has a weight of its own.
        """
        samples = batch.samples
        if augment and self.recipe.gain_jitter:
            gains = torch.randn(len(samples), 1, samples.shape[2], device=samples.device)
            samples = samples * torch.exp(self.recipe.gain_jitter * gains)
        features = self.network.imitate(self._present(samples))
        return self._imitation_error(features, self.targets(samples), batch.valid)

    def recognition(self, features: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy over windows and horizons that have a class."""
        return self._cross_entropy(self.network.classify(features), batch.classes)

    def _cross_entropy(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Over windows and horizons, (n_windows, n_horizons, ...), that have a class."""
        return functional.cross_entropy(
            logits.flatten(0, 1),
            classes.flatten(),
            ignore_index=-1,
            label_smoothing=self.recipe.label_smoothing,
        )

    def targets(self, samples: Tensor) -> Tensor:
        """Standardised closed-form features of the window at each horizon.

        (n_windows, window + longest horizon, n_channels) ->
        (n_windows, n_horizons, n_features, n_signals)
        """
        contract = self.contract
        derived = samples @ self.network.derive.T
        values = torch.stack(
            [
                closed_form(derived[:, ahead : ahead + contract.window], contract.features)
                for ahead in contract.horizons
            ],
            dim=1,
        )
        mean = torch.tensor(contract.feature_mean, device=samples.device)[:, None]
        std = torch.tensor(contract.feature_std, device=samples.device)[:, None]
        return (values - mean) / std

    def _present(self, samples: Tensor) -> Tensor:
        return samples[:, : self.contract.window]

    def _imitation_error(self, features: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        wanted = targets[..., None].expand_as(features)
        if self.recipe.target_noise:
            wanted = wanted + self.recipe.target_noise * torch.randn_like(wanted)
        weights = torch.ones(valid.shape, device=features.device)
        if self.contract.horizons_ms[0] == 0:
            weights[:, 0] = self.recipe.present_weight
        weights = weights[valid]
        errors = functional.mse_loss(features[valid], wanted[valid], reduction="none")
        return (weights * errors.flatten(1).mean(1)).sum() / weights.sum()

    @torch.no_grad()
    def _held_out_loss(self, held: TrainingWindows) -> float:
        self.network.eval()
        parts = np.array_split(held.spread(4096), 16)
        batches = [held.gather(rows) for rows in parts if len(rows)]
        losses = [
            self.imitation(
                Batch(*(part.to(self.device) for part in vars(batch).values())), augment=False
            )
            for batch in batches
        ]
        return float(torch.stack(losses).mean())


def _number(name: str) -> int:
    """Fold a stage name into a number that is the same on every machine and run."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
