"""A stream against offline evaluation, to the bit; and that a difference is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from signals import counting_recording, tiny_checkpoint

from semgfin_rt.app import verify as app
from semgfin_rt.app.verify import verify
from semgfin_rt.errors import ContractMismatchError, OptionError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("verify") / "model")


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_every_decision_is_the_same(model, backend):
    """4000 samples in two stretches, with windows of 200 and a hop of 20."""
    told = []
    found = verify(
        model,
        counting_recording(4000, breaks=(1510,)),
        backend,
        report=lambda *done: told.append(done),
    )
    expected = (1 + (1510 - 200) // 20) + (1 + (2490 - 200) // 20)
    assert (found.compared, found.different, found.first) == (expected, 0, None)
    assert found.backend == f"{backend} cpu"
    assert found.other_labels == found.not_finite == 0
    assert found.rounding < app.ROUNDING
    assert told[-1] == ("verify", expected, expected, 0.0)


def test_seconds_end_it(model):
    recording = counting_recording(4000, breaks=(100, 3000))
    assert verify(model, recording, seconds=0.5).compared == 1 + (900 - 200) // 20


def test_windows_that_are_not_finite_are_rejected_in_both(model):
    recording = counting_recording(2000)
    recording.samples[1000, 1] = np.nan
    found = verify(model, recording)
    assert found.not_finite == found.untrusted == 10  # windows that hold one sample, at this hop
    assert found.different == 0


def test_windows_of_bad_quality_are_rejected_in_both(model):
    recording = counting_recording(4000, breaks=(1510,))
    recording.samples[500, 0] = np.inf
    recording.samples[1000:1100, 1] = 1e8  # a rail, then a flat channel across the break
    recording.samples[1400:1600, 2] = 3.0
    recording.samples[2500:2560, 0] = np.nan
    found = verify(model, recording)
    assert found.different == 0
    assert found.not_finite == 10 + 13
    assert found.not_finite < found.untrusted < found.compared


def test_a_damaged_window_that_is_not_rejected_is_a_difference(model, monkeypatch):
    recording = counting_recording(2000)
    recording.samples[1000, 1] = np.nan
    whole = counting_recording(2000)
    streamed = app._streamed
    monkeypatch.setattr(app, "_streamed", lambda _recording, push: streamed(whole, push))
    found = verify(model, recording)
    assert found.different == found.not_finite == 10  # the tiny checkpoint has no filter
    assert found.first["state"] == "VALID"


@pytest.mark.parametrize("missing", [True, False])
def test_a_decision_missing_or_too_much_is_a_difference(model, monkeypatch, missing):
    streamed = app._streamed

    def other(recording, push):
        decisions = list(streamed(recording, push))
        return iter(decisions[:-1] if missing else [*decisions, decisions[-1]])

    monkeypatch.setattr(app, "_streamed", other)
    found = verify(model, counting_recording(1000))
    assert found.different == 1
    assert found.first["sample" if missing else "offline_sample"] is None
    assert not found.same


def test_evaluation_that_labels_otherwise_is_a_difference(model, monkeypatch):
    evaluated = app._Offline.evaluated

    def turned(offline, folder):
        for probabilities in evaluated(offline, folder):
            yield probabilities[:, ::-1]

    monkeypatch.setattr(app._Offline, "evaluated", turned)
    found = verify(model, counting_recording(1000))
    assert found.different == 0
    assert found.rounding > app.ROUNDING
    assert found.other_labels > 0
    assert not found.same


def test_a_difference_is_seen(model, monkeypatch):
    filtered = app.dataset.filtered

    def louder_from_1000_on(recording, sos):
        samples = recording.samples.copy()
        samples[1000:] *= 1.5
        return filtered(replace(recording, samples=samples), sos)

    monkeypatch.setattr(app.dataset, "filtered", louder_from_1000_on)
    found = verify(model, counting_recording(2000))
    assert found.compared == 91
    assert found.different == 91 - 41  # windows that end before sample 1000 are the same
    first = found.first
    assert first["sample"] == first["offline_sample"] == 1019
    assert first["largest"] > 0


def test_what_cannot_be_compared(model):
    with pytest.raises(OptionError, match="no whole window of 100 ms"):
        verify(model, counting_recording(199))
    one = counting_recording(1000)
    short = replace(
        one, samples=one.samples[:, :2], spec=replace(one.spec, channels=one.spec.channels[:2])
    )
    with pytest.raises(ContractMismatchError, match="2 channels"):
        verify(model, short)
