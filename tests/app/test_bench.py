"""What a decision costs: figures that follow from each other, networks that are what they say."""

from __future__ import annotations

import pytest

from semgfin_rt.app.bench import CURVES, NAIVE, Signal, bench, untrained
from semgfin_rt.app.bench_plot import draw
from semgfin_rt.errors import OptionError
from semgfin_rt.nn.network import Network
from semgfin_rt.train.options import DEFAULT_HORIZONS_MS

SMALL = Signal(channels=3, classes=4, rate=200.0, window_ms=100)


@pytest.fixture(scope="module")
def found():
    told = []
    figures = bench(SMALL, 0.01, lambda *done: told.append(done), ("horizons",))
    assert [done for what, *done in told if what.startswith("building")] == [
        [0, 3, 0.0],
        [1, 3, 0.0],
        [2, 3, 0.0],
        [3, 3, 0.0],
    ]
    assert ("presets and backends", 5, 5, 0.0) in told
    assert ("cost against horizons", 4, 4, 0.0) in told
    return figures


def test_every_backend_of_every_preset_is_timed(found):
    names = {f"{p}, {b}" for p in ("realtime", "paper, shared FINs") for b in ("onnx", "torch")}
    assert names | {NAIVE, "published, onnx"} <= set(found["cases"])
    assert found["refused"] == {}
    for timing in found["cases"].values():
        assert 0 < timing["p50"] <= timing["p95"] <= timing["p99"] <= timing["p999"]
        assert timing["n"] >= 15


def test_the_ratio_is_that_of_the_medians(found):
    ours = found["realtime"]
    fastest = min(t["p50"] for n, t in found["cases"].items() if n.startswith("realtime"))
    assert ours["ours_ms"] == fastest == found["cases"][ours["backend"]]["p50"]
    assert ours["naive_ms"] == found["cases"][NAIVE]["p50"]
    assert ours["ratio"] == pytest.approx(ours["naive_ms"] / ours["ours_ms"])


def test_a_curve_has_all_its_points(found):
    assert set(found["curves"]) == {"horizons"}
    assert list(found["curves"]["horizons"]) == [str(n) for n in CURVES["horizons"]]


def test_the_baseline_is_the_published_network():
    """Four features of twelve channels, each with a FIN of 600 steps of its own."""
    published = untrained("paper", Signal(horizons=1), per_channel=True)
    fins = Network(published).imitator.fins
    assert len(fins) == 48
    assert published.window // published.network.patch == 600
    assert (published.network.layers, published.network.bidirectional) == (3, True)
    ours = untrained("realtime", Signal())
    assert ours.horizons_ms == DEFAULT_HORIZONS_MS
    assert len(Network(ours).derive) == 32


def test_the_curves_are_drawn(tmp_path, found):
    draw(found["curves"], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
    with pytest.raises(OptionError, match=r"name a \.png or \.svg file"):
        draw(found["curves"], tmp_path / "curves.nonsense")
