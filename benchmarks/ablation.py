"""What each part of the recipe is worth, on held-out TRAINING repetitions of 3DC.

    python benchmarks/ablation.py 3DCDataset --work FOLDER [--workers 2]

Test recordings are never read. A figure is the accuracy on windows inside one label of the last
training repetition of the person, of which nothing was learnt or chosen, as mean over the people.
One seed. The result goes to benchmarks/ablation.json and, as a table, to standard output.
Interrupted, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from semgfin_rt.contracts import Recording
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.network import Network
from semgfin_rt.recordings import load
from semgfin_rt.train import dataset
from semgfin_rt.train.adapt import adapt
from semgfin_rt.train.finetune import finetune
from semgfin_rt.train.fit import fit
from semgfin_rt.train.grid import run_grid
from semgfin_rt.train.heads import PriorWeight, linear_heads
from semgfin_rt.train.options import AdaptOptions, FinetuneOptions, FitOptions
from semgfin_rt.train.outcome import fingerprint
from semgfin_rt.train.protocols.shares import unlabelled_excerpt
from semgfin_rt.train.recipes import FINETUNE_RECIPES, RECIPES
from semgfin_rt.train.recognition import held_out_accuracy
from semgfin_rt.train.results import Figure, TaskResult

CLOSED = {"imitator": "closed_form", "horizons_ms": (0,)}
OWN: dict[str, dict[str, Any]] = {  # learnt from the person's own repetitions 0 to 2
    "closed form, channels": CLOSED | {"derivations": ("channel",)},
    "closed form, channels and differences": CLOSED | {"derivations": ("channel", "difference")},
    "closed form, channels and averages": CLOSED | {"derivations": ("channel", "average")},
    "closed form, all three": CLOSED,
    "closed form, all three, 250 ms": CLOSED | {"window_ms": 250},
    "closed form, all three, 200 ms": CLOSED | {"window_ms": 200},
    "closed form, all three, 150 ms": CLOSED | {"window_ms": 150},
    "FIN, channels": {"horizons_ms": (0,), "derivations": ("channel",)},
    "FIN, all three": {"horizons_ms": (0,)},
    "FIN, all three, five horizons": {},
    "FIN of the four published features, all three": {
        "horizons_ms": (0,),
        "features": ("rms", "var", "ssi", "ent"),
    },
    "from labels without imitation, all three": {"horizons_ms": (0,), "pretrain": False},
}
OTHERS = {  # a checkpoint of the other people (closed form, all three), then the person
    "zero-shot, as it is": "none",
    "zero-shot, 10 s without labels": "adapt",
    "zero-shot, 10 s without labels, ring not turned": "adapt, no ring",
    **{f"{n} repetitions": f"{n}" for n in (1, 2, 3)},
    **{f"{n} repetitions, without the prior of other people": f"{n} own" for n in (1, 2, 3)},
    **{f"{n} repetitions, ring not turned": f"{n} no ring" for n in (1, 2, 3)},
}
LEARNT, LAST = (0, 1, 2), 3  # training repetitions of 3DC


@dataclass(frozen=True)
class Task:
    """All rows of one group for one person."""

    key: str
    subject: int
    row: str


def silent(stage: str, step: int, steps: int, loss: float) -> None:
    """No progress inside a task."""


def own(task: Task, data: Path, cache: Path) -> TaskResult:
    """Train on the person alone."""
    (person,) = load(data, [task.subject])
    with tempfile.TemporaryDirectory() as folder:
        options = FitOptions(repetitions=LEARNT, **OWN[task.row])
        fit([person], Path(folder) / "m", options, silent, cache)
        network, contract = load_checkpoint(Path(folder) / "m")
    figures = {task.row: held_out(network, contract, person)}
    for part, mix in (("MLP alone", 0.0), ("linear head alone", 1.0)):
        for classifier in linear_heads(network):
            classifier.mix.fill_(mix)
        figures[f"{task.row}: {part}"] = held_out(network, contract, person)
    return _result(task, figures)


def others(task: Task, data: Path, cache: Path, people: list[int]) -> TaskResult:
    """Train on the others, then adapt to the person."""
    figures = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rest = [p for p in people if p != task.subject]
        ring, flat = folder / "ring", folder / "flat"
        options = FitOptions(**CLOSED)
        fit(load(data, rest), ring, options, silent, cache)
        no_ring = [replace(r, ring=()) for r in load(data, rest)]
        fit(no_ring, flat, FitOptions(**OWN["closed form, channels and averages"]), silent, cache)
        (person,) = load(data, [task.subject])
        for row, how in OTHERS.items():
            base = flat if "no ring" in how else ring
            out = folder / "out"
            if how == "none":
                out = base
            elif how.startswith("adapt"):
                excerpt = unlabelled_excerpt(person, 0, 10.0, range(11))
                adapt(base, excerpt, out, AdaptOptions(seconds=10), silent)
            else:
                tune = FinetuneOptions(
                    repetitions=tuple(range(int(how[0]))),
                    replay="own" not in how,
                    keep_worse=True,
                )
                finetune(base, [person], out, tune, silent, cache)
            figures[row] = held_out(*load_checkpoint(out), person)
            if out != base:
                shutil.rmtree(out)
    return _result(task, figures)


def held_out(network: Network, contract: ModelContract, person: Recording) -> float:
    """Accuracy on all windows of the last training repetition, on the checkpoint's own scale."""
    filtered = dataset.filtered(person, contract.filter_sos)
    windows = dataset.TrainingWindows.build(
        [filtered],
        [LAST],
        contract.classes,
        Windowing(contract.window, contract.hop),
        contract.horizons,
        [Scaler(contract.scale_mean, contract.scale_std)],
    )
    return held_out_accuracy(network, windows, len(windows))


def _result(task: Task, figures: dict[str, float]) -> TaskResult:
    return TaskResult(
        figures=[
            Figure(subject=task.subject, seed=0, method=name, measure="accuracy_steady", value=v)
            for name, v in figures.items()
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="Folder of unfinished work.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    people = [r.subject for r in load(arguments.data)]
    cache = arguments.work / "signals"

    def report(stage: str, done: int, total: int, loss: float) -> None:
        print(f"{done} of {total}", flush=True)

    results = []
    for group, rows, work in (
        ("own", list(OWN), partial(own, data=arguments.data, cache=cache)),
        ("others", ["all"], partial(others, data=arguments.data, cache=cache, people=people)),
    ):
        tasks = [
            Task(f"{group}-{number}-{p}", p, row) for number, row in enumerate(rows) for p in people
        ]
        results += run_grid(
            tasks,
            work,
            arguments.work / group,
            fingerprint=fingerprint(OWN, OTHERS, RECIPES, FINETUNE_RECIPES, PriorWeight()),
            executor="local",
            workers=arguments.workers,
            ray_address=None,
            progress=report,
        )
    values: dict[str, dict[int, float]] = {}
    for result in results:
        for figure in result.figures:
            values.setdefault(figure.method, {})[figure.subject] = figure.value
    rows = {
        name: {"mean": statistics.fmean(v.values()), "by_subject": v} for name, v in values.items()
    }
    machine = f"{platform.machine()}, {arguments.workers} workers of one thread"
    document = {"data": "3DC, last training repetition held out", "machine": machine, "rows": rows}
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    print("| row | mean |", *(f" {p} |" for p in people), sep="")
    print("|---|---|", *("---|" for _ in people), sep="")
    for name, row in rows.items():
        cells = "".join(f" {100 * row['by_subject'][p]:.1f} |" for p in people)
        print(f"| {name} | {100 * row['mean']:.1f} |{cells}")


if __name__ == "__main__":
    main()
