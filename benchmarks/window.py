"""The window for as long as one likes: frames, processor, memory of both processes, decisions.

The demo's synthetic person is played in a loop, in real time. Twelve times in the run every
dialog is opened and closed again. Memory (resident) is read a hundred times. Without a display the
window is drawn offscreen.

    python benchmarks/window.py [--minutes 60] [--model demo] [--json benchmarks/window.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
from PyQt6 import sip
from PyQt6.QtCore import QTimer
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QAbstractButton, QApplication, QDialog

from semgfin_rt import lsl
from semgfin_rt.app.scenario import read_scenario
from semgfin_rt.app.session import Session, begin_replay
from semgfin_rt.app.studio import Stage, Studio
from semgfin_rt.folders import find_model, find_scenario
from semgfin_rt.qt.application import run_window
from semgfin_rt.qt.fault_drill import openers, the_window
from semgfin_rt.qt.require import has_display

_READINGS, _ROUNDS = 100, 12
_LOOK_MS, _OPEN_MS = 1000, 700
_WARM_S = 10.0  # frames of the start are told apart
_MOST_FRAMES_A_S, _LEAST_MIN = 60, 3.0


class Observer:
    """Reads a running window and its engine, and opens the dialogs.

    Parameters
    ----------
    engine_pid : int
    seconds : float
        Of the run.
    """

    def __init__(self, engine_pid: int, seconds: float) -> None:
        self.mib: dict[str, list[float]] = {"window": [], "engine": []}
        self.hours: list[float] = []
        # all of it taken now: it is no growth
        self.frame_ms = np.full(round(seconds * _MOST_FRAMES_A_S), np.nan, np.float32)
        self._frames = 0
        self.dialogs: set[str] = set()
        self.window_share = 0.0
        self._processes = {"window": psutil.Process(), "engine": psutil.Process(engine_pid)}
        self._seconds = seconds
        self._rounds = 0
        self._timer = QTimer()
        self._timer.timeout.connect(self._look)

    def start(self) -> None:
        """Begin once frames are drawn."""
        self._began, self._warm = time.monotonic(), False
        self._timer.start(_LOOK_MS)

    def _look(self) -> None:
        window, passed = the_window(), time.monotonic() - self._began
        if not self._warm:
            if passed > _WARM_S:
                self._warm, self._warm_at = True, passed
                window.frame_ms.clear()
                self._cpu_s = self._window_cpu_s()
            return
        new = np.array(window.frame_ms, np.float32)
        window.frame_ms.clear()
        self.frame_ms[self._frames : self._frames + len(new)] = new
        self._frames += len(new)
        self.window_share = (self._window_cpu_s() - self._cpu_s) / (passed - self._warm_at)
        if passed >= len(self.hours) * self._seconds / _READINGS:
            self.hours.append(passed / 3600)
            for name, process in self._processes.items():
                self.mib[name].append(process.memory_info().rss / 2**20)
        if passed >= (self._rounds + 1) * self._seconds / (_ROUNDS + 1):
            self._rounds += 1
            self._open([opener for opener in openers(window) if opener.isEnabled()])

    def _open(self, left: list[QAction | QAbstractButton]) -> None:
        """Open what the first of them opens, close it, and go on to the next."""
        left = [opener for opener in left if not sip.isdeleted(opener)]  # with its dialog
        if not left:
            return
        opener, *others = left
        # Some dialogs wait in here until they are closed.
        QTimer.singleShot(0, opener.trigger if isinstance(opener, QAction) else opener.click)
        QTimer.singleShot(_OPEN_MS, lambda: self._close(others))

    def _close(self, others: list[QAction | QAbstractButton]) -> None:
        for widget in QApplication.topLevelWidgets():
            if isinstance(widget, QDialog) and widget.isVisible():
                self.dialogs.add(widget.windowTitle())
                widget.reject()
        self._open(others)

    def _window_cpu_s(self) -> float:
        return sum(self._processes["window"].cpu_times()[:2])


def slope(hours: list[float], mib: list[float]) -> float:
    """Median of the slopes between any two readings (Theil and Sen), the first fifth left out."""
    from scipy.stats import theilslopes  # here, not in every process that is started

    first = len(hours) // 5
    return round(float(theilslopes(mib[first:], hours[first:]).slope), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    if arguments.minutes < _LEAST_MIN:
        parser.error(
            f"{arguments.minutes:g} minutes say nothing of memory: {_LEAST_MIN:g} or more."
        )
    lsl.configure(False)
    if not has_display():
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    seconds = 60 * arguments.minutes
    scenario = read_scenario(find_scenario("demo"))
    settings = replace(
        scenario.settings(Path()), model=find_model(arguments.model), seconds=seconds
    )
    application = QApplication(["semgfin-rt"])
    with begin_replay(settings) as engine:
        source = replace(scenario.replay(Path()), loop=True)
        assert engine.pid is not None
        observer = Observer(engine.pid, seconds)
        with Session(settings, source, engine) as session:
            studio = Studio(Stage.start(session, "benchmark"))
            QTimer.singleShot(0, observer.start)
            run_window(studio, seconds=seconds)
            summary = session.summary()
    frames = observer.frame_ms[~np.isnan(observer.frame_ms)]
    document = {
        "minutes": arguments.minutes,
        "decisions": summary["decisions"],
        "missed": summary["expected_decisions"] - summary["decisions"],
        "lost_samples": summary["lost_samples"],
        "late": summary["late"],
        "end_to_end_ms": summary["end_to_end_ms"],
        "frames": len(frames),
        "frames_per_s": round(1000 / float(frames.mean()), 1),
        "frame_ms": {f"p{p}": round(float(np.percentile(frames, p)), 1) for p in (50, 99, 99.9)},
        "window_core_share": round(observer.window_share, 3),
        "dialogs": sorted(observer.dialogs),
        "mib_per_hour": {name: slope(observer.hours, mib) for name, mib in observer.mib.items()},
        "mib": {name: [round(one, 1) for one in mib[::10]] for name, mib in observer.mib.items()},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
    }
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))
    del application


if __name__ == "__main__":
    main()
