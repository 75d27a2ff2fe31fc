from dataclasses import replace

import numpy as np
import pytest
from decisions import decide, tiny_contract

from semgfin_rt.app.display import (
    LiveView,
    TraceRing,
    first_lane,
    lanes,
    step_lane,
)
from semgfin_rt.contracts import Event, SignalSpec, State, TruthEvent
from semgfin_rt.engine.snapshot import NO_HEALTH, Snapshot
from semgfin_rt.sources.identity import Candidate

SPEC = SignalSpec(("a", "b"), 100.0, "V")


@pytest.fixture
def contract():
    return tiny_contract()


def snapshot(decisions=(), truth=(), first=0, signal=None, closed_form=None):
    signal = np.zeros((0, 2), np.float32) if signal is None else signal
    return Snapshot("running", "", first, signal, tuple(decisions), closed_form, truth, NO_HEALTH)


# ------------------------------------------------------------------------------ traces
def brute_force(signal, stop, width, n_buckets):
    """Envelope of the buckets that end with the one of sample stop - 1."""
    last = (stop - 1) // width
    rows = []
    for bucket in range(last - n_buckets + 1, last + 1):
        part = signal[max(bucket * width, 0) : min((bucket + 1) * width, stop)]
        nothing = np.full(2, np.nan, np.float32)
        rows += [part.min(axis=0), part.max(axis=0)] if len(part) else [nothing, nothing]
    return np.array(rows)


@pytest.mark.parametrize("chunk", [1, 3, 7, 50, 400])
def test_envelope_is_min_and_max_of_each_bucket_however_it_comes(chunk):
    signal = np.random.default_rng(1).standard_normal((733, 2)).astype(np.float32)
    ring = TraceRing(SPEC, seconds=2.0, buckets=50)  # 50 buckets of 4 samples
    for first in range(0, len(signal), chunk):
        ring.push(first, signal[first : first + chunk])
    np.testing.assert_array_equal(ring.envelope(), brute_force(signal, 733, 4, 50))
    assert ring.times[-1] == 0
    assert ring.times[0] == pytest.approx(-49 * 0.04)


def test_start_of_a_stream_leaves_the_past_empty():
    ring = TraceRing(SPEC, seconds=1.0, buckets=10)
    ring.push(0, np.ones((20, 2), np.float32))
    drawn = ring.envelope()
    assert np.isnan(drawn[:16]).all()
    assert (drawn[16:] == 1).all()


def test_lost_samples_are_a_hole():
    ring = TraceRing(SPEC, seconds=1.0, buckets=10)
    ring.push(0, np.ones((40, 2), np.float32))
    ring.push(70, np.full((30, 2), 2, np.float32))
    drawn = ring.envelope()[::2, 0]
    np.testing.assert_array_equal(drawn, [1, 1, 1, 1, np.nan, np.nan, np.nan, 2, 2, 2])


def test_one_nan_does_not_hide_its_neighbours():
    ring = TraceRing(SPEC, seconds=1.0, buckets=10)
    signal = np.ones((10, 2), np.float32)
    signal[4, 0] = np.nan
    ring.push(0, signal)
    assert (ring.envelope()[-2:] == 1).all()


def test_an_index_that_goes_back_starts_afresh():
    ring = TraceRing(SPEC, seconds=1.0, buckets=10)
    ring.push(500, np.ones((100, 2), np.float32))
    ring.push(0, np.full((10, 2), 3, np.float32))
    drawn = ring.envelope()
    assert np.isnan(drawn[:-2]).all()
    assert (drawn[-2:] == 3).all()


def test_lanes_centre_each_channel_and_keep_to_their_lane():
    envelope = np.array([[10.0, -5], [12, -5], [14, 95], [np.nan, np.nan]], np.float32)
    placed = lanes(envelope, half_lane=4.0)
    np.testing.assert_allclose(placed[:3, 0], [-0.25, 0, 0.25], atol=1e-6)
    assert placed[2, 1] == pytest.approx(-1 + 0.48)  # far beyond the lane: cut
    assert np.isnan(placed[3]).all()


def test_a_channel_without_any_sample_raises_no_warning():
    assert np.isnan(lanes(np.full((4, 2), np.nan, np.float32), 1.0)).all()


@pytest.mark.parametrize(
    ("start", "steps", "expected"),
    [(5e-5, 1, 1e-4), (5e-5, -1, 2e-5), (1e-4, -1, 5e-5), (1.0, 4, 20.0), (7e-5, 0, 5e-5)],
)
def test_lane_goes_along_1_2_5(start, steps, expected):
    assert step_lane(start, steps) == pytest.approx(expected)


def test_first_lane_follows_the_training_signal(contract):
    assert first_lane(contract) == pytest.approx(2e-4)  # 8 x 20 uV, on the ladder


# -------------------------------------------------------------------------------- view
@pytest.mark.parametrize("horizons", [(0, 50), (50, 0), (50, 100)])
def test_the_present_is_compared_wherever_its_horizon_stands(contract, horizons):
    view = LiveView(contract.model_copy(update={"horizons_ms": horizons}))
    made = decide(9)
    movements = tuple(
        replace(m, horizon_ms=ms) for m, ms in zip(made.movements, horizons, strict=True)
    )
    for place, ms in enumerate(horizons):
        made.features[place] = ms + 3
    view.update(
        snapshot([replace(made, movements=movements)], closed_form=np.full((2, 2), 3, np.float32))
    )
    if 0 not in horizons:
        assert view.imitation.comparison is None
        assert view.imitation.error is None
        return
    np.testing.assert_array_equal(view.imitation.comparison.estimate, [[4, 4], [0.25, 0.25]])
    np.testing.assert_array_equal(view.imitation.error, 0)


def test_notes_on_the_stream_stand_behind_the_message(contract):
    view = LiveView(contract)
    view.update(replace(snapshot(), message="Running.", notes=("No names.", "No unit.")))
    assert view.message == "Running. No names. No unit."
    view.update(replace(snapshot(), phase="failed", message="Broke.", notes=("No names.",)))
    assert view.message == "Broke."


def test_features_of_the_last_comparison_stay(contract):
    view = LiveView(contract)
    view.update(snapshot([decide(9)], closed_form=np.zeros((2, 2), np.float32)))
    kept = view.imitation.comparison
    view.update(snapshot())
    assert kept is not None
    assert view.imitation.comparison is kept


def test_view_starts_afresh_with_a_new_stream(contract):
    view = LiveView(contract)
    view.update(snapshot([decide(s) for s in range(900, 950)], truth=(TruthEvent(0, 6, 1),)))
    view.update(snapshot([decide(9, label=0)], truth=(TruthEvent(0, 0, 1),)))
    assert [r.label for r in view.ribbon.segments("now")] == [0]
    assert [r.label for r in view.ribbon.segments("truth")] == [0]


def test_stale_decision_stands_before_the_last_one_until_signal_comes(contract):
    view = LiveView(contract)
    assert view.published is None
    last = decide(9)
    view.update(snapshot([last]))
    assert view.published is last
    silent = decide(9, label=0, state=State.STALE)
    view.update(replace(snapshot(), stale=silent))
    assert (view.published, view.decision) == (silent, last)
    assert [r.label for r in view.ribbon.segments("now")] == [6]  # of windows alone
    view.update(snapshot([decide(10)]))
    assert view.published.sample == 10


def test_the_newest_events_are_kept(contract):
    view = LiveView(contract)
    for i in range(0, 600, 3):
        events = tuple(Event(float(n), "loss", str(n)) for n in range(i, i + 3))
        view.update(replace(snapshot(), events=events))
    assert (len(view.events), view.n_events) == (500, 600)
    assert [view.events[0].text, view.events[-1].text] == ["100", "599"]


def test_model_and_recording_are_the_engines_word(contract):
    view = LiveView(contract)
    view.update(replace(snapshot(), model="m", recording="r.xdf"))
    assert (view.model, view.recording) == ("m", "r.xdf")
    view.update(snapshot())
    assert (view.model, view.recording) == ("", "")


# ------------------------------------------------------------------------------ alerts
def hear(view, *events, **changes):
    view.update(replace(snapshot(), events=events, **changes))


def told(text, kind="stream", *, trouble=True):
    return Event(1.0, kind, text, trouble)


def test_the_newest_trouble_is_an_alert_until_news_of_its_kind_resolve_it(contract):
    view = LiveView(contract)
    hear(view, told("policy", "policy", trouble=False))
    assert view.alert == ""
    hear(view, told("full disk", "record"), told("lost"))
    assert view.alert == "lost"
    hear(view, told("recording", "record", trouble=False))
    assert view.alert == "lost"
    hear(view, told("back", trouble=False))
    assert view.alert == ""
    hear(view, told("7 missing", "loss", trouble=False))
    assert view.alert == "7 missing"


def test_an_alert_goes_by_itself_but_a_question_stays_and_a_failure_is_never_hidden(
    contract, monkeypatch
):
    monkeypatch.setattr("semgfin_rt.app.display.ALERT_S", 0.0)
    view = LiveView(contract)
    hear(view, told("lost"))
    assert view.alert == ""
    hear(view, told("confirm"), asking=(Candidate("u", "h"),))
    assert view.alert == "confirm"
    hear(view, phase="failed", asking=(Candidate("u", "h"),))
    assert view.alert == ""
