"""The published CNN at its size and at any other, and the MLP with its linear head."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from semgfin_rt.nn.classifiers import FeatureCNN, FeatureMLP


def convolutions(network):
    return [m for m in network.modules() if isinstance(m, nn.Conv2d)]


def test_published_cnn():
    cnn = FeatureCNN(4, 12, 12, 17, 0.3)
    sizes = [(c.in_channels, c.out_channels, c.kernel_size) for c in convolutions(cnn)]
    assert sizes == [(4, 64, (5, 5)), (64, 32, (5, 5)), (32, 17, (4, 4))]
    kinds = [type(layer).__name__ for layer in cnn.layers]
    assert kinds == [
        *("Conv2d", "BatchNorm2d", "PReLU", "Dropout"),
        *("Conv2d", "BatchNorm2d", "PReLU"),
        *("Conv2d", "BatchNorm2d", "PReLU", "Flatten"),
    ]
    assert cnn.layers[3].p == 0.3
    assert cnn(torch.randn(5, 4, 12, 12)).shape == (5, 17)


@pytest.mark.parametrize("k_outputs", [1, 12])
@pytest.mark.parametrize("n_channels", range(1, 65))
def test_any_number_of_channels(n_channels, k_outputs):
    cnn = FeatureCNN(2, n_channels, k_outputs, 3, 0.0)
    assert cnn(torch.randn(2, 2, n_channels, k_outputs)).shape == (2, 3)
    first, second, third = (c.kernel_size for c in convolutions(cnn))
    for axis, size in enumerate((n_channels, k_outputs)):
        assert first[axis] + second[axis] + third[axis] == size + 2
        assert max(first[axis], second[axis]) <= 5


def test_one_output_has_kernels_of_one():
    assert [c.kernel_size for c in convolutions(FeatureCNN(8, 12, 1, 11, 0.3))] == [
        (5, 1),
        (5, 1),
        (4, 1),
    ]


def mlp_with_linear_head():
    """Also with the statistics of a person."""
    torch.manual_seed(0)
    mlp = FeatureMLP(3, 4, 2, 5, 0.3).eval()
    for buffer in (mlp.linear_weight, mlp.linear_bias, mlp.shift):
        buffer.normal_()
    mlp.scale.uniform_(0.5, 2.0)
    return mlp


def linear_head(mlp, features):
    inputs = (features.flatten(1) - mlp.shift) / mlp.scale
    return inputs, inputs @ mlp.linear_weight.T + mlp.linear_bias


@pytest.mark.parametrize("mix", [0.0, 0.25, 1.0])
def test_mix_of_network_and_linear_head(mix):
    mlp = mlp_with_linear_head()
    mlp.mix.fill_(mix)
    features = torch.randn(6, 3, 4, 2)
    inputs, linear = linear_head(mlp, features)
    torch.testing.assert_close(mlp(features), (1 - mix) * mlp.layers(inputs) + mix * linear)
    torch.testing.assert_close(mlp.mixed(mlp.normalise(features)), mlp(features))


def test_a_mix_of_one_is_the_linear_head_alone_to_the_bit():
    mlp = mlp_with_linear_head()
    mlp.mix.fill_(1.0)
    features = torch.randn(6, 3, 4, 2)
    inputs, _ = linear_head(mlp, features)
    linear = nn.functional.linear(inputs, mlp.linear_weight, mlp.linear_bias)
    assert torch.equal(mlp(features), linear)
    with torch.no_grad():
        mlp.layers[-1].bias.add_(1)
    assert torch.equal(mlp(features), linear)


def test_a_fresh_one_is_the_network_alone_and_normalises_nothing():
    mlp = FeatureMLP(3, 4, 2, 5, 0.3).eval()
    features = torch.randn(6, 3, 4, 2)
    assert torch.equal(mlp(features), mlp.layers(features.flatten(1)))
    assert not mlp.prior_people.any()


def test_dropout_leaves_out_whole_inputs():
    """It takes the place of a batch norm, whose statistics were those of other people."""
    mlp = FeatureMLP(3, 4, 2, 5, 0.3)
    assert [m.p for m in mlp.modules() if isinstance(m, nn.Dropout)] == [0.3] * 3
    assert isinstance(mlp.layers[0], nn.Dropout)
    assert not any(isinstance(m, nn.BatchNorm1d) for m in mlp.modules())


def test_what_a_person_and_the_prior_are_is_saved_and_never_trained():
    mlp = mlp_with_linear_head()
    held = {
        *("mix", "shift", "scale", "linear_weight", "linear_bias"),
        *("prior_means", "prior_covariance", "prior_people"),
    }
    assert held <= set(mlp.state_dict())
    assert held.isdisjoint(name for name, _ in mlp.named_parameters())


@pytest.mark.parametrize("kind", [FeatureCNN, FeatureMLP])
def test_eval_mode_is_deterministic_and_of_each_window_alone(kind):
    torch.manual_seed(0)
    classifier = kind(2, 3, 1, 4, 0.5)
    features = torch.randn(8, 2, 3, 1)
    classifier.train()
    classifier(features)  # moves the batch statistics
    assert not torch.equal(classifier(features), classifier(features))  # dropout
    classifier.eval()
    together = classifier(features)
    torch.testing.assert_close(classifier(features[:1]), together[:1])
    assert torch.equal(classifier(features), together)
