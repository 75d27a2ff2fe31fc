"""Rows 9 and 11: a source whose clock is wrong, or drifts."""

from __future__ import annotations

from typing import Any

import numpy as np

from semgfin_rt.app.faults.devices import Devices
from semgfin_rt.app.faults.finding import Finding, Scale
from semgfin_rt.app.faults.listening import Listening, Trace
from semgfin_rt.contracts import SignalSpec
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.engine.ledger import Ledger
from semgfin_rt.lsl import StreamDescription
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.sources.clock import Timeline
from semgfin_rt.sources.inlet import Pulled
from semgfin_rt.sources.sequence import Sequencer

SLOPE_MS_PER_H = 0.1
KINDS: dict[str, dict[str, Any]] = {
    "+1 h": {"shift_s": 3600.0},
    "-1 h": {"shift_s": -3600.0},
    "-10 ms": {"shift_s": -0.010},
    "duplicate": {"repeat": True},
    "epoch": {"shift_s": 1.7e9},  # seconds since 1970
}
"""What is done to timestamps; see `Manner`."""
_WRONG_S, _WHOLE_S = (0.8, 1.3), 1.9
_DRIFTS = (200e-6, -200e-6)
_SHORT = (100.0, 20, 4.0)  # Hz, samples a pull, h: what drift does hangs on neither of the first
_SETTLED_S = 60.0  # of the simulated stream, until its drift is followed


# ------------------------------------------------------------------------------- row 9
def misdated(scale: Scale) -> Finding:
    """Send half a second of wrong timestamps, of each kind; without a counter they are all."""
    contract = load_contract(scale.model)
    trace = Trace(1, len(contract.channels))
    wrong: list[str] = []
    for counter in scale.pick((False,), (False, True)):
        for kind, change in KINDS.items():
            with Devices(contract) as devices:
                devices.start(counter=counter, wrong=_WRONG_S, **change)
                with Listening(scale.model, devices.manner.source_id) as heard:
                    heard.go_on(_WHOLE_S)
                    health = heard.health
            said = [e.text for e in heard.events]
            about = sum("timestamps" in text for text in said)
            seen = health.decisions + health.skipped
            exact = seen == health.expected == _windows(contract, health.received)
            if trace.gaps(h.chunk for h in heard.heard) or health.lost or not exact:
                wrong.append(f"{kind}: {health.lost} lost, {health.expected} windows")
            if about != 1:
                wrong.append(f"{kind}: {about} events ({'; '.join(said)})")
    return Finding(
        "; ".join(wrong) or f"window count exact and one event logged for {', '.join(KINDS)}",
        not wrong,
        {"kinds": len(KINDS), "wrong": len(wrong)},
    )


def _windows(contract: ModelContract, n_samples: int) -> int:
    return Windowing(contract.window, contract.hop).count(n_samples)


# ------------------------------------------------------------------------------ row 11
def drifting(scale: Scale) -> Finding:
    """Simulate hours of a stream whose clock drifts, with the jitter of a busy machine."""
    contract = load_contract(scale.model)
    rate, n_pull, hours = scale.pick(_SHORT, (contract.rate, contract.hop, 8.0))
    window = Windowing(contract.window // contract.hop, 1)
    if scale.long:
        window = Windowing(contract.window, contract.hop)
    found = {drift: _simulate(rate, n_pull, hours, drift, window) for drift in _DRIFTS}
    slopes = [slope for slope, _ in found.values()]
    off = sum(windows for _, windows in found.values())
    told = ", ".join(f"{1e6 * d:+.0f} ppm: {s:+.3f} ms/h" for d, (s, _) in found.items())
    return Finding(
        f"{told}; {off} windows too many or too few, in {hours:g} h each at {rate:g} Hz",
        all(abs(s) < SLOPE_MS_PER_H for s in slopes) and not off,
        {"slope_ms_per_h_worst": max(map(abs, slopes)), "windows_off": off},
    )


def _simulate(
    rate: float, n_pull: int, hours: float, drift: float, windowing: Windowing
) -> tuple[float, int]:
    """Return the slope of the latency, in ms/h, and how many windows there were too many or few."""
    begin, n_pulls = 1e5, round(3600 * hours * rate / n_pull)
    rng = np.random.default_rng(0)
    made = begin + np.arange(1, n_pulls + 1) * n_pull / rate
    arrived = np.maximum.accumulate(made + 0.0005 + rng.exponential(0.001, n_pulls))
    stamps = begin + (made - begin) * (1 + drift)  # what the device takes a second for
    before_s = np.arange(1 - n_pull, 1) / rate
    timeline, ledger = Timeline(rate, begin), Ledger(windowing)
    sequence = Sequencer(StreamDescription(SignalSpec(("emg",), rate, "V")))  # no counter
    nothing = np.zeros((n_pull, 1), np.float32)
    latency_ms = np.empty(n_pulls)
    for i, (stamp, now) in enumerate(zip(stamps.tolist(), arrived.tolist(), strict=True)):
        times, _ = timeline.place(stamp + before_s, now)
        sequence.put(Pulled(nothing, times, None))
        while len(sequence):
            ledger.take(sequence.take(None))
        latency_ms[i] = 1000 * (now - times[-1])
    since = round(_SETTLED_S * rate / n_pull)
    slope = np.polyfit((made[since:] - begin) / 3600, latency_ms[since:], 1)[0]
    return float(slope), abs(ledger.health(0).expected - windowing.count(n_pulls * n_pull))
