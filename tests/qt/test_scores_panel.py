"""The running scores as a person sees them."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import QPoint
from PyQt6.QtGui import QColor, QHelpEvent, QImage
from PyQt6.QtWidgets import QToolTip

from semgfin_rt.app.running import RunningScores
from semgfin_rt.qt.scores import ScoresPanel
from semgfin_rt.qt.theme import DARK, LIGHT


@pytest.fixture
def panel(qtbot, contract):
    made = ScoresPanel(contract)
    qtbot.addWidget(made)
    made.resize(1000, 320)
    made.show()
    return made


@pytest.fixture
def scores(contract, feed):
    """Return the scores of 25 s of replay."""
    running = RunningScores(contract)
    feed.run(25, every=500)
    for snapshot in feed.snapshots:
        running.take(snapshot.decisions, snapshot.truth)
    return running.scores()


def texts(panel):
    return {name: figure.text() for name, figure in panel.figures.items()}


def test_nothing_yet(panel, contract):
    panel.show_scores(RunningScores(contract).scores())
    assert set(texts(panel).values()) == {"–"}  # noqa: RUF001
    assert {cell.text() for cell in panel.cells.values()} == {"–"}  # noqa: RUF001
    assert panel.note.text() == "0 decisions scored, 0 movements"


def test_figures(panel, scores):
    panel.show_scores(scores)
    shown = texts(panel)
    assert shown["accuracy"] == f"{scores.accuracy:.2f}"
    assert shown["steady"] == f"{scores.accuracy_steady:.2f}"
    assert shown["onset delay"].startswith(f"{scores.onset_delay_ms:.0f} ms")
    assert shown["false / min"] == f"{scores.false_activations:.1f}"
    now, *forecasts = scores.horizons
    assert panel.cells[0, "accuracy"].text() == f"{now.accuracy:.2f}"
    for column in ("persistence", "skill", "lead ms"):
        assert panel.cells[0, column].text() == "–"  # noqa: RUF001
    for forecast in forecasts:
        ms = forecast.horizon_ms
        assert panel.cells[ms, "last 60 s"].text() == f"{forecast.recent:.2f}"
        assert panel.cells[ms, "persistence"].text() == f"{forecast.persistence:.2f}"
        skill = panel.cells[ms, "skill"].text()
        assert float(skill) == pytest.approx(forecast.skill, abs=0.0051)
        assert skill[0] in "+-"
        assert skill != "-0.00"
        assert panel.cells[ms, "lead ms"].text() == f"{forecast.lead_ms:.0f}"
    assert panel.note.text() == f"{scores.scored:,} decisions scored, {scores.onsets} movements"


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_the_matrix_is_an_image_of_the_counts(panel, contract, theme):
    n = len(contract.classes)
    counts = np.zeros((n, n + 1), np.int64)
    counts[6, 6], counts[6, 14], counts[6, n] = 50, 25, 25
    panel.dress(theme)
    panel.matrix.show_counts(counts)
    picture = panel.matrix.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    cells, ratio = panel.matrix.cells(), picture.width() / panel.matrix.width()

    def colour(row, column):
        x = cells.left() + (column + 0.5) * cells.width() / (n + 1)
        y = cells.top() + (row + 0.5) * cells.height() / n
        return picture.pixelColor(int(x * ratio), int(y * ratio))

    def close(found, wanted):
        return all(
            abs(a - b) <= 3 for a, b in zip(found.getRgb()[:3], wanted.getRgb()[:3], strict=True)
        )

    ground, full = QColor(theme.window), QColor(theme.high)
    rgb = np.array([ground.getRgb()[:3], full.getRgb()[:3]])
    half = QColor(*rgb.mean(axis=0).astype(int).tolist())
    assert close(colour(3, 4), ground)
    assert close(colour(6, 6), half)
    assert close(colour(6, 14), colour(6, n))
    assert ground.lightnessF() != full.lightnessF()


def test_hover_says_a_cell_in_words(panel, contract):
    n = len(contract.classes)
    counts = np.zeros((n, n + 1), np.int64)
    counts[13, 13], counts[13, n] = 1500, 500
    panel.matrix.show_counts(counts)
    cells = panel.matrix.cells()
    y = cells.top() + 13.5 * cells.height() / n
    right = cells.left() + 13.5 * cells.width() / (n + 1)
    assert panel.matrix.words_at(right, y) == (
        "wrist flexion, decided wrist flexion: 1,500 of 2,000 (75%)"
    )
    rejected = panel.matrix.words_at(cells.right() - 2, y)
    assert rejected == "wrist flexion, decided rejected: 500 of 2,000 (25%)"
    assert panel.matrix.words_at(cells.left() - 5, y) == ""
    assert panel.matrix.words_at(right, 2).endswith("0 of 0 (0%)")
    at = QPoint(int(right), int(y))
    assert panel.matrix.event(QHelpEvent(QHelpEvent.Type.ToolTip, at, panel.matrix.mapToGlobal(at)))
    assert QToolTip.text().startswith("wrist flexion")


def test_everything_has_a_name_and_a_reason(panel):
    for figure in (*panel.figures.values(), *panel.cells.values()):
        assert figure.accessibleName()
        assert figure.toolTip()
    assert panel.matrix.accessibleName() == "Confusion matrix"
    assert panel.cells[50, "lead ms"].accessibleName() == "lead ms, +50 ms"
