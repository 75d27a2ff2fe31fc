"""The card says what the contract says, in words."""

from __future__ import annotations

from signals import tiny_contract

from semgfin_rt.model_contract import ModelContract, TrainingRecord
from semgfin_rt.train.card import model_card

RECORD = TrainingRecord(
    command="fit",
    dataset="3dc",
    subjects=(2, 3),
    repetitions=(0, 1),
    held_out=(1,),
    data_sha256="abc123",
    windows=1234,
    seed=7,
    steps={"FIN": 20},
    seconds=3.5,
    chosen={"mix at 0 ms": 0.5},
    versions={"torch": "2.13"},
    date="2025-01-02",
)


def contract(**changes: object) -> ModelContract:
    return ModelContract.model_validate(tiny_contract().model_dump() | changes)


def test_the_ring_and_how_it_is_worn():
    assert "Ring of electrodes: none" in model_card(contract())
    card = model_card(contract(ring=(2, 0, 1), rotation=2, mirrored=True))
    assert "top, left, right; worn turned by 2 and mirrored" in card


def test_derivations_imitator_and_filter():
    network = tiny_contract().network.model_dump()
    card = model_card(contract())
    assert "imitated by LSTMs" in card
    assert "Of these signals: the channels\n" in card
    assert "Filter: none" in card
    more = network | {"imitator": "closed_form", "derivations": ("channel", "average")}
    sos = ((1.0, 0.0, 0.0, 1.0, 0.0, 0.0),)
    card = model_card(contract(network=more, filter_sos=sos))
    assert "computed, not imitated" in card
    assert "the channels, channels against their average" in card
    assert "1 second-order section" in card


def test_history_and_held_out_figures():
    adapted = RECORD.model_copy(update={"command": "adapt", "steps": {}, "seconds": 9.9})
    metrics = {"before_held_out_accuracy": 0.5, "held_out_accuracy_50ms": 0.755}
    card = model_card(contract(history=(RECORD, adapted), metrics=metrics))
    for words in (
        "### fit, 2025-01-02",
        "Subjects 2, 3, repetitions 0, 1",
        "1234 windows, seed 7, 3.5 s of training",
        "Steps: FIN 20",
        "mix at 0 ms: 0.5",
        "With torch 2.13",
        "Data SHA-256 abc123",
        "9.9 s of signal",
        "held-out repetition before this adaptation: 50.0 %",
        "held-out repetition, 50 ms ahead: 75.5 %",
    ):
        assert words in card


def test_texts_of_a_checkpoint_do_not_steer_the_terminal():
    record = RECORD.model_copy(update={"dataset": "手首\x1b[2J", "versions": {"torch": "\u202e2"}})
    classes = ({"id": 0, "name": "Hände\n# title"}, {"id": 1, "name": "\x9b2J"})
    card = model_card(contract(classes=classes, history=(record,)))
    assert all(line.isprintable() for line in card.split("\n"))
    assert r"- Classes: 0 Hände\n# title, 1 \x9b2J" in card
    assert r"- Data: 手首\x1b[2J" in card
