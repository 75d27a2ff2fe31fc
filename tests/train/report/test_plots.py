"""The plots: valid images of the right data, the same every time, and no state left behind."""

from __future__ import annotations

import base64
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from pretend import pretend_contract, pretend_imitation, pretend_task, run_summary

from semgfin_rt.train.report import plots
from semgfin_rt.train.report.canvas import _LOOKS, look
from semgfin_rt.train.report.summary import Results
from semgfin_rt.train.results import Detail, TaskResult

OURS = "#0072b2"


@pytest.fixture(scope="module")
def results():
    contract = pretend_contract()
    conditions = ("1 repetition", "2 repetitions", "20 % of the data", "99.5 % of the data")
    tasks = [
        pretend_task(s, 0, contract, ("fin", "lda", "svm"), condition=c)
        for s in (1, 2)
        for c in conditions
    ]
    tasks += [pretend_imitation(s, 0) for s in (1, 2)]
    return Results.of(run_summary(conditions=conditions), tasks)


def svg(plot):
    head, encoded = plot.uri.split(",")
    assert head == "data:image/svg+xml;base64"
    return base64.b64decode(encoded).decode()


def all_plots(results):
    return [
        plots.subjects(results),
        plots.horizons(results),
        *plots.amounts(results),
        plots.confusion(results),
        plots.calibration(results),
        plots.imitation(results, ""),
    ]


def test_every_plot_is_an_image_with_ours_in_its_colour(results):
    before = dict(mpl.rcParams)
    drawn = all_plots(results)
    assert len(drawn) == 7
    for plot in drawn:
        text = svg(plot)
        root = ET.fromstring(text)
        assert float(root.get("width").removesuffix("pt")) == 8 * 72  # 800 px at most
        assert plot.caption.endswith(".")
        if "Confusion" not in plot.caption:
            assert OURS in text
    assert dict(mpl.rcParams) == before


def test_the_same_results_are_the_same_bytes(results):
    assert all_plots(results) == all_plots(results)


def test_a_curve_for_each_unit(results):
    repetitions, shares = plots.amounts(results)
    assert "against repetitions" in repetitions.caption
    assert "share of the new person's training data" in shares.caption


def test_one_amount_is_no_curve():
    task = pretend_task(1, 0, pretend_contract(), ("fin",), condition="1 repetition")
    assert plots.amounts(Results.of(run_summary(), [task])) == []


def test_nothing_to_draw_without_details(results):
    bare = Results.of(run_summary(), [TaskResult(figures=results.figures)])
    assert plots.confusion(bare) is None
    assert plots.calibration(bare) is None


def detail(classes, confusion, calibration=()):
    return Detail(
        subject=1,
        seed=0,
        method="fin",
        classes=classes,
        confusion=confusion,
        calibration=list(calibration),
        thresholds={},
    )


def test_people_with_different_classes_share_a_matrix():
    one = detail(["rest", "fist"], [[3, 1, 0], [0, 4, 0]])
    other = detail(["rest", "point"], [[4, 0, 0], [0, 2, 2]])
    whole = Results.of(run_summary(), [TaskResult(figures=[], details=[one, other])])
    drawn = plots.confusion(whole)
    assert drawn is not None
    many = detail([f"class {i}" for i in range(50)], np.eye(50, 51, dtype=int).tolist())
    assert plots.confusion(Results.of(run_summary(), [TaskResult(figures=[], details=[many])]))


def test_bins_of_several_people_are_weighted_by_their_windows():
    tables = [[(0.05, 0.0, 10), (0.95, 1.0, 30)], [(0.07, 0.5, 30), (0.95, 0.0, 10)], []]
    n, sure, right = plots._summed_bins(tables)
    assert n.tolist() == [40, 40]
    assert (sure / n).tolist() == pytest.approx([(0.05 + 3 * 0.07) / 4, 0.95])
    assert (right / n).tolist() == pytest.approx([0.375, 0.75])


def test_r2_far_below_the_axis_is_counted(results):
    low = [f.model_copy(update={"value": -2.0}) for f in results.figures if f.feature == "zc"]
    drawn = plots.imitation(Results.of(run_summary(), [TaskResult(figures=low)]), "")
    assert drawn.caption.endswith("2 below the axis.")


def test_methods_stay_apart_without_colour():
    looks = {m: look(m) for m in _LOOKS}
    assert len({(v["marker"], v["linestyle"]) for v in looks.values()}) == len(looks)
    assert look("never heard of")["marker"] not in {v["marker"] for v in looks.values()}


def test_no_pyplot():
    code = (
        "import sys, semgfin_rt.train.report.write; "
        "assert 'matplotlib.figure' in sys.modules; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
