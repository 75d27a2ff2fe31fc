"""Every person's level is taken out, and every ring is turned to where the others have theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from rings import MONTAGE, RING, ring_subject, worn

from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.model_contract import ClassLabel, ModelContract, NetworkSpec
from semgfin_rt.nn.montage import Alignment, Montage
from semgfin_rt.nn.network import Network
from semgfin_rt.train import dataset, people
from semgfin_rt.train.people import FeatureTable

CHANNELS = Montage(6, ("channel",), RING)
UPRIGHT = Alignment()
WAYS = [Alignment(0), Alignment(3), Alignment(1, mirrored=True), Alignment(4, mirrored=True)]


def inverse(alignment: Alignment) -> Alignment:
    """Turn a ring that is worn upright until it is as `alignment` says."""
    n = len(RING)
    return alignment if alignment.mirrored else Alignment(-alignment.rotation % n)


def person_means(seed, alignment=UPRIGHT, montage=MONTAGE, noise=0.3):
    """Class means (4, 2, n_signals, 1): those of everybody, some noise, and the ring as worn."""
    common = np.random.default_rng(0).standard_normal((4, 2, montage.n_signals, 1))
    own = common + noise * np.random.default_rng(seed).standard_normal(common.shape)
    means = np.empty_like(own)
    means[..., montage.order(alignment), :] = own
    return torch.from_numpy(means).float()


def features_of(seed=0, n=400, n_horizons=2):
    """Features (n, horizons, 3, 6, 2) of three classes that are not equally frequent."""
    rng = np.random.default_rng(seed)
    classes = rng.choice([0, 1, 3], n, p=[0.7, 0.2, 0.1])
    centres = 3 * rng.standard_normal((4, n_horizons, 3, 6, 2))
    spread = rng.uniform(0.2, 5, (n_horizons, 3, 6, 2))
    features = centres[classes] + spread * rng.standard_normal((n, n_horizons, 3, 6, 2))
    return torch.from_numpy(features).float(), classes


# ------------------------------------------------------------------------------- statistics
def test_a_person_by_hand():
    features = torch.tensor([[0.0], [2.0], [10.0], [14.0], [10.0], [14.0]])[:, None, None, :, None]
    classes = np.array([0, 0, 1, 1, 1, 1])
    person = people.describe_person(features, classes, Montage(1), UPRIGHT)
    assert person.shift.tolist() == [[6.5]]  # between 1 and 12
    mean_square = ((6.5**2 + 4.5**2) / 2 + (3.5**2 + 7.5**2) / 2) / 2
    assert person.scale.item() == pytest.approx(mean_square**0.5)
    assert person(features)[0].item() == pytest.approx(-6.5 / mean_square**0.5)


@pytest.mark.parametrize("alignment", WAYS)
def test_a_persons_features_are_turned_and_normalised(alignment):
    features, classes = features_of()
    person = people.describe_person(features, classes, CHANNELS, alignment)
    inputs = person(features)
    assert inputs.shape == (400, 2, 3 * 6 * 2)
    order = CHANNELS.order(alignment)
    turned = features.numpy()[:, :, :, order].reshape(400, 2, -1)
    groups = [turned[classes == c] for c in (0, 1, 3)]
    shift = np.mean([g.mean(0) for g in groups], 0)
    scale = np.sqrt(np.mean([((g - shift) ** 2).mean(0) for g in groups], 0))
    np.testing.assert_allclose(inputs, (turned - shift) / scale, atol=1e-4)


def test_the_level_of_a_person_does_not_matter():
    features, classes = features_of()
    inputs = [
        people.describe_person(f, classes, CHANNELS, UPRIGHT)(f)
        for f in (features, 8 * features - 3)
    ]
    torch.testing.assert_close(*inputs, atol=1e-4, rtol=1e-4)


def test_a_dead_signal_stays_finite():
    features, classes = features_of()
    features[:, :, :, 2] = 1.25
    person = people.describe_person(features, classes, CHANNELS, UPRIGHT)
    assert torch.isfinite(person(features)).all()
    assert (person(features + 0.5).abs() < 1e4).all()


def test_class_means_by_hand():
    features, classes = features_of()
    means = people.class_means(features, classes, 4)
    assert means.shape == (4, 3, 6, 2)
    assert not means[2].any()  # does not occur
    first = features[:, :1]
    inputs = people.describe_person(first, classes, Montage(6), UPRIGHT)(first)
    for c in (0, 1, 3):
        torch.testing.assert_close(means[c].flatten(), inputs[classes == c, 0].mean(0))
    torch.testing.assert_close(means.sum(0), torch.zeros(3, 6, 2), atol=1e-4, rtol=0)


# -------------------------------------------------------------------------------- alignment
@pytest.mark.parametrize("alignment", MONTAGE.alignments)
def test_most_alike_finds_how_the_ring_is_worn(alignment):
    found = people.most_alike(person_means(1, alignment), person_means(2), MONTAGE)
    assert found == alignment


@pytest.mark.parametrize("montage", [CHANNELS, Montage(6, ("channel", "average"), RING)])
def test_most_alike_with_other_signals(montage):
    for alignment in montage.alignments:
        found = people.most_alike(
            person_means(1, alignment, montage), person_means(2, montage=montage), montage
        )
        assert found == alignment


def test_a_class_that_the_person_lacks_does_not_count():
    means = person_means(1, Alignment(2, mirrored=True))
    means[1] = 0
    assert people.most_alike(means, person_means(2), MONTAGE) == Alignment(2, mirrored=True)


def everybody_turned(means, alignments):
    return [
        m[..., torch.from_numpy(MONTAGE.order(a)), :]
        for m, a in zip(means, alignments, strict=True)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_people_are_turned_to_the_same_place(seed):
    """But for a turn of all, since none of them is right and the others wrong."""
    rng = np.random.default_rng(seed)
    ways = [MONTAGE.alignments[i] for i in rng.integers(len(MONTAGE.alignments), size=5)]
    found = people.align_people([person_means(10 + p, way) for p, way in enumerate(ways)], MONTAGE)
    upright = [person_means(10 + p) for p in range(5)]
    turned = everybody_turned([person_means(10 + p, w) for p, w in enumerate(ways)], found)
    fits = [
        all(map(torch.equal, turned, everybody_turned(upright, [way] * 5)))
        for way in MONTAGE.alignments
    ]
    assert sum(fits) == 1
    assert UPRIGHT in found  # the one with whom it began


def test_people_who_all_wear_it_upright_stay():
    found = people.align_people([person_means(p) for p in range(4)], MONTAGE)
    assert found == [UPRIGHT] * 4


def test_one_person_or_no_ring():
    assert people.align_people([person_means(1, Alignment(2))], MONTAGE) == [UPRIGHT]
    straight = Montage(6, ("channel", "average"))
    means = [person_means(p, montage=straight) for p in range(3)]
    assert people.align_people(means, straight) == [UPRIGHT] * 3


def likeness(means):
    together = torch.stack(means)
    return float((together.sum(0) ** 2).sum() - (together**2).sum())


@pytest.mark.parametrize("seed", range(12))
def test_however_little_people_have_in_common_they_are_turned_as_well_as_by_the_truth(seed):
    """Amid so much noise one start, or one round, is not enough for that."""
    rng = np.random.default_rng(seed)
    ways = [MONTAGE.alignments[i] for i in rng.integers(len(MONTAGE.alignments), size=5)]
    worn_so = [person_means(100 * seed + p, way, noise=2) for p, way in enumerate(ways)]
    upright = [person_means(100 * seed + p, noise=2) for p in range(5)]
    found = people.align_people(worn_so, MONTAGE)
    assert likeness(everybody_turned(worn_so, found)) > likeness(upright) - 0.01


# ------------------------------------------------------------------------------------ table
def setting(recordings, derivations=MONTAGE.derivations):
    first = recordings[0]
    contract = ModelContract(
        preset="realtime",
        channels=first.spec.channels,
        rate=first.spec.rate,
        unit="V",
        ring=first.ring,
        filter_sos=(),
        scale_mean=(0.0,) * 6,
        scale_std=(1.0,) * 6,
        window=100,
        hop=10,
        features=("rms", "log_wl", "mnf"),
        classifier_features=("mnf", "log_wl"),
        feature_mean=(0.0,) * 3,
        feature_std=(1.0,) * 3,
        horizons_ms=(0, 50),
        classes=tuple(ClassLabel(id=i, name=n) for i, n in first.classes.items()),
        network=NetworkSpec(patch=10, imitator="closed_form", derivations=derivations),
        test_repetitions=(2,),
    )
    scalers = [dataset.fit_scaler([r], (1, 3, 4)) for r in recordings]
    windows = dataset.TrainingWindows.build(
        recordings, (1, 3), contract.classes, Windowing(100, 10), contract.horizons, scalers
    )
    return Network(contract), windows


def test_a_table_is_what_the_classifiers_read():
    network, windows = setting([ring_subject(1), ring_subject(2)])
    network.train()
    table = FeatureTable.read(network, windows, 10**6)
    assert not network.training
    assert len(table) == len(windows)
    assert table.features.shape == (len(windows), 2, 2, 17, 1)
    samples = windows.gather(np.arange(len(windows))).samples[:, :100]
    with torch.no_grad():
        expected = network.imitate(samples)[:, :, [2, 1]]
    torch.testing.assert_close(table.features, expected)
    np.testing.assert_array_equal(table.classes, windows.classes)
    np.testing.assert_array_equal(table.person, windows.record)


def test_a_table_is_not_turned_though_the_network_is():
    """Otherwise adapting what was adapted before would turn twice."""
    network, windows = setting([ring_subject(1)])
    before = FeatureTable.read(network, windows, 50)
    network.order = torch.from_numpy(MONTAGE.order(Alignment(2, mirrored=True)))
    assert torch.equal(FeatureTable.read(network, windows, 50).features, before.features)


def test_tables_are_thinned_and_put_together():
    network, windows = setting([ring_subject(1), ring_subject(2)])
    thin = FeatureTable.read(network, windows, 31)
    assert len(thin) == 31
    rows = windows.spread(31)
    np.testing.assert_array_equal(thin.person, windows.record[rows])
    both = thin + FeatureTable.read(network, windows, 7)
    assert len(both) == 38
    np.testing.assert_array_equal(both.classes, windows.classes[[*rows, *windows.spread(7)]])
    assert torch.equal(both.features[:31], thin.features)


@pytest.mark.parametrize("alignment", WAYS)
def test_from_signals_to_the_alignment(alignment):
    """Of recordings, by their labels: as `fit` and `finetune` find it."""
    network, windows = setting([ring_subject(s) for s in (1, 2)] + [ring_subject(3, alignment)])
    table = FeatureTable.read(network, windows, 600)
    means = [
        people.class_means(
            table.features[torch.from_numpy(table.person == p)],
            table.classes[table.person == p, 0],
            4,
        )
        for p in range(3)
    ]
    assert people.most_alike(means[2], means[0] + means[1], MONTAGE) == alignment
    assert people.align_people(means, MONTAGE) in (
        [UPRIGHT, UPRIGHT, alignment],
        [inverse(alignment), inverse(alignment), UPRIGHT],
    )


def test_the_ring_of_these_tests_is_turned_as_it_should_be():
    recording = ring_subject(1)
    turned = ring_subject(1, Alignment(1))
    np.testing.assert_array_equal(turned.samples[:, RING[0]], recording.samples[:, RING[1]])
    np.testing.assert_array_equal(turned.samples[:, 2], recording.samples[:, 2])
    np.testing.assert_array_equal(
        turned.samples,
        replace(recording, samples=worn(recording.samples, RING, Alignment(1))).samples,
    )
