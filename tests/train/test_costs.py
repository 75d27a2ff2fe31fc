"""What steps cost: which are measured, on how many windows, and how that is scaled up."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch
from subjects import options, small_subject

from semgfin_rt.train import controls
from semgfin_rt.train.costs import ControlCost, Costs, _seconds_each
from semgfin_rt.train.estimate import draft, fit_recipe

CPU = torch.device("cpu")


def measured(**changes: object) -> Costs:
    chosen = options(**changes)
    return Costs.measure(draft(small_subject(), chosen), fit_recipe(chosen), CPU)


def test_what_is_fast_is_measured_on_all_and_what_is_slow_on_little():
    fast: list[int] = []
    _seconds_each(fast.append, 20)
    assert fast == [2, 2, 8, 20]
    slow: list[int] = []

    def sleep(n: int) -> None:
        slow.append(n)
        time.sleep(0.2 * n)

    assert _seconds_each(sleep, 20) > 0.19
    assert slow == [2, 2]


def test_stages_that_a_training_has_not_cost_nothing():
    realtime = measured()
    assert realtime.joint == 0.0
    assert min(realtime.imitate, realtime.classify, realtime.read, realtime.heads) > 0
    closed_form = measured(imitator="closed_form")
    assert closed_form.imitate == 0.0
    assert closed_form.classify > 0
    published = measured(classifier="cnn", per_channel=True)
    assert published.heads == 0.0
    assert min(published.imitate, published.classify, published.joint) > 0


@pytest.mark.long
def test_a_whole_batch_of_the_published_network_costs_what_its_windows_do():
    """Of 333 windows with gradient, each costs more than one without; few of them are timed.

    In a process of its own: here, memory that earlier tests have freed would be used again.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        chosen = {"preset": "paper", "window_ms": 300, "shorten": 1.0}
        paper = pool.submit(measured, **chosen).result()
    assert paper.imitate > 100 * paper.read
    assert paper.step_bytes > 50e6  # one of its four FINs at a time


def test_controls_scale_with_windows_as_they_do():
    cost = ControlCost(fit=1.0, decide=0.0)
    most = controls.MOST_SVM_WINDOWS
    assert cost.seconds("svm", 1600, 0) == pytest.approx(4.0)
    assert cost.seconds("svm", 10 * most, 0) == pytest.approx(cost.seconds("svm", most, 0))
    assert cost.seconds("lda", 1600, 0) == pytest.approx(2.0)
    assert cost.seconds("random_forest", 10**6, 0) == cost.seconds("random_forest", 20_000, 0)
    assert ControlCost(0.0, 1e-3).seconds("lda", 800, 5000) == pytest.approx(5.0)


def test_every_control_is_measured():
    found = ControlCost.measure_all(n_channels=3, n_classes=4)
    assert set(found) == set(controls.METHODS)
    assert all(cost.fit > 0 and cost.decide > 0 for cost in found.values())
    assert found["random_forest"].fit > found["majority"].fit


def test_memory_that_is_touched_is_counted():
    """In a new process: this one may have room left that earlier tests have touched."""
    program = (
        "import numpy as np; from semgfin_rt.train.costs import resident_bytes as now; "
        "before = now(); held = np.ones(20_000_000); print((now() - before) / held.nbytes)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert 0.9 < float(told.stdout) < 1.1
