"""Rows 8 and 10: samples that are none, and the same samples in other chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semgfin_rt.app.faults.device import pattern
from semgfin_rt.app.faults.devices import Devices
from semgfin_rt.app.faults.finding import Finding, Scale
from semgfin_rt.app.faults.listening import Listening, fresh_pipeline
from semgfin_rt.contracts import Chunk, Decision, FloatArray, State
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint_folder import load_contract

RAIL_V = 0.011
"""Input range of Delsys Trigno sensors (11 or 22 mV; user's guide MAN-039), at least its end."""
_KINDS = ("NaN", "Inf", "rail", "flat")
_CLEAN_S = 0.2  # before, and after a window
_LOOKS = 10  # a long fault is looked at every so many hops
_LARGEST = 500  # samples of a chunk


# ------------------------------------------------------------------------------- row 8
@dataclass
class Windows:
    """What became of the windows around the faults of one kind.

    Attributes
    ----------
    affected, trusted : int
        Windows with a bad sample, and those of them that were VALID all the same.
    later, spoiled : int
        Windows after the fault, and those that were not VALID, or not what they would have been.
    """

    affected: int = 0
    trusted: int = 0
    later: int = 0
    spoiled: int = 0


def spoiled(scale: Scale) -> Finding:
    """Put bad samples into one channel, and into all of them."""
    contract = load_contract(scale.model)
    every = list(range(len(contract.channels)))
    cases = [(s, channels) for s in (1 / contract.rate, 0.01, 0.1) for channels in ([0], every)]
    cases += [(1.0, every), (10.0, [0])]
    if scale.long:
        cases += [(1.0, [channel]) for channel in every] + [(10.0, every)]
    found = {kind: Windows() for kind in _KINDS}
    for length_s, channels in cases:
        judge = _Judge(scale.model, contract, length_s)
        for kind, windows in found.items():
            judge(kind, channels, windows)
    told = ", ".join(
        f"{kind} {100 * (1 - w.trusted / w.affected):.4g} % of {w.affected}"
        for kind, w in found.items()
    )
    after = sum(w.spoiled for w in found.values())
    total = sum(w.later for w in found.values())
    trusted = sum(w.trusted for w in found.values())
    why = " (what is flat for less than 20 ms, so far, looks like signal)" * bool(trusted)
    return Finding(
        f"not VALID: {told}{why}; {after} of {total} windows after it spoiled",
        not trusted and not after,
        {f"trusted_{kind}": w.trusted for kind, w in found.items()} | {"spoiled_later": after},
    )


class _Judge:
    """Judges what a fault of some length does to the decisions around it."""

    def __init__(self, model: Path, contract: ModelContract, length_s: float) -> None:
        rate, hop = contract.rate, contract.hop
        self._model, self._window, self._hop = model, contract.window, hop
        self._hops = _LOOKS if length_s > 1 else 1
        # It ends with a hop, so that what follows has the windows of a signal that begins there.
        self._stop = -(-round((_CLEAN_S + length_s) * rate) // hop) * hop
        self._start = self._stop - round(length_s * rate)
        n = self._stop + round(_CLEAN_S * rate) + contract.window
        self._clean = pattern(1, len(contract.channels))[:n]
        afresh = _decide(model, self._clean[self._stop :], [hop])
        self._afresh = {d.sample + self._stop: d for d in afresh}

    def __call__(self, kind: str, channels: list[int], windows: Windows) -> None:
        """Put a fault of this kind into these channels, and count."""
        samples = self._clean.copy()
        last = samples[self._start - 1, channels]
        samples[self._start : self._stop, channels] = _bad(kind, last)
        decided = _decide(self._model, samples, [self._hop * self._hops], newest_only=True)
        begins = [d.sample + 1 - self._window for d in decided]
        valid = [d.movements[0].state is State.VALID for d in decided]
        bad = [
            d.sample >= self._start and begin < self._stop
            for d, begin in zip(decided, begins, strict=True)
        ]
        trusted = sum(v for v, b in zip(valid, bad, strict=True) if b)
        seen = trusted < sum(bad)  # then the filter started afresh behind it
        windows.affected += sum(bad)
        windows.trusted += trusted
        for decision, begin, good in zip(decided, begins, valid, strict=True):
            if begin >= self._stop:
                windows.later += 1
                same = not seen or _same(decision, self._afresh[decision.sample])
                windows.spoiled += not (good and same)


def _bad(kind: str, last: FloatArray) -> FloatArray:
    if kind == "flat":
        return last
    value = {"NaN": np.nan, "Inf": np.inf, "rail": RAIL_V}[kind]
    return np.full(last.shape, value, np.float32)


# ------------------------------------------------------------------------------ row 10
def ragged(scale: Scale) -> Finding:
    """Decide on the same samples in chunks of all sizes, from memory and through LSL."""
    contract = load_contract(scale.model)
    seconds, feeds = scale.pick((3.0, 5), (20.0, 50))
    samples = pattern(1, len(contract.channels))[: round(seconds * contract.rate)]
    rng = np.random.default_rng(0)
    reference = _decide(scale.model, samples, [1])
    wrong = compared = 0
    for _ in range(feeds):
        sizes = rng.integers(1, _LARGEST + 1, len(samples)).tolist()
        wrong += _differences(_decide(scale.model, samples, sizes), reference)
        compared += len(reference)
    with Devices(contract) as devices:
        devices.start(ragged=True)
        with Listening(scale.model, devices.manner.source_id) as heard:
            heard.go_on(seconds)
            lost = heard.health.lost
    came = np.concatenate([h.chunk.samples for h in heard.heard])
    reference = _decide(scale.model, came, [1])
    live = [p.decision for p in heard.published if not p.is_stale]
    known = {d.sample: d for d in reference}
    wrong += sum(not _same(d, known[d.sample]) for d in live)
    return Finding(
        f"{wrong} of {compared} decisions from memory and {len(live)} through LSL differ; "
        f"{lost} samples lost",
        wrong == lost == 0 and len(live) > 0,
        {"different": wrong, "compared": compared + len(live)},
    )


def _differences(decided: Sequence[Decision], reference: Sequence[Decision]) -> int:
    pairs = zip(decided, reference, strict=False)
    return sum(not _same(a, b) for a, b in pairs) + abs(len(decided) - len(reference))


def _same(a: Decision, b: Decision) -> bool:
    """Whether two decisions agree in every bit of what was computed."""
    return a.features.tobytes() == b.features.tobytes() and all(
        m.label == n.label and m.probabilities.tobytes() == n.probabilities.tobytes()
        for m, n in zip(a.movements, b.movements, strict=True)
    )


def _decide(
    model: Path, samples: FloatArray, sizes: Sequence[int], *, newest_only: bool = False
) -> list[Decision]:
    """Push samples in chunks of these sizes, over and over, through a pipeline of its own."""
    push = fresh_pipeline(model).pipeline.push
    return [d for chunk in _chunks(samples, sizes) for d in push(chunk, newest_only=newest_only)]


def _chunks(samples: FloatArray, sizes: Sequence[int]) -> Iterator[Chunk]:
    first = turn = 0
    while first < len(samples):
        part = samples[first : first + sizes[turn % len(sizes)]]
        yield Chunk(part, first, np.zeros(len(part)))
        first, turn = first + len(part), turn + 1
