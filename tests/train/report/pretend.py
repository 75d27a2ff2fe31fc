"""Runs whose decisions are made up and measured as real ones are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from signals import counting_recording, tiny_contract

from semgfin_rt.model_contract import ClassLabel
from semgfin_rt.train.measures import TestWindows, measure
from semgfin_rt.train.report.summary import RunSummary
from semgfin_rt.train.results import Figure, TaskResult
from semgfin_rt.train.schedule import persistence

NAMES = ("rest", "fist", "pointing index", "wrist extension with closed hand")
SKILL = {"fin": 2.4, "fin_linear": 2.2, "closed_form": 2.1, "lda": 2.2, "lda_hudgins": 1.6}
SKILL |= {"svm": 2.0, "random_forest": 1.8, "random_weights": 1.4}
FEATURES = ("rms", "var", "ssi", "ent", "log_rms", "zc", "ssc", "mean_frequency")


def run_summary(**changes):
    """Describe a run on made-up subjects."""
    fixed = {
        "protocol": "within",
        "title": "Within subject",
        "dataset": "synthetic",
        "config": {"preset": "realtime", "seeds": 2, "folder": "<data & more>"},
        "versions": {"semgfin_rt": "0.1.0", "torch": "2.13"},
        "preset": "realtime",
        "seconds": 1234.5,
        "date": "2026-01-02T03:04:05+00:00",
    }
    return RunSummary(**(fixed | changes))


def pretend_contract(names=NAMES, horizons_ms=(0, 100, 300)):
    classes = tuple(ClassLabel(id=i, name=name) for i, name in enumerate(names))
    return tiny_contract(horizons_ms=horizons_ms).model_copy(update={"classes": classes})


def pretend_windows(contract, seed):
    """Test windows of one person: every movement twice, with rest between."""
    rng = np.random.default_rng(seed)
    movements = rng.permutation([i for i in contract.class_ids if i] * 2)
    runs = np.column_stack([np.zeros_like(movements), movements]).ravel()
    labels = np.repeat(runs, rng.integers(1500, 3000, len(runs))).astype(np.int16)
    recording = replace(
        counting_recording(len(labels)),
        labels=labels,
        repetitions=np.full(len(labels), 2, np.int16),
    )
    return TestWindows.build(recording, contract, [2])


def pretend_probabilities(windows, contract, skill, seed):
    """Noisy evidence for what was true 60 ms ago."""
    rng = np.random.default_rng(seed)
    ids = np.array(contract.class_ids)
    seen = np.concatenate([windows.present[:1].repeat(6), windows.present[:-6]])
    truth = np.repeat(seen[:, None], windows.truth.shape[1], axis=1)
    noise = rng.standard_normal((*truth.shape, len(ids)))
    logits = 1.3 * noise + skill * (truth[:, :, None] == ids)
    odds = np.exp(logits)
    return (odds / odds.sum(axis=-1, keepdims=True)).astype(np.float32)


def pretend_task(subject, seed, contract, methods=tuple(SKILL), condition="", skill=0.0):
    """Every method on the same windows of one person, and the controls of `fin`'s forecasts."""
    windows = pretend_windows(contract, 100 * subject + seed)
    who = {"subject": subject, "seed": seed, "condition": condition}
    figures, details = [], []
    rng = np.random.default_rng([subject, seed])
    person = 0.5 * np.random.default_rng(subject).standard_normal()
    for number, method in enumerate(methods):
        strength = SKILL[method] + skill + person + 0.1 * rng.standard_normal()
        output = pretend_probabilities(windows, contract, strength, [subject, seed, number])
        found, detail = measure(windows, output, contract, method=method, **who)
        figures += found
        details.append(detail)
        if method == "fin":
            present = np.array(contract.class_ids, np.int16)[output[:, 0].argmax(-1)]
    n_horizons = len(contract.horizons_ms)
    for method, labels in (("persistence", present), ("truth_persistence", windows.present)):
        repeated = persistence(labels, n_horizons)
        figures += measure(windows, repeated, contract, method=method, **who)[0]
    figures.append(Figure(method="fin", measure="seconds", value=20 + 3 * rng.random(), **who))
    figures += [
        Figure(method="fin", measure="lead_ms", horizon_ms=ms, value=ms - 3.0, **who)
        for ms in contract.horizons_ms
    ]
    return TaskResult(figures=figures, details=details, notes=["SVM: 5,000 balanced windows."])


def pretend_imitation(subject, seed, horizons_ms=(0, 100, 300)):
    """R² of FIN and of today's value."""
    rng = np.random.default_rng([subject, seed])
    who = {"subject": subject, "seed": seed}
    figures = []
    for ms in horizons_ms:
        for number, feature in enumerate(FEATURES):
            ours = 0.99 - 0.06 * number * rng.random() - ms / 900
            todays = 1 - ms / 250 + 0.02 * rng.standard_normal() * (ms > 0)
            for method, value in (("fin", ours), ("persistence", todays)):
                for measure_name, change in (
                    ("r2", 0.0),
                    ("r2_channel_median", 0.01),
                    ("r2_clamped", -0.05),
                ):
                    figures.append(
                        Figure(
                            method=method,
                            horizon_ms=ms,
                            measure=measure_name,
                            feature=feature,
                            value=value - change,
                            **who,
                        )
                    )
    return TaskResult(figures=figures)
