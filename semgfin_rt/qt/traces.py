"""The scrolling signal, a lane for each channel."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg

from semgfin_rt.app.display import TRACE_SECONDS, TraceRing, first_lane, lanes, step_lane
from semgfin_rt.app.readout import lane_text
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.qt.panel import Panel
from semgfin_rt.qt.theme import Theme


class TracesPanel(Panel):
    """All channels of the last 5 s; curves are made once and refilled.

    Parameters
    ----------
    contract : ModelContract
    """

    def __init__(self, contract: ModelContract) -> None:
        super().__init__(f"signal, last {TRACE_SECONDS:g} s")
        self._unit = contract.unit
        self.half_lane = first_lane(contract)
        n_channels = len(contract.channels)

        self.plot = pg.PlotWidget()
        self.plot.setAntialiasing(False)
        # All curves change in every frame: working out which pixels did costs 15 % of a core.
        self.plot.setViewportUpdateMode(self.plot.ViewportUpdateMode.FullViewportUpdate)
        self.plot.setMenuEnabled(False)
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.hideButtons()
        self.plot.setFrameShape(self.plot.Shape.NoFrame)
        self.plot.setXRange(-1.03 * TRACE_SECONDS, 0.03 * TRACE_SECONDS, padding=0)
        self.plot.setYRange(0.6 - n_channels, 0.6, padding=0)
        self.plot.getAxis("left").setTicks([[(-i, c) for i, c in enumerate(contract.channels)]])
        self.plot.getAxis("bottom").setTicks(
            [[(s, "now" if s == 0 else f"{s} s") for s in range(-int(TRACE_SECONDS), 1)]]
        )
        self.curves = [pg.PlotCurveItem() for _ in contract.channels]
        for curve in self.curves:
            self.plot.addItem(curve)
        self.content.addWidget(self.plot, stretch=1)
        self._say_scale()

    def dress(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self.plot.setBackground(theme.panel)
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(theme.border)
            axis.setTextPen(theme.text)
        for i, curve in enumerate(self.curves):
            curve.setPen(pg.mkPen(theme.traces[i % 2], width=1))

    def show_traces(self, traces: TraceRing) -> None:
        """Draw the envelope of the last seconds; lost samples are holes."""
        placed = lanes(traces.envelope(), self.half_lane)
        for curve, column in zip(self.curves, placed.T, strict=True):
            whole = bool(np.isfinite(column).all())
            curve.setData(
                traces.times, column, connect="all" if whole else "finite", skipFiniteCheck=whole
            )

    def zoom(self, steps: int) -> None:
        """Enlarge the traces by `steps` of 1, 2, 5, 10; negative ones make them smaller."""
        self.half_lane = step_lane(self.half_lane, -steps)
        self._say_scale()

    def _say_scale(self) -> None:
        self.note.setText(lane_text(self.half_lane, self._unit))
