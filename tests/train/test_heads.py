"""The linear head is scikit-learn's LDA, class by class, and the mix is what helps most."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from subjects import CLASSES, small_subject

from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.model_contract import ClassLabel, ModelContract, NetworkSpec
from semgfin_rt.nn.network import Network
from semgfin_rt.train import dataset, heads
from semgfin_rt.train.dataset import TrainingWindows

HORIZONS = (0, 50)


def setting(labels=(0, 1, 2, 3), known=(0, 1, 2, 3), classifier="mlp"):
    """Network of random weights, and windows with `labels` for a model of the classes `known`."""
    recording = small_subject()
    kept = np.isin(recording.labels, labels)
    recording.labels[~kept] = labels[0]
    contract = ModelContract(
        preset="realtime",
        channels=recording.spec.channels,
        rate=1000.0,
        unit="V",
        filter_sos=(),
        scale_mean=(0.0,) * 3,
        scale_std=(1.0,) * 3,
        window=100,
        hop=10,
        features=("rms", "wl", "mav"),
        classifier_features=("mav", "rms"),
        feature_mean=(0.0,) * 3,
        feature_std=(1.0,) * 3,
        horizons_ms=HORIZONS,
        classes=tuple(ClassLabel(id=i, name=CLASSES[i]) for i in known),
        network=NetworkSpec(patch=10, hidden=8, classifier=classifier),
        test_repetitions=(2, 5),
    )
    scaled = dataset.scaled(recording, dataset.fit_scaler([recording], (1, 3)))
    windows = TrainingWindows.build(
        [scaled], (1, 3), contract.classes, Windowing(100, 10), HORIZONS
    )
    torch.manual_seed(0)
    return Network(contract).eval(), windows


def read(network, windows):
    """What the classifiers read of all windows: mav, then rms."""
    with torch.no_grad():
        samples = windows.gather(np.arange(len(windows))).samples[:, :100]
        return network.imitate(samples)[:, :, [2, 0]]


@pytest.mark.parametrize("labels", [(0, 1, 2, 3), (0, 2), (3, 1)])
def test_the_linear_head_decides_as_lda_does(labels):
    network, windows = setting(labels)
    heads.fit_linear_heads(network, windows)
    features = read(network, windows)
    for h, classifier in enumerate(network.classifiers):
        known = windows.classes[:, h] >= 0
        inputs = features[torch.from_numpy(known), h]
        expected = heads.lda().fit(inputs.flatten(1).numpy(), windows.classes[known, h])
        logits = classifier.linear(inputs)
        probabilities = logits.double().softmax(-1).numpy()
        found = expected.predict_proba(inputs.flatten(1).numpy())
        np.testing.assert_allclose(probabilities[:, sorted(labels)], found, atol=1e-3)
        absent = [c for c in range(4) if c not in labels]
        assert (logits[:, absent] < -1e4).all()


def test_a_head_that_is_fitted_again_forgets_the_classes_that_are_gone():
    network, windows = setting()
    heads.fit_linear_heads(network, windows)
    _, fewer = setting((0, 2))
    heads.fit_linear_heads(network, fewer)
    again, _ = setting()
    heads.fit_linear_heads(again, fewer)
    for one, other in zip(network.classifiers, again.classifiers, strict=True):
        assert torch.equal(one.linear_weight, other.linear_weight)
        assert torch.equal(one.linear_bias, other.linear_bias)


def test_mixes_are_compared_by_accuracy():
    network, windows = setting()
    heads.fit_linear_heads(network, windows)
    compared = heads.compare_mixes(network, windows)
    features = read(network, windows)
    for mix in heads.MIXES:
        heads.set_mixes(network, [mix, mix])
        for h, classifier in enumerate(network.classifiers):
            known = torch.from_numpy(windows.classes[:, h] >= 0)
            with torch.no_grad():
                decided = classifier(features[known, h]).argmax(1)
            expected = (decided == torch.from_numpy(windows.classes[:, h])[known]).float().mean()
            assert compared[h][mix] == pytest.approx(float(expected), abs=1e-6)
    assert compared[0][1.0] > compared[0][0.0] + 0.2  # the rest of the network is untrained


def test_best_mix():
    assert heads.best_mix({0.0: 0.7, 0.3: 0.9, 1.0: 0.8}) == 0.3
    assert heads.best_mix({0.0: 0.9, 0.3: 0.9, 1.0: 0.8}) == 0.3  # nearest the closed form


def test_each_horizon_has_a_mix_of_its_own():
    network, _ = setting()
    heads.set_mixes(network, [0.2, 1.0])
    assert [float(c.mix) for c in network.classifiers] == pytest.approx([0.2, 1.0])


def test_the_published_cnn_has_no_linear_head():
    assert heads.has_linear_heads(setting()[0])
    assert not heads.has_linear_heads(setting(classifier="cnn")[0])
