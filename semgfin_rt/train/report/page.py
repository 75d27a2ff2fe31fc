"""The sections of a report, each only where its figures exist, and the page around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources

from jinja2 import Environment, StrictUndefined

from semgfin_rt.train.report import plots, tables
from semgfin_rt.train.report.canvas import Plot
from semgfin_rt.train.report.names import METHOD_NAMES
from semgfin_rt.train.report.summary import Results
from semgfin_rt.train.report.tables import Table
from semgfin_rt.train.statistics import FEWEST, OURS

_DATASETS = {"db2": "Ninapro DB2", "3dc": "3DC", "synthetic": "synthetic subjects"}
SYNTHETIC = (
    "These subjects are made up by the program. The figures show that the software works; they "
    "say nothing about people."
)


@dataclass(frozen=True)
class Section:
    """A heading, what to know, and what to see."""

    id: str
    title: str
    paragraphs: Sequence[str] = ()
    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = field(default=())


def render(results: Results) -> str:
    """Write report.html."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files(__package__).joinpath("template.html").read_text(encoding="utf-8")
    run = results.run
    return environment.from_string(source).render(
        run=run,
        dataset=_DATASETS.get(run.dataset, run.dataset),
        banner=SYNTHETIC if run.dataset == "synthetic" else "",
        sections=sections(results),
        notes=results.notes,
        ours=METHOD_NAMES[OURS],
        n_subjects=len({figure.subject for figure in results.figures}),
        n_seeds=len({figure.seed for figure in results.figures}),
        run_time=_duration(run.seconds),
    )


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def sections(results: Results) -> list[Section]:
    """Those that the figures of this run fill."""
    found = (
        _recognition(results),
        _amounts(results),
        _tests(results),
        _horizons(results),
        _imitation(results),
        _confusion(results),
        _errors(results),
        _confidence(results),
        _known(results),
        _cost(results),
    )
    return [section for section in found if section is not None]


def _recognition(results: Results) -> Section | None:
    if not results.recognisers("accuracy_steady"):
        return None
    shown = tables.headline(results)
    more = tables.measures(
        results,
        ("accuracy", "balanced_accuracy", "accuracy_transition"),
        "Other accuracies, which count transitions too",
    )
    text = [
        "Every method decided on the same windows of test repetitions, without any vote over "
        "time. Seeds are averaged within a subject first. Compare with the strongest control, "
        "not with chance."
    ]
    condition, first = results.last_condition("majority"), results.first_horizon()
    if majority := results.spread("majority", OURS, condition, first):
        text.append(
            "To decide always on the most frequent class would be right in "
            f"{100 * majority.mean:.1f} % of all windows."
        )
    return Section(
        "recognition",
        "Recognition",
        text,
        [plots.subjects(results)],
        [shown[0], *([more] if more else []), *shown[1:]],
    )


def _amounts(results: Results) -> Section | None:
    drawn = plots.amounts(results)
    return Section("amount", "Accuracy against the amount of data", (), drawn) if drawn else None


def _tests(results: Results) -> Section | None:
    if not results.comparisons:
        return None
    text = [
        "Each subject is compared with itself: the difference is that of our method minus the "
        "control, dz the mean difference over the standard deviation of the differences. p is that "
        "of the two-sided sign-flip permutation test over subjects (exact up to 40 of them), then "
        "Holm-corrected over all rows of one measure, condition and horizon."
    ]
    few = sorted({c.n_subjects for c in results.comparisons if c.p is None})
    if few:
        text.append(
            f"Not tested with {' or '.join(map(str, few))} "
            f"{'subject' if few == [1] else 'subjects'}: a test needs at least {FEWEST} "
            "subjects, since with fewer no p can fall below 0.05."
        )
    n = min((c.n_subjects for c in results.comparisons if c.p is not None), default=0)
    if 0 < n <= 12:  # with more it can be as small as any
        text.append(
            f"With {n} subjects the smallest p that this test can give is {2.0 ** (1 - n):.2g}, "
            "before the correction."
        )
    shown = [
        table
        for measure in ("accuracy_steady", "accuracy_transition", "r2")
        for table in tables.paired(results, measure)
    ]
    return Section("tests", "Against each control", text, (), shown)


def _horizons(results: Results) -> Section | None:
    if len(results.horizons("accuracy", results.last_condition("accuracy"))) < 2:
        return None
    return Section(
        "horizons",
        "Accuracy against horizon",
        [
            "Transitions: the newest sample lies within 300 ms of a change of label. Persistence "
            "repeats a model's own present decision; the schedule reads on in the timetable of the "
            "training prompts, which a network can learn instead of the muscle; the present truth "
            "is a bound that nobody can have. What is not in the signal before a movement begins "
            "cannot be forecast."
        ],
        [plots.horizons(results)],
        tables.horizons(results),
    )


def _imitation(results: Results) -> Section | None:
    if OURS not in results.methods("r2"):
        return None
    return Section(
        "imitation",
        "Imitation of features",
        [
            "R² = 1 - SS_res / SS_tot over all test windows, pooled over the channels and as the "
            "median of each channel's own. It can be negative: worse than the mean. Ahead in time, "
            "compare with today's value as the forecast."
        ],
        [plots.imitation(results, c) for c in results.conditions_of("r2")],
        tables.imitation(results),
    )


def _confusion(results: Results) -> Section | None:
    drawn = plots.confusion(results)
    return Section("confusion", "What is taken for what", (), [drawn]) if drawn else None


def _errors(results: Results) -> Section | None:
    table = tables.measures(
        results,
        (
            "onset_delay_ms",
            "onsets_missed",
            "false_activations_per_min",
            "transition_errors",
            "calibration_error",
        ),
        "Onsets, false activations, and where the errors lie",
    )
    if table is None:
        return None
    text = (
        "Onset delay: from a change to a movement to the first of five equal correct decisions; "
        "an onset without these is missed. False activations: changes from rest to a movement "
        "while the truth is rest, with 300 ms of grace after a movement ends."
    )
    return Section("errors", "Delays and false activations", [text], (), [table])


def _confidence(results: Results) -> Section | None:
    drawn, table = plots.calibration(results), tables.thresholds(results)
    if drawn is None and table is None:
        return None
    return Section(
        "confidence",
        "How far the confidence can be trusted",
        (),
        [drawn] if drawn else [],
        [table] if table else [],
    )


def _known(results: Results) -> Section | None:
    if results.run.dataset != "db2":
        return None
    shown = [tables.known(results)] if results.recognisers("accuracy_steady") else []
    if (table := tables.known_imitation(results)).rows:
        shown.append(table)
    text = (
        "Stated by their authors, on their own splits and with their own choices; this paper's "
        "accuracy is that of its best test epoch, its R² a clamped quantity of each window. A "
        "model that knows rest has one class more than the 17 movements."
    )
    return Section("stated", "Stated numbers beside ours", [text], (), shown) if shown else None


def _cost(results: Results) -> Section | None:
    if not results.methods("seconds"):
        return None
    return Section("cost", "Training time", (), (), [tables.seconds(results)])
