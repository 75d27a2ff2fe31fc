"""The model card: what a checkpoint is, in words, from its contract alone."""

from __future__ import annotations

import re
from collections.abc import Mapping

from semgfin_rt.model_contract import ModelContract, TrainingRecord
from semgfin_rt.texts import printable

_DATA = {
    "synthetic": (
        "**synthetic subjects**: signals that this program makes up. It shows that the software "
        "works; its accuracy says nothing about people."
    ),
    "db2": "Ninapro DB2 (registration needed, not redistributed).",
    "3dc": "the 3DC dataset (Côté-Allard et al. 2019, Sensors).",
}

_NETWORK = {
    "fin": "The features are imitated by LSTMs (FIN)",
    "closed_form": "The features are computed, not imitated: a control",
}
_DERIVATIONS = {
    "channel": "the channels",
    "difference": "differences of neighbours in the ring",
    "average": "channels against their average",
}


def model_card(contract: ModelContract) -> str:
    """Markdown text of card.md; nothing in it steers a terminal that prints it."""
    rate, window, hop = contract.rate, contract.window, contract.hop
    horizons = ", ".join(f"{ms} ms" for ms in contract.horizons_ms)
    lines = [
        f"# semgfin_rt checkpoint, preset `{contract.preset}`",
        "",
        "Research software, not a medical device.",
        "",
        f"- Signal: {len(contract.channels)} channels at {rate:g} Hz in {contract.unit}",
        f"- Filter: {_filter(contract)}",
        f"- Window {1000 * window / rate:g} ms, hop {1000 * hop / rate:g} ms",
        f"- Horizons: {horizons}",
        f"- Ring of electrodes: {_ring(contract)}",
        f"- {_NETWORK[contract.network.imitator]}",
        f"- Of these signals: {', '.join(_DERIVATIONS[d] for d in contract.network.derivations)}",
        f"- Imitated features: {', '.join(contract.features)}",
        f"- The classifier reads: {', '.join(contract.classifier_features)}",
        f"- Classes: {', '.join(f'{c.id} {c.name}' for c in contract.classes)}",
        f"- Test repetitions, never seen in training: {_numbers(contract.test_repetitions)}",
        *(f"- {_metric(name)}: {100 * value:.1f} %" for name, value in contract.metrics.items()),
        "",
        "## History",
        *(line for record in contract.history for line in _history(record)),
        "",
        "Figures on test data are not in this card: `semgfin-train evaluate` prints them beside "
        "their controls.",
    ]
    return "\n".join(map(printable, lines)) + "\n"


def _history(record: TrainingRecord) -> list[str]:
    return [
        "",
        f"### {record.command}, {record.date}",
        "",
        f"- Data: {_DATA.get(record.dataset, record.dataset)}",
        f"- Subjects {_numbers(record.subjects)}, repetitions {_numbers(record.repetitions)}; "
        f"held out to choose between candidates: {_numbers(record.held_out)}",
        f"- {record.windows} windows, seed {record.seed}, {record.seconds:g} s of "
        f"{'signal' if record.command == 'adapt' else 'training'}",
        *([f"- Steps: {_pairs(record.steps)}"] if record.steps else []),
        *(f"- {name}: {value:g}" for name, value in record.chosen.items()),
        f"- With {_pairs(record.versions)}",
        f"- Data SHA-256 {record.data_sha256}",
    ]


def _filter(contract: ModelContract) -> str:
    n = len(contract.filter_sos)
    return f"causal, {n} second-order sections (coefficients in contract.json)" if n else "none"


def _ring(contract: ModelContract) -> str:
    if not contract.ring:
        return "none"
    names = ", ".join(contract.channels[i] for i in contract.ring)
    mirrored = "mirrored" if contract.mirrored else "not mirrored"
    return (
        f"{names}; worn turned by {contract.rotation} and {mirrored}, against the people of the "
        "first training"
    )


def _metric(name: str) -> str:
    """Say in words what `fit` and `finetune` measure on the held-out repetition."""
    if name == "before_held_out_accuracy":
        return "Accuracy on the held-out repetition before this adaptation"
    if match := re.fullmatch(r"held_out_accuracy_(\d+)ms", name):
        return f"Accuracy on the held-out repetition, {match[1]} ms ahead"
    return name


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _numbers(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values)) or "none"
