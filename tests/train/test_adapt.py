"""A new person from seconds without labels: how the ring is worn, and the level of the signal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rings import CHANNELS, MONTAGE, RING, N, ring_subject
from subjects import assert_same_weights, options, quiet, small_subject, weights

from semgfin_rt.contracts import SignalSpec
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing, window_table
from semgfin_rt.errors import CheckpointError, ContractMismatchError, OptionError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.nn.montage import Alignment
from semgfin_rt.nn.reference import TorchBackend
from semgfin_rt.recordings import load
from semgfin_rt.train import dataset
from semgfin_rt.train.adapt import adapt
from semgfin_rt.train.fit import fit
from semgfin_rt.train.options import AdaptOptions

FEATURES = ("log_rms", "log_wl", "mnf")
A_CYCLE = AdaptOptions(seconds=6 * N / 1000)


def steady_accuracy(folder: Path, recording) -> float:
    """Of the present movement, over windows inside one label after the first cycle."""
    network, contract = load_checkpoint(folder)
    filtered = dataset.filtered(recording, contract.filter_sos)
    signal = Scaler(contract.scale_mean, contract.scale_std)(filtered.samples)
    table = window_table(recording, Windowing(contract.window, contract.hop), (0,))
    chosen = table.steady[:, 0] & (table.newest >= 6 * N + contract.window)
    newest = table.newest[chosen]
    backend = TorchBackend(network, contract, torch.device("cpu"))
    windows = signal[newest[:, None] + np.arange(1 - contract.window, 1)]
    decided = backend.classify(backend.imitate(windows))[:, 0].argmax(-1)
    return float(np.mean(np.array(contract.class_ids)[decided] == table.labels[chosen, 0]))


@pytest.mark.parametrize("alignment", MONTAGE.alignments)
def test_the_ring_is_found_and_the_person_recognised(tmp_path, ring_people, alignment):
    recording = ring_subject(7, alignment)
    contract = adapt(ring_people, recording, tmp_path / "out", A_CYCLE, quiet)
    assert Alignment(contract.rotation, contract.mirrored) == alignment
    assert contract == load_contract(tmp_path / "out")
    accuracy = steady_accuracy(tmp_path / "out", recording)
    assert accuracy > 0.9
    if alignment != Alignment():
        assert accuracy > steady_accuracy(ring_people, recording) + 0.1


def test_what_was_adapted_before_is_adapted_afresh(tmp_path, ring_people):
    """Not turned by the second alignment on top of the first."""
    adapt(ring_people, ring_subject(7, Alignment(2)), tmp_path / "one", A_CYCLE, quiet)
    other = ring_subject(8, Alignment(1, mirrored=True))
    adapt(tmp_path / "one", other, tmp_path / "two", A_CYCLE, quiet)
    adapt(ring_people, other, tmp_path / "straight", A_CYCLE, quiet)
    assert_same_weights(tmp_path / "two", tmp_path / "straight")
    two, straight = (load_contract(tmp_path / name) for name in ("two", "straight"))
    assert (two.rotation, two.mirrored) == (straight.rotation, straight.mirrored) == (1, True)


def test_labels_are_not_looked_at(tmp_path, ring_people):
    recording = ring_subject(7, Alignment(3))
    rng = np.random.default_rng(0)
    scrambled = replace(
        recording,
        labels=rng.permutation(recording.labels),
        repetitions=np.full_like(recording.repetitions, 9),
        classes={},
        test_repetitions=frozenset(),
    )
    one = adapt(ring_people, recording, tmp_path / "one", A_CYCLE, quiet)
    other = adapt(ring_people, scrambled, tmp_path / "other", A_CYCLE, quiet)
    assert_same_weights(tmp_path / "one", tmp_path / "other")
    same = set(ModelContract.model_fields) - {"history"}
    assert all(getattr(one, name) == getattr(other, name) for name in same)


def test_what_follows_the_first_seconds_is_not_looked_at(tmp_path, ring_people):
    recording = ring_subject(7, Alignment(3))
    samples = recording.samples.copy()
    samples[6 * N :] *= 50
    contract = adapt(ring_people, recording, tmp_path / "one", A_CYCLE, quiet)
    adapt(ring_people, replace(recording, samples=samples), tmp_path / "other", A_CYCLE, quiet)
    assert_same_weights(tmp_path / "one", tmp_path / "other")
    assert contract.history[-1].windows == 1 + (6 * N - 100) // 10
    whole = adapt(ring_people, recording, tmp_path / "whole", AdaptOptions(seconds=60), quiet)
    assert whole.history[-1].windows == 1 + (24 * N - 100) // 10


def test_how_loud_a_person_is_does_not_matter(tmp_path, ring_people):
    recording = ring_subject(7, Alignment(2, mirrored=True))
    adapt(ring_people, recording, tmp_path / "one", A_CYCLE, quiet)
    louder = replace(recording, samples=recording.samples * 4)  # exact in binary
    contract = adapt(ring_people, louder, tmp_path / "louder", A_CYCLE, quiet)
    assert_same_weights(tmp_path / "one", tmp_path / "louder")
    one = load_contract(tmp_path / "one")
    np.testing.assert_allclose(contract.scale_std, 4 * np.array(one.scale_std))


def test_damaged_samples_are_left_out(tmp_path, ring_people):
    recording = ring_subject(7, Alignment(2))
    samples = recording.samples.copy()
    samples[400:420] = np.nan
    contract = adapt(
        ring_people, replace(recording, samples=samples), tmp_path / "m", A_CYCLE, quiet
    )
    assert contract.rotation == 2
    assert contract.history[-1].windows < 1 + (6 * N - 100) // 10
    assert all(torch.isfinite(t).all() for t in weights(tmp_path / "m").values())


def test_the_person_alone_is_changed(tmp_path, ring_people):
    files = {p: p.read_bytes() for p in ring_people.iterdir()}
    contract = adapt(ring_people, ring_subject(7), tmp_path / "out", A_CYCLE, quiet)
    assert {p: p.read_bytes() for p in ring_people.iterdir()} == files
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    before, after = weights(ring_people), weights(tmp_path / "out")
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == {f"classifiers.{h}.{name}" for h in (0, 1) for name in ("shift", "scale")}
    old = load_contract(ring_people)
    assert contract.history[:-1] == old.history
    record = contract.history[-1]
    assert (record.command, record.subjects, record.repetitions) == ("adapt", (7,), ())
    assert record.chosen == {"rotation": 0, "mirrored": 0}
    assert record.data_sha256 == dataset.data_sha256([ring_subject(7)])
    filtered = dataset.filtered(ring_subject(7), contract.filter_sos).samples[: 6 * N]
    np.testing.assert_allclose(contract.scale_std, filtered.std(axis=0), rtol=1e-4)


def test_without_a_ring_there_is_nothing_to_turn(tmp_path, base):
    contract = adapt(base, small_subject(3), tmp_path / "out", AdaptOptions(seconds=1.26), quiet)
    assert (contract.rotation, contract.mirrored) == (0, False)
    before, after = weights(base), weights(tmp_path / "out")
    assert not torch.equal(before["classifiers.0.shift"], after["classifiers.0.shift"])


# ---------------------------------------------------------------------------------- refused
@pytest.mark.parametrize(("n", "seconds"), [(60, 10), (2000, 0.05)])
def test_too_short_a_signal(tmp_path, ring_people, n, seconds):
    recording = ring_subject(7)
    short = replace(
        recording,
        samples=recording.samples[:n],
        labels=recording.labels[:n],
        repetitions=recording.repetitions[:n],
    )
    with pytest.raises(OptionError) as caught:
        adapt(ring_people, short, tmp_path / "out", AdaptOptions(seconds=seconds), quiet)
    assert str(caught.value) == (
        f"the first {seconds:g} s of ring subject 7 hold no whole window of 100 ms: give some "
        "seconds in which every movement is made once."
    )
    assert not list(tmp_path.iterdir())


def test_a_published_cnn(tmp_path):
    fit([small_subject()], tmp_path / "cnn", options(classifier="cnn", shorten=0.002), quiet)
    with pytest.raises(CheckpointError, match="keeps no statistics of its people, so it cannot"):
        adapt(tmp_path / "cnn", small_subject(2), tmp_path / "out", A_CYCLE, quiet)
    assert [p.name for p in tmp_path.iterdir()] == ["cnn"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (SignalSpec(CHANNELS, 2000.0, "V"), "ring subject 7 runs at 2000 Hz"),
        (SignalSpec(CHANNELS, 1000.0, "count"), "is in count"),
        (SignalSpec(CHANNELS[::-1], 1000.0, "V"), "calls channel 1 'e'"),
    ],
)
def test_a_signal_that_is_not_the_checkpoints(tmp_path, ring_people, spec, said):
    with pytest.raises(ContractMismatchError, match=said):
        adapt(ring_people, replace(ring_subject(7), spec=spec), tmp_path / "out", A_CYCLE, quiet)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_checkpoint(tmp_path, ring_people):
    (tmp_path / "notes.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="is not a checkpoint: choose another folder"):
        adapt(ring_people, ring_subject(7), tmp_path, A_CYCLE, quiet)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


# -------------------------------------------------------------------------------- real data
def test_a_turned_armband_of_3dc(threedc_folder, tmp_path):
    """The armband of a person, turned on the computer: found as much further round."""
    closed = options(
        imitator="closed_form",
        features=FEATURES,
        horizons_ms=(0,),
        window_ms=200,
        hop_ms=50,
        shorten=0.02,
        repetitions=(0, 1),
    )
    fit(load(threedc_folder, [2, 3, 4]), tmp_path / "people", closed, quiet)
    (person,) = load(threedc_folder, [5])
    a_cycle = np.flatnonzero(person.repetitions == 0)
    person = replace(
        person,
        samples=person.samples[a_cycle],
        labels=person.labels[a_cycle],
        repetitions=person.repetitions[a_cycle],
        breaks=(),
    )
    everything = AdaptOptions(seconds=len(a_cycle) / person.spec.rate)
    upright = adapt(tmp_path / "people", person, tmp_path / "one", everything, quiet)
    turned = replace(person, samples=np.roll(person.samples, -3, axis=1))
    found = adapt(tmp_path / "people", turned, tmp_path / "two", everything, quiet)
    assert found.mirrored == upright.mirrored
    assert found.rotation == (upright.rotation + 3) % 10
    for name in ("shift", "scale"):
        one, two = (weights(tmp_path / k)[f"classifiers.0.{name}"] for k in ("one", "two"))
        torch.testing.assert_close(one, two, atol=1e-3, rtol=1e-3)


def test_the_ring_of_these_tests_is_that_of_the_checkpoint(ring_people):
    contract = load_contract(ring_people)
    assert contract.ring == RING
    assert contract.network.derivations == MONTAGE.derivations
