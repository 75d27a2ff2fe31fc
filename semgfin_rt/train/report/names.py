"""What methods, conditions and measures are called, and in which order methods stand."""

from __future__ import annotations

import re
from collections.abc import Iterable

METHOD_NAMES = {
    "fin": "FIN (ours)",
    "fin_linear": "FIN features + closed-form head",
    "closed_form": "closed-form features + same classifier",
    "lda": "LDA on rich8",
    "lda_hudgins": "LDA on Hudgins TD features",
    "svm": "SVM on rich8",
    "random_forest": "random forest on rich8",
    "random_weights": "same network, no imitation",
    "majority": "majority class",
    "persistence": "persistence",
    "schedule": "schedule",
    "truth_persistence": "present truth repeated (a bound)",
    "ensemble": "ensemble with a control",
}
"""Methods in words, in the order of the tables; an unknown one has its own name, at the end."""


def method_name(method: str) -> str:
    """Name in words."""
    return METHOD_NAMES.get(method, method)


def in_order(methods: Iterable[str]) -> list[str]:
    """Sort methods as the tables have them."""
    order = {method: number for number, method in enumerate(METHOD_NAMES)}
    return sorted(set(methods), key=lambda m: (order.get(m, len(order)), m))


def condition_name(condition: str) -> str:
    """Name for a column."""
    return condition or "all data"


def amount(condition: str) -> tuple[float, str] | None:
    """Split off number and unit of a condition such as ``20 % of the data``; None without."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(\D.*)", condition)
    if not match:
        return None
    unit = match[2].strip()
    return float(match[1]), "repetitions" if unit == "repetition" else unit
