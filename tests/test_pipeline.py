"""The same samples give the same decisions, whatever the chunks; offline batches agree."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from signals import CHANNELS, RATE, counting_recording, tiny_contract

from semgfin_rt.contracts import Chunk, State
from semgfin_rt.decision import PolicySpec
from semgfin_rt.dsp.filters import CausalFilter, design_filter
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.errors import ContractMismatchError
from semgfin_rt.features import closed_form
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.presets import PRESETS
from semgfin_rt.nn.reference import TorchBackend
from semgfin_rt.pipeline import Pipeline
from semgfin_rt.sources.recording import RecordingSource
from semgfin_rt.train import dataset
from semgfin_rt.train.test_windows import TestWindows

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def contract_of(preset: str) -> ModelContract:
    """Random weights behind a filter; windows of 30 ms, so that `paper` is quick."""
    known = PRESETS[preset]
    features = known.features
    network = known.network(20, len(features), 3 if known.per_channel else 1)
    return ModelContract.model_validate(
        tiny_contract().model_dump()
        | {
            "preset": preset,
            "filter_sos": design_filter(RATE, notch=50.0),
            "scale_mean": (1e-6, 0.0, -1e-6),
            "scale_std": (2e-5, 1e-5, 3e-5),
            "window": 60,
            "features": features,
            "classifier_features": known.classifier_features,
            "feature_mean": (0.1,) * len(features),
            "feature_std": (2.0,) * len(features),
            "network": network.model_dump(),
        }
    )


@pytest.fixture(scope="module", params=PRESETS)
def model(request):
    contract = contract_of(request.param)
    torch.manual_seed(0)
    return contract, TorchBackend(Network(contract), contract, CPU)


@pytest.fixture(scope="module")
def realtime():
    contract = contract_of("realtime")
    torch.manual_seed(0)
    return contract, TorchBackend(Network(contract), contract, CPU)


def emg(n, seed=4):
    rng = np.random.default_rng(seed)
    return (2e-5 * rng.standard_normal((n, 3)) + 1e-4).astype(np.float32)


def chunk(samples, first=0, lost=0):
    return Chunk(samples, first, (first + np.arange(len(samples))) / RATE, lost)


def feed(pipeline, samples, size, first=0):
    return [
        decision
        for start in range(0, len(samples), size)
        for decision in pipeline.push(chunk(samples[start : start + size], first + start))
    ]


def assert_identical(ours, theirs):
    assert [d.sample for d in ours] == [d.sample for d in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.time == other.time
        np.testing.assert_array_equal(one.features, other.features)
        for a, b in zip(one.movements, other.movements, strict=True):
            assert (a.label, a.state, a.confidence) == (b.label, b.state, b.confidence)
            np.testing.assert_array_equal(a.probabilities, b.probabilities)


POLICY = PolicySpec(vote=3, reject=0.34, hold_ms=30)


@pytest.fixture(scope="module")
def whole(model):
    """Decisions on 999 samples that came at once."""
    return Pipeline(*model, POLICY).push(chunk(emg(999)))


@pytest.mark.parametrize("size", [1, 7, 20, 499])
def test_chunks_never_change_a_decision(model, whole, size):
    assert len(whole) == Windowing(60, 20).count(999) == 47
    assert_identical(feed(Pipeline(*model, POLICY), emg(999), size), whole)


def test_a_decision_is_told_with_its_newest_sample(realtime):
    decisions = feed(Pipeline(*realtime), emg(200), 13, first=5000)
    assert [d.sample for d in decisions] == list(range(5059, 5200, 20))
    assert [d.time for d in decisions] == pytest.approx([d.sample / RATE for d in decisions])
    assert decisions[0].features.shape == (2, 11, 3)
    assert decisions[0].movements[0].probabilities.sum() == pytest.approx(1.0)


def test_offline_batches_agree(model):
    """Probabilities within 1e-5, labels equal unless the top two are that close."""
    contract, backend = model
    recording = counting_recording(2000, breaks=(930,))
    recording.samples[:] = emg(2000)
    source, pipeline, decisions = RecordingSource(recording, 77), Pipeline(contract, backend), []
    source.connect()
    while not source.ended:
        decisions += pipeline.push(source.read())
    filtered = dataset.filtered(recording, contract.filter_sos)
    windows = TestWindows.build(filtered, contract, (1, 2))
    assert [d.sample for d in decisions] == windows.newest.tolist()
    feature_map = backend.imitate(windows.windows(slice(None), contract.window))
    probabilities = np.exp(backend.classify(feature_map))
    np.testing.assert_allclose(
        [[m.probabilities for m in d.movements] for d in decisions], probabilities, atol=1e-5
    )
    features = np.stack([d.features for d in decisions])
    np.testing.assert_allclose(features, backend.features(feature_map), atol=1e-4)
    first, second = np.sort(probabilities, axis=-1)[..., :-3:-1].transpose(2, 0, 1)
    apart = first - second > 1e-5
    labels = np.array([[m.label for m in d.movements] for d in decisions])
    best = np.array(contract.class_ids)[probabilities.argmax(-1)]
    assert apart.mean() > 0.9
    np.testing.assert_array_equal(labels[apart], best[apart])


def test_a_loss_starts_afresh(realtime):
    samples = emg(600)
    pipeline = Pipeline(*realtime, PolicySpec(vote=5, reject=0.34, hold_ms=1000))
    before = pipeline.push(chunk(samples[:250]))
    after = pipeline.push(chunk(samples[250:], first=300, lost=50))
    assert [d.sample for d in before] == list(range(59, 250, 20))
    assert [d.sample for d in after] == list(range(359, 650, 20))  # none reaches over the gap
    fresh = Pipeline(*realtime, PolicySpec(vote=5, reject=0.34, hold_ms=1000))
    assert_identical(after, fresh.push(chunk(samples[250:], first=300)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_a_number_is_gone_one_window_later(model, value):
    """It must not stay in the filter (fault 8)."""
    contract, backend = model
    samples = emg(400)
    samples[100, 1] = value
    with np.errstate(invalid="ignore"):
        decisions = Pipeline(contract, backend).push(chunk(samples))
    clean = [d for d in decisions if d.sample >= 100 + contract.window]
    assert len(clean) == 12
    assert all(np.isfinite(d.movements[0].probabilities).all() for d in clean)


@pytest.mark.parametrize("size", [1, 45, 400])
def test_offline_filters_as_the_stream_does_behind_damage(realtime, size):
    contract, backend = realtime
    recording = counting_recording(400)
    recording.samples[:] = emg(400)
    recording.samples[100:120, 1], recording.samples[110:130, 0] = np.nan, np.inf
    offline = dataset.filtered(recording, contract.filter_sos).samples
    assert np.isnan(offline[100:130]).all()
    pipeline, windows = Pipeline(contract, backend), []
    for start in range(0, 400, size):
        pipeline.push(chunk(recording.samples[start : start + size], start))
        since = contract.hop - pipeline.samples_to_next  # the newest decision
        stop = min(start + size, 400) - since
        if stop >= 130 + WINDOW:
            windows.append((stop, pipeline.window.copy()))
    assert windows
    scale = Scaler(contract.scale_mean, contract.scale_std)
    for stop, window in windows:
        np.testing.assert_array_equal(window, scale(offline[stop - WINDOW : stop]))


def test_a_loss_before_an_empty_chunk_counts(realtime):
    samples = emg(130)
    pipeline = Pipeline(*realtime)
    pipeline.push(chunk(samples[:59]))
    assert pipeline.push(chunk(samples[:0], first=64, lost=5)) == []
    assert pipeline.samples_to_next == 60
    assert [d.sample for d in pipeline.push(chunk(samples[59:], first=64))] == [123]


@pytest.mark.parametrize("size", [1, 70, 300])
def test_newest_only_skips_and_counts(realtime, size):
    samples = emg(300)
    all_of_them = Pipeline(*realtime).push(chunk(samples))
    pipeline, decisions = Pipeline(*realtime), []
    for start in range(0, 300, size):
        piece = chunk(samples[start : start + size], start)
        found = pipeline.push(piece, newest_only=True)
        assert len(found) <= 1
        decisions += found
    assert len(decisions) + pipeline.skipped == len(all_of_them) == 13
    assert pipeline.skipped == {1: 0, 70: 8, 300: 12}[size]
    mine = {d.sample for d in decisions}
    assert_identical(decisions, [d for d in all_of_them if d.sample in mine])
    assert decisions[-1].sample == 299


def test_samples_to_next_and_window(realtime):
    contract, _ = realtime
    samples = emg(75)
    pipeline = Pipeline(*realtime)
    assert pipeline.window is pipeline.closed_form() is None
    assert pipeline.samples_to_next == 60
    pipeline.push(chunk(samples[:59]))
    assert (pipeline.window, pipeline.samples_to_next) == (None, 1)
    pipeline.push(chunk(samples[59:], 59))
    assert pipeline.samples_to_next == 5
    ready = Scaler(contract.scale_mean, contract.scale_std)(
        CausalFilter(contract.filter_sos)(samples)
    )
    np.testing.assert_array_equal(pipeline.window, ready[:60])
    np.testing.assert_array_equal(
        pipeline.closed_form(), closed_form(ready[:60], contract.features)
    )
    pipeline.reset()
    assert (pipeline.window, pipeline.samples_to_next) == (None, 60)


def test_the_rest_gate_sees_the_energy_of_the_window(realtime):
    contract, backend = realtime
    gated = contract.model_copy(update={"rest_gate": -1.0, "filter_sos": ()})
    samples = np.concatenate([emg(300) * 0.01, emg(300)]) - 1e-4 * np.float32(
        np.r_[np.full(300, 0.01), np.ones(300)][:, None]
    )
    samples = samples.astype(np.float32)
    decisions = Pipeline(gated, backend, PolicySpec(rest_gate=True)).push(chunk(samples))
    states = {d.sample: d.movements[0].state for d in decisions}
    assert {states[s] for s in states if s < 300} == {State.REJECT}
    assert {states[s] for s in states if s >= 359} == {State.VALID}


def test_the_stopwatch_is_told_every_stage(realtime):
    told = []
    Pipeline(*realtime, on_stage=told.append).push(chunk(emg(80)))
    one = ["start", "fin", "cnn", "policy"]
    assert told == ["start", "filter", *one, *one]


@pytest.mark.parametrize("shape", [(5, 2), (5, 4), (5,)])
def test_another_number_of_channels_is_refused_and_changes_nothing(realtime, shape):
    samples = emg(100)
    pipeline = Pipeline(*realtime)
    pipeline.push(chunk(samples[:50]))
    with pytest.raises(ContractMismatchError, match=f"takes {len(CHANNELS)} channels"):
        pipeline.push(Chunk(np.zeros(shape, np.float32), 50, np.zeros(5), lost=3))
    assert_identical(
        pipeline.push(chunk(samples[50:], 50)), Pipeline(*realtime).push(chunk(samples))
    )


def test_confidence_is_the_probability_of_the_network(realtime):
    contract, backend = realtime
    decision = Pipeline(contract, backend).push(chunk(emg(60)))[0]
    ready = Scaler(contract.scale_mean, contract.scale_std)(
        CausalFilter(contract.filter_sos)(emg(60))
    )
    with torch.inference_mode():
        logits = backend._network(torch.from_numpy(ready[None]))[0].numpy()
    for movement, row in zip(decision.movements, softmax(logits, axis=-1), strict=True):
        np.testing.assert_allclose(movement.probabilities, row, atol=1e-6)
        assert movement.confidence == pytest.approx(row.max(), abs=1e-6)


# ------------------------------------------------------------------------------ quality
WINDOW, HOP = 60, 20
FAULTS = {
    "not finite": np.nan,
    "clipped": 5e-2,  # a rail
    "flat": 1e-4,  # the electrodes' offset: seen after 20 ms
}


def broken(fault, length, first=400, after=400):
    """EMG whose second channel is broken for `length` samples from `first` on."""
    samples = emg(first + length + after)
    samples[first : first + length, 1] = FAULTS[fault]
    return samples


def states(decisions):
    return {d.sample: {m.state for m in d.movements} for d in decisions}


@pytest.mark.parametrize("length", [1, 20, 60, 620])
@pytest.mark.parametrize("fault", ["not finite", "clipped"])
def test_no_window_that_holds_a_bad_sample_is_trusted(realtime, fault, length):
    """Nor is one after it any other than after a start (fault 8)."""
    policy = PolicySpec(vote=3)
    samples, end = broken(fault, length), 400 + length
    decisions = Pipeline(*realtime, policy).push(chunk(samples))
    touched = [d for d in decisions if 400 <= d.sample < end + WINDOW - 1]
    assert len(touched) == 1 + (length + WINDOW - 1 - HOP) // HOP
    assert set().union(*states(touched).values()) == {State.REJECT}
    others = [d for d in decisions if d not in touched]
    assert set().union(*states(others).values()) == {State.VALID}
    if length % HOP == 0:  # a stream that begins at `end` has its windows where this one has
        fresh = Pipeline(*realtime, policy).push(chunk(samples[end:], end))
        assert_identical([d for d in others if d.sample >= end], fresh)


def test_ten_seconds_of_nothing_leave_no_trace(model):
    samples = np.concatenate([emg(500), np.full((20_000, 3), np.nan, np.float32), emg(400)])
    pipeline = Pipeline(*model)
    pipeline.push(chunk(samples[:20_400]), newest_only=True)
    decisions = pipeline.push(chunk(samples[20_400:], 20_400))
    fresh = Pipeline(*model).push(chunk(samples[20_500:], 20_500))
    clean = [d for d in decisions if d.sample >= 20_500 + WINDOW - 1]
    assert_identical(clean, fresh)
    assert clean[0].sample == 20_500 + WINDOW - 1
    assert set().union(*states(clean).values()) == {State.VALID}


def test_a_flat_channel_is_trusted_no_longer_than_20_ms(realtime):
    decisions = Pipeline(*realtime).push(chunk(broken("flat", 620)))
    seen, end = 400 + 40 - 1, 400 + 620
    for sample, found in states(decisions).items():
        bad = sample >= seen and sample - WINDOW < end - 1
        assert found == {State.REJECT if bad else State.VALID}


@pytest.mark.parametrize("size", [1, 7, 20, 499])
def test_chunks_never_change_a_decision_on_bad_signal(realtime, size):
    samples = np.concatenate([broken(fault, 150, 137, 101) for fault in FAULTS])
    one, other = Pipeline(*realtime, POLICY), Pipeline(*realtime, POLICY)
    decisions = feed(one, samples, size)
    assert_identical(decisions, other.push(chunk(samples)))
    assert {m.state for d in decisions for m in d.movements} >= {State.VALID, State.REJECT}
    np.testing.assert_array_equal(one.window, other.window)
    np.testing.assert_array_equal(one.quality.drift, other.quality.drift)


@pytest.mark.parametrize("fault", FAULTS)
def test_it_says_what_it_does_not_trust(realtime, fault):
    samples = broken(fault, 50)
    pipeline = Pipeline(*realtime)
    assert pipeline.quality is None
    assert pipeline.untrusted == ()
    pipeline.push(chunk(samples[:440]))
    pipeline.push(chunk(samples[440:450], 440))
    pipeline.push(chunk(samples[450:460], 450))
    assert pipeline.untrusted == ((CHANNELS[1], fault),)
    assert pipeline.quality.bad.tolist() == [False, True, False]
    pipeline.push(chunk(samples[460:], 460))
    assert pipeline.untrusted == ()
    assert not pipeline.quality.bad.any()
    pipeline.reset()
    assert pipeline.quality is None


def test_quality_tells_of_a_gap_for_one_window(realtime):
    pipeline = Pipeline(*realtime)
    pipeline.push(chunk(emg(100)))
    assert not pipeline.quality.gap
    gaps = []
    for start in range(100, 300, 20):
        piece = chunk(emg(300)[start : start + 20], start + 40, lost=40 * (start == 100))
        if pipeline.push(piece):
            gaps.append(pipeline.quality.gap)
    assert gaps == [True, True, True] + [False] * 5


@pytest.mark.parametrize("hum_only", [False, True])
def test_mains_ten_times_the_signal_is_not_trusted_within_half_a_second(hum_only):
    """In windows of 300 ms; `hum_only` is a detached electrode."""
    contract = contract_of("realtime").model_copy(
        update={"window": 600, "filter_sos": design_filter(RATE)}
    )
    backend = TorchBackend(Network(contract), contract, CPU)
    samples = emg(4000)
    hum = 1e-4 * np.sqrt(2) * np.sin(2 * np.pi * 50 * np.arange(2000) / RATE)
    samples[2000:, 1] = (0 if hum_only else samples[2000:, 1]) + hum
    pipeline = Pipeline(contract, backend)
    found = states(pipeline.push(chunk(samples)))
    assert {next(iter(found[s])) for s in found if s < 2000} == {State.VALID}
    assert {next(iter(found[s])) for s in found if s >= 2000 + 0.5 * RATE} == {State.REJECT}
    assert pipeline.untrusted == ((CHANNELS[1], "mains"),)
