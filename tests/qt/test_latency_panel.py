"""The latency panel: figures, bars within a hop, and red where a decision comes too late."""

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtGui import QColor, QImage
from PyQt6.QtWidgets import QApplication, QLabel

from semgfin_rt.contracts import Decision
from semgfin_rt.engine.snapshot import NO_HEALTH, Health, Percentiles
from semgfin_rt.qt.latency import FRAMES, LatencyPanel
from semgfin_rt.qt.theme import DARK, LIGHT, stylesheet

STAGES = {
    "acquire": Percentiles(0.8, 1.4, 2.1),
    "filter": Percentiles(0.1, 0.15, 0.3),
    "fin": Percentiles(0.5, 0.8, 1.3),
    "cnn": Percentiles(0.12, 0.2, 0.4),
    "policy": Percentiles(0.1, 0.2, 0.3),
    "publish": Percentiles(0.2, 0.4, 0.9),
    "compute": Percentiles(0.9, 1.3, 2.2),
    "end_to_end": Percentiles(2.0, 3.4, 5.1),
}
HEALTH = Health(6000, 0, 297, 300, 3, 12, 3.42, STAGES)


def slow(factor):
    """Return the same with every stage so much slower."""
    stages = {
        s: Percentiles(*(factor * v for v in (p.p50, p.p95, p.p99))) for s, p in STAGES.items()
    }
    return replace(HEALTH, latency_ms=stages)


@pytest.fixture
def panel(qtbot):
    made = LatencyPanel(10.0)
    made.setStyleSheet(stylesheet(DARK))
    qtbot.addWidget(made)
    made.resize(700, 260)
    made.show()
    qtbot.waitExposed(made)
    return made


def image(widget):
    """Return (height, width, 3) uint8, in the order red, green, blue."""
    grabbed = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    raw = np.frombuffer(grabbed.constBits().asstring(grabbed.sizeInBytes()), np.uint8)
    lines = raw.reshape(grabbed.height(), grabbed.bytesPerLine())
    return lines[:, : 3 * grabbed.width()].reshape(grabbed.height(), grabbed.width(), 3)


def widths(panel, colour):
    """Return how many pixels of the three bars have this colour, in their middle lines."""
    shot = image(panel.bars)
    lines = [int((i + 0.5) * panel.bars.height() / 4) for i in range(3)]
    wanted = np.array(QColor(colour).getRgb()[:3])
    return [int((shot[line] == wanted).all(axis=1).sum()) for line in lines]


def test_every_stage_has_its_three_figures(panel):
    panel.show_health(HEALTH)
    shown = {key: label.text() for key, label in panel.figures.items()}
    assert shown["fin", "p50"] == "0.50"
    assert shown["publish", "p99"] == "0.90"
    assert shown["end to end", "p95"] == "3.40"
    assert {stage for stage, _ in shown} == {*STAGES, "end to end", "draw"} - {
        "compute",
        "end_to_end",
    }
    assert panel.counts["late"].text() == "12"
    assert panel.counts["age ms"].text() == "3.4"
    assert panel.note.text() == "in time: p95 3.4 ms of a hop of 10 ms"


def test_nothing_is_known_before_the_engine_runs(panel):
    for health in (None, NO_HEALTH):
        panel.show_health(health)
        assert {label.text() for label in panel.figures.values()} == {"–"}  # noqa: RUF001
        assert panel.counts["age ms"].text() == "–"  # noqa: RUF001
        assert panel.note.text() == "of a hop of 10 ms"


def test_the_window_measures_its_own_frames(panel):
    for ms in range(1, 101):
        panel.frame(float(ms))
    panel.show_health(HEALTH)
    assert panel.figures["draw", "p50"].text() == "50.50"
    assert panel.figures["draw", "p99"].text() == "99.01"
    for _ in range(FRAMES):
        panel.frame(2.0)
    panel.show_health(HEALTH)
    assert panel.figures["draw", "p99"].text() == "2.00"  # of the last minute


def test_red_when_19_of_20_decisions_are_not_enough(panel):
    panel.show_health(slow(2.9))  # p95 9.86 ms
    figure = panel.figures["end to end", "p95"]
    assert not figure.property("alarm")
    panel.show_health(slow(3.0))  # 10.2 ms
    assert figure.property("alarm")
    assert panel.note.property("alarm")
    assert panel.note.text() == "late: p95 10.2 ms of a hop of 10 ms"
    assert tuple(QColor(DARK.warning).getRgb()[:3]) in {
        tuple(p) for p in image(figure).reshape(-1, 3)
    }
    panel.show_health(HEALTH)
    assert not figure.property("alarm")


def test_skipped_windows_and_silence_are_alarms(panel):
    panel.show_health(replace(HEALTH, skipped=0))
    assert not panel.counts["skipped"].property("alarm")
    panel.show_health(HEALTH, Decision(9, 0.0, (), np.zeros((1, 1, 1), np.float32), age_ms=1234.5))
    assert panel.counts["skipped"].property("alarm")
    assert panel.counts["age ms"].text() == "1,234.5"
    assert panel.counts["age ms"].property("alarm")
    panel.show_health(HEALTH)
    assert not panel.counts["age ms"].property("alarm")


def test_bars_are_as_long_as_the_stages_take(panel):
    panel.show_health(HEALTH)
    assert panel.bars.scale_ms == 12.5
    fin = widths(panel, "#0072B2")
    acquire = widths(panel, "#56B4E9")
    per_ms = acquire[2] / STAGES["acquire"].p99
    assert fin == pytest.approx([0.5 * per_ms, 0.8 * per_ms, 1.3 * per_ms], abs=2)
    assert acquire == pytest.approx([0.8 * per_ms, 1.4 * per_ms, 2.1 * per_ms], abs=2)


@pytest.mark.parametrize(("factor", "scale_ms"), [(1, 12.5), (3, 25), (8, 50), (1000, 500)])
def test_bars_have_room_for_what_is_slow(panel, factor, scale_ms):
    panel.show_health(slow(factor))
    assert panel.bars.scale_ms == scale_ms
    image(panel.bars)  # even where it does not fit


def test_everything_has_a_name(panel):
    panel.show_health(HEALTH)
    assert panel.bars.accessibleName() == "Latency within one hop"
    assert "end to end 3.4" in panel.bars.accessibleDescription()
    for label in (*panel.figures.values(), *panel.counts.values()):
        assert label.accessibleName()
        assert label.toolTip()


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_it_takes_on_the_theme(panel, theme):
    panel.dress(LIGHT)
    panel.dress(theme)
    ground = tuple(QColor(theme.window).getRgb()[:3])
    assert ground in {tuple(p) for p in image(panel.bars).reshape(-1, 3)[::7]}


@pytest.mark.parametrize("points", [9, 18])
def test_no_word_is_cut_at_the_smallest_size(qtbot, points):
    panel = LatencyPanel(10.0)
    qtbot.addWidget(panel)
    font = panel.font()
    font.setPointSize(points)
    panel.setFont(font)
    panel.show_health(slow(40))
    panel.show()
    panel.resize(panel.minimumSizeHint())
    QApplication.processEvents()
    for label in panel.findChildren(QLabel):
        assert label.width() >= label.sizeHint().width(), label.text()
