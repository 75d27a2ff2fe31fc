"""A seeded stream of snapshots: bursts of noise, a decision each hop, truth as in a replay."""

import logging
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication

from semgfin_rt.app.preferences import VARIABLE
from semgfin_rt.app.studio import Stage, Studio
from semgfin_rt.app.watch import Watch
from semgfin_rt.contracts import NO_LABEL, REST, Decision, Event, Movement, State, TruthEvent
from semgfin_rt.engine.snapshot import Health, Percentiles, Snapshot
from semgfin_rt.model_contract import ClassLabel, ModelContract, NetworkSpec

RATE, HOP, WINDOW = 2000, 20, 600
HORIZONS = (0, 50, 100, 200, 300)
FEATURES = (
    *("log_rms", "log_ent", "log_mav", "log_wl", "zc", "ssc", "mean_frequency", "ent"),
    *("rms", "var", "ssi", "mav"),
)
NAMES = (
    "rest",
    "thumb up",
    "extension of index and middle, flexion of the others",
    "flexion of ring and little finger, extension of the others",
    "thumb opposing base of little finger",
    "abduction of all fingers",
    "fingers flexed together in fist",
    "pointing index",
    "adduction of extended fingers",
    "wrist supination (axis: middle finger)",
    "wrist pronation (axis: middle finger)",
    "wrist supination (axis: little finger)",
    "wrist pronation (axis: little finger)",
    "wrist flexion",
    "wrist extension",
    "wrist radial deviation",
    "wrist ulnar deviation",
    "wrist extension with closed hand",
)


@pytest.fixture
def contract():
    """A checkpoint of DB2 size: 12 channels, 2 kHz, 17 movements and rest, five horizons."""
    return ModelContract(
        preset="realtime",
        channels=tuple(f"ch{i + 1}" for i in range(12)),
        rate=RATE,
        unit="V",
        filter_sos=(),
        scale_mean=(0.0,) * 12,
        scale_std=(1e-5,) * 12,
        window=WINDOW,
        hop=HOP,
        features=FEATURES,
        classifier_features=FEATURES[:8],
        feature_mean=(0.5,) * len(FEATURES),
        feature_std=(2.0,) * len(FEATURES),
        horizons_ms=HORIZONS,
        classes=tuple(ClassLabel(id=i, name=name) for i, name in enumerate(NAMES)),
        network=NetworkSpec(patch=HOP),
        test_repetitions=(2, 5),
    )


class Feed:
    """A link that holds what an engine would have sent.

    Movements of 1.5 s and rests of 1 s; the decision follows the truth 150 ms late, is sometimes
    wrong, and is rejected around every change.
    """

    def __init__(self, contract, seed=3, order=(6, 14, 2, 7)):
        self.contract = contract
        self.snapshots = deque()
        self.watch = Watch(contract, has_truth=True)
        self.closed = 0
        self.sent = []
        self.polls = 0
        self._rng = np.random.default_rng(seed)
        self._order = order
        self.sample = 0
        self._truth = None

    def poll(self):
        self.polls += 1
        if not self.snapshots:
            return None
        snapshot = self.snapshots.popleft()
        self.watch.take(snapshot.decisions, snapshot.truth)
        return snapshot

    @property
    def accuracy(self):
        return self.watch.accuracy

    def truth_at(self, sample):
        return self.watch.truth_at(sample)

    @property
    def scores(self):
        return self.watch.running.scores()

    def send(self, command):
        self.sent.append(command)

    def close(self):
        self.closed += 1

    def label(self, sample):
        turn, within = divmod(sample, round(2.5 * RATE))
        return REST if within < RATE else self._order[turn % len(self._order)]

    def run(self, seconds, every=60, lost=0):
        """Queue the snapshots of so much signal, one for each `every` samples."""
        for _ in range(int(seconds * RATE / every)):
            self.snapshots.append(self.snapshot(every))
        if lost:
            self.sample += lost
        return self

    def silence(self, age_ms, events=()):
        """Queue a snapshot of an engine to which no signal comes."""
        last = self.decision(self.sample)
        movements = tuple(replace(m, label=REST, state=State.STALE) for m in last.movements)
        stale = replace(last, movements=movements, age_ms=age_ms)
        self.snapshots.append(replace(self.snapshot(0), stale=stale, events=tuple(events)))
        return self

    def tell(self, *texts, kind="loss"):
        """Queue a snapshot with events."""
        events = tuple(Event(1.0, kind, text) for text in texts)
        self.snapshots.append(replace(self.snapshot(0), events=events))
        return self

    def end(self, phase="ended", message="the replay is over"):
        self.snapshots.append(self.snapshot(0, phase, message))
        return self

    def snapshot(self, n, phase="running", message="replay of S1_E1_A1.mat on cpu"):
        first, self.sample = self.sample, self.sample + n
        samples = np.arange(first, self.sample)
        loud = np.array([1.0 if self.label(int(s)) == REST else 6.0 for s in samples])
        weights = 1 + np.cos(np.arange(12) + self.label(first))
        noise = self._rng.standard_normal((n, 12))
        signal = (1.8e-6 * noise * loud[:, None] * weights).astype(np.float32)
        ends = [int(s) for s in samples if s >= WINDOW - 1 and (s + 1 - WINDOW) % HOP == 0]
        decisions = tuple(self.decision(s) for s in ends)
        closed = None
        if decisions:
            noise = self._rng.standard_normal((len(FEATURES), 12)).astype(np.float32)
            closed = decisions[-1].features[0] + 0.1 * noise
            closed[5] += 2 * noise[5]  # ssc is imitated badly
        expected = max(0, 1 + (self.sample - WINDOW) // HOP)
        return Snapshot(
            phase=phase,
            message=message,
            first=first,
            signal=signal,
            decisions=decisions,
            closed_form=closed,
            truth=self.truth(phase),
            health=Health(
                received=self.sample,
                lost=0,
                decisions=expected,
                expected=expected,
                skipped=0,
                late=0,
                age_ms=3.4,
                latency_ms={
                    "compute": Percentiles(1.2, 1.9, 2.5),
                    "end_to_end": Percentiles(3.1, 5.2, 9.0),
                },
            ),
        )

    def truth(self, phase):
        if phase == "ended":
            return (TruthEvent(self.sample, NO_LABEL, 0, end=True),)
        label = self.label(max(self.sample - 1, 0))
        if label == self._truth:
            return ()
        self._truth = label
        return (TruthEvent(max(self.sample - 60, 0), label, 0),)

    def decision(self, sample):
        movements = tuple(self.movement(sample, ms) for ms in HORIZONS)
        level = 0.5 + 2 * self._rng.standard_normal((len(FEATURES), 1))
        ring = 3 * np.sin(np.arange(12) / 2 + self.label(sample))
        features = np.tile((level + ring).astype(np.float32), (len(HORIZONS), 1, 1))
        return Decision(sample, sample / RATE, movements, features, age_ms=3.4)

    def movement(self, sample, ms):
        seen = self.label(max(sample - 300, 0))
        changing = seen != self.label(sample)
        wrong = self._rng.random() < 0.03
        label = int(self._rng.integers(1, 18)) if wrong else seen
        confidence = 0.42 if changing else 0.83 - ms / 2000
        probabilities = np.full(18, (1 - confidence) / 17, np.float32)
        probabilities[label] = confidence
        if changing and sample % 100 < 60:
            return Movement(ms, NO_LABEL, confidence, probabilities, State.REJECT)
        state = State.HOLD if changing else State.VALID
        return Movement(ms, label, confidence, probabilities, state)


@pytest.fixture
def feed(contract):
    return Feed(contract)


@pytest.fixture
def studio(contract, feed):
    """A studio that has the feed open, as if it were a session."""
    return Studio(Stage("replay", contract, feed))


@pytest.fixture(autouse=True)
def preferences_file(tmp_path, monkeypatch):
    """Keep what a window remembers to its test."""
    path = tmp_path / "preferences" / "window.json"
    monkeypatch.setenv(VARIABLE, str(path))
    return path


@pytest.fixture(autouse=True)
def _no_log_output(caplog):
    """Keep what the window logs for the tests that read it."""
    caplog.set_level(logging.ERROR)


@pytest.fixture
def open_window(qtbot, studio):
    """Make windows whose frames the test counts itself."""

    from semgfin_rt.qt.window import MainWindow

    def make(theme="dark", preferences=None, size=(1280, 800)):
        made = MainWindow(studio, theme, preferences)
        made.timer.stop()
        qtbot.addWidget(made)
        made.resize(*size)
        made.show()
        QApplication.processEvents()
        return made

    return make


@pytest.fixture
def window(open_window):
    return open_window()
