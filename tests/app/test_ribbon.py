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


# ---------------------------------------------------------- whether a forecast held
def test_a_forecast_is_checked_against_the_truth_once_it_is_there(contract):
    ribbon = Ribbon(contract)
    ribbon.push(decide(s, label=0, ahead=6) for s in range(100))  # speaks of 5 .. 104
    ribbon.push_truth([TruthEvent(0, 0, 1), TruthEvent(50, 6, 1)])
    checks = ribbon.checks("+50 ms")
    assert checks == [
        (pytest.approx(-0.95), pytest.approx(-0.50), False),
        (pytest.approx(-0.50), 0.0, True),  # and nothing is said of what lies ahead
    ]
    assert ribbon.checks("now") == ribbon.checks("truth") == []


def test_truth_that_comes_late_changes_the_verdict(contract):
    ribbon = Ribbon(contract)
    ribbon.push_truth([TruthEvent(0, 0, 1)])
    ribbon.push(decide(s, ahead=6) for s in range(50))
    assert [c.held for c in ribbon.checks("+50 ms")] == [False]
    ribbon.push_truth([TruthEvent(20, 6, 1)])
    assert [c.held for c in ribbon.checks("+50 ms")] == [False, True]


def test_live_a_forecast_is_checked_against_the_decision(contract):
    ribbon = Ribbon(contract)
    ribbon.push(decide(s, label=6 * (s >= 20), ahead=6 * (s >= 18)) for s in range(60))
    # The forecast for 20 .. 22 was made at 15 .. 17, and wrong.
    checks = [
        (round(60 + 100 * c.start), round(60 + 100 * c.stop), c.held)
        for c in ribbon.checks("+50 ms")
    ]
    assert checks == [(5, 20, True), (20, 23, False), (23, 60, True)]


@pytest.mark.parametrize(
    "silent", [{"label": NO_LABEL, "state": State.REJECT}, {"label": 0, "state": State.STALE}]
)
def test_what_says_nothing_is_not_checked(contract, silent):
    ribbon = Ribbon(contract)
    ribbon.push(decide(s) for s in range(20))
    ribbon.push(decide(s, **silent) for s in range(20, 40))
    ribbon.push(decide(s) for s in range(40, 60))
    checks = [
        (round(60 + 100 * c.start), round(60 + 100 * c.stop)) for c in ribbon.checks("+50 ms")
    ]
    assert checks == [(5, 20), (45, 60)]  # neither of rejected forecasts, nor against them


def test_a_truth_that_the_model_does_not_know_is_no_check(contract):
    ribbon = Ribbon(contract)
    ribbon.push(decide(s) for s in range(40))
    ribbon.push_truth([TruthEvent(0, 6, 1), TruthEvent(20, 99, 1)])
    (check,) = ribbon.checks("+50 ms")
    assert check == (pytest.approx(-0.35), pytest.approx(-0.20), True)


def test_a_hole_parts_checks_that_say_the_same(contract):
    ribbon = Ribbon(contract)
    ribbon.push(decide(s) for s in (*range(20), *range(40, 60)))
    assert [c.held for c in ribbon.checks("+50 ms")] == [True, True]
