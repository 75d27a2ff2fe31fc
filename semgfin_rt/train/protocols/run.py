"""Protocol x data -> report: the bases first, then everything that is scored, task by task."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.train import outcome
from semgfin_rt.train.grid import finished, run_grid
from semgfin_rt.train.heads import PriorWeight
from semgfin_rt.train.loop import Progress
from semgfin_rt.train.protocols.classical import score_controls
from semgfin_rt.train.protocols.imitation import score_imitation
from semgfin_rt.train.protocols.networks import score_networks, train_base
from semgfin_rt.train.protocols.options import ProtocolOptions
from semgfin_rt.train.protocols.plan import plan
from semgfin_rt.train.protocols.scoring import Setting
from semgfin_rt.train.protocols.survey import Survey, survey
from semgfin_rt.train.protocols.tasks import Plan, Task
from semgfin_rt.train.recipes import FINETUNE_RECIPES, RECIPES
from semgfin_rt.train.report.summary import Results, RunSummary
from semgfin_rt.train.report.write import write_report
from semgfin_rt.train.results import TaskResult
from semgfin_rt.train.statistics import BOUND, FORECASTS, OURS, average_seeds

_QUICK_WINDOWS = 2_000
_QUICK_WINDOWS_PAPER = 200  # a decision of the published network takes some 10 ms


def run_protocol(
    name: str,
    data: Path,
    out: Path,
    options: ProtocolOptions,
    progress: Progress,
    begin: Callable[[], None] = lambda: None,
) -> Results:
    """Run a protocol and write its report.

    Killed and started again with the same arguments, it loses at most the task in flight; results
    do not depend on the number of workers, but for measured times.

    Parameters
    ----------
    name : str
        Among `plan.PROTOCOLS`.
    data : Path
        See `iter_recordings`.
    out : Path
        Folder of the run: ``report.html``, ``results.json``, ``results.parquet``, the results of
        finished tasks and, unless `options.cache` says otherwise, checkpoints and signals.
    options : ProtocolOptions
    progress : callable
        Called with "read", "bases" and "tasks".
    begin : callable
        Called once nothing is left to refuse, before the first training.

    Returns
    -------
    Results
        What the report shows.

    Raises
    ------
    SemgfinError
        One sentence on what does not fit.
    """
    started = time.monotonic()
    found = survey(data, options.subjects, options.fit.repetitions, progress)
    planned = plan(name, found, options)
    setting = make_setting(planned, data, out, options)
    identity = outcome.fingerprint(
        name,
        found,
        options.what_counts(),
        *(RECIPES, FINETUNE_RECIPES, PriorWeight(), outcome.versions()),
    )
    if options.resume:
        finished(planned.tasks, out, identity)  # another run is refused before the bases
    begin()

    def tell_bases(_stage: str, step: int, steps: int, loss: float) -> None:
        progress("bases", step, steps, loss)

    grid = partial(
        run_grid,
        executor=options.executor,
        workers=options.workers,
        ray_address=options.ray_address,
        resume=options.resume,
    )
    grid(
        planned.bases,
        partial(train_base, setting=setting),
        setting.bases,
        fingerprint="bases",  # the keys say everything
        progress=tell_bases,
    )
    results = grid(
        planned.tasks,
        partial(score, setting=setting),
        out,
        fingerprint=identity,
        progress=progress,
    )
    summary = RunSummary(
        protocol=name,
        title=planned.title,
        dataset=found.dataset,
        config={"data": str(data), "out": str(out)}
        | options.model_dump(mode="json")
        | {"decided": _decided(setting.bases / planned.bases[0].key)},
        versions=outcome.versions(),
        preset=planned.bases[0].options.preset,
        notes=(*planned.notes, *log_note(name, data, found, planned, results)),
        conditions=planned.conditions,
        seconds=time.monotonic() - started,
    )
    report = Results.of(summary, results)
    write_report(out, report)
    return report


def _decided(base: Path) -> dict[str, object]:
    """Tell what options left to preset and data; nothing of a checkpoint that is gone again."""
    if not base.exists():
        return {}
    decided = {"window", "hop", "features", "classifier_features", "filter_sos", "network"}
    return load_contract(base).model_dump(mode="json", include=decided)


def make_setting(planned: Plan, data: Path, out: Path, options: ProtocolOptions) -> Setting:
    """Where the tasks of a run find what they need: workers may run in another folder."""
    shared = (options.cache or out).absolute()
    fit = planned.bases[0].options
    quick = _QUICK_WINDOWS_PAPER if fit.preset == "paper" else _QUICK_WINDOWS
    return Setting(
        data=data.absolute(),
        bases=shared / "bases",
        signals=shared / "signals",
        unlabelled_s=options.unlabelled_s,
        shorten=fit.shorten,
        device=fit.device,
        most_windows=quick if options.quick else None,
    )


def score(task: Task, setting: Setting) -> TaskResult:
    """Run one task of a plan."""
    recording = setting.read(task.subject)
    if task.protocol == "imitation":
        return score_imitation(task, recording, setting)
    if task.method == "controls":
        return score_controls(task, recording, setting)
    return score_networks(task, recording, setting)


# --------------------------------------------------------------------- the log of test runs
def log_line(
    name: str, data: Path, found: Survey, planned: Plan, results: Sequence[TaskResult]
) -> dict[str, str] | None:
    """One line for the log of looks at people's test repetitions; None for synthetic subjects.

    Returns
    -------
    dict or None
        ``date``, ``command``, ``data``, ``figure`` (of `fin`) and ``control`` (the best).
    """
    if found.dataset == "synthetic":
        return None
    scores = average_seeds(figure for result in results for figure in result.figures)
    measure = "r2" if name == "imitation" else "accuracy_steady"
    condition = planned.conditions[-1]
    means = {
        (cell.method, cell.feature): float(np.mean(list(by_subject.values())))
        for cell, by_subject in scores.items()
        if (cell.measure, cell.condition) == (measure, condition)
        and cell.horizon_ms == planned.bases[0].options.horizons_ms[0]
    }
    ours = {key: value for key, value in means.items() if key[0] == OURS}
    rivals = {
        key: value
        for key, value in means.items()
        if key[0] not in (OURS, f"{OURS}_linear", BOUND, *FORECASTS)
        and not key[0].startswith("ensemble")
    }
    people = ", ".join(str(person.subject) for person in found.people)
    repetitions = sorted({n for person in found.people for n in person.test})
    return {
        "date": outcome.today(),
        "command": f"protocol {name}",
        "data": f"{data.name}: {found.dataset} subjects {people}, repetitions "
        f"{', '.join(map(str, repetitions))}",
        "figure": "; ".join(
            " ".join(filter(None, (measure, feature, f"{value:.4f}")))
            for (_, feature), value in ours.items()
        ),
        "control": "none"
        if not rivals
        else "{0[0][0]} {0[1]:.4f}".format(max(rivals.items(), key=lambda item: item[1])),
    }


def log_note(
    name: str, data: Path, found: Survey, planned: Plan, results: Sequence[TaskResult]
) -> list[str]:
    """Say in the report that people's test repetitions were looked at."""
    line = log_line(name, data, found, planned, results)
    if line is None:
        return []
    text = ", ".join(f"{key}: {value}" for key, value in line.items())
    return [f"People's test repetitions were scored; a line for the log of test runs: {text}."]
