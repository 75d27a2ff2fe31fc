"""Plans: who is trained on, who is tested, and with what beside."""

from __future__ import annotations

from pathlib import Path

import pytest
from subjects import quiet

from semgfin_rt.errors import OptionError, RecordingError
from semgfin_rt.train.controls import METHODS
from semgfin_rt.train.options import FitOptions
from semgfin_rt.train.protocols.draft import NETWORKS
from semgfin_rt.train.protocols.options import LEVELS, ProtocolOptions
from semgfin_rt.train.protocols.plan import PROTOCOLS, plan
from semgfin_rt.train.protocols.run import make_setting
from semgfin_rt.train.protocols.survey import Person, Survey, survey
from semgfin_rt.train.report.names import METHOD_NAMES

DB2 = {"training": (1, 3, 4, 6), "test": (2, 5)}
PROTOCOLS_OF_STRANGERS = ("imitation", "fewshot", "loso")
OPTIONS = ProtocolOptions()


def of(n_people):
    people = [Person(subject=n, sha256=f"data of {n}", **DB2) for n in range(1, n_people + 1)]
    return Survey(dataset="db2", people=tuple(people))


def made(name, n_people=3, **options):
    return plan(name, of(n_people), ProtocolOptions(**options))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_keys_differ_and_every_task_finds_its_bases(name):
    found = made(name, 4, seeds=2, seed0=5)
    assert len({t.key for t in found.tasks}) == len(found.tasks)
    bases = {b.key: b for b in found.bases}
    assert len(bases) == len(found.bases)
    assert {key for task in found.tasks for key in task.bases} == set(bases)
    assert {t.seed for t in found.tasks} == {5, 6}
    for task in found.tasks:
        assert all(bases[key].options.seed == task.seed for key in task.bases)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_test_repetition_is_learnt_from(name):
    found = made(name, 4)
    for base in found.bases:
        assert base.options.repetitions is None or not set(base.options.repetitions) & {2, 5}
    for task in found.tasks:
        assert not {n for a in task.amounts for n in a.repetitions} & {2, 5}


@pytest.mark.parametrize("name", PROTOCOLS_OF_STRANGERS)
def test_who_is_tested_is_not_in_the_bases(name):
    found = made(name, 3)
    subjects = {b.key: b.subjects for b in found.bases}
    assert {t.subject for t in found.tasks} == {1, 2, 3}
    for task in found.tasks:
        for key in task.bases:
            assert set(subjects[key]) == {1, 2, 3} - {task.subject}
        assert task.subject not in task.others


@pytest.mark.parametrize("name", ["within", "horizon"])
def test_everybody_is_trained_alone(name):
    found = made(name, 3)
    subjects = {b.key: b.subjects for b in found.bases}
    assert all(subjects[key] == (t.subject,) for t in found.tasks for key in t.bases)


@pytest.mark.parametrize("name", sorted(set(PROTOCOLS) - {"imitation"}))
def test_the_networks_and_the_controls_of_every_run(name):
    found = made(name, 3)
    assert {t.method for t in found.tasks} == {*NETWORKS, "controls"}
    controls = {m for t in found.tasks for a in t.amounts for m in a.controls}
    assert controls == set(METHODS)
    chosen = {b.key.split("-")[0]: b.options for b in found.bases}
    assert (chosen["fin"].imitator, chosen["fin"].pretrain) == ("fin", True)
    assert chosen["closed_form"].imitator == "closed_form"
    assert chosen["random_weights"].pretrain is False


def test_the_report_has_a_name_for_every_method():
    assert {*NETWORKS, *METHODS} <= set(METHOD_NAMES)


def test_protocols_share_checkpoints_of_the_same_training():
    within, horizon, loso, fewshot = (
        {b.key for b in made(name).bases} for name in ("within", "horizon", "loso", "fewshot")
    )
    assert horizon == within
    assert loso == fewshot
    assert not within & loso


def test_other_data_or_options_make_another_key():
    keys = {b.key for b in made("within").bases}
    other = of(3).model_copy(
        update={"people": tuple(Person(subject=n, sha256="new", **DB2) for n in (1, 2, 3))}
    )
    assert not keys & {b.key for b in plan("within", other, OPTIONS).bases}
    assert not keys & {b.key for b in made("within", fit=FitOptions(window_ms=200)).bases}
    assert keys == {b.key for b in made("within", workers=7, executor="ray").bases}


def test_fewshot_conditions_are_in_the_order_of_the_columns():
    found = made("fewshot", levels=(0.5, 99.5))
    assert found.conditions == (
        "0.5 % of the data",
        "99.5 % of the data",
        "0 repetitions",
        "1 repetition",
        "2 repetitions",
        "3 repetitions",
        "4 repetitions",
    )
    by_condition = {a.condition: a.repetitions for t in found.tasks for a in t.amounts}
    assert by_condition["2 repetitions"] == (1, 3)
    assert by_condition["0.5 % of the data"] == (1, 3, 4, 6)


def test_loso_conditions_are_no_amounts_of_repetitions():
    assert made("loso").conditions == ("nothing of the person", "unlabelled signal, 10 s")


def test_a_network_that_cannot_be_adapted_without_labels_is_scored_as_it_is():
    found = made("fewshot", fit=FitOptions(classifier="cnn"))
    kinds = {a.kind for t in found.tasks for a in t.amounts if a.condition == "0 repetitions"}
    assert kinds == {"nothing"}
    networks = [t for t in made("loso", fit=FitOptions(preset="paper")).tasks if t.others == ()]
    assert {a.condition for t in networks for a in t.amounts} == {"nothing of the person"}


# -------------------------------------------------------------------------- the published grid
def test_the_published_grid():
    found = made("paper", 40)
    horizons = FitOptions().horizons_ms
    assert len(found.bases) == len(NETWORKS) * len(horizons)
    assert {b.subjects for b in found.bases} == {tuple(range(1, 26))}
    assert {b.options.repetitions for b in found.bases} == {(1, 3, 4)}
    assert {b.options.preset for b in found.bases} == {"paper"}
    assert {b.options.horizons_ms for b in found.bases} == {(ms,) for ms in horizons}
    known, unseen = (
        [t for t in found.tasks if (t.subject <= 25) == wanted] for wanted in (True, False)
    )
    assert len(known) == 25 * (len(NETWORKS) + 1)
    assert len(unseen) == 15 * (len(NETWORKS) * len(LEVELS) + 1)
    networks = [t for t in known if t.method != "controls"]
    assert {a.repetitions for t in networks for a in t.amounts} == {(6,)}
    assert {a.repetitions for t in unseen for a in t.amounts} == {(1, 3, 4, 6)}
    assert {a.percent for t in unseen for a in t.amounts} == set(LEVELS)
    assert not any("Published" in note for note in found.notes)


def test_controls_of_people_whom_the_checkpoint_knows_learn_from_all_that_it_saw():
    controls = [t for t in made("paper", 40).tasks if t.method == "controls" and t.subject == 1]
    assert [a.repetitions for t in controls for a in t.amounts] == [(1, 3, 4, 6)]


def test_fewer_people_than_published_are_divided_in_its_proportion():
    found = made("paper", 8)
    assert {b.subjects for b in found.bases} == {(1, 2, 3, 4, 5)}
    assert any("here 5 and 3" in note for note in found.notes)


def test_a_quick_paper_is_one_person_of_each_kind():
    found = made("paper", 8, quick=True)
    assert {t.subject for t in found.tasks} == {1, 6}
    assert {b.subjects for b in found.bases} == {(1,)}
    assert len(found.bases) == 2 * len(NETWORKS)
    assert all(b.options.shorten < 0.01 for b in found.bases)
    assert any("smoke run" in note for note in found.notes)


# ------------------------------------------------------------------------------- too few people
@pytest.mark.parametrize("name", ["loso", "fewshot", "paper"])
def test_one_person_is_too_few(name):
    with pytest.raises(OptionError, match=rf"`{name}` .* has 1: give two or more subjects"):
        made(name, 1)


def test_imitation_of_one_person_says_that_the_person_is_known():
    found = made("imitation", 1)
    assert found.bases[0].subjects == (1,)
    assert any("one subject alone" in note for note in found.notes)


def test_an_unknown_protocol():
    with pytest.raises(OptionError, match="'lodo' is no protocol: choose among imitation"):
        made("lodo")


# ------------------------------------------------------------------------------------ the survey
def test_the_survey_of_two_people(people):
    found = survey(people, None, None, quiet)
    assert found.dataset == "synthetic"
    assert [p.subject for p in found.people] == [1, 2]
    assert {(p.training, p.test) for p in found.people} == {((1, 3, 4, 6), (2, 5))}
    assert len({p.sha256 for p in found.people}) == 2


def test_the_survey_keeps_to_subjects_and_repetitions(people):
    (person,) = survey(people, (2,), (1, 3, 5), quiet).people
    assert (person.subject, person.training) == (2, (1, 3))


def test_nothing_to_train_on(people):
    with pytest.raises(OptionError, match="no repetition to train on"):
        survey(people, None, (9,), quiet)


def test_a_subject_who_is_not_there(people):
    with pytest.raises(RecordingError, match="holds no subject 7"):
        survey(people, (7,), None, quiet)


@pytest.mark.parametrize("horizons", [(100,), (100, 200)])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_forecasts_without_the_present_have_no_controls(name, horizons):
    with pytest.raises(OptionError, match=r"--horizons 100.* lacks the present.*give 0,100"):
        made(name, fit=FitOptions(horizons_ms=horizons))


def test_workers_find_everything_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for cache in (None, Path("cache")):
        options = ProtocolOptions(cache=cache)
        setting = make_setting(plan("within", of(1), options), Path("D"), Path("R"), options)
        assert setting.data == tmp_path / "D"
        assert setting.bases == tmp_path / (cache or "R") / "bases"
        assert setting.signals == tmp_path / (cache or "R") / "signals"
