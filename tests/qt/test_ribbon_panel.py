"""The ribbon: states that can be told apart, and whether forecasts held."""

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication

from semgfin_rt.app.ribbon import Ribbon
from semgfin_rt.contracts import NO_LABEL, Decision, Movement, State, TruthEvent
from semgfin_rt.qt.ribbon import RibbonPanel
from semgfin_rt.qt.theme import DARK, LIGHT

RATE, HOP = 2000, 20


@pytest.fixture
def panel(qtbot, contract):
    made = RibbonPanel(contract)
    made.dress(DARK)
    qtbot.addWidget(made)
    made.resize(900, 300)
    made.show()
    qtbot.waitExposed(made)
    return made


def decisions(contract, first_s, stop_s, label=6, state=State.VALID):
    """Make a decision each hop, the same at all horizons."""
    nothing = np.zeros(0, np.float32)
    for sample in range(round(first_s * RATE), round(stop_s * RATE), HOP):
        movements = tuple(Movement(ms, label, 0.8, nothing, state) for ms in contract.horizons_ms)
        yield Decision(sample + HOP - 1, sample / RATE, movements, nothing)


def show(panel, contract, *stretches, truth=()):
    """Show 10 s, of stretches (from, to, label, state) in s."""
    ribbon = Ribbon(contract)
    ribbon.push_truth(truth)
    for stretch in stretches:
        ribbon.push(decisions(contract, *stretch))
    panel.show_ribbon(ribbon)
    QApplication.processEvents()
    image = panel.strip.grab().toImage()
    return np.array(
        [
            [image.pixel(x, y) & 0xFFFFFF for x in range(image.width())]
            for y in range(image.height())
        ]
    )


def test_the_lowest_line_has_a_row(panel, contract):
    show(panel, contract, (0, 10))
    strip = panel.strip
    bars = strip.bars()
    row = list(strip.rows)[-1]
    assert strip.words_at(bars.center().x(), bars.bottom()).startswith(row)


def box(panel, row, begin_s, end_s, now_s=10.0):
    """Return the slices of `row` and of a time since the start, without the line of checks."""
    strip = panel.strip
    bars = strip.bars()
    place = list(strip.rows).index(row)
    height = bars.height() / len(strip.rows)
    top = int(bars.top() + place * height)
    left, right = (int(strip.pixel(t - now_s, bars)) for t in (begin_s, end_s))
    return slice(top + 3, top + int(height) - 12), slice(left + 3, right - 3)


def line(panel, row, begin_s, end_s):
    """Return the slices of the checks below the forecasts of a row."""
    rows, columns = box(panel, row, begin_s, end_s)
    return slice(rows.stop + 2, rows.stop + 12), columns


def thickness(shown, place, colour):
    return int((shown[place] == int(colour[1:], 16)).sum(axis=0).max())


def test_the_four_states_and_nothing_look_different_without_colour(panel, contract):
    shown = show(
        panel,
        contract,
        (0, 2, 7, State.VALID),
        (2, 4, 7, State.HOLD),
        (4, 6, NO_LABEL, State.REJECT),
        (6, 8, 7, State.STALE),
        (9, 10, 7, State.VALID),
    )
    red, green, blue = shown >> 16, shown >> 8 & 255, shown & 255
    grey = 0.3 * red + 0.59 * green + 0.11 * blue
    parts = [grey[box(panel, "now", t + 1.5, t + 1.95)] for t in (0, 2, 4, 6)]
    valid, held, rejected, stale = parts
    empty = grey[box(panel, "now", 8.2, 8.8)]
    assert np.ptp(valid) == np.ptp(held) == np.ptp(empty) == 0  # they lie beside the name
    assert abs(np.median(valid) - np.median(held)) > 30  # pale
    assert abs(np.median(held) - empty.mean()) > 20
    assert rejected.std() > 5  # hatched
    assert stale.std() > 5  # crossed: hatched both ways, so that a mirror changes nothing
    assert np.abs(np.median(stale) - np.median(rejected)) > 10


def test_stale_without_a_label_is_not_taken_for_rejected(panel, contract):
    shown = show(
        panel,
        contract,
        (0, 4, NO_LABEL, State.REJECT),
        (4, 10, NO_LABEL, State.STALE),
    )
    orange = int(DARK.warning[1:], 16)
    assert orange not in shown[box(panel, "now", 1, 3)]
    assert orange in shown[box(panel, "now", 5, 7)]


def test_a_line_says_whether_a_forecast_held(panel, contract):
    truth = (TruthEvent(0, 6, 1), TruthEvent(5 * RATE, 7, 1))
    shown = show(panel, contract, (0, 10, 6, State.VALID), truth=truth)
    right = thickness(shown, line(panel, "+100 ms", 2, 4), DARK.good)
    wrong = thickness(shown, line(panel, "+100 ms", 6, 9), DARK.warning)
    assert 0 < right < wrong  # thin and thick: not by colour alone
    for row in ("truth", "now"):
        assert thickness(shown, line(panel, row, 2, 4), DARK.good) == 0


def test_nothing_is_said_of_what_lies_ahead(panel, contract):
    shown = show(panel, contract, (0, 10, 6, State.VALID))
    assert thickness(shown, line(panel, "+300 ms", 10.05, 10.25), DARK.good) == 0
    assert thickness(shown, line(panel, "+300 ms", 9.0, 9.9), DARK.good) > 0


def test_words_under_the_pointer(panel, contract):
    truth = (TruthEvent(0, 6, 1), TruthEvent(5 * RATE, 7, 1))
    show(panel, contract, (0, 10, 6, State.VALID), truth=truth)
    strip = panel.strip
    bars = strip.bars()
    y = bars.top() + 3.5 / len(strip.rows) * bars.height()  # "+100 ms"
    said = {t: strip.words_at(strip.pixel(t, bars), y) for t in (-8, -2, 0.05)}
    name = "+100 ms: fingers flexed together in fist, VALID"
    assert said == {-8: f"{name}, was right", -2: f"{name}, was wrong", 0.05: name}


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_it_takes_on_the_theme(panel, contract, theme):
    panel.dress(LIGHT)
    panel.dress(theme)
    shown = show(panel, contract, (0, 10, 6, State.VALID))
    assert thickness(shown, line(panel, "+100 ms", 2, 4), theme.good) > 0


def test_the_legend_is_told(panel):
    assert panel.strip.accessibleName() == "Movement ribbon"
    for word in ("Hatched", "Pale", "Crossed", "Empty", "thin line", "thick one"):
        assert word in panel.strip.accessibleDescription()
    assert panel.note.toolTip() == panel.strip.accessibleDescription()
