"""The features panel: lights, R², and forecasts that were checked."""

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QApplication, QLabel

from semgfin_rt.app.forecasts import Forecasts
from semgfin_rt.app.imitation import Imitation
from semgfin_rt.qt.features import FeaturesPanel
from semgfin_rt.qt.theme import DARK, LIGHT, stylesheet

BAD = 5  # ssc, which the feed imitates badly


class Seen:
    """What a view keeps for the panel."""

    def __init__(self, contract, feed, seconds):
        self.imitation, self.forecasts = Imitation(contract), Forecasts(contract)
        feed.run(seconds)
        for snapshot in feed.snapshots:
            self.imitation.take(snapshot.decisions, snapshot.closed_form)
            self.forecasts.take(snapshot.decisions, snapshot.closed_form)

    def show(self, panel):
        panel.show_features(self.imitation, self.forecasts)


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


def test_nothing_is_known_at_first(panel, contract):
    panel.show_features(Imitation(contract), Forecasts(contract))
    texts = {cell.text() for cell in panel.forecasts.cells.values()}
    assert texts == {"–"}  # noqa: RUF001
    assert panel.map.levels == ()


def test_a_checkpoint_that_forecasts_nothing_has_no_table_and_no_choice(qtbot, contract):
    panel = FeaturesPanel(contract.model_copy(update={"horizons_ms": (0,)}))
    qtbot.addWidget(panel)
    panel.show()
    assert not panel.forecasts.isVisible()
    assert not panel.horizon.isVisible()


def test_a_horizon_is_chosen_with_the_keyboard(qtbot, panel, seen):
    seen.show(panel)
    assert panel.map.comparison is seen.imitation.comparison
    assert panel.lag.text() == ""
    assert panel.horizon.focusPolicy() & Qt.FocusPolicy.TabFocus
    panel.horizon.setFocus()
    qtbot.keyClick(panel.horizon, Qt.Key.Key_Down)
    qtbot.keyClick(panel.horizon, Qt.Key.Key_Down)
    assert panel.horizon.currentText() == "+100 ms"
    assert panel.lag.text() == "left: forecast 100 ms before"
    assert panel.map.comparison is seen.forecasts.comparisons[100]  # at once, were it frozen
    assert panel.map.accessibleDescription() == "as it was forecast 100 ms before"
    qtbot.keyClick(panel.horizon, Qt.Key.Key_Home)
    assert panel.map.comparison is seen.imitation.comparison
    assert panel.map.accessibleDescription() == "badly imitated: ssc"


def test_figures_of_a_horizon_are_those_of_its_forecast(panel, seen):
    seen.show(panel)
    panel.horizon.setCurrentIndex(panel.horizon.findData(300))
    score = seen.forecasts.scores()[-1]
    assert panel.map.r2 == score.r2.tolist()
    assert panel.map.error == seen.forecasts.error(300).tolist()
    assert panel.map.levels == ()  # what is a good imitation says nothing of a forecast
    assert not {DARK.good, DARK.warning} & colours(panel.map)
    assert trust_at(panel, 0) == (
        f"log_rms: what was forecast 300 ms before is {panel.map.error[0]:.2f} SD off over the "
        f"last 1 s, R² of the last 30 s {score.r2[0]:.2f}"
    )
    words = panel.map.words_at(panel.map.cells().left() + 2, 2)
    assert words.endswith("; forecast 300 ms before")


def test_a_forecast_whose_time_has_not_come_is_not_shown(panel, contract, feed):
    seen = Seen(contract, feed, 0.5)  # 0.2 s of decisions
    panel.horizon.setCurrentIndex(panel.horizon.findData(100))
    seen.show(panel)
    assert panel.map.comparison is not None
    panel.horizon.setCurrentIndex(panel.horizon.findData(300))
    assert panel.map.comparison is None
    assert panel.map.error == []


def test_without_the_present_the_first_forecast_is_shown(qtbot, contract):
    panel = FeaturesPanel(contract.model_copy(update={"horizons_ms": (50, 100)}))
    qtbot.addWidget(panel)
    assert panel.horizon.ms == 50
    assert panel.lag.text() == "left: forecast 50 ms before"


def test_a_wheel_that_scrolls_past_chooses_nothing(qtbot, panel):
    turn = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    panel.horizon.clearFocus()
    QApplication.sendEvent(panel.horizon, turn)
    assert panel.horizon.ms == 0
    panel.horizon.setFocus()
    QApplication.sendEvent(panel.horizon, turn)
    assert panel.horizon.ms == 50


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
    assert panel.horizon.accessibleName() == "Horizon of the feature map"
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
    panel.horizon.setCurrentIndex(panel.horizon.findData(300))  # the longest words
    panel.show()
    panel.resize(panel.minimumSizeHint())
    QApplication.processEvents()
    for label in panel.findChildren(QLabel):
        assert label.width() >= label.sizeHint().width(), label.text()
    assert panel.map.cells().width() > 60  # names and figures leave room for the cells
