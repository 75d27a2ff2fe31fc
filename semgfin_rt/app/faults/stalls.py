"""Rows 4 and 12: a reader that stands still for longer than the buffers, or than a hop."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from semgfin_rt import lsl
from semgfin_rt.app.faults.devices import Devices
from semgfin_rt.app.faults.finding import Finding, Scale, Spread
from semgfin_rt.app.faults.listening import Listening, Trace
from semgfin_rt.contracts import Chunk
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.recordings.xdf import read_with_stretches

FRESH_MS, CAUGHT_UP_S = 50.0, 0.1
_WARM_S = 0.5


# ------------------------------------------------------------------------------- row 4
def overflowed(scale: Scale) -> Finding:
    """Read nothing for longer than liblsl keeps samples, while recording."""
    contract = load_contract(scale.model)
    trace = Trace(1, len(contract.channels))
    buffer_s, pauses_s = scale.pick((1, (2.5, 3.5)), (60, (75.0,)))
    with tempfile.TemporaryDirectory() as folder, Devices(contract) as devices:
        path = Path(folder) / "gap.xdf"
        devices.start()
        source_id = devices.manner.source_id
        with Listening(scale.model, source_id, record=path, buffer_s=buffer_s) as heard:
            heard.until_told("Recording into")
            for pause_s in pauses_s:
                heard.go_on(_WARM_S)
                time.sleep(pause_s)
            heard.go_on(_WARM_S)
            lost = heard.health.lost
        live = trace.gaps(h.chunk for h in heard.heard)
        in_file = trace.gaps(recorded_chunks(path))
    true = sum(missing for _, missing in live)
    told = sum(event.kind == "loss" for event in heard.events)
    marked = sum(said for said, _ in in_file)
    wrong = [gap for gap in live + in_file if gap[0] != gap[1]]
    return Finding(
        f"{lost} samples counted as lost, {true} were, {marked} marked in the file, in "
        f"{len(pauses_s)} gaps of which {told} were told",
        lost == true == marked and not wrong and len(live) == len(in_file) == len(pauses_s) <= told,
        {"lost": true, "counted": lost, "marked": marked},
    )


def recorded_chunks(path: Path) -> list[Chunk]:
    """Return the stretches of a session as chunks."""
    recording, stretches = read_with_stretches(path)
    rows = [s.row for s in stretches[1:]] + [len(recording.samples)]
    return [
        Chunk(
            recording.samples[s.row : stop],
            s.sample,
            np.zeros(stop - s.row),
            s.lost,
        )
        for s, stop in zip(stretches, rows, strict=True)
    ]


# ------------------------------------------------------------------------------ row 12
class Stall:
    """Makes the decider stand still once, in the midst of a decision."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.over = 0.0
        """LSL clock when it went on."""

    def __call__(self, stage: str) -> None:
        """Stand still, if it is time."""
        if self.seconds and stage == "fin":
            time.sleep(self.seconds)
            self.seconds, self.over = 0.0, lsl.local_clock()


def stalled(scale: Scale) -> Finding:
    """Let one decision take far too long."""
    contract = load_contract(scale.model)
    trace, stall = Trace(1, len(contract.channels)), Stall()
    caught_up_s: list[float] = []
    with Devices(contract) as devices:
        devices.start()
        with Listening(scale.model, devices.manner.source_id, on_stage=stall) as heard:
            for seconds in scale.pick((0.5, 2.0, 0.5), (0.5, 1.0, 3.0, 10.0) * 5):
                heard.go_on(_WARM_S)
                stall.seconds = seconds
                caught_up_s.append(_until_fresh(heard, stall))
            heard.go_on(_WARM_S)
            gaps = trace.gaps(h.chunk for h in heard.heard)
            health = heard.health
    missed = health.expected - health.decisions - health.skipped
    caught_up = Spread.of([1000 * s for s in caught_up_s])
    return Finding(
        f"{health.lost} samples lost, {health.skipped} windows skipped and {missed} not accounted "
        f"for; age <= {FRESH_MS:g} ms after {caught_up.text('ms')} in {len(caught_up_s)} stalls",
        health.lost == missed == 0
        and not gaps
        and health.skipped > 0
        and caught_up.worst <= 1000 * CAUGHT_UP_S,
        {
            "lost": health.lost,
            "skipped": health.skipped,
            "unaccounted": missed,
            "caught_up_ms_worst": caught_up.worst,
        },
    )


def _until_fresh(heard: Listening, stall: Stall) -> float:
    """Go on until a decision after the stall is young; return how long that took, in s."""
    before = stall.over

    def fresh() -> list[float]:
        return [
            p.at
            for p in heard.published[-50:]
            if stall.over > before and p.at > stall.over and p.decision.age_ms <= FRESH_MS
        ]

    heard.until(fresh, "a decision on fresh samples")
    return fresh()[0] - stall.over
