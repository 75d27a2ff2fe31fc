"""The traces, and the light of each channel beside its lane."""

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QHelpEvent, QImage, QPainter
from PyQt6.QtWidgets import QApplication, QToolTip

from semgfin_rt.app.display import TraceRing
from semgfin_rt.app.lights import Light, lights
from semgfin_rt.dsp.quality import CLIPPED, QualityMonitor
from semgfin_rt.qt.signs import draw_sign
from semgfin_rt.qt.theme import DARK, LIGHT, stylesheet
from semgfin_rt.qt.traces import TracesPanel

RATE = 2000


@pytest.fixture
def panel(qtbot, contract):
    made = TracesPanel(contract)
    made.setStyleSheet(stylesheet(DARK))
    made.dress(DARK)
    qtbot.addWidget(made)
    made.resize(800, 560)
    made.show()
    qtbot.waitExposed(made)
    QApplication.processEvents()
    return made


@pytest.fixture
def judged(contract):
    """Lights of a window: channel 3 is flat, 8 clipped, and 6 is nothing but mains."""
    rng = np.random.default_rng(0)
    window = rng.standard_normal((contract.window, 12)).astype(np.float32)
    window[:, 5] = 30 * np.sin(2 * np.pi * 50 * np.arange(contract.window) / RATE)
    window[:, 9] += 2.5 * np.sin(2 * np.pi * 50 * np.arange(contract.window) / RATE)
    marks = np.zeros_like(window)
    marks[:, 2], marks[300, 7] = 500, CLIPPED
    monitor = QualityMonitor(RATE, contract.window, contract.hop, contract.scale_std)
    return lights(monitor.judge(window, marks), contract)


def pixels(widget):
    """Return (height, width) of colour names."""
    image = widget.grab().toImage()
    return np.array(
        [
            [image.pixelColor(x, y).name() for x in range(image.width())]
            for y in range(image.height())
        ]
    )


def lane(panel, i):
    """Return top and bottom, in pixels of the labels, of the lane of channel i."""
    box = panel.labels.lanes()
    height = box.height() / 12
    return int(box.top() + (0.1 + i) * height), int(box.top() + (1.1 + i) * height)


def test_each_lane_has_the_sign_of_its_light(panel, judged):
    assert [light.level for light in judged].count("bad") == 3
    assert judged[9].level == "warn"
    panel.show_lights(judged)
    shown = pixels(panel.labels)
    for i, light in enumerate(judged):
        top, bottom = lane(panel, i)
        signs = set(shown[top:bottom, :10].ravel())  # where no word stands
        wanted = {"good": DARK.good, "warn": DARK.high, "bad": DARK.warning}
        assert wanted[light.level] in signs, light
        assert not (set(wanted.values()) - {wanted[light.level]}) & signs, light


def test_signs_differ_in_shape_as_well(qtbot):
    shapes = []
    for level in ("good", "warn", "bad"):
        image = QImage(20, 20, QImage.Format.Format_ARGB32)
        image.fill(0)
        painter = QPainter(image)
        draw_sign(painter, QPointF(10, 10), 16, level, DARK)
        painter.end()
        opaque = [[image.pixelColor(x, y).alpha() > 127 for x in range(20)] for y in range(20)]
        shapes.append(np.array(opaque))
    for i, one in enumerate(shapes):
        for other in shapes[i + 1 :]:
            assert (one != other).sum() > 0.25 * max(one.sum(), other.sum())


def test_the_number_behind_a_light_stands_below_the_name(panel, judged):
    panel.show_lights(judged)
    texts = [light.text for light in panel.labels.lights]
    assert texts[2] == "ch3: flat for 250 ms"
    assert texts[5].startswith("ch6: 50 Hz is ")
    assert texts[0].endswith(" µV RMS")
    words = panel.labels.accessibleDescription()
    assert "ch3: flat for 250 ms" in words
    assert "ch1:" not in words


def test_the_whole_sentence_under_the_pointer(qtbot, panel, judged):
    assert panel.labels.words_at(100) == ""
    panel.show_lights(judged)
    for i, light in enumerate(judged):
        top, bottom = lane(panel, i)
        assert panel.labels.words_at((top + bottom) / 2) == light.text
    middle = QPoint(20, sum(lane(panel, 7)) // 2)
    event = QHelpEvent(QHelpEvent.Type.ToolTip, middle, panel.labels.mapToGlobal(middle))
    QApplication.sendEvent(panel.labels, event)
    qtbot.waitUntil(lambda: QToolTip.text() == judged[7].text)
    QToolTip.hideText()


def test_a_level_changes_at_once_and_words_when_they_can_be_read(panel):
    def all_good(figure):
        return [Light(f"ch{i}", "good", f"ch{i}: {figure} µV RMS") for i in range(12)]

    panel.show_lights(all_good(0))
    panel.show_lights(all_good(1))
    assert panel.labels.lights[3].text == "ch3: 0 µV RMS"
    changed = all_good(2)
    changed[3] = Light("ch3", "bad", "ch3: flat for 20 ms")
    panel.show_lights(changed)
    assert panel.labels.lights[3].level == "bad"
    for figure in range(3, 14):
        panel.show_lights(all_good(figure))
    assert panel.labels.lights[0].text in ("ch0: 3 µV RMS", "ch0: 10 µV RMS")
    assert panel.labels.lights[3].text == "ch3: 10 µV RMS"


def test_labels_stand_beside_their_lanes(panel, contract):
    flat = TraceRing(contract.spec)
    flat.push(0, np.zeros((5 * RATE, 12), np.float32))
    panel.show_traces(flat)
    QApplication.processEvents()
    shown = pixels(panel.plot)
    column = shown[:, shown.shape[1] // 2]
    drawn = [y for y in range(len(column)) if column[y] in DARK.traces]
    middles = [sum(lane(panel, i)) / 2 for i in range(12)]
    box = panel.labels.lanes()
    assert len(drawn) == 12
    for y, middle in zip(drawn, middles, strict=True):
        assert y == pytest.approx(middle, abs=box.height() / 24)
        assert panel.labels.words_at(y) == ""  # and nothing is known of them yet


def test_lost_samples_are_a_hole_in_every_lane(panel, contract):
    ring = TraceRing(contract.spec)
    signal = np.random.default_rng(0).standard_normal((5 * RATE, 12)).astype(np.float32) * 1e-5
    ring.push(0, signal[: 2 * RATE])
    ring.push(3 * RATE, signal[3 * RATE :])
    panel.show_traces(ring)
    QApplication.processEvents()
    view = panel.plot.getViewBox()
    shown = pixels(panel.plot)

    def trace_pixels(begin, end):
        """Count those between two times, in s before now."""
        x = [int(view.mapViewToScene(QPointF(t, 0.0)).x()) for t in (begin, end)]
        part = shown[: int(view.sceneBoundingRect().bottom()) - 2, x[0] : x[1]]
        return int(np.isin(part, DARK.traces).sum())

    assert trace_pixels(-2.9, -2.1) == 0
    assert trace_pixels(-1.9, -1.1) > 1000
    assert trace_pixels(-4.5, -3.7) > 1000


def test_gain(panel, contract):
    assert panel.note.text() == "lane ±50 µV"
    panel.zoom(1)
    assert panel.note.text() == "lane ±20 µV"
    panel.zoom(-2)
    assert panel.note.text() == "lane ±100 µV"


def test_small_lanes_keep_name_and_sign(qtbot, panel, judged):
    panel.resize(800, 200)
    QApplication.processEvents()
    panel.show_lights(judged)
    shown = pixels(panel.labels)
    top, bottom = lane(panel, 2)
    assert DARK.warning in set(shown[top:bottom, :10].ravel())


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_it_takes_on_the_theme(panel, judged, theme):
    panel.dress(LIGHT)
    panel.dress(theme)
    panel.show_lights(judged)
    assert theme.good in set(pixels(panel.labels)[:, :10].ravel())


def test_it_needs_no_key(panel):
    assert panel.labels.accessibleName() == "Channels and their quality"
    assert panel.labels.focusPolicy() == Qt.FocusPolicy.NoFocus
