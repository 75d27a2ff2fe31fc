"""Rows 1, 2, 4, 5 and 6: a source that is killed, frozen, too far behind, imitated, or changed."""

from __future__ import annotations

from typing import Any

from semgfin_rt import lsl
from semgfin_rt.app.faults.devices import Devices
from semgfin_rt.app.faults.finding import Finding, Scale, Spread
from semgfin_rt.app.faults.listening import Listening, Trace
from semgfin_rt.contracts import STALE_MS
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.sources.gaps import GAP_S

BACK_S, ALERT_S, REFUSED_S = 0.25, 1.0, 2.0
_WARM_S = 0.4  # more than a window, so that something was decided


def until_stale(heard: Listening) -> float:
    """Go on until the first decision that is stale; return the age of its newest sample, in ms."""
    before = len(heard.published)
    heard.until(lambda: any(p.is_stale for p in heard.published[before:]), "a STALE decision")
    newest = heard.heard[-1].chunk.times[-1]
    at = next(p.at for p in heard.published[before:] if p.is_stale)
    return 1000 * (at - float(newest))


# ------------------------------------------------------------------------------- row 1
def killed(scale: Scale) -> Finding:
    """Kill the source and start it again, with a counter channel and without."""
    contract = load_contract(scale.model)
    trace = Trace(1, len(contract.channels))
    stale_ms: list[float] = []
    back_s: list[float] = []
    errors: dict[bool, list[int]] = {True: [], False: []}
    with Devices(contract) as devices:
        for counter, repetitions in ((True, scale.pick(5, 100)), (False, scale.pick(3, 20))):
            device = devices.start(counter=counter)
            with Listening(scale.model, devices.manner.source_id) as heard:
                for i in range(repetitions):
                    heard.go_on(_WARM_S)
                    device.kill()
                    stale_ms.append(until_stale(heard))
                    heard.go_on(0.1 * (i % 5))
                    device = devices.start(counter=counter)
                    back_s.append(until_samples(heard, device.up))
                heard.go_on(_WARM_S)
                gaps = trace.gaps(h.chunk for h in heard.heard)
            device.kill()
            errors[counter] = [abs(said - true) for said, true in gaps]
            if len(gaps) != repetitions:
                errors[counter].append(round(contract.rate))
    bound = round(GAP_S * contract.rate)
    stale, back = Spread.of(stale_ms), Spread.of(back_s)
    counted, estimated = max(errors[True]), max(errors[False])
    return Finding(
        f"STALE after {stale.text('ms', 1)}; samples {back.text('s', 3)} after it was up; gap off "
        f"by {counted} samples with the counter, by {estimated} (bound {bound}) without, in "
        f"{len(back_s)} restarts",
        stale.worst <= STALE_MS and back.worst <= BACK_S and counted == 0 and estimated <= bound,
        {
            "stale_ms_worst": stale.worst,
            "back_s_median": back.median,
            "back_s_worst": back.worst,
            "gap_error_counted": counted,
            "gap_error_estimated": estimated,
        },
    )


def until_samples(heard: Listening, since: float) -> float:
    """Go on until samples come; return how long after `since` (LSL clock) that was, in s."""
    n = len(heard.heard)
    heard.until(lambda: len(heard.heard) > n, "a sample")
    return heard.heard[n].at - since


# ------------------------------------------------------------------------------- row 2
def frozen(scale: Scale) -> Finding:
    """Stop the source for a while; it then sends what has become due."""
    contract = load_contract(scale.model)
    trace = Trace(1, len(contract.channels))
    stale_ms: list[float] = []
    with Devices(contract) as devices:
        device = devices.start(counter=False)
        with Listening(scale.model, devices.manner.source_id) as heard:
            for pause_s in scale.pick((1.0, 2.0), (1.0, 3.0, 10.0, 30.0)):
                heard.go_on(_WARM_S)
                device.freeze()
                began = lsl.local_clock()
                stale_ms.append(until_stale(heard))
                heard.go_on(began + pause_s - lsl.local_clock())
                device.thaw()
                until_samples(heard, 0.0)
            heard.go_on(2 * _WARM_S)
            gaps = trace.gaps(h.chunk for h in heard.heard)
            lost = heard.health.lost
    stale = Spread.of(stale_ms)
    return Finding(
        f"STALE after {stale.text('ms', 1)}; {lost} samples lost in {len(stale_ms)} freezes",
        stale.worst <= STALE_MS and lost == 0 and not gaps,
        {"stale_ms_worst": stale.worst, "lost": lost},
    )


# ------------------------------------------------------------------------------- row 5
def imitated(scale: Scale) -> Finding:
    """Start another stream of the same identity beside the source, then kill the source."""
    contract = load_contract(scale.model)
    trace = Trace(1, len(contract.channels))
    alert_s: list[float] = []
    foreign = silent = 0
    for _ in range(scale.pick(3, 50)):
        with Devices(contract) as devices:
            device = devices.start()
            with Listening(scale.model, devices.manner.source_id) as heard:
                heard.go_on(_WARM_S)
                rogue = devices.start(seed=2)
                alert_s.append(heard.until_told("another stream").time - rogue.up)
                device.kill()
                heard.go_on(1.0)
                silent += heard.event("confirm the source") is None
                foreign += sum(trace.foreign(h.chunk.samples) for h in heard.heard)
    alert = Spread.of(alert_s)
    return Finding(
        f"{foreign} foreign samples used; alert after {alert.text('s', 2)}, and asked for a word "
        f"in {len(alert_s) - silent} of {len(alert_s)} take-overs",
        foreign == 0 and not silent and alert.worst <= ALERT_S,
        {"foreign": foreign, "alert_s_worst": alert.worst},
    )


# ------------------------------------------------------------------------------- row 6
def changed(scale: Scale) -> Finding:
    """Kill the source and start one that has another channel count, rate or format."""
    contract = load_contract(scale.model)
    trace = Trace(1, len(contract.channels))
    changes: dict[str, tuple[dict[str, Any], str]] = {
        "channels": ({"channels": contract.channels[:-1]}, "channels, not"),
        "rate": ({"rate": contract.rate / 2}, "Hz, not"),
        "format": ({"format": "int16"}, "as LSL format, not"),
    }
    refused_s: dict[str, list[float]] = {what: [] for what in changes}
    foreign = 0
    for _ in range(scale.pick(1, 20)):
        for what, (change, reason) in changes.items():
            with Devices(contract) as devices:
                device = devices.start()
                with Listening(scale.model, devices.manner.source_id) as heard:
                    heard.go_on(_WARM_S)
                    device.kill()
                    until_stale(heard)
                    other = devices.start(**change, seed=2)
                    refusal = heard.until_told("refused", reason)
                    refused_s[what].append(refusal.time - other.up)
                    heard.go_on(0.3)
                    foreign += sum(trace.foreign(h.chunk.samples) for h in heard.heard)
    worst = {what: max(seconds) for what, seconds in refused_s.items()}
    told = ", ".join(f"{what} {s:.2f} s" for what, s in worst.items())
    return Finding(
        f"refused with the reason, at worst after: {told}; {foreign} samples of it used",
        max(worst.values()) <= REFUSED_S and foreign == 0,
        {f"refused_s_{what}": s for what, s in worst.items()},
    )
