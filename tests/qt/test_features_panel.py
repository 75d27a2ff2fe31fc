"""The features panel: lights, R², and forecasts that were checked."""

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication, QLabel

from semgfin_rt.app.display import compare_features
from semgfin_rt.app.forecasts import Forecasts
from semgfin_rt.app.imitation import Imitation
from semgfin_rt.qt.features import FeaturesPanel
from semgfin_rt.qt.theme import DARK, LIGHT, stylesheet

BAD = 5  # ssc, which the feed imitates badly


class Seen:
    """What a view keeps for the panel."""

    def __init__(self, contract, feed, seconds):
        self.imitation, self.forecasts = Imitation(contract), Forecasts(contract)
        self.comparison = None
        feed.run(seconds)
        for snapshot in feed.snapshots:
            self.imitation.take(snapshot.decisions, snapshot.closed_form)
            self.forecasts.take(snapshot.decisions, snapshot.closed_form)
            if snapshot.closed_form is not None:
                self.comparison = compare_features(
                    contract, snapshot.decisions[-1].features[0], snapshot.closed_form
                )

    def show(self, panel):
        panel.show_features(self.comparison, self.imitation, self.forecasts)


@pytest.fixture
def panel(qtbot, contract):
    made = FeaturesPanel(contract)
    made.setStyleSheet(stylesheet(DARK))
    qtbot.addWidget(made)
    made.resize(560, 320)
    made.show()
    qtbot.waitExposed(made)
    return made


@pytest.fixture
def seen(contract, feed):
    return Seen(contract, feed, 6)


def colours(widget):
    image = widget.grab().toImage()
    return {
        image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())
    }


def trust_at(panel, row):
    cells = panel.map.cells()
    height = cells.height() / len(panel.map._features)
    return panel.map.words_at(cells.right() + 5, cells.top() + (row + 0.5) * height)


def test_a_light_an_error_and_r2_for_each_feature(panel, seen):
    seen.show(panel)
    good = ["good"] * 12
    assert panel.map.levels[:BAD] == tuple(good[:BAD])
    assert panel.map.levels[BAD] == "bad"
    assert panel.map.accessibleDescription() == "badly imitated: ssc"
    assert panel.map.error[BAD] == pytest.approx(seen.imitation.error[BAD])
    assert panel.map.r2[0] > 0.99
    assert panel.map.r2[BAD] < panel.map.r2[0]


def test_figures_in_words_under_the_pointer(panel, seen):
    assert trust_at(panel, 0) == ""
    seen.show(panel)
    words = trust_at(panel, BAD)
    assert words.startswith(f"ssc: the FIN is {panel.map.error[BAD]:.2f} SD off over the last 1 s")
    assert words.endswith(f"R² of the last 30 s {panel.map.r2[BAD]:.2f}")
    assert panel.map.words_at(panel.map.cells().left() + 2, 2).startswith("log_rms, ch1: FIN ")


def test_lights_have_the_colours_of_their_levels(panel, seen):
    assert not {DARK.good, DARK.warning} & colours(panel.map)
    seen.show(panel)
    assert {DARK.good, DARK.warning} <= colours(panel.map)


def test_forecasts_by_horizon(panel, contract, seen):
    seen.show(panel)
    table = panel.forecasts
    assert {ms for ms, _ in table.cells} == {50, 100, 200, 300}
    for score in seen.forecasts.scores():
        ms = score.horizon_ms
        assert table.cells[ms, "forecast R²"].text() == f"{np.median(score.r2):.2f}"
        assert table.cells[ms, "as now R²"].text() == f"{np.median(score.persistence):.2f}"
        assert f"log_rms {score.r2[0]:.2f}" in table.cells[ms, "forecast R²"].toolTip()
        assert table.cells[ms, "skill"].text() == "+0.00"  # the feed repeats the present
        assert not table.cells[ms, "skill"].property("good")


def test_skill_is_green_where_there_is_some(panel, contract, feed):
    class Clairvoyant(type(feed)):
        def decision(self, sample):
            made = super().decision(sample)
            rng = np.random.default_rng(sample // 20)
            for h, ms in enumerate(contract.horizons_ms):
                rng = np.random.default_rng(sample // 20 + ms // 10)
                made.features[h] = rng.standard_normal((12, 12))
            return made

    Seen(contract, Clairvoyant(contract), 6).show(panel)
    cell = panel.forecasts.cells[100, "skill"]
    assert float(cell.text()) > 1  # the present says nothing of the future: its R² is below 0
    assert cell.property("good")


def test_nothing_is_known_at_first(panel):
    panel.show_features(None)
    texts = {cell.text() for cell in panel.forecasts.cells.values()}
    assert texts == {"–"}  # noqa: RUF001
    assert panel.map.levels == ()


def test_a_checkpoint_that_forecasts_nothing_has_no_table(qtbot, contract):
    panel = FeaturesPanel(contract.model_copy(update={"horizons_ms": (0,)}))
    qtbot.addWidget(panel)
    panel.show()
    assert not panel.forecasts.isVisible()


def test_the_same_window_is_drawn_once(qtbot, panel, seen):
    seen.show(panel)
    QApplication.processEvents()
    before = panel.map.accessibleDescription()
    panel.map.setAccessibleDescription("untouched")
    seen.show(panel)
    assert panel.map.accessibleDescription() == "untouched" != before


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_it_takes_on_the_theme(panel, seen, theme):
    seen.show(panel)
    panel.dress(LIGHT)
    panel.dress(theme)
    assert theme.good in colours(panel.map)


def test_everything_has_a_name(panel):
    assert panel.map.accessibleName() == "Feature map"
    for cell in panel.forecasts.cells.values():
        assert cell.accessibleName()


@pytest.mark.parametrize("points", [9, 18])
def test_no_word_is_cut_at_the_smallest_size(qtbot, contract, seen, points):
    panel = FeaturesPanel(contract)
    qtbot.addWidget(panel)
    font = panel.font()
    font.setPointSize(points)
    panel.setFont(font)
    seen.show(panel)
    panel.show()
    panel.resize(panel.minimumSizeHint())
    QApplication.processEvents()
    for label in panel.findChildren(QLabel):
        assert label.width() >= label.sizeHint().width(), label.text()
    assert panel.map.cells().width() > 60  # names and figures leave room for the cells
