"""Every protocol from data to figures, on two small synthetic people."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from protocol_people import SMALL
from subjects import assert_same_weights, options, quiet, small_subject, weights

from semgfin_rt.nn.checkpoint import load_checkpoint, save_checkpoint
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.recordings.synthetic import write_subject
from semgfin_rt.train.controls import METHODS
from semgfin_rt.train.fit import fit
from semgfin_rt.train.protocols import networks
from semgfin_rt.train.protocols.draft import NETWORKS
from semgfin_rt.train.protocols.networks import adapted, train_base
from semgfin_rt.train.protocols.plan import NOTHING, plan
from semgfin_rt.train.protocols.run import log_line, make_setting, run_protocol, score
from semgfin_rt.train.protocols.scoring import Setting, thinned
from semgfin_rt.train.protocols.survey import survey
from semgfin_rt.train.protocols.tasks import Amount, Task
from semgfin_rt.train.report.summary import Results, RunSummary
from semgfin_rt.train.report.write import write_report
from semgfin_rt.train.results import MEASURES
from semgfin_rt.train.test_windows import TestWindows

UNLABELLED = "unlabelled signal, 2 s"


@pytest.fixture(scope="module")
def run_here(people, brief, tmp_path_factory):
    """Run a protocol without processes of its own; checkpoints are shared by all."""
    shared = tmp_path_factory.mktemp("shared")
    found = survey(people, None, None, quiet)
    done = {}

    def run(name, **changes):
        if name in done:
            return done[name]
        chosen = brief.model_copy(update={"cache": shared, **changes})
        planned = plan(name, found, chosen)
        setting = make_setting(planned, people, shared / name, chosen)
        for base in planned.bases:
            if not (setting.bases / base.key).exists():
                train_base(base, setting)
        # a person is enough where there are many conditions
        tasks = [t for t in planned.tasks if t.subject == 1 or name != "fewshot"]
        done[name] = planned, [score(task, setting) for task in tasks]
        return done[name]

    return run


def figures(results, measure):
    return [f for result in results for f in result.figures if f.measure == measure]


def methods(results, measure, condition=""):
    return {f.method for f in figures(results, measure) if f.condition == condition}


# ------------------------------------------------------------------------- through the grid
@pytest.fixture(scope="module")
def within(people, brief, tmp_path_factory):
    out = tmp_path_factory.mktemp("within")
    chosen = brief.model_copy(update={"subjects": (1,)})
    stages = []

    def begin():
        stages.append(("begin", 0, 0, 0.0))

    found = run_protocol(
        "within", people, out, chosen, lambda *told: stages.append(told), begin=begin
    )
    return out, chosen, found, stages


def test_within_scores_networks_controls_and_forecasts(within):
    results = [within[2]]
    everybody = {*NETWORKS, *METHODS, "fin_linear"}
    forecasts = {"persistence", "truth_persistence", "schedule"}
    now = {f.method for f in figures(results, "accuracy_steady") if f.horizon_ms == 0}
    assert now == everybody
    assert methods(results, "accuracy_transition") == everybody | forecasts
    assert {f.horizon_ms for f in figures(results, "accuracy") if f.method in forecasts} == {100}
    assert methods(results, "seconds") == {*NETWORKS, *METHODS}
    assert {d.method for r in results for d in r.details} == everybody
    assert {f.measure for r in results for f in r.figures} <= set(MEASURES)


def test_every_method_decides_on_the_same_windows(within):
    results = [within[2]]
    support = {tuple(map(sum, d.confusion)) for r in results for d in r.details}
    assert len(support) == 1


def test_the_report_is_written_with_config_and_versions(within):
    out, chosen, found, stages = within
    written = json.loads((out / "results.json").read_text())
    assert written["config"]["fit"]["window_ms"] == chosen.fit.window_ms
    assert {"torch", "semgfin-rt", "scikit-learn"} <= set(written["versions"])
    tasks = [json.loads(file.read_text()) for file in (out / "tasks").glob("*.json")]
    assert len(written["figures"]) == sum(len(task["result"]["figures"]) for task in tasks)
    assert len(found.figures) == len(written["figures"]) > 0
    assert (out / "report.html").stat().st_size > 10_000
    assert not any("log of test runs" in note for note in written["notes"])  # synthetic
    last = {stage: (step, steps) for stage, step, steps, _ in stages}
    assert last == {"read": (1, 1), "begin": (0, 0), "bases": (3, 3), "tasks": (4, 4)}
    assert [stage for stage, *_ in stages][:3] == ["read", "begin", "bases"]


def test_the_same_command_again_trains_and_scores_nothing(within, people):
    out, chosen, found, _ = within
    stages = []
    again = run_protocol("within", people, out, chosen, lambda *told: stages.append(told))
    assert (again.figures, again.details) == (found.figures, found.details)
    assert [told for told in stages if told[0] != "read"] == [
        ("bases", 3, 3, 0.0),
        ("tasks", 4, 4, 0.0),
    ]


# ------------------------------------------------------------------------------ the others
def test_horizon_has_lead_and_persistence(run_here):
    _, results = run_here("horizon")
    everybody = {*NETWORKS, *METHODS, "fin_linear", "persistence", "truth_persistence", "schedule"}
    assert methods(results, "accuracy_transition") == everybody
    lead = {f.horizon_ms: f.value for f in figures(results, "lead_ms") if f.subject == 1}
    assert lead[100] - lead[0] == pytest.approx(100)
    assert lead[0] < 0
    bounds = [f.value for f in figures(results, "accuracy_steady") if f.method.startswith("truth")]
    assert bounds == [1.0, 1.0]


def test_loso_has_every_method_with_and_without_signal_of_the_person(run_here):
    planned, results = run_here("loso")
    assert planned.conditions == (NOTHING, UNLABELLED)
    steady = partial(methods, results, "accuracy_steady")
    for condition in (NOTHING, UNLABELLED):
        assert steady(condition=condition) == {*NETWORKS, "fin_linear", *METHODS}


def test_unlabelled_signal_changes_what_is_decided(run_here):
    _, results = run_here("loso")
    for method in ("fin", "lda"):
        confusion = {
            d.condition: d.confusion
            for r in results
            for d in r.details
            if (d.method, d.subject) == (method, 1)
        }
        assert confusion[NOTHING] != confusion[UNLABELLED]


def test_fewshot_has_every_method_in_every_condition(run_here):
    planned, results = run_here("fewshot")
    assert len(planned.conditions) == 6
    for condition in planned.conditions:
        found = methods(results, "accuracy_steady", condition)
        assert found == {*NETWORKS, "fin_linear", *METHODS}, condition


def test_imitation_has_r2_of_every_feature_and_horizon(run_here):
    planned, results = run_here("imitation")
    for measure in ("r2", "r2_channel_median", "r2_clamped"):
        found = figures(results, measure)
        assert {f.condition for f in found} == set(planned.conditions)
        assert {(f.method, f.horizon_ms) for f in found} == {
            (method, ms) for method in ("fin", "persistence") for ms in (0, 100)
        }
        assert {"rms", "var", "ssi", "ent"} <= {f.feature for f in found}
    persistence = [f for f in figures(results, "r2") if f.method == "persistence"]
    assert all(f.value == pytest.approx(1) for f in persistence if f.horizon_ms == 0)
    assert all(f.value < 0.9 for f in persistence if f.horizon_ms == 100)


def test_a_reduced_paper_has_the_published_shapes_and_a_network_for_each_horizon(brief, tmp_path):
    for subject in (1, 2):  # one channel: the published network takes its time on a CPU
        write_subject(
            tmp_path / "data", subject, 3, **(SMALL | {"n_channels": 1, "repetitions": 3})
        )
    chosen = brief.model_copy(update={"quick": True})
    planned = plan("paper", survey(tmp_path / "data", None, None, quiet), chosen)
    setting = make_setting(planned, tmp_path / "data", tmp_path, chosen)
    for base in planned.bases:
        train_base(base, setting)
        network = load_contract(setting.bases / base.key).network
        shape = (network.layers, network.bidirectional, network.patch, network.k_outputs)
        assert (*shape, network.trunks, network.classifier) == (3, True, 1, 12, 4, "cnn")
    results = [score(task, setting) for task in planned.tasks]
    found = figures(results, "accuracy_transition")
    assert len(planned.conditions) == 2
    for condition in planned.conditions:
        mine = {(f.method, f.horizon_ms) for f in found if f.condition == condition}
        assert {("fin", 0), ("fin", 100), ("persistence", 100), ("lda", 100)} <= mine
        assert {method for method, _ in mine} >= {*NETWORKS, *METHODS}
    assert any("smoke run" in note for note in planned.notes)


@pytest.mark.parametrize("name", ["horizon", "loso", "fewshot", "imitation"])
def test_the_report_takes_every_protocol(run_here, name, tmp_path):
    planned, results = run_here(name)
    run = RunSummary(name, planned.title, "synthetic", {}, {}, "realtime", planned.notes)
    found = Results.of(replace(run, conditions=planned.conditions), results)
    write_report(tmp_path, found)
    assert found.figures
    assert planned.title in html.unescape((tmp_path / "report.html").read_text())


def test_people_are_logged_with_the_best_control(run_here, people):
    planned, results = run_here("loso")
    found = survey(people, None, None, quiet)
    assert log_line("loso", people, found, planned, results) is None
    line = log_line("loso", people, found.model_copy(update={"dataset": "db2"}), planned, results)
    assert set(line) == {"date", "command", "data", "figure", "control"}
    assert line["command"] == "protocol loso"
    assert "db2 subjects 1, 2, repetitions 2, 5" in line["data"]
    mine, best = (
        [
            np.mean(
                [
                    f.value
                    for f in figures(results, "accuracy_steady")
                    if (f.method, f.condition) == (method, UNLABELLED)
                ]
            )
            for method in chosen
        ]
        for chosen in (("fin",), {*NETWORKS, "fin_linear", *METHODS} - {"fin"})
    )
    assert line["figure"] == f"accuracy_steady {mine[0]:.4f}"
    assert line["control"].endswith(f" {max(best):.4f}")


# ------------------------------------------------------------------------------------ leakage
def scrambled(recording, repetitions):
    """Give wrong labels to some repetitions; the signal of their runs stays."""
    mine = np.isin(recording.repetitions, sorted(repetitions))
    turned = np.array([0, 3, 1, 2], np.int16)[recording.labels]
    return replace(recording, labels=np.where(mine, turned, recording.labels))


def setting_of(base, tmp_path):
    return Setting(
        data=tmp_path, bases=base.parent, signals=tmp_path / "s", unlabelled_s=0.6, shorten=0.02
    )


def task_of(base, recording, method="fin"):
    return Task(
        key="a",
        protocol="fewshot",
        subject=recording.subject,
        seed=0,
        method=method,
        bases=(base.name,),
        repetitions=(1, 3, 4, 6),
    )


def saved(trained, folder):
    save_checkpoint(folder, trained.network, trained.contract, "card")
    return folder


def test_labels_of_test_repetitions_do_not_reach_a_base(tmp_path):
    for name, recordings in (
        ("true", [small_subject(1), small_subject(2)]),
        ("scrambled", [scrambled(small_subject(n), {2, 5}) for n in (1, 2)]),
    ):
        fit(recordings, tmp_path / name, options(shorten=0.01), quiet)
    assert_same_weights(tmp_path / "true", tmp_path / "scrambled")


@pytest.mark.parametrize(
    "amount",
    [
        Amount(kind="labelled", repetitions=(1, 3)),
        Amount(kind="labelled", repetitions=(1, 3, 4, 6), percent=40),
        Amount(kind="unlabelled"),
    ],
)
def test_labels_that_an_amount_leaves_out_do_not_reach_the_adapted_checkpoint(
    base, tmp_path, amount
):
    recording = small_subject(7)
    unknown = {1, 2, 3, 4, 5, 6} - set(amount.repetitions)
    made = [
        saved(
            adapted(base, shown, amount, task_of(base, shown), setting_of(base, tmp_path)),
            tmp_path / name,
        )
        for name, shown in (("true", recording), ("scrambled", scrambled(recording, unknown)))
    ]
    assert_same_weights(*made)
    scales = [load_contract(folder).scale_mean for folder in made]
    assert scales[0] == scales[1] != load_contract(base).scale_mean


def test_labels_of_training_repetitions_do_reach_it(base, tmp_path):
    amount = Amount(kind="labelled", repetitions=(1, 3))
    recording = small_subject(7)
    made = [
        weights(
            saved(
                adapted(base, shown, amount, task_of(base, shown), setting_of(base, tmp_path)),
                tmp_path / name,
            )
        )["classifiers.0.linear_weight"]
        for name, shown in (("true", recording), ("scrambled", scrambled(recording, {1})))
    ]
    assert not np.allclose(*made)


def test_a_share_is_as_many_windows_as_it_says(base, tmp_path):
    recording, contract = small_subject(7), load_contract(base)
    n = {}
    for percent in (20.0, 100.0):
        amount = Amount(kind="labelled", repetitions=(1, 3, 4, 6), percent=percent)
        task, setting = task_of(base, recording), setting_of(base, tmp_path)
        n[percent] = adapted(base, recording, amount, task, setting).contract.history[-1].windows
    # of 17 windows of a movement and 7 of a rest the first 4 and 2, and those up to the horizon
    ahead = contract.horizons[-1] // contract.hop
    assert n[100.0] == 4 * 3 * (17 + 7)
    assert n[20.0] == 4 * 3 * (4 + ahead + min(7, 2 + ahead))


def test_adapting_leaves_the_base_alone(base, tmp_path):
    before = weights(base)
    recording = small_subject(7)
    for amount in (Amount(kind="unlabelled"), Amount(kind="labelled", repetitions=(1,))):
        adapted(base, recording, amount, task_of(base, recording), setting_of(base, tmp_path))
    after = weights(base)
    assert all((before[name] == after[name]).all() for name in before)


def test_nothing_known_is_the_base_itself(base, tmp_path):
    recording = small_subject(7)
    task = task_of(base, recording)
    trained = adapted(base, recording, Amount(), task, setting_of(base, tmp_path))
    assert_same_weights(base, saved(trained, tmp_path / "same"))
    assert trained.seconds == load_contract(base).history[-1].seconds


# -------------------------------------------------------------------------------- a smoke run
def test_a_smoke_run_scores_blocks_that_lie_evenly(base):
    contract = load_contract(base)
    windows = TestWindows.build(small_subject(1), contract, [2, 5])
    some = thinned(windows, 100)
    assert len(some) <= 150
    assert set(np.diff(some.newest)[:49]) == {contract.hop}
    assert some.newest[-1] > windows.newest[len(windows) * 2 // 3]
    rows = np.searchsorted(windows.newest, some.newest)
    np.testing.assert_array_equal(some.truth, windows.truth[rows])
    assert len(thinned(windows, 10_000)) == len(windows)


def test_the_time_of_a_decision_is_positive(base):
    network, contract = load_checkpoint(base)
    assert 0 < networks.decision_ms(networks.Trained(network, contract, 0.0), "cpu") < 1000
