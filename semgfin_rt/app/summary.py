"""The end of a run in figures (the summary JSON) and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from semgfin_rt.app.readout import percentiles
from semgfin_rt.contracts import Recording
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.engine.snapshot import Health, Percentiles
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.scoring import RunningScore, empty_tally, summarise

Summary = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a run went.

    Attributes
    ----------
    health : Health
    score : RunningScore or None
        None where there is no truth.
    pushed : int or None
        Samples that the player pushed; None without a player.
    complete : bool
        It came to its end: was not interrupted, closed or cut short.
    """

    health: Health
    score: RunningScore | None
    pushed: int | None
    complete: bool


def figures(outcome: Outcome, contract: ModelContract) -> Summary:
    """Give the figures of a run, under the names of the summary JSON.

    A run that was interrupted is judged by the samples received: what the player had pushed
    beyond them was still under way.

    Parameters
    ----------
    outcome : Outcome
    contract : ModelContract
        With the horizons that were decided for.
    """
    health, pushed = outcome.health, outcome.pushed
    expected, lost = health.expected, health.lost
    if pushed is not None and outcome.complete:
        expected = Windowing(contract.window, contract.hop).count(pushed)
        lost = pushed - health.received
    scores = _scores(outcome.score, contract)
    latency = {stage: asdict(p) for stage, p in health.latency_ms.items()}
    all_done = health.decisions == expected and lost == 0 and health.decisions > 0
    return {
        "ok": outcome.complete and all_done,
        "complete": outcome.complete,
        "seconds": health.received / contract.rate,
        "decisions": health.decisions,
        "expected_decisions": expected,
        "lost_samples": lost,
        "skipped": health.skipped,
        "late": health.late,
        "not_finite": health.not_finite,
        "accuracy_horizon_ms": contract.horizons_ms[0],
        **scores,
        "end_to_end_ms": latency.pop("end_to_end", None),
        "end_to_end_is": "age of the newest sample" if pushed is None else "push to publish",
        "latency_ms": latency,
    }


def _scores(score: RunningScore | None, contract: ModelContract) -> Summary:
    horizons = contract.horizons_ms
    counts = empty_tally(len(horizons), len(contract.classes)) if score is None else score.tally
    return summarise(counts, horizons)


def seen_in_training(recording: Recording, contract: ModelContract, pushed: int) -> float:
    """Share of the pushed samples whose dataset, subject and repetition the training record names.

    Numbers are compared, not samples: another recording under the same numbers counts as well. A
    recording that is played round and round counts each time.
    """
    learnt = contract.learnt_repetitions(recording.dataset, recording.subject)
    seen = np.isin(recording.repetitions, list(learnt))
    return float(np.resize(seen, pushed).mean()) if pushed else 0.0


def shortfall(summary: Mapping[str, Any]) -> str:
    """One sentence on what a complete run did not keep."""
    if not summary["decisions"]:
        return (
            f"nothing was decided in {summary['seconds']:.2f} s of signal, of which "
            f"{summary['lost_samples']} samples were lost: see that the stream runs steadily, and "
            "give it more --seconds than the checkpoint's window lasts."
        )
    replayed = summary["source"]["kind"] == "replay"
    fix = "lower --speed" if replayed else "see that the stream keeps its rate"
    return (
        f"{summary['decisions']} decisions were made of {summary['expected_decisions']} expected "
        f"and {summary['lost_samples']} samples were lost: close other programs, or {fix}."
    )


def summary_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return a summary in words, for people."""
    lines = [
        f"{summary['seconds']:.1f} s of signal{'' if summary['complete'] else ' (cut short)'}: "
        f"{summary['decisions']} decisions of {summary['expected_decisions']} expected, "
        f"{summary['lost_samples']} samples lost, {summary['skipped']} windows skipped, "
        f"{summary['late']} late"
    ]
    stages = {k: Percentiles(**v) for k, v in summary["latency_ms"].items()}
    end = summary["end_to_end_ms"]
    lines.append(
        f"p50 / p95 / p99: compute {percentiles(stages.get('compute'))} ms, "
        f"{summary['end_to_end_is']} {percentiles(Percentiles(**end) if end else None)} ms"
    )
    if summary.get("times_real_time"):
        lines.append(pace_line(summary))
    if summary["scored"]:
        lines += _score_lines(summary)
    if summary.get("seen_in_training"):
        lines.append(
            f"{percent(summary['seen_in_training'])} of what was played has the subject and "
            "repetition numbers of the training data: the accuracy is no test."
        )
    if summary["source"].get("dataset") == "synthetic":
        lines.append("A synthetic subject: the accuracy says nothing about people.")
    return lines + list(summary["notes"])


def pace_line(summary: Mapping[str, Any]) -> str:
    """Say how fast it went at full speed, beside the floor of arithmetic."""
    floor = summary["floor_times_real_time"]
    allowed = f", where the arithmetic of its FIN alone would allow {floor:.0f}" if floor else ""
    return f"At full speed: {summary['times_real_time']:.1f} times real time{allowed}."


def _score_lines(summary: Mapping[str, Any]) -> list[str]:
    first = summary["accuracy_horizon_ms"]
    when = f"+{first} ms: " if first else ""
    lines = [
        f"{when}accuracy {percent(summary['accuracy'])}, within one label "
        f"{percent(summary['accuracy_steady'])}, balanced "
        f"{percent(summary['balanced_accuracy'])}; always the most frequent class: "
        f"{percent(summary['majority'])}"
    ]
    repeated = summary["persistence_by_horizon"]
    for ms, value in summary["accuracy_by_horizon"].items():
        if ms != str(first):
            beside = f", repeating the present decision {percent(repeated[ms])}"
            lines.append(f"+{ms} ms: accuracy {percent(value)}{'' if first else beside}")
    return lines


def percent(value: float | None) -> str:
    """Return a share in percent; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.1f} %"
