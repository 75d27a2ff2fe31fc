"""Derived signals by hand, and a ring that is worn otherwise: turned back, it is the others'."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rings import worn
from signals import tiny_contract

from semgfin_rt.features import closed_form
from semgfin_rt.model_contract import ModelContract, NetworkSpec
from semgfin_rt.nn.montage import Alignment, Montage
from semgfin_rt.nn.network import Network

ALL = ("channel", "difference", "average")
WHOLE = Montage(5, ALL, (0, 1, 2, 3, 4))
MIXED_UP = Montage(7, ALL, (4, 0, 6, 2, 3))
DB2 = Montage(12, ALL, tuple(range(8)))
TRIANGLE = Montage(3, ("channel", "average", "difference"), (2, 0, 1))
BLIND = ("rms", "wl", "zc", "mnf")
"""Features that do not see the sign of a signal."""


def everything(montages):
    return [
        pytest.param(m, a, id=f"{m.n_channels}-{a.rotation}{'m' if a.mirrored else ''}")
        for m in montages
        for a in m.alignments
    ]


# -------------------------------------------------------------------------- derived signals
def test_the_matrix_by_hand():
    montage = Montage(4, ALL, (2, 0, 3))
    expected = [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [-1, 0, 1, 0],  # 2 - 0
        [1, 0, 0, -1],  # 0 - 3
        [0, 0, -1, 1],  # 3 - 2, around
        [0.75, -0.25, -0.25, -0.25],
        [-0.25, 0.75, -0.25, -0.25],
        [-0.25, -0.25, 0.75, -0.25],
        [-0.25, -0.25, -0.25, 0.75],
    ]
    assert montage.matrix.dtype == np.float32
    np.testing.assert_array_equal(montage.matrix, np.float32(expected))
    assert montage.n_signals == 11


def test_derivations_come_in_the_order_asked_for():
    montage = Montage(3, ("channel", "average", "difference"), (0, 1, 2))
    np.testing.assert_array_equal(montage.matrix[:3], np.eye(3))
    np.testing.assert_allclose(montage.matrix[3:6].sum(axis=1), 0, atol=1e-6)
    np.testing.assert_array_equal(montage.matrix[6:], [[1, -1, 0], [0, 1, -1], [-1, 0, 1]])


def test_without_derivations_the_channels_stay():
    np.testing.assert_array_equal(Montage(3).matrix, np.eye(3))
    assert Montage(3).alignments == (Alignment(),)
    np.testing.assert_array_equal(Montage(3).order(Alignment()), [0, 1, 2])


def test_of_a_contract():
    network = NetworkSpec(patch=20, derivations=ALL)
    contract = tiny_contract().model_copy(update={"ring": (2, 0, 1), "network": network})
    assert Montage.of(contract) == Montage(3, ALL, (2, 0, 1))


# ------------------------------------------------------------------------------------ order
def test_the_order_by_hand():
    montage = Montage(5, ("channel", "difference"), (0, 1, 2, 3))
    assert montage.order(Alignment()).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    # their channel 0 is where this person has 3; their 0-1 is this person's 3-0
    assert montage.order(Alignment(1)).tolist() == [3, 0, 1, 2, 4, 8, 5, 6, 7]
    # their 0-1 is this person's 3-2
    assert montage.order(Alignment(0, mirrored=True)).tolist() == [3, 2, 1, 0, 4, 7, 6, 5, 8]


@pytest.mark.parametrize("montage", [WHOLE, MIXED_UP, DB2, TRIANGLE])
def test_every_way_to_wear_the_ring_once(montage):
    assert len(set(montage.alignments)) == 2 * len(montage.ring)
    assert montage.alignments[0] == Alignment()
    np.testing.assert_array_equal(montage.order(Alignment()), np.arange(montage.n_signals))
    orders = {tuple(montage.order(a)) for a in montage.alignments}
    assert len(orders) == 2 * len(montage.ring)
    assert all(sorted(order) == list(range(montage.n_signals)) for order in orders)


@pytest.mark.parametrize(("montage", "alignment"), everything([WHOLE, MIXED_UP, DB2, TRIANGLE]))
def test_turned_back_the_signals_are_those_of_the_others(montage, alignment):
    rng = np.random.default_rng(0)
    samples = rng.integers(-999, 1000, (50, montage.n_channels)).astype(float)  # exact sums
    matrix = montage.matrix.astype(np.float64)
    theirs = worn(samples, montage.ring, alignment) @ matrix.T
    turned = theirs[:, montage.order(alignment)]
    expected = samples @ matrix.T
    starts = dict(zip(montage.derivations, block_starts(montage), strict=True))
    for name, block in starts.items():
        if name == "difference":
            np.testing.assert_array_equal(abs(turned[:, block]), abs(expected[:, block]))
        elif name == "channel":
            np.testing.assert_array_equal(turned[:, block], expected[:, block])
        else:
            np.testing.assert_allclose(turned[:, block], expected[:, block], atol=1e-9)
    off_ring = sorted(set(range(montage.n_channels)) - set(montage.ring))
    np.testing.assert_array_equal(montage.order(alignment)[off_ring], off_ring)


def block_starts(montage):
    sizes = [
        len(montage.ring) if d == "difference" else montage.n_channels for d in montage.derivations
    ]
    stops = np.cumsum(sizes)
    return [slice(stop - size, stop) for stop, size in zip(stops, sizes, strict=True)]


@pytest.mark.parametrize(("montage", "alignment"), everything([MIXED_UP, DB2]))
def test_turned_back_the_features_are_those_of_the_others(montage, alignment):
    rng = np.random.default_rng(1)
    samples = rng.standard_normal((200, montage.n_channels)) * np.arange(1, 1 + montage.n_channels)
    matrix = montage.matrix.astype(np.float64)
    theirs = closed_form(worn(samples, montage.ring, alignment) @ matrix.T, BLIND)
    expected = closed_form(samples @ matrix.T, BLIND)
    np.testing.assert_allclose(theirs[:, montage.order(alignment)], expected, rtol=1e-9)
    if alignment != Alignment():
        assert not np.allclose(theirs, expected)


# ---------------------------------------------------------------------------------- network
def contract(imitator, derivations, **values):
    """Five channels, of which four go around the limb."""
    changed = tiny_contract().model_dump() | {
        "channels": ("a", "b", "c", "d", "biceps"),
        "scale_mean": (0.0,) * 5,
        "scale_std": (1.0,) * 5,
        "ring": (2, 0, 3, 1),
        "features": BLIND,
        "classifier_features": ("mnf", "rms"),
        "feature_mean": (1.0,) * 4,
        "feature_std": (2.0,) * 4,
        "network": {"patch": 20, "hidden": 8, "imitator": imitator, "derivations": derivations},
        **values,
    }
    return ModelContract.model_validate(changed)


def network(made_for):
    """Random weights; the same ones however the ring is worn."""
    torch.manual_seed(0)
    made = Network(made_for).eval()
    for classifier in made.classifiers:
        for buffer in (classifier.linear_weight, classifier.shift):
            buffer.normal_()
        classifier.scale.uniform_(0.5, 2.0)
        classifier.mix.fill_(0.4)
    return made


@pytest.mark.parametrize(
    ("imitator", "derivations"), [("closed_form", ALL), ("fin", ("channel", "average"))]
)
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", range(4))
def test_a_network_for_a_turned_ring_decides_as_the_first_one(
    imitator, derivations, rotation, mirrored
):
    """The FIN sees the sign of a difference, which a mirror changes: it is left out there."""
    plain = contract(imitator, derivations)
    alignment = Alignment(rotation, mirrored)
    turned = contract(imitator, derivations, rotation=rotation, mirrored=mirrored)
    rng = np.random.default_rng(2)
    windows = (rng.standard_normal((4, 200, 5)) * (1, 2, 3, 4, 5)).astype(np.float32)
    theirs = torch.from_numpy(worn(windows, plain.ring, alignment))
    with torch.inference_mode():
        expected = network(plain)(torch.from_numpy(windows))
        torch.testing.assert_close(network(turned)(theirs), expected, atol=1e-4, rtol=1e-4)
        if alignment != Alignment():
            assert not torch.allclose(network(plain)(theirs), expected, atol=1e-2)


def test_the_classifiers_alone_are_turned():
    """What is shown of a channel stays at that channel, however the ring is worn."""
    plain, turned = (contract("closed_form", ALL, rotation=r) for r in (0, 1))
    windows = torch.randn(2, 200, 5)
    assert torch.equal(network(plain).imitate(windows), network(turned).imitate(windows))


def test_the_network_imitates_derived_signals():
    made_for = contract("fin", ALL)
    windows = torch.randn(3, 200, 5)
    with torch.inference_mode():
        found = network(made_for).imitate(windows)
        derived = windows @ torch.from_numpy(Montage.of(made_for).matrix).T
        expected = network(made_for).imitator(derived)
    assert found.shape == (3, 2, 4, 14, 1)
    assert torch.equal(found, expected)
