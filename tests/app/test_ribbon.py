import pytest
from decisions import decide, tiny_contract

from semgfin_rt.app.ribbon import Ribbon
from semgfin_rt.contracts import NO_LABEL, State, TruthEvent


@pytest.fixture
def contract():
    return tiny_contract()


def test_forecast_stands_where_it_speaks_of(contract):
    ribbon = Ribbon(contract, seconds=1.0)
    ribbon.push(decide(s, label=0, ahead=6) for s in range(100, 120))
    assert ribbon.rows == ("truth", "now", "+50 ms")
    (now,) = ribbon.segments("now")
    (ahead,) = ribbon.segments("+50 ms")
    assert now == (pytest.approx(-0.20), 0, 0, State.VALID)
    assert ahead == (pytest.approx(-0.15), pytest.approx(0.05), 6, State.VALID)


def test_change_of_label_or_state_begins_a_run(contract):
    ribbon = Ribbon(contract)
    ribbon.push([decide(1), decide(2), decide(3, state=State.HOLD), decide(4, 0)])
    runs = [(r.label, r.state) for r in ribbon.segments("now")]
    assert runs == [(6, State.VALID), (6, State.HOLD), (0, State.VALID)]


def test_missing_decision_leaves_a_hole(contract):
    ribbon = Ribbon(contract)
    ribbon.push([decide(10), decide(11), decide(20)])
    first, second = ribbon.segments("now")
    assert second.start - first.stop == pytest.approx(0.08)


def test_old_runs_leave(contract):
    ribbon = Ribbon(contract, seconds=1.0)
    ribbon.push(decide(s, label=6 * (s % 2)) for s in range(5000))
    runs = ribbon.segments("now")
    assert 100 <= len(runs) <= 101
    assert runs[0].start >= -1


def test_truth_holds_until_the_next_event_and_ends(contract):
    ribbon = Ribbon(contract)
    ribbon.push([decide(149)])
    ribbon.push_truth([TruthEvent(0, 0, 1), TruthEvent(100, 6, 1)])
    assert [(r.start, r.stop, r.label) for r in ribbon.segments("truth")] == [
        (-1.5, -0.5, 0),
        (-0.5, 0, 6),
    ]
    ribbon.push_truth([TruthEvent(160, NO_LABEL, 0, end=True)])
    ribbon.push([decide(170)])
    assert ribbon.segments("truth")[-1].stop == pytest.approx(-0.11)
