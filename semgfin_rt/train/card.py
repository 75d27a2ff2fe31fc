"""The model card: what a checkpoint is, in words, from its contract alone."""

from __future__ import annotations

from semgfin_rt.model_contract import ModelContract, TrainingRecord

_DATA = {
    "synthetic": (
        "**synthetic subjects**: signals that this program makes up. It shows that the software "
        "works; its accuracy says nothing about people."
    ),
    "db2": "Ninapro DB2 (registration needed, not redistributed).",
    "3dc": "the 3DC dataset (Côté-Allard et al. 2019, Sensors).",
}


def model_card(contract: ModelContract) -> str:
    """Markdown text of card.md."""
    rate, window, hop = contract.rate, contract.window, contract.hop
    horizons = ", ".join(f"{ms} ms" for ms in contract.horizons_ms)
    lines = [
        f"# semgfin_rt checkpoint, preset `{contract.preset}`",
        "",
        "Research software, not a medical device.",
        "",
        f"- Signal: {len(contract.channels)} channels at {rate:g} Hz in {contract.unit}",
        f"- Window {1000 * window / rate:g} ms, hop {1000 * hop / rate:g} ms",
        f"- Horizons: {horizons}",
        f"- Imitated features: {', '.join(contract.features)}",
        f"- The classifier reads: {', '.join(contract.classifier_features)}",
        f"- Classes: {', '.join(f'{c.id} {c.name}' for c in contract.classes)}",
        f"- Test repetitions, never seen in training: {_numbers(contract.test_repetitions)}",
        "",
        "## History",
        *(line for record in contract.history for line in _history(record)),
        "",
        "Figures on test data are not in this card: `semgfin-train evaluate` prints them beside "
        "their controls.",
    ]
    return "\n".join(lines) + "\n"


def _history(record: TrainingRecord) -> list[str]:
    return [
        "",
        f"### {record.command}, {record.date}",
        "",
        f"- Data: {_DATA.get(record.dataset, record.dataset)}",
        f"- Subjects {_numbers(record.subjects)}, repetitions {_numbers(record.repetitions)}; "
        f"held out to choose between candidates: {_numbers(record.held_out)}",
        f"- {record.windows} windows, seed {record.seed}, {record.seconds:g} s of training",
        *(f"- {name}: {value:g}" for name, value in record.chosen.items()),
        f"- Data SHA-256 {record.data_sha256}",
    ]


def _numbers(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values)) or "none"
