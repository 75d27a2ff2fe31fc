"""A plan in the making: what all protocols have in common, and how keys are made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product

from semgfin_rt.errors import OptionError
from semgfin_rt.nn.presets import PRESETS
from semgfin_rt.train import outcome
from semgfin_rt.train.options import FitOptions
from semgfin_rt.train.protocols.options import ProtocolOptions
from semgfin_rt.train.protocols.survey import Person
from semgfin_rt.train.protocols.tasks import Amount, Base, Plan, Task
from semgfin_rt.train.recipes import RECIPES

NETWORKS: dict[str, dict[str, object]] = {
    "fin": {},
    "closed_form": {"imitator": "closed_form"},
    "random_weights": {"pretrain": False},
}
"""What has a network, and how its training differs from that of `fin`."""

_QUICK, _QUICK_PAPER = 0.02, 0.002  # of a recipe's steps


@dataclass
class Draft:
    """A plan that grows, and what its parts have in common."""

    name: str
    people: Sequence[Person]
    options: ProtocolOptions
    bases: dict[str, Base] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    conditions: dict[str, None] = field(default_factory=dict)

    def plan(self, title: str) -> Plan:
        """Finish."""
        if self.options.quick:
            self.notes.append(
                "This is a smoke run, of few training steps and few windows: it shows that "
                "the program works, and no accuracy."
            )
        return Plan(
            protocol=self.name,
            title=title,
            bases=tuple(self.bases.values()),
            tasks=tuple(self.tasks),
            conditions=tuple(self.conditions),
            notes=tuple(self.notes),
        )

    @property
    def fit(self) -> FitOptions:
        """Options of every training."""
        if not self.options.quick:
            return self.options.fit
        shorten = _QUICK_PAPER if self.options.fit.preset == "paper" else _QUICK
        return self.options.fit.model_copy(update={"shorten": shorten})

    @property
    def present(self) -> FitOptions:
        """The same for the first horizon alone, where forecasts are not the question."""
        return self.fit.model_copy(update={"horizons_ms": self.fit.horizons_ms[:1]})

    @property
    def adaptable(self) -> bool:
        """Whether checkpoints can be adapted without labels; the published CNN cannot."""
        preset = "cnn" if self.fit.preset == "paper" else "mlp"
        return (self.fit.classifier or preset) != "cnn"

    @property
    def unlabelled(self) -> str:
        """Condition of the unlabelled seconds; it must not look like an amount of repetitions."""
        return f"unlabelled signal, {self.options.unlabelled_s:g} s"

    def base(self, method: str, people: Sequence[Person], seed: int, fit: FitOptions) -> str:
        """Have a checkpoint trained; its key."""
        chosen = fit.model_copy(update={"seed": seed} | NETWORKS[method])
        recipe = RECIPES[chosen.preset].shortened(chosen.shorten)
        recipe = recipe if chosen.pretrain else recipe.from_labels
        # of a topology that changes with the program, not with an option
        preset = PRESETS[chosen.preset].network(1, 1, 1)
        content = outcome.fingerprint([p.sha256 for p in people], chosen, recipe, preset)
        who = str(people[0].subject) if len(people) == 1 else f"{len(people)}people"
        key = f"{method}-of-{who}-seed{seed}-{content[:12]}"
        subjects = tuple(p.subject for p in people)
        self.bases[key] = Base(key=key, subjects=subjects, options=chosen)
        return key

    def task(
        self,
        person: Person,
        seed: int,
        method: str,
        bases: Sequence[str],
        amounts: Iterable[Amount],
        others: Sequence[Person] = (),
    ) -> None:
        """Add a task."""
        amounts = tuple(amounts)
        self.conditions |= dict.fromkeys(a.condition for a in amounts)
        parts = [f"subject{person.subject}", f"seed{seed}", method]
        if len(amounts) == 1:
            parts.append(re.sub(r"[^\w.]+", "_", amounts[0].condition))
        self.tasks.append(
            Task(
                key="-".join(filter(None, parts)),
                protocol=self.name,
                subject=person.subject,
                seed=seed,
                method=method,
                bases=tuple(bases),
                amounts=amounts,
                others=tuple(p.subject for p in others),
                repetitions=person.training,
            )
        )

    def each(self) -> Iterable[tuple[int, Person, list[Person]]]:
        """Every seed and person, with everybody else.

        Raises
        ------
        OptionError
            When nobody else is there.
        """
        if len(self.people) < 2:
            raise OptionError(
                f"`{self.name}` tests people whom the checkpoint does not know, and the data has "
                f"{len(self.people)}: give two or more subjects, or choose `within`."
            )
        for seed, person in product(self.options.all_seeds, self.people):
            yield seed, person, [other for other in self.people if other != person]
