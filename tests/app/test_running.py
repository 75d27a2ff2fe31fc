"""The running scores against an evaluation of the same windows, and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import signals
from decisions import decide, tiny_contract

from semgfin_rt.app.running import RunningScores
from semgfin_rt.contracts import NO_LABEL, Decision, Movement, State, TruthEvent
from semgfin_rt.scoring import summarise
from semgfin_rt.sources.recording import truth_events
from semgfin_rt.train.measures import measure
from semgfin_rt.train.test_windows import TestWindows

NOBODY = np.zeros(3, np.float32)


def labelled(seed=0, breaks=(9000, 37_000)):
    """Build a recording of labels of 0.2 to 2.5 s, one of which the model does not know."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.permutation(40) % 4, rng.integers(400, 5000, 40)).astype(np.int16)
    recording = signals.counting_recording(len(labels), breaks)
    return replace(recording, labels=labels, repetitions=np.ones(len(labels), np.int16))


def decisions_of(windows, contract, seed=1):
    rng = np.random.default_rng(seed)
    lucky = rng.random(windows.truth.shape) < 0.8
    said = rng.choice([0, 1, 2, NO_LABEL], windows.truth.shape)
    decided = np.where(lucky, windows.truth, said).astype(np.int16)
    decisions = [
        Decision(
            int(newest),
            newest / contract.rate,
            tuple(
                Movement(ms, int(label), 0.5, NOBODY, State.VALID)
                for ms, label in zip(contract.horizons_ms, row, strict=True)
            ),
            np.zeros((3, 2, 3), np.float32),
        )
        for newest, row in zip(windows.newest, decided, strict=True)
    ]
    return decisions, decided


def run(contract, decisions, events, size=25):
    running = RunningScores(contract)
    waiting = list(events)
    for start in range(0, len(decisions), size):
        piece = decisions[start : start + size]
        due = [e for e in waiting if e.sample <= piece[-1].sample and not e.end]
        waiting = waiting[len(due) :]
        running.take(piece, due)
    running.take([], waiting)
    return running


@pytest.mark.parametrize("size", [3, 10_000])
def test_a_whole_replay_ends_at_the_figures_of_an_evaluation(size):
    contract, recording = signals.tiny_contract((0, 50, 300)), labelled()
    windows = TestWindows.build(recording, contract, [1])
    decisions, decided = decisions_of(windows, contract)
    figures, _ = measure(windows, decided, contract, subject=1, seed=0, method="fin")
    offline = {(f.measure, f.horizon_ms): f.value for f in figures}
    running = run(contract, decisions, truth_events(recording), size)
    live = running.scores()
    assert live.accuracy == offline["accuracy", 0]
    assert live.accuracy_steady == offline["accuracy_steady", 0]
    assert [h.accuracy for h in live.horizons] == [offline["accuracy", ms] for ms in (0, 50, 300)]
    assert live.onset_delay_ms == offline["onset_delay_ms", 0]
    assert live.onsets_missed == offline["onsets_missed", 0]
    assert live.false_activations == pytest.approx(offline["false_activations_per_min", 0])
    assert live.onsets > 8
    assert live.false_activations > 0
    assert live.scored == live.confusion.sum() == (np.isin(windows.present, (0, 1, 2))).sum()
    assert running.score.summary() == summarise(running.score.tally, contract.horizons_ms)


def test_nothing_yet():
    scores = RunningScores(tiny_contract()).scores()
    assert (scores.scored, scores.onsets) == (0, 0)
    assert scores.accuracy is scores.accuracy_steady is scores.onset_delay_ms is None
    assert scores.false_activations is scores.onsets_missed is None
    for horizon in scores.horizons:
        assert horizon.accuracy is horizon.recent is horizon.skill is horizon.lead_ms is None


# -------------------------------------------------------- 100 Hz, a decision at each sample
def test_the_last_minute_forgets_what_was_before():
    events = [TruthEvent(0, 6, 1)]
    # 20 s all wrong; then the forecast is right and the present is so in one of two
    decisions = [decide(s, label=0) for s in range(9, 2000)]
    decisions += [decide(s, label=6 if s % 2 else 0, ahead=6) for s in range(2000, 10_000)]
    now, forecast = run(tiny_contract(), decisions, events, 10).scores().horizons
    assert (now.horizon_ms, forecast.horizon_ms) == (0, 50)
    assert forecast.recent == 1.0
    assert now.recent == forecast.persistence == pytest.approx(0.5, abs=0.01)
    assert forecast.skill == pytest.approx(0.5, abs=0.01)
    assert forecast.accuracy < 0.85
    early = run(tiny_contract(), decisions[:4000], events, 10).scores().horizons[1]
    assert early.recent == early.accuracy < 0.55


def transitions(lag, lead, n=6):
    """Rest and fist of 2 s in turn; decided `lag` samples late, forecast `lead` before that."""
    truth = [TruthEvent(200 * i, 6 if i % 2 else 0, 1 + i // 2) for i in range(n)]

    def shown(sample):
        return 6 if max(sample, 0) // 200 % 2 else 0

    decisions = [
        decide(s, label=shown(s - lag), ahead=shown(s - lag + lead)) for s in range(9, 200 * n)
    ]
    return decisions, [*truth, TruthEvent(200 * n, NO_LABEL, NO_LABEL, end=True)]


@pytest.mark.parametrize(
    ("lag", "lead"), [(15, 12), (15, 0), (15, 20), (15, -5), (0, 5), (-3, 0), (-3, 2)]
)
@pytest.mark.parametrize("size", [1, 25, 10_000])
def test_true_lead_by_hand(lag, lead, size):
    scores = run(tiny_contract(), *transitions(lag, lead), size).scores()
    assert scores.onset_delay_ms == 10 * max(lag, 0) + 5  # before the change nothing is right
    assert scores.horizons[0].lead_ms is None
    assert scores.horizons[1].lead_ms == pytest.approx(10 * lead)


def test_a_flicker_is_no_lead():
    decisions, events = transitions(lag=15, lead=0)
    wrong = {200 * i + k for i in (1, 3, 5) for k in (2, 3, 4, 5)}  # four in a row
    decisions = [
        decide(d.sample, d.movements[0].label, ahead=6) if d.sample in wrong else d
        for d in decisions
    ]
    assert run(tiny_contract(), decisions, events).scores().horizons[1].lead_ms == 0.0


def test_a_forecast_that_comes_too_soon_leads_from_its_movement_on():
    """Before, it speaks of rest and is wrong."""
    decisions, events = transitions(lag=15, lead=60)
    scores = run(tiny_contract(), decisions, events).scores()
    assert scores.horizons[1].lead_ms == 150 + 50


def test_a_jump_within_a_replay_makes_no_onset():
    decisions = [decide(s, label=6) for s in range(9, 2000)]
    events = [TruthEvent(0, 0, 1), TruthEvent(1000, 6, 1, contiguous=False)]
    scores = run(tiny_contract(), decisions, events).scores()
    assert scores.onsets == 0
    assert scores.accuracy == pytest.approx(0.5, abs=0.1)


def test_without_the_present_there_is_neither_delay_nor_persistence():
    contract = tiny_contract().model_copy(update={"horizons_ms": (50,)})
    decisions, events = transitions(lag=15, lead=0)
    decisions = [replace(d, movements=d.movements[1:]) for d in decisions]
    scores = run(contract, decisions, events).scores()
    assert scores.onset_delay_ms is scores.false_activations is None
    (only,) = scores.horizons
    assert only.persistence is only.skill is only.lead_ms is None
    assert only.recent > 0.8


def test_memory_does_not_grow_with_a_long_replay():
    running = RunningScores(tiny_contract())
    decisions, _ = transitions(lag=15, lead=5, n=40)  # 80 s
    sizes = []
    for turn in range(3):
        shift = 8000 * turn
        events = [TruthEvent(shift + 200 * i, 6 if i % 2 else 0, 1) for i in range(40)]
        for start in range(0, len(decisions), 25):
            piece = [replace(d, sample=d.sample + shift) for d in decisions[start : start + 25]]
            due = [e for e in events if e.sample <= piece[-1].sample]
            events = events[len(due) :]
            running.take(piece, due)
        score = running.score
        sizes.append((len(score._events), len(score._pending), len(running._recent._batches)))
    assert sizes[1] == sizes[2]
    assert sizes[2][2] <= 241
    assert running.scores().onsets < 61
