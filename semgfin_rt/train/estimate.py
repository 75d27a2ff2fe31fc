"""How long a run would take, and in how much memory: windows counted, times steps measured."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np

from semgfin_rt.contracts import Recording
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.errors import TrainingError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.reference import choose_device
from semgfin_rt.train import dataset
from semgfin_rt.train.costs import Costs, resident_bytes
from semgfin_rt.train.drafting import choose_filter, draft_contract
from semgfin_rt.train.finetune import require_tunable
from semgfin_rt.train.loop import Progress
from semgfin_rt.train.options import FinetuneOptions, FitOptions
from semgfin_rt.train.preparation import Filtered, training_repetitions
from semgfin_rt.train.recipes import RECIPES, Recipe, finetune_recipe

_FILTERED_SAMPLES = 50_000  # on which the filter is timed


@dataclass(frozen=True)
class Part:
    """One part of a run.

    Attributes
    ----------
    name, size : str
        What it is, and how much of it, in words.
    seconds : float
        On one worker.
    """

    name: str
    size: str
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """What a run would take.

    Attributes
    ----------
    parts : tuple of Part
        In their order.
    seconds : float
        Of the whole run, with all workers.
    n_bytes : int
        Memory of all processes.
    notes : tuple of str
    """

    parts: tuple[Part, ...]
    seconds: float
    n_bytes: int
    notes: tuple[str, ...] = ()


# -------------------------------------------------------------------------- the recordings
@dataclass(frozen=True, eq=False)
class Census:
    """What one pass over recordings tells; the samples of all but the first are let go.

    Attributes
    ----------
    first : Recording
    outlines : list of Recording
        Without samples; every pair of label and repetition occurs once.
    windows : Counter
        (subject, label, repetition) -> windows that lie wholly inside.
    samples : Counter
        (subject, repetition) -> samples.
    n_bytes : int
        Of the largest recording.
    seconds : float
        Reading, and what filtering will take.
    """

    first: Recording
    outlines: list[Recording]
    windows: Counter[tuple[int, int, int]]
    samples: Counter[tuple[int, int]]
    n_bytes: int
    seconds: float

    @classmethod
    def of(
        cls,
        recordings: Iterable[Recording],
        draft: Callable[[Recording], ModelContract],
        progress: Progress,
    ) -> Census:
        """Look at recordings, one at a time; the first tells what is to be trained."""
        began = time.perf_counter()
        first: Recording | None = None
        outlines: list[Recording] = []
        windows: Counter[tuple[int, int, int]] = Counter()
        samples: Counter[tuple[int, int]] = Counter()
        n_bytes, filtering = 0, 0.0
        for recording in recordings:
            if first is None:
                first, contract = recording, draft(recording)
                windowing = Windowing(contract.window, contract.hop)
                a_sample = _filtering_seconds(recording, contract)
            dataset.require_same_signal([first, recording])
            outline = _outline(recording)
            outlines.append(outline)
            table = dataset.training_table(
                recording, set(outline.repetitions), sorted(set(outline.labels)), windowing, (0,)
            )
            pairs = zip(table.labels[:, 0].tolist(), table.repetitions[:, 0].tolist(), strict=True)
            windows.update((recording.subject, *pair) for pair in pairs)
            for number, n in Counter(recording.repetitions.tolist()).items():
                samples[recording.subject, number] += n
            filtering += a_sample * len(recording.samples)
            n_bytes = max(n_bytes, recording.samples.nbytes)
            progress("read", len(outlines), len(outlines), 0.0)
        if first is None:
            raise TrainingError("there is no recording to train on: give one or more.")
        seconds = time.perf_counter() - began + filtering
        return cls(first, outlines, windows, samples, n_bytes, seconds)

    def count(
        self,
        repetitions: Collection[int],
        contract: ModelContract,
        subjects: Collection[int] | None = None,
    ) -> int:
        """Training windows of some repetitions of some people, or of all."""
        return sum(
            n
            for (subject, label, repetition), n in self.windows.items()
            if label in contract.class_ids
            and repetition in repetitions
            and (subjects is None or subject in subjects)
        )

    def draft(self, options: FitOptions) -> tuple[ModelContract, tuple[int, ...]]:
        """Contract of a training on everybody, and its repetitions."""
        contract = draft(self.first, options)
        repetitions = training_repetitions(self.outlines, options.repetitions)
        classes = dataset.class_set(self.outlines, repetitions, rest=contract.has_rest)
        return contract.model_copy(update={"classes": classes}), repetitions


def draft(first: Recording, options: FitOptions) -> ModelContract:
    """Draft what `fit` would make of this recording, as far as it needs no training."""
    repetitions = training_repetitions([first], options.repetitions)
    filtered = Filtered([first], choose_filter(options, first), "")
    return draft_contract(filtered, repetitions, options)


def _outline(recording: Recording) -> Recording:
    pairs = np.unique(np.stack([recording.labels, recording.repetitions]), axis=1)
    return replace(
        recording, samples=recording.samples[:0].copy(), labels=pairs[0], repetitions=pairs[1]
    )


def _filtering_seconds(recording: Recording, contract: ModelContract) -> float:
    """Of one sample: filtered, and hashed for the cache before and after."""
    some = replace(recording, samples=recording.samples[:_FILTERED_SAMPLES], breaks=())
    began = time.perf_counter()
    dataset.filtered(some, contract.filter_sos)
    for _ in range(3):
        dataset.data_sha256([some])
    return (time.perf_counter() - began) / len(some.samples)


# -------------------------------------------------------------------------- fit and finetune
def estimate_fit(
    recordings: Iterable[Recording], options: FitOptions, progress: Progress
) -> Estimate:
    """Say what `fit` would take.

    Parameters
    ----------
    recordings : iterable of Recording
        Taken one at a time.
    options : FitOptions
    progress : callable

    Raises
    ------
    SemgfinError
        Where `fit` would, as far as that needs no training.
    """
    census = Census.of(recordings, lambda first: draft(first, options), progress)
    contract, repetitions = census.draft(options)
    recipe = fit_recipe(options)
    costs = Costs.measure(contract, recipe, choose_device(options.device))
    costs = replace(costs, imitate=costs.imitate / (options.devices * options.nodes))
    return _of_training(census, contract, repetitions, recipe, costs)


def estimate_finetune(
    contract: ModelContract,
    recordings: Iterable[Recording],
    options: FinetuneOptions,
    progress: Progress,
) -> Estimate:
    """Say what `finetune` of a checkpoint would take; see `estimate_fit`."""

    def fits(first: Recording) -> ModelContract:
        contract.require_fit(first.spec, first.path)
        return contract

    census = Census.of(recordings, fits, progress)
    repetitions = training_repetitions(census.outlines, options.repetitions)
    require_tunable(contract, options)
    classifier = contract.network.classifier
    recipe = finetune_recipe(contract.preset, classifier, options.tune, options.shorten)
    costs = Costs.measure(contract, recipe, choose_device(options.device))
    compares = not options.keep_worse
    return _of_training(census, contract, repetitions, recipe, costs, compares=compares)


def fit_recipe(options: FitOptions) -> Recipe:
    """Numbers of a training; without a FIN, there are no steps of one.

    A FIN that learns from labels takes as many, which cost about the same.
    """
    recipe = RECIPES[options.preset].shortened(options.shorten)
    if options.imitator == "fin":
        return recipe
    return replace(recipe, imitate=replace(recipe.imitate, steps=0))


def _of_training(
    census: Census,
    contract: ModelContract,
    repetitions: tuple[int, ...],
    recipe: Recipe,
    costs: Costs,
    *,
    compares: bool = False,
) -> Estimate:
    everything = census.count(repetitions, contract)
    held = census.count(repetitions[-1:], contract) if len(repetitions) > 1 else 0
    if not everything:
        raise TrainingError(
            f"no {contract.window}-sample window lies inside one movement of repetitions "
            f"{', '.join(map(str, repetitions))}: check the data and --repetitions."
        )
    read = Part("read and filter", f"{len(census.outlines)} recordings", census.seconds)
    parts = (read, *training_parts(costs, recipe, everything - held, held, compares))
    note = (
        f"{everything} training windows of repetitions {', '.join(map(str, repetitions))}"
        f"{f', {held} of them held out' if held else ''}."
    )
    n_bytes = resident_bytes() + training_bytes(census, contract, recipe, costs, everything)
    return Estimate(parts, sum(part.seconds for part in parts), n_bytes, (note,))


def training_parts(
    costs: Costs, recipe: Recipe, kept: int, held: int, compares: bool = False
) -> tuple[Part, ...]:
    """Stages of a training with so many windows, and so many more that are held out.

    A CNN is trained without them first, where the adaptation `compares`.
    """

    def stage(name: str, kind: str, n_windows: int, times: int = 1) -> Part:
        numbers = recipe.stages[kind]
        steps = times * numbers.n_steps(n_windows)
        size = f"{steps} steps of {min(numbers.batch, n_windows)} windows"
        return Part(name, size, steps * getattr(costs, kind))

    n = min(kept, recipe.windows) + min(held, recipe.held)
    if costs.heads:
        parts = [
            stage("FIN", "imitate", kept),
            Part("features of the FIN", f"{n} windows", n * costs.read),
            stage("classifier", "classify", n, times=2 if held else 0),
            Part("linear heads", f"{n} windows", 3 * n * costs.heads),
        ]
    else:
        windows = [kept, kept + held] if compares and held else [kept + held]
        parts = [
            stage("FIN", "imitate", kept),
            *(stage("classifier", "classify", n) for n in windows),
            *(stage("joint", "joint", n) for n in windows),
        ]
    return tuple(part for part in parts if part.seconds)


def training_bytes(
    census: Census, contract: ModelContract, recipe: Recipe, costs: Costs, windows: int
) -> int:
    """Memory of a training beside that of the program."""
    spec = contract.network
    n_signals = len(contract.channels) * len(spec.derivations)
    n_inputs = len(contract.classifier_features) * n_signals * spec.k_outputs
    n_horizons = len(contract.horizons_ms)
    rows = min(windows, recipe.windows + recipe.held) if costs.heads else 0
    return (
        3 * census.n_bytes  # arrays of the file, our float32, the filtered signal
        + costs.step_bytes
        + 5 * 4 * rows * n_horizons * n_inputs  # features in parts and whole, turned, normalised
        + 2 * windows * (16 + 9 * n_horizons)  # which windows there are
    )
