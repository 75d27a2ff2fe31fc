"""The linear head is scikit-learn's LDA, drawn towards other people where there is a prior."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from signals import tiny_contract

from semgfin_rt.nn.classifiers import FeatureMLP
from semgfin_rt.nn.network import Network
from semgfin_rt.train import heads
from semgfin_rt.train.heads import PriorWeight

N_CLASSES, N_INPUTS = 4, 6


def inputs_of(classes=(0, 1, 2, 3), seed=0, each=60, apart=1.5):
    """Normal clouds of one covariance about a centre for each class."""
    rng = np.random.default_rng(seed)
    centres = apart * np.random.default_rng(99).standard_normal((N_CLASSES, N_INPUTS))
    labels = np.repeat(classes, each)
    colour = np.random.default_rng(98).standard_normal((N_INPUTS, N_INPUTS))
    noise = rng.standard_normal((len(labels), N_INPUTS)) @ colour
    return (centres[labels] + noise).astype(np.float32), labels.astype(np.int64)


def mlp():
    torch.manual_seed(0)
    return FeatureMLP(3, 2, 1, N_CLASSES, 0.0).eval()


def fitted(inputs, labels, n_repetitions=1, prior=None, classifier=None):
    classifier = classifier or mlp()
    heads.fit_linear_head(classifier, inputs, labels, n_repetitions, prior)
    return classifier


def logits(classifier, inputs):
    x = torch.from_numpy(inputs)
    return (x @ classifier.linear_weight.T + classifier.linear_bias).double()


def with_prior(*people, n=60):
    """Give an MLP the prior of people, each a set of classes it showed."""
    classifier = mlp()
    parts = [inputs_of(classes, seed=10 + k, each=n) for k, classes in enumerate(people)]
    person = np.concatenate([np.full(len(x), k) for k, (x, _) in enumerate(parts)])
    inputs, labels = (np.concatenate(p) for p in zip(*parts, strict=True))
    heads.set_prior(classifier, inputs, labels, person)
    return classifier, parts


# ----------------------------------------------------------------------------- closed form
@pytest.mark.parametrize("shown", [(0, 1, 2, 3), (0, 2), (1, 3)])
def test_without_prior_it_is_lda(shown):
    inputs, labels = inputs_of(shown)
    fresh, _ = inputs_of(seed=1)
    found = logits(fitted(inputs, labels), fresh)
    expected = heads.lda().fit(inputs, labels)
    np.testing.assert_array_equal(found.argmax(1), expected.predict(fresh))
    np.testing.assert_allclose(
        found[:, shown].softmax(-1), expected.predict_proba(fresh), atol=1e-4
    )
    absent = [c for c in range(N_CLASSES) if c not in shown]
    assert (found[:, absent] < -9e4).all()  # of a class that was not shown


def test_a_class_of_two_windows():
    inputs, labels = inputs_of((0, 1, 2))
    inputs, labels = np.concatenate([inputs, inputs[:2] + 9]), np.append(labels, [3, 3])
    found = logits(fitted(inputs, labels), inputs)
    np.testing.assert_array_equal(found.argmax(1), heads.lda().fit(inputs, labels).predict(inputs))


def test_a_head_that_is_fitted_again_forgets_the_classes_that_are_gone():
    fewer = inputs_of((0, 2), seed=3)
    again = fitted(*fewer, classifier=fitted(*inputs_of()))
    once = fitted(*fewer)
    assert torch.equal(again.linear_weight, once.linear_weight)
    assert torch.equal(again.linear_bias, once.linear_bias)


def test_the_linear_head_leaves_the_rest_alone():
    classifier, _ = with_prior((0, 1, 2, 3))
    before = {n: t.clone() for n, t in classifier.state_dict().items()}
    fitted(*inputs_of(), prior=PriorWeight(), classifier=classifier)
    changed = {n for n, t in classifier.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {"linear_weight", "linear_bias"}


# ----------------------------------------------------------------------------------- prior
def test_the_prior_is_the_mean_over_people():
    classifier, parts = with_prior((0, 1, 2, 3), (0, 1), (1, 2))
    assert classifier.prior_people.tolist() == [2, 3, 2, 1]
    covariance = 0
    for c in range(N_CLASSES):
        means = [x[labels == c].mean(0) for x, labels in parts if (labels == c).any()]
        np.testing.assert_allclose(classifier.prior_means[c], np.mean(means, 0), atol=1e-5)
    for x, labels in parts:
        covariance = covariance + heads.lda().fit(x, labels).covariance_ / 3
    np.testing.assert_allclose(classifier.prior_covariance, covariance, rtol=1e-4, atol=1e-4)


def test_a_class_that_nobody_showed_has_no_prior():
    classifier, _ = with_prior((0, 1), (1, 3))
    assert classifier.prior_people.tolist() == [1, 2, 0, 1]
    assert not classifier.prior_means[2].any()


def test_people_weigh_the_same_however_much_they_showed():
    classifier = mlp()
    one, other = inputs_of((0, 1), seed=5, each=20), inputs_of((0, 1), seed=6, each=200)
    inputs = np.concatenate([one[0], other[0]])
    labels = np.concatenate([one[1], other[1]])
    heads.set_prior(classifier, inputs, labels, np.repeat([7, 2], [40, 400]))
    expected = (one[0][one[1] == 1].mean(0) + other[0][other[1] == 1].mean(0)) / 2
    np.testing.assert_allclose(classifier.prior_means[1], expected, atol=1e-5)


@pytest.mark.parametrize("prior", [None, PriorWeight(0, 0)])
def test_a_prior_of_no_weight_changes_nothing(prior):
    classifier, _ = with_prior((0, 1, 2, 3), (0, 1, 2, 3))
    found = fitted(*inputs_of(seed=4), prior=prior, classifier=classifier)
    plain = fitted(*inputs_of(seed=4))
    assert torch.equal(found.linear_weight, plain.linear_weight)
    assert torch.equal(found.linear_bias, plain.linear_bias)


def test_a_checkpoint_without_people_has_no_prior_to_go_by():
    weighty = fitted(*inputs_of(), prior=PriorWeight(5, 5))
    assert torch.equal(weighty.linear_weight, fitted(*inputs_of()).linear_weight)


def boundary(means, covariance):
    """Weights and biases of LDA by hand, of classes that are equally frequent."""
    weight = np.linalg.solve(covariance, means.T).T
    return weight, -0.5 * (means * weight).sum(1) + np.log(1 / len(means))


@pytest.mark.parametrize(("n_repetitions", "means", "covariance"), [(1, 0.4, 0.3), (3, 2, 0)])
def test_means_and_covariance_are_drawn_as_if_by_so_many_repetitions(
    n_repetitions, means, covariance
):
    classifier, _ = with_prior((0, 1, 2, 3), (0, 1, 2, 3))
    inputs, labels = inputs_of(seed=4)
    own = heads.lda().fit(inputs, labels)
    total = n_repetitions + means
    wanted = (n_repetitions * own.means_ + means * classifier.prior_means.numpy()) / total
    spread = n_repetitions * own.covariance_ + covariance * classifier.prior_covariance.numpy()
    weight, bias = boundary(wanted, spread / (n_repetitions + covariance))
    prior = PriorWeight(means, covariance)
    found = fitted(inputs, labels, n_repetitions, prior, classifier)
    np.testing.assert_allclose(found.linear_weight, weight, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.linear_bias, bias, rtol=1e-3, atol=1e-4)


def test_the_heavier_the_prior_and_the_fewer_the_repetitions_the_nearer_it_is():
    inputs, labels = inputs_of(seed=4, each=8)

    def distance(n_repetitions, weight):
        classifier, _ = with_prior((0, 1, 2, 3), (0, 1, 2, 3))
        prior = boundary(classifier.prior_means.numpy(), classifier.prior_covariance.numpy())[0]
        weights = PriorWeight(weight, weight)
        found = fitted(inputs, labels, n_repetitions, weights, classifier).linear_weight.numpy()
        return float(np.abs(found - prior).sum())

    by_weight = [distance(1, weight) for weight in (0, 0.1, 0.4, 2, 10, 1e6)]
    assert by_weight == sorted(by_weight, reverse=True)
    assert by_weight[-1] < 0.01 * by_weight[0]
    by_repetitions = [distance(n, 0.4) for n in (1, 2, 4, 100)]
    assert by_repetitions == sorted(by_repetitions)


def test_with_a_prior_too_a_class_that_was_not_shown_is_never_decided():
    classifier, _ = with_prior((0, 1, 2, 3), (0, 1, 2, 3))
    fitted(*inputs_of((0, 1, 2), seed=4), prior=PriorWeight(), classifier=classifier)
    assert (logits(classifier, inputs_of((3,))[0]).argmax(1) != 3).all()


def test_a_class_of_the_person_that_nobody_showed_before_keeps_its_own_mean():
    classifier, _ = with_prior((0, 1, 2), (0, 1, 2))
    inputs, labels = inputs_of(seed=4)
    inputs[labels == 3] += 20
    fitted(inputs, labels, 1, PriorWeight(5, 0), classifier)
    # drawn to the zeros in its place, it would lie between the others
    own = heads.lda().fit(inputs, labels)
    weight = np.linalg.solve(own.covariance_, own.means_[3])
    np.testing.assert_allclose(classifier.linear_weight[3], weight, rtol=1e-3, atol=1e-3)


# ------------------------------------------------------------------------------------- mix
def test_mixes_are_compared_by_accuracy():
    classifier = fitted(*inputs_of()).train()
    fresh, labels = inputs_of(seed=1)
    with torch.no_grad():
        compared = heads.compare_mixes(classifier, torch.from_numpy(fresh), labels)
        assert set(compared) == set(heads.MIXES) >= {0.0, 1.0}
        for mix, accuracy in compared.items():
            classifier.mix.fill_(mix)
            decided = classifier.mixed(torch.from_numpy(fresh)).argmax(1).numpy()
            assert accuracy == pytest.approx((decided == labels).mean(), abs=1e-6)
    assert compared[1.0] > compared[0.0] + 0.2  # the rest of the network is untrained


def test_best_mix():
    assert heads.best_mix({0.0: 0.7, 0.3: 0.9, 1.0: 0.8}) == 0.3
    assert heads.best_mix({0.0: 0.9, 0.3: 0.9, 1.0: 0.8}) == 0.3  # nearest the closed form
    assert heads.best_mix({0.3: 0.9, 0.0: 0.9, 1.0: 0.9}) == 1.0


@pytest.mark.parametrize(("classifier", "n_heads"), [("mlp", 2), ("cnn", 0)])
def test_the_published_cnn_has_no_linear_head(classifier, n_heads):
    contract = tiny_contract((0, 50))
    spec = contract.network.model_copy(update={"classifier": classifier})
    network = Network(contract.model_copy(update={"network": spec}))
    assert heads.linear_heads(network) == list(network.classifiers)[:n_heads]
