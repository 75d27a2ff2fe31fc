"""The controls recognise what is easy, learn from what they may, and always say the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from subjects import TEST, small_subject

from semgfin_rt.contracts import NO_LABEL
from semgfin_rt.model_contract import ClassLabel
from semgfin_rt.train import controls, dataset
from semgfin_rt.train.controls import FEATURES, METHODS, balanced, decide_with, learn
from semgfin_rt.train.heads import lda
from semgfin_rt.train.test_windows import TestWindows, features_of

TRAIN = (1, 3, 4, 6)


@pytest.fixture(scope="module")
def contract(base):
    from semgfin_rt.nn.checkpoint_folder import load_contract

    return load_contract(base)


@pytest.fixture(scope="module")
def prepared(contract):
    return dataset.filtered(small_subject(5), contract.filter_sos)


@pytest.fixture(scope="module")
def scaler(prepared):
    return dataset.fit_scaler([prepared], TRAIN)


@pytest.fixture(scope="module")
def lessons(prepared, contract, scaler):
    return learn(prepared, contract, scaler, TRAIN)


@pytest.fixture(scope="module")
def windows(prepared, contract):
    return TestWindows.build(prepared, contract, sorted(TEST))


@pytest.fixture(scope="module")
def tested(windows, scaler, contract):
    return features_of(windows.signal, scaler, windows.newest, contract.window, FEATURES)


@pytest.fixture(scope="module", params=sorted(set(METHODS) - {"majority"}))
def method(request):
    return request.param


# ------------------------------------------------------------------------------ recognition
def test_easy_movements_are_recognised(method, lessons, tested, windows, contract):
    output = decide_with(method, lessons.at_first_horizon, tested, contract.class_ids)
    assert output.shape == (len(tested), 1, 4)
    np.testing.assert_allclose(output.sum(axis=-1), 1, atol=1e-4)
    right = output[:, 0].argmax(axis=-1) == windows.truth[:, 0]  # labels are 0 to 3
    assert right[windows.steady[:, 0]].mean() > 0.9


def test_the_same_seed_says_the_same(method, lessons, tested, contract):
    one, other = (
        decide_with(method, lessons.at_first_horizon, tested[::9], contract.class_ids, seed=4)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)


def test_labels_of_training_are_what_is_learnt(method, lessons, tested, windows, contract):
    turned = replace(lessons, labels=np.where(lessons.labels > 0, 4 - lessons.labels, 0))
    output = decide_with(method, turned.at_first_horizon, tested, contract.class_ids)
    decided = output[:, 0].argmax(axis=-1)
    moving = windows.steady[:, 0] & (windows.truth[:, 0] > 0)
    assert (decided[moving] == 4 - windows.truth[moving, 0]).mean() > 0.8


def test_lda_at_every_horizon_is_one_of_scikit_learn_for_each(lessons, tested, contract):
    output = decide_with("lda", lessons, tested, contract.class_ids)
    assert output.shape[1] == 2
    rich = [FEATURES.index(n) for n in FEATURES if n not in ("mav", "wl")]
    for h in range(2):
        known = lessons.labels[:, h] != NO_LABEL
        model = lda().fit(
            lessons.features[known][:, rich].reshape(known.sum(), -1), lessons.labels[known, h]
        )
        expected = model.predict_proba(tested[:, rich].reshape(len(tested), -1))
        np.testing.assert_allclose(output[:, h], expected, atol=1e-5)


def test_majority_is_the_share_of_each_class(lessons, tested, contract):
    output = decide_with("majority", lessons, tested, contract.class_ids)
    share = np.bincount(lessons.labels[:, 0], minlength=4) / len(lessons.labels)
    np.testing.assert_allclose(output[:, 0], np.tile(share, (len(tested), 1)), atol=1e-6)


# ------------------------------------------------------------------------------------- edges
def test_a_window_without_features_gets_no_probabilities(method, lessons, tested, contract):
    damaged = tested[:20].copy()
    damaged[3, 0, 1] = np.nan
    output = decide_with(method, lessons.at_first_horizon, damaged, contract.class_ids)
    assert np.isnan(output[3]).all()
    assert np.isfinite(np.delete(output, 3, axis=0)).all()


def test_a_class_that_was_not_learnt_is_never_likely(method, lessons, tested, contract):
    fewer = replace(lessons, labels=np.where(lessons.labels == 2, NO_LABEL, lessons.labels))
    output = decide_with(method, fewer.at_first_horizon, tested[:20], contract.class_ids)
    assert (output[:, 0, 2] == 0).all()
    np.testing.assert_allclose(output.sum(axis=-1), 1, atol=1e-4)


def test_two_classes(method, lessons, tested, windows, contract):
    two = replace(lessons, labels=np.where(lessons.labels < 2, lessons.labels, NO_LABEL))
    output = decide_with(method, two.at_first_horizon, tested, contract.class_ids)[:, 0]
    known = windows.steady[:, 0] & (windows.truth[:, 0] < 2)
    assert (output[known].argmax(axis=-1) == windows.truth[known, 0]).mean() > 0.9


def test_one_class_is_certain_and_none_is_no_answer(method, lessons, tested, contract):
    for keep, expected in ((1, [0, 1, 0, 0]), (99, [np.nan] * 4)):
        labels = np.where(lessons.labels == keep, lessons.labels, NO_LABEL)
        few = replace(lessons, labels=labels).at_first_horizon
        output = decide_with(method, few, tested[:5], contract.class_ids)
        np.testing.assert_array_equal(output[:, 0], np.tile(expected, (5, 1)))


def test_one_repetition_holds_nothing_out(prepared, contract, scaler, tested, windows):
    one = learn(prepared, contract, scaler, (3,)).at_first_horizon
    output = decide_with("svm", one, tested, contract.class_ids)
    right = output[:, 0].argmax(axis=-1) == windows.truth[:, 0]
    assert right[windows.steady[:, 0]].mean() > 0.8


def test_classes_are_in_the_order_of_the_contract(lessons, tested, contract):
    there, back = (
        decide_with("lda", lessons, tested[:9], ids)
        for ids in (contract.class_ids, contract.class_ids[::-1])
    )
    np.testing.assert_array_equal(there, back[..., ::-1])


# ----------------------------------------------------------------------------------- lessons
def test_only_the_given_repetitions_are_learnt_from(prepared, contract, scaler, lessons):
    assert set(lessons.groups) == set(TRAIN)
    tests = np.isin(prepared.repetitions, sorted(TEST))
    samples, labels = prepared.samples.copy(), prepared.labels.copy()
    samples[tests] = 0
    labels[tests] = np.where(labels[tests] > 0, 4 - labels[tests], 0)
    other = learn(replace(prepared, samples=samples, labels=labels), contract, scaler, TRAIN)
    np.testing.assert_array_equal(other.features, lessons.features)
    np.testing.assert_array_equal(other.labels, lessons.labels)


def test_the_target_ahead_is_the_label_there(prepared, contract, scaler):
    windows = dataset.TrainingWindows.build(
        [prepared],
        TRAIN,
        contract.classes,
        dataset.Windowing(contract.window, contract.hop),
        contract.horizons,
        [scaler],
    )
    found = learn(prepared, contract, scaler, TRAIN)
    np.testing.assert_array_equal(found.labels, windows.classes)  # labels 0 to 3 are the indices


def test_windows_end_where_they_may_and_are_thinned_out(prepared, contract, scaler):
    ends = np.zeros(len(prepared.labels), dtype=bool)
    ends[: len(ends) // 3] = True
    early = learn(prepared, contract, scaler, TRAIN, ends=ends)
    assert set(early.groups) == {1}
    few = learn(prepared, contract, scaler, TRAIN, most=40)
    assert len(few.features) == 40
    assert set(few.groups) == set(TRAIN)


def test_movements_that_the_model_does_not_know_are_no_lessons(prepared, contract, scaler):
    two = contract.model_copy(update={"classes": (ClassLabel(id=1, name="fist"),)})
    found = learn(prepared, two, scaler, TRAIN)
    assert set(found.labels[:, 0]) == {1}


def test_a_balanced_choice():
    labels = np.repeat([0, 1, 2], [500, 60, 5])
    rows = balanced(labels, labels >= 0, 90, np.random.default_rng(0))
    assert np.bincount(labels[rows]).tolist() == [30, 30, 5]
    assert len(np.unique(rows)) == len(rows)
    assert not len(balanced(labels, labels > 2, 90, np.random.default_rng(0)))


def test_the_forest_learns_from_fewer_windows_and_decides_on_all(
    monkeypatch, lessons, tested, contract
):
    arguments = ("random_forest", lessons.at_first_horizon, tested, contract.class_ids)
    before = decide_with(*arguments)
    monkeypatch.setattr(controls, "MOST_FOREST_WINDOWS", 30)
    after = decide_with(*arguments)
    assert np.isfinite(after).all()
    assert np.abs(after - before).max() > 0.1
