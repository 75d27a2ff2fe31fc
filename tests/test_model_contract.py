"""A contract refuses what does not go together, and signals that do not fit."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from signals import CHANNELS, tiny_contract

from semgfin_rt.contracts import NO_LABEL, SignalSpec
from semgfin_rt.errors import ContractMismatchError
from semgfin_rt.model_contract import (
    ClassLabel,
    ModelContract,
    NetworkSpec,
    TrainingRecord,
    first_problem,
)


def changed(**values):
    data = tiny_contract().model_dump(mode="json")
    for name, value in values.items():
        where, _, inner = name.partition("__")
        if inner:
            data[where][inner] = value
        else:
            data[where] = value
    return data


def test_json_round_trip():
    contract = tiny_contract()
    assert ModelContract.model_validate_json(contract.model_dump_json()) == contract


def test_a_ring_goes_with_every_derivation():
    derivations = ["channel", "difference", "average"]
    data = changed(ring=[1, 0, 2], network__derivations=derivations, rotation=2, mirrored=True)
    contract = ModelContract.model_validate(data)
    assert ModelContract.model_validate_json(contract.model_dump_json()) == contract
    assert (contract.ring, contract.rotation, contract.mirrored) == ((1, 0, 2), 2, True)
    assert contract.network.derivations == ("channel", "difference", "average")


def test_the_classifier_may_read_some_of_the_features():
    contract = ModelContract.model_validate(changed(classifier_features=["wl"]))
    assert (contract.features, contract.classifier_features) == (("rms", "wl"), ("wl",))


def test_by_default_there_is_no_ring_and_the_features_are_imitated():
    contract = tiny_contract()
    assert (contract.format, contract.ring, contract.rotation, contract.mirrored) == (
        2,
        (),
        0,
        False,
    )
    assert (contract.network.imitator, contract.network.derivations) == ("fin", ("channel",))


def test_what_follows_from_it():
    contract = tiny_contract((0, 50, 300))
    assert contract.spec == SignalSpec(CHANNELS, 2000.0, "V")
    assert contract.horizons == (0, 100, 600)
    assert contract.class_ids == (0, 1, 2)
    assert contract.has_rest
    no_rest = contract.model_copy(update={"classes": (ClassLabel(id=1, name="fist"),)})
    assert not no_rest.has_rest
    assert [contract.class_name(i) for i in (1, NO_LABEL, 40)] == ["fist", "-", "label 40"]
    wild = contract.model_copy(update={"classes": (ClassLabel(id=1, name="\x9b2J"),)})
    assert wild.class_name(1) == "\\x9b2J"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"unknown": 1}, "Extra inputs"),
        ({"network__unknown": 1}, "Extra inputs"),
        ({"format": 1}, "Input should be 2"),
        ({"format": 3}, "Input should be 2"),
        ({"preset": "fast"}, "'paper' or 'realtime'"),
        ({"unit": "mV"}, "'V' or 'count'"),
        ({"channels": []}, "must not be empty"),
        ({"features": [], "classifier_features": []}, "must not be empty"),
        ({"classes": []}, "must not be empty"),
        ({"horizons_ms": []}, "must not be empty"),
        ({"scale_mean": [0.0]}, "need 3 values, one a channel"),
        ({"scale_std": [1.0] * 4}, "need 3 values, one a channel"),
        ({"feature_mean": [0.0]}, "need 2 values"),
        ({"scale_std": [1.0, 0.0, 1.0]}, "must be positive"),
        ({"feature_std": [1.0, -1.0]}, "must be positive"),
        ({"rate": 0.0}, "must be positive"),
        ({"hop": 0}, "0 < hop <= window"),
        ({"hop": 201}, "0 < hop <= window"),
        ({"window": 210}, "multiple of the patch"),
        ({"network__patch": 0}, "greater than or equal to 1"),
        ({"network__trunks": 3}, "trunks must divide"),
        ({"network__copies": 2}, "copies be 1 or one a channel"),
        ({"network__classifier": "svm"}, "'cnn' or 'mlp'"),
        ({"classifier_features": ["zc"]}, "must be among features"),
        ({"ring": [0, 1, 1]}, "ring must name channels by their index, each once"),
        ({"ring": [0, 1, 3]}, "ring must name channels by their index, each once"),
        ({"ring": [-1, 0, 1]}, "ring must name channels by their index, each once"),
        ({"network__derivations": []}, "must begin with channel"),
        ({"network__derivations": ["average"]}, "must begin with channel"),
        ({"network__derivations": ["channel", "channel"]}, "differ from each other"),
        ({"network__derivations": ["channel", "sum"]}, "'channel', 'difference' or 'average'"),
        ({"network__derivations": ["channel", "difference"]}, "need a ring of 3 channels"),
        (
            {"ring": [0, 1], "network__derivations": ["channel", "difference"]},
            "need a ring of 3 channels",
        ),
        ({"network__derivations": ["channel", "average"], "network__copies": 3}, "channel alone"),
        ({"network__imitator": "oracle"}, "'fin' or 'closed_form'"),
        ({"horizons_ms": [50, 0]}, "ascending"),
        ({"horizons_ms": [0, 0]}, "different"),
        ({"horizons_ms": [-10, 0]}, "not negative"),
        ({"horizons_ms": [0, 55]}, "multiples of the hop, 10 ms"),
        ({"rate": 2148.0, "horizons_ms": [0, 4]}, r"at least a hop apart, 9\.31099 ms"),
        ({"classifier_features": []}, "classifier_features must not be empty"),
        ({"features": ["rms", "rms"], "classifier_features": ["rms"]}, "features must differ"),
    ],
)
def test_refused(values, said):
    with pytest.raises(ValidationError, match=said):
        ModelContract.model_validate(changed(**values))


@pytest.mark.parametrize("hop", [1, 200])
def test_a_hop_is_a_sample_at_least_and_a_window_at_most(hop):
    contract = ModelContract.model_validate(changed(hop=hop, horizons_ms=[0, 200]))
    assert contract.horizons == (0, 400)


def test_of_several_problems_the_first_is_said():
    with pytest.raises(ValidationError) as caught:
        ModelContract.model_validate(changed(format=1, preset="fast"))
    assert first_problem(caught.value) == "Input should be 2"
    with pytest.raises(ValidationError) as caught:
        ModelContract.model_validate(changed(rate=0.0))
    assert first_problem(caught.value) == "scale_std, feature_std and rate must be positive"


@pytest.mark.parametrize("name", ["scale_mean", "scale_std", "feature_mean", "feature_std"])
@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_statistics_that_are_not_finite_are_refused(name, value):
    text = tiny_contract().model_dump_json()
    old = f'"{name}":['
    assert old in text
    first = text.index(old) + len(old)
    last = text.index(",", first)
    with pytest.raises(ValidationError):
        ModelContract.model_validate_json(text[:first] + value + text[last:])


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("patch", 1, 10_000),
        ("hidden", 1, 1024),
        ("layers", 1, 8),
        ("trunks", 1, 64),
        ("copies", 1, 1024),
        ("k_outputs", 1, 64),
        ("dropout", 0, 1),
    ],
)
def test_the_sizes_of_a_network_have_limits(name, least, most):
    for value in (least, most):
        assert getattr(NetworkSpec(**{"patch": 1, name: value}), name) == value
    for value in (least - 1, most + 1):
        with pytest.raises(ValidationError):
            NetworkSpec(**{"patch": 1, name: value})


FIT = SignalSpec(CHANNELS, 2000.0, "V")


def test_a_signal_that_fits():
    tiny_contract().require_fit(FIT, "the stream 'EMG'")


@pytest.mark.parametrize(
    ("spec", "given_", "wanted"),
    [
        (SignalSpec(("left",), 2000.0, "V"), "has 1 channels", "trained on 3"),
        (SignalSpec(CHANNELS, 1000.0, "V"), "runs at 1000 Hz", "trained at 2000 Hz"),
        (SignalSpec(CHANNELS, 4000.0, "V"), "runs at 4000 Hz", "trained at 2000 Hz"),
        (SignalSpec((*CHANNELS, "top"), 2000.0, "V"), "has 4 channels", "trained on 3"),
        (SignalSpec(CHANNELS, 2000.0, "count"), "is in count", "trained on V"),
        (
            # names as a stream brings them: equal, not the same objects
            SignalSpec(tuple(map(str.lower, ("LEFT", "TOP", "RIGHT"))), 2000.0, "V"),
            "calls channel 2 'top'",
            "the checkpoint 'right'",
        ),
    ],
)
def test_a_signal_that_does_not_fit(spec, given_, wanted):
    with pytest.raises(ContractMismatchError) as caught:
        tiny_contract().require_fit(spec, "the stream 'EMG'")
    message = str(caught.value)
    assert message.startswith(f"the stream 'EMG' {given_}")
    assert wanted in message
    assert message.endswith(".")
    assert ": " in message  # and then what to do


def test_volts_do_not_fit_a_model_of_counts():
    counts = tiny_contract().model_copy(update={"unit": "count"})
    with pytest.raises(ContractMismatchError, match=r"is in V and .* was trained on count"):
        counts.require_fit(FIT, "the stream 'EMG'")


def test_what_was_learnt_of_a_person():
    first = TrainingRecord(
        command="fit",
        dataset="db2",
        subjects=(1, 2),
        repetitions=(1, 3),
        held_out=(3,),
        data_sha256="",
        windows=1,
        seed=0,
        steps={},
        seconds=0.0,
        chosen={},
        versions={},
        date="2026-01-01",
    )
    later = first.model_copy(update={"subjects": (2,), "repetitions": (4,)})
    unlabelled = first.model_copy(update={"subjects": (5,), "repetitions": ()})
    contract = tiny_contract().model_copy(update={"history": (first, later, unlabelled)})
    assert contract.learnt_repetitions("db2", 1) == {1, 3}
    assert contract.learnt_repetitions("db2", 2) == {1, 3, 4}
    assert not contract.learnt_repetitions("db2", 5)
    assert not contract.learnt_repetitions("3dc", 1)
