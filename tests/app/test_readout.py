import time

import numpy as np
import pytest

from semgfin_rt.app.readout import (
    UNKNOWN,
    clock_text,
    feature_text,
    forecast_text,
    lane_text,
    percentiles,
    share,
    silence_text,
    spoken,
    status_tiles,
)
from semgfin_rt.contracts import NO_LABEL, Decision, Movement, State
from semgfin_rt.engine.snapshot import Health, Percentiles
from semgfin_rt.model_contract import ClassLabel, ModelContract, NetworkSpec

CONTRACT = ModelContract(
    preset="realtime",
    channels=("a",),
    rate=2000,
    unit="V",
    filter_sos=(),
    scale_mean=(0,),
    scale_std=(1,),
    window=600,
    hop=20,
    features=("rms",),
    classifier_features=("rms",),
    feature_mean=(0,),
    feature_std=(1,),
    horizons_ms=(0, 50),
    classes=(ClassLabel(id=0, name="rest"), ClassLabel(id=6, name="fist")),
    network=NetworkSpec(patch=20),
    test_repetitions=(),
)


def move(ms, label, state=State.VALID):
    return Movement(ms, label, 0.834, np.array([0.166, 0.834], np.float32), state)


def health(**changes):
    good = {"received": 24000, "lost": 0, "decisions": 1171, "expected": 1171, "skipped": 0}
    latency = {"compute": Percentiles(1.21, 1.9, 2.54)}
    return Health(**{**good, "late": 0, "age_ms": 3.44, "latency_ms": latency, **changes})


def test_before_the_first_snapshot_all_is_unknown():
    tiles = {t.caption: t for t in status_tiles(None, None, 10.0)}
    for caption in ("compute ms", "end to end ms", "age ms", "accuracy"):
        assert tiles[caption].value == UNKNOWN
    assert not any(t.alarm for t in tiles.values())


def test_figures_of_a_good_run():
    tiles = {t.caption: t for t in status_tiles(health(), 0.8749, 10.0)}
    assert tiles["compute ms"].value == "1.2 / 1.9 / 2.5"
    assert tiles["end to end ms"].value == UNKNOWN
    assert tiles["age ms"].value == "3.4"
    assert tiles["received"].value == "24,000"
    assert tiles["decisions / expected"].value == "1,171 / 1,171"
    assert tiles["accuracy"].value == "0.87"
    assert not any(t.alarm for t in tiles.values())


def test_loss_and_skips_are_alarms():
    tiles = {t.caption: t for t in status_tiles(health(lost=40, skipped=3), None, 10.0)}
    assert tiles["lost"].alarm
    assert tiles["skipped"].alarm
    assert not tiles["received"].alarm


def test_an_age_before_the_first_decision_is_unknown():
    tiles = {t.caption: t for t in status_tiles(health(age_ms=float("nan")), None, 10.0)}
    assert tiles["age ms"].value == UNKNOWN


def test_nan_is_never_written():
    nan = float("nan")
    assert percentiles(Percentiles(nan, nan, nan)) == UNKNOWN
    assert share(nan) == UNKNOWN


@pytest.mark.parametrize(
    ("movement", "words"),
    [
        (None, UNKNOWN),
        (move(0, 6), "fist"),
        (move(0, NO_LABEL, State.REJECT), "rejected"),
        (move(0, 6, State.HOLD), "fist"),
        (move(0, 6, State.STALE), "fist"),
        (move(0, NO_LABEL, State.STALE), "no signal"),
    ],
)
def test_movement_in_words(movement, words):
    assert spoken(movement, CONTRACT) == words


def test_forecast_in_words():
    assert forecast_text(50, move(50, 6), CONTRACT) == "+50 ms: fist"
    assert forecast_text(50, move(50, NO_LABEL, State.REJECT), CONTRACT) == "+50 ms: rejected"
    assert forecast_text(50, None, CONTRACT) == f"+50 ms: {UNKNOWN}"


@pytest.mark.parametrize(
    ("half_lane", "unit", "words"),
    [
        (5e-5, "V", "lane ±50 µV"),
        (2e-3, "V", "lane ±2 mV"),
        (5.0, "V", "lane ±5 V"),
        (2e-7, "V", "lane ±200 nV"),
        (100.0, "count", "lane ±100 counts"),
    ],
)
def test_scale_in_words(half_lane, unit, words):
    assert lane_text(half_lane, unit) == words


def test_feature_in_words():
    words = feature_text("rms", "ch3", 0.5, 0.75)
    assert words == "rms, ch3: FIN +0.50 SD, closed form +0.75 SD, difference -0.25 SD"


def stale(age_ms):
    return Decision(0, 0.0, (move(0, 6, State.STALE),), np.zeros((1, 1, 1), np.float32), age_ms)


@pytest.mark.parametrize(
    ("age_ms", "value", "words"),
    [(640.04, "640.0", "no signal for 0.6 s"), (61_400.0, "61,400", "no signal for 61.4 s")],
)
def test_silence_in_words(age_ms, value, words):
    assert silence_text(stale(age_ms)) == words
    tiles = {t.caption: t for t in status_tiles(health(stale=7), None, 10.0, stale(age_ms))}
    assert (tiles["age ms"].value, tiles["age ms"].alarm) == (value, True)
    assert tiles["stale"].value == "7"
    assert silence_text(None) == ""


def test_time_of_day():
    noon = time.mktime((2026, 7, 1, 12, 0, 5, 0, 0, -1))
    assert clock_text(100.0, noon - 100.0) == "12:00:05"
