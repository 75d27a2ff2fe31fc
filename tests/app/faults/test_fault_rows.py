"""A row says so when its promise is broken; `semgfin-rt faults` shows that they are kept.

Each row is run here with something broken on purpose, as short as it goes.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import psutil
import pytest
from signals import tiny_contract

from semgfin_rt import lsl
from semgfin_rt.app.faults import (
    child,
    clocks,
    cycles,
    deaths,
    descriptions,
    disks,
    endurance,
    link,
    listening,
    signals,
    stalls,
    streams,
    windows,
)
from semgfin_rt.app.faults.finding import Finding, Scale, Spread, skipped
from semgfin_rt.app.faults.rows import ROWS, Row, measure
from semgfin_rt.app.soak import Reading, slope, soak
from semgfin_rt.dsp.quality import Quality
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.engine import loop
from semgfin_rt.errors import StreamError, SystemLibraryError
from semgfin_rt.nn.checkpoint import save_checkpoint
from semgfin_rt.nn.network import Network
from semgfin_rt.pipeline import Pipeline
from semgfin_rt.sinks import recorder
from semgfin_rt.sources.clock import Timeline
from semgfin_rt.sources.gaps import CounterGaps
from semgfin_rt.sources.identity import Gatekeeper
from semgfin_rt.sources.search import Search
from semgfin_rt.sources.supervisor import SupervisedSource

T = TypeVar("T")


@dataclass(frozen=True)
class Least(Scale):
    """One of everything."""

    def pick(self, short: T, long: T) -> T:
        return short[:1] if isinstance(short, tuple) else type(short)(1)


@pytest.fixture(scope="module")
def scale(tmp_path_factory) -> Least:
    contract = tiny_contract().model_copy(update={"scale_std": (2e-5,) * 3})  # as the devices send
    folder = tmp_path_factory.mktemp("faults") / "M"
    save_checkpoint(folder, Network(contract), contract, "# random weights, for a test\n")
    return Least(False, folder)


# --------------------------------------------------------------------------- the table
def test_the_table_has_twenty_rows_in_order():
    assert [row.number for row in ROWS] == list(range(1, 21))
    assert all(row.fault and row.promise and row.short and row.long for row in ROWS)


def row_that(measured) -> Row:
    return Row(7, "fault", "promise", "short", "long", measured)


def test_a_row_that_breaks_off_is_not_kept(scale):
    def breaks(_scale):
        raise StreamError("a sample\ndid not come")

    found = measure(row_that(breaks), scale)
    assert not found.finding.ok
    assert found.finding.measured == "it broke off: a sample did not come (StreamError)"

    def interrupted(_scale):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(row_that(interrupted), scale)


def test_a_row_that_was_not_measured_is_not_kept(scale, monkeypatch):
    monkeypatch.setattr(link.shutil, "which", lambda _tool: None)
    found = measure(row_that(link.unplugged), scale).record()
    assert not found["ok"]
    assert "unshare" in found["skipped"]
    assert skipped("why").skipped == "why"
    kept = measure(row_that(lambda _scale: Finding("all", True, {"n": 1})), scale).record()
    assert (kept["ok"], kept["skipped"], kept["figures"]) == (True, None, {"n": 1.0})


def test_a_machine_that_is_late_is_told_and_changes_no_verdict(scale):
    def late(_scale):
        probe = next(
            p
            for p in psutil.Process().children(recursive=True)
            if "semgfin_rt.app.faults.lateness" in p.cmdline()
        )
        probe.suspend()
        time.sleep(0.2)
        probe.resume()
        time.sleep(0.05)
        return Finding("99 ms", True)

    found = measure(row_that(late), scale)
    assert found.late.worst_ms > 150
    assert 0 <= found.late.waited_s < found.seconds
    assert found.finding.ok
    assert found.record()["scheduler_late_ms"] == found.late.worst_ms


def test_spread():
    assert Spread.of([3.0, 1.0, 2.0]).text("ms", 1) == "2.0 ms (worst 3.0)"


# ------------------------------------------------------------------ streams that go wrong
def test_row_1_sees_a_slow_return(scale, monkeypatch):
    search = Search._search

    def slow(self):
        if self._lost:
            time.sleep(0.3)
        search(self)

    monkeypatch.setattr(Search, "_search", slow)
    found = streams.killed(scale)
    assert not found.ok
    assert found.figures["back_s_worst"] > streams.BACK_S
    assert found.figures["gap_error_counted"] == 0
    assert 50 < found.figures["stale_ms_worst"] < 1000


def test_row_2_sees_a_late_word(scale, monkeypatch):
    monkeypatch.setattr(loop.StaleClock, "strikes", lambda _self, age_ms: age_ms > 150)
    found = streams.frozen(scale)
    assert not found.ok
    assert found.figures["stale_ms_worst"] > 150
    assert found.figures["lost"] == 0


@pytest.mark.long
def test_row_3_sees_a_slow_return(scale, monkeypatch):
    monkeypatch.setattr(link, "LIVE_S", 0.0)
    found = link.unplugged(scale)
    if found.skipped:
        pytest.skip(found.skipped)
    assert not found.ok
    assert found.figures["lost"] == 0
    assert found.figures["deadly_counted"] == found.figures["deadly_lost"] > 0


def test_row_4_sees_a_loss_that_is_not_counted(scale, monkeypatch):
    monkeypatch.setattr(CounterGaps, "lost_before", lambda _self, _count: 0)
    monkeypatch.setattr(
        Least, "pick", lambda _self, short, _long: (1, (1.5,)) if isinstance(short, tuple) else 1
    )
    found = stalls.overflowed(scale)
    assert not found.ok
    assert found.figures["lost"] > 500
    assert found.figures["counted"] == 0


def test_row_5_sees_foreign_samples(scale, monkeypatch):
    monkeypatch.setattr(Gatekeeper, "_is_trusted", lambda _self, _stream: True)
    found = streams.imitated(scale)
    assert not found.ok
    assert found.figures["foreign"] > 0


def test_row_6_sees_what_is_not_refused(scale, monkeypatch):
    monkeypatch.setattr(listening, "PATIENCE_S", 1.0)
    monkeypatch.setattr(listening.Listening.until, "__defaults__", (1.0,))
    monkeypatch.setattr(Gatekeeper, "_refuse_changed", lambda _self, _stream: [])
    monkeypatch.setattr("semgfin_rt.sources.search.difference", lambda _now, _was: "")
    found = measure(row_that(streams.changed), scale)
    assert not found.finding.ok
    assert "broke off" in found.finding.measured


def test_row_9_sees_timestamps_that_are_believed(scale, monkeypatch):
    monkeypatch.setattr(clocks, "KINDS", {"+1 h": clocks.KINDS["+1 h"]})
    assert clocks.misdated(scale).ok
    monkeypatch.setattr(Timeline, "place", lambda _self, stamps, _now: (stamps, []))
    found = clocks.misdated(scale)
    assert not found.ok
    assert "+1 h: 0 events" in found.measured


def test_row_11_sees_a_drift_that_is_not_followed(monkeypatch):
    windowing = Windowing(30, 1)
    followed, off = clocks._simulate(100.0, 20, 0.2, 200e-6, windowing)
    assert abs(followed) < 10  # in so short a time the steps of the correction show
    assert off == 0
    monkeypatch.setattr(Timeline, "_follow", lambda _self, _delay, _now: None)
    left, off = clocks._simulate(100.0, 20, 0.2, -200e-6, windowing)
    assert left == pytest.approx(720, rel=0.1)  # 200e-6 of an hour, in ms


def test_row_12_sees_a_decider_that_does_not_catch_up(scale, monkeypatch):
    monkeypatch.setattr(Least, "pick", lambda _self, _short, _long: (1.0,))
    usual = stalls.stalled(scale).figures
    assert (usual["lost"], usual["unaccounted"]) == (0, 0)
    assert usual["skipped"] > 0
    monkeypatch.setattr(loop, "BEHIND_S", 1e9)
    monkeypatch.setattr(loop, "CATCH_UP_S", 1e9)
    decide = Pipeline._decide

    def slow(self, sample, at):
        time.sleep(0.004)
        return decide(self, sample, at)

    monkeypatch.setattr(Pipeline, "_decide", slow)
    found = stalls.stalled(scale)
    assert not found.ok
    assert found.figures["skipped"] == 0
    assert found.figures["caught_up_ms_worst"] > 100


@pytest.mark.long
def test_row_13_sees_a_late_alert(scale, monkeypatch):
    monkeypatch.setattr(recorder, "_SILENCE_S", 1.3)
    found = disks.out_of_room(scale)
    assert not found.ok
    assert found.figures["alert_s_slow"] > disks.ALERT_S
    assert found.figures["alert_s_full"] < disks.ALERT_S


@pytest.mark.long
def test_row_14_sees_what_is_lost(scale, monkeypatch):
    monkeypatch.setattr(deaths, "LOST_S", 0.0)
    found = deaths.killed_while_recording(scale)
    assert not found.ok
    assert found.figures["gaps"] == 0
    assert 0 < found.figures["lost_s_worst"] < 5


# ---------------------------------------------------------------------- samples that lie
def test_row_8_sees_a_window_that_is_trusted(scale, monkeypatch):
    monkeypatch.setattr(
        Quality, "bad", property(lambda self: np.zeros(len(self.flat_ms), np.bool_))
    )
    found = signals.spoiled(scale)
    assert not found.ok
    assert found.figures["trusted_NaN"] > 0


def test_row_8_knows_that_nan_never_passes(scale):
    found = signals.spoiled(scale)
    assert [found.figures[f"trusted_{kind}"] for kind in ("NaN", "Inf", "rail")] == [0, 0, 0]
    assert found.figures["spoiled_later"] == 0


def test_row_10_sees_what_hangs_on_the_chunks(scale, monkeypatch):
    monkeypatch.setattr(Least, "pick", lambda _self, _short, _long: (0.6, 2))
    assert signals.ragged(scale).ok
    filtered = Pipeline._filtered

    def uneven(self, samples, marks):
        return filtered(self, samples, marks) * np.float32(1 + 1e-6 * len(samples))

    monkeypatch.setattr(Pipeline, "_filtered", uneven)
    found = signals.ragged(scale)
    assert not found.ok
    assert found.figures["different"] > 0


# --------------------------------------------------------------------------- processes
def test_a_crash_of_the_child_is_told():
    assert child.in_child(int, "7") == 7
    with pytest.raises(SystemLibraryError, match="exit code -6"):
        child.in_child(os.abort)


def test_row_7_sees_a_crash_and_other_exceptions(scale, monkeypatch):
    def crash(*_arguments):
        raise SystemLibraryError("the process crashed")

    monkeypatch.setattr(descriptions, "in_child", crash)
    found = descriptions.nonsense(scale)
    assert not found.ok
    assert "crashed" in found.measured
    read, refused, escaped, _ = descriptions._read_all(300)
    assert min(read, refused) > 10
    assert escaped == 0
    good = lsl.parse_description
    whole = descriptions._whole().encode()
    monkeypatch.setattr(
        lsl, "parse_description", lambda xml: good(xml) if xml == whole else int("no")
    )
    assert descriptions._read_all(10)[2] >= 9


def test_row_19_sees_what_stays_open(scale, monkeypatch):
    recovering, failed, _, threads = cycles._cycle(scale.model, 6)
    assert (recovering, failed) == (3, 0)
    assert threads <= 2
    sources: list[SupervisedSource] = []
    close = SupervisedSource.close
    monkeypatch.setattr(SupervisedSource, "close", lambda source: sources.append(source) or None)
    left = cycles._cycle(scale.model, 6)[3]
    for source in sources:
        close(source)
    assert left > 2


def test_row_18_sees_growth_and_open_files():
    steady = tuple(Reading(h / 10, 100.0, 5, 3) for h in range(1, 11))
    assert slope(steady) == pytest.approx(0)
    assert endurance._changes(steady) == 0
    growing = tuple(Reading(h / 10, 100.0 + h, 5, 3) for h in range(1, 11))
    assert slope(growing) == pytest.approx(10)
    once = tuple(Reading(h / 10, 100.0 + 9 * (h > 4), 5, 3) for h in range(1, 11))
    assert slope(once) == pytest.approx(0)
    leaking = (*steady, Reading(1.1, 100.0, 6, 3))
    assert endurance._changes(leaking) == 1


def test_soak_counts_what_it_decides(scale):
    heard: list[float] = []
    found = soak(scale.model, 0.001, 6, heard.append)
    assert found.health.decisions == found.health.expected == 1 + (7200 - 200) // 20
    assert found.missed == 0
    assert len(found.readings) == len(heard) == 6
    assert found.readings[0].mib > 10


WHOLE = {
    "slots": [f"slot {i}" for i in range(30)],
    "dialogs": ["SourceDialog"],
    "lost": 0,
    "missed": 0,
    "frames_after": 9,
    "phase": "running",
}


@pytest.mark.parametrize(
    "broken",
    [
        {"lost": 1},
        {"slots": ["one"]},
        {"frames_after": 0},
        {"phase": "failed"},
    ],
)
def test_row_20_sees_a_window_that_gave_in(broken):
    assert windows.judge(WHOLE, 2.0).ok
    assert not windows.judge(WHOLE | broken, 2.0).ok
    assert not windows.judge({}, 2.0).ok
