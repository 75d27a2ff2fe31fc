"""How long a protocol would take: its plan, times what the parts of it cost on this machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.reference import choose_device, one_thread
from semgfin_rt.recordings import iter_recordings
from semgfin_rt.train import controls
from semgfin_rt.train.costs import ControlCost, Costs, resident_bytes
from semgfin_rt.train.estimate import (
    Census,
    Estimate,
    Part,
    draft,
    fit_recipe,
    training_bytes,
    training_parts,
)
from semgfin_rt.train.loop import Progress
from semgfin_rt.train.options import FitOptions
from semgfin_rt.train.protocols.options import ProtocolOptions
from semgfin_rt.train.protocols.plan import plan
from semgfin_rt.train.protocols.run import make_setting
from semgfin_rt.train.protocols.survey import Person, Survey, movement_repetitions
from semgfin_rt.train.protocols.tasks import Amount, Base, Task
from semgfin_rt.train.recipes import Recipe, finetune_recipe


def estimate_protocol(
    name: str, data: Path, options: ProtocolOptions, progress: Progress
) -> Estimate:
    """Say what `run_protocol` would take; nothing is trained or written.

    Parameters
    ----------
    name, data, options, progress
        As for `run_protocol`.

    Raises
    ------
    SemgfinError
        Where `run_protocol` would, as far as that needs no training.
    """
    recordings = iter_recordings(data, options.subjects)
    census = Census.of(recordings, lambda first: draft(first, options.fit), progress)
    made = plan(name, _survey(census, options), options)
    most_tested = make_setting(made, data, Path(), options).most_windows
    with one_thread():  # as the workers have it
        prices = _Prices.of(census, made.bases, most_tested)
        trainings = [prices.training(base) for base in made.bases]
        tasks = [prices.task(task) for task in made.tasks]
    parts = (
        Part("read and filter", f"{len(census.outlines)} recordings", census.seconds),
        *_by_stage(trainings),
        *_by_method(made.tasks, tasks),
    )
    workers = options.workers
    bases = [sum(part.seconds for part in training) for training in trainings]
    seconds = census.seconds + shared_seconds(bases, workers) + shared_seconds(tasks, workers)
    each = resident_bytes() + max(map(prices.n_bytes, made.bases))
    n_bytes = resident_bytes() + min(workers, max(len(bases), len(tasks))) * each
    note = (
        f"{len(bases)} checkpoints are trained, then {len(tasks)} tasks scored, {workers} at a "
        "time, a thread each."
    )
    return Estimate(parts, seconds, n_bytes, (note,))


def _by_stage(trainings: list[tuple[Part, ...]]) -> list[Part]:
    stages: dict[str, list[Part]] = {}
    for part in chain.from_iterable(trainings):
        stages.setdefault(part.name, []).append(part)
    return [
        Part(
            f"checkpoints: {name}",
            f"{len(found)} x at most {max(found, key=lambda part: part.seconds).size}",
            sum(part.seconds for part in found),
        )
        for name, found in stages.items()
    ]


def _by_method(tasks: tuple[Task, ...], seconds: list[float]) -> list[Part]:
    methods = dict.fromkeys(task.method for task in tasks)
    parts = []
    for method in methods:
        found = [(task, s) for task, s in zip(tasks, seconds, strict=True) if task.method == method]
        scored = sum(len(task.amounts) for task, _ in found)
        size = f"{len(found)} tasks, {scored} conditions"
        parts.append(Part(f"tasks: {method}", size, sum(s for _, s in found)))
    return parts


def _survey(census: Census, options: ProtocolOptions) -> Survey:
    """Whom the plan is for; which data it is plays no part in an estimate."""
    people = []
    for outline in census.outlines:
        there = movement_repetitions(outline.labels, outline.repetitions)
        training = there - outline.test_repetitions
        if options.fit.repetitions is not None:
            training &= set(options.fit.repetitions)
        person = Person(
            subject=outline.subject,
            training=tuple(sorted(training)),
            test=tuple(sorted(there & outline.test_repetitions)),
            sha256=str(outline.subject),
        )
        people.append(person)
    return Survey(dataset=census.first.dataset, people=tuple(people))


def shared_seconds(seconds: list[float], workers: int) -> float:
    """How long workers take that are given one part after the other, whoever is free."""
    free = [0.0] * workers
    for part in seconds:
        free.sort()
        free[0] += part
    return max(free)


@dataclass(frozen=True)
class _Priced:
    """Bases that are trained alike, and what that costs."""

    contract: ModelContract
    recipe: Recipe
    tuning: Recipe
    costs: Costs


@dataclass(frozen=True, eq=False)
class _Prices:
    """Seconds and bytes of everything that a plan has."""

    census: Census
    of_base: dict[str, _Priced]
    of_control: dict[str, ControlCost]
    most_tested: int | None

    @classmethod
    def of(cls, census: Census, bases: tuple[Base, ...], most_tested: int | None) -> _Prices:
        """Measure each kind of base once."""
        measured: dict[FitOptions, _Priced] = {}
        of_base = {}
        for base in bases:
            kind = _kind(base.options)
            if kind not in measured:
                measured[kind] = _price(census, kind)
            of_base[base.key] = replace(measured[kind], recipe=fit_recipe(base.options))
        contract = next(iter(measured.values())).contract
        of_control = ControlCost.measure_all(len(contract.channels), len(contract.classes))
        return cls(census, of_base, of_control, most_tested)

    def training(self, base: Base) -> tuple[Part, ...]:
        """Stages of training a base."""
        price, repetitions = self.of_base[base.key], self._repetitions(base)
        return self._training(price, price.recipe, base.subjects, repetitions)

    def n_bytes(self, base: Base) -> int:
        """Memory of training it, beside that of the program."""
        price = self.of_base[base.key]
        n = self.census.count(self._repetitions(base), price.contract, base.subjects)
        return training_bytes(self.census, price.contract, price.recipe, price.costs, n)

    def task(self, task: Task) -> float:
        """Seconds of one task."""
        price = self.of_base[task.bases[0]]
        n_tested = self._tested(task.subject, price.contract)
        if task.method == "controls":
            return sum(self._controls(task, amount, price, n_tested) for amount in task.amounts)
        seconds = 0.0
        for amount in task.amounts:
            seconds += n_tested * (price.costs.read + price.costs.features)
            if amount.kind == "labelled":
                who, learnt = (task.subject,), amount.repetitions
                parts = self._training(price, price.tuning, who, learnt, amount.percent)
                seconds += sum(part.seconds for part in parts)
        return len(task.bases) * seconds

    def _training(
        self,
        price: _Priced,
        recipe: Recipe,
        subjects: tuple[int, ...],
        repetitions: tuple[int, ...],
        percent: float = 100.0,
    ) -> tuple[Part, ...]:
        everything = self.census.count(repetitions, price.contract, subjects)
        last = repetitions[-1:] if len(repetitions) > 1 else ()
        held = self.census.count(last, price.contract, subjects)
        kept = max(1, round(percent / 100 * (everything - held)))
        return training_parts(price.costs, recipe, kept, round(percent / 100 * held))

    def _controls(self, task: Task, amount: Amount, price: _Priced, n_tested: int) -> float:
        """Seconds of all controls with that much of the person, or of the others."""
        subjects, repetitions = task.others, self._all_repetitions
        if amount.kind == "labelled":
            subjects, repetitions = (task.subject,), amount.repetitions
        n = round(amount.percent / 100 * self.census.count(repetitions, price.contract, subjects))
        seconds = (min(n, controls.MOST_WINDOWS) + n_tested) * price.costs.features
        horizons = len(price.contract.horizons_ms) * len(task.bases)
        for method in amount.controls:
            times = horizons if controls.METHODS[method].every_horizon else 1
            seconds += times * self.of_control[method].seconds(method, n, n_tested)
        return seconds

    def _tested(self, subject: int, contract: ModelContract) -> int:
        """Windows of the test repetitions, transitions included."""
        test = self.census.first.test_repetitions
        samples = self.census.samples.items()
        n = sum(n for (who, number), n in samples if who == subject and number in test)
        n //= contract.hop
        return n if self.most_tested is None else min(n, self.most_tested)

    def _repetitions(self, base: Base) -> tuple[int, ...]:
        return base.options.repetitions or self._all_repetitions

    @property
    def _all_repetitions(self) -> tuple[int, ...]:
        """For training, of anybody."""
        numbers = {number for _, number in self.census.samples}
        return tuple(sorted(numbers - self.census.first.test_repetitions))


def _kind(options: FitOptions) -> FitOptions:
    """Make options equal whose steps cost the same."""
    alike = tuple(range(len(options.horizons_ms)))
    horizons = tuple(round(options.hop_ms * h) for h in alike)
    return options.model_copy(
        update={"seed": 0, "pretrain": True, "repetitions": None, "horizons_ms": horizons}
    )


def _price(census: Census, options: FitOptions) -> _Priced:
    contract, _ = census.draft(options)
    recipe = fit_recipe(options)
    classifier = contract.network.classifier
    tuning = finetune_recipe(options.preset, classifier, None, options.shorten)
    costs = Costs.measure(contract, recipe, choose_device(options.device))
    return _Priced(contract, recipe, tuning, costs)
