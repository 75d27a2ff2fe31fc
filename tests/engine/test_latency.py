"""Percentiles of known durations, and memory that does not grow."""

from __future__ import annotations

import time

import numpy as np
import pytest

from semgfin_rt.engine.latency import LatencyMeter


def test_percentiles_of_known_durations():
    meter = LatencyMeter()
    for ms in range(101):
        meter.add("publish", ms)
    p = meter.percentiles()
    assert list(p) == ["publish"]
    assert (p["publish"].p50, p["publish"].p95, p["publish"].p99) == (50, 95, 99)


def test_only_the_last_count():
    meter = LatencyMeter(capacity=10)
    for ms in np.r_[np.full(995, 1000.0), np.full(10, 2.0)]:
        meter.add("fin", ms)
    assert meter.percentiles()["fin"].p99 == 2.0


def test_stopwatch_attributes_time_to_the_stage_that_took_it():
    meter = LatencyMeter()
    meter.mark("start")
    time.sleep(0.005)
    meter.mark("filter")
    time.sleep(0.02)  # between filter and window: nobody's
    meter.mark("start")
    time.sleep(0.005)
    meter.mark("fin")
    meter.mark("cnn")
    meter.mark("policy")
    p = {stage: v.p50 for stage, v in meter.percentiles().items()}
    assert set(p) == {"filter", "fin", "cnn", "policy", "compute"}
    assert p["filter"] >= 5
    assert p["fin"] >= 5
    assert p["cnn"] < 5
    assert p["compute"] == pytest.approx(p["filter"] + p["fin"] + p["cnn"] + p["policy"], rel=1e-3)
