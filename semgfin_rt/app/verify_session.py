"""Whether a recorded session decides again as it was published live.

The recorded samples go through the pipeline of the same checkpoint with the recorded policy, which
passes over the windows that were passed over live: they took no part in votes and hysteresis. Each
decision is compared, to the bit, with the first that was published on its window. What began in the
middle of a stream cannot be repeated (the filter's memory and the place of the hops are not in the
file): there, only what follows on a loss is compared.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from semgfin_rt.app.verify import Comparison
from semgfin_rt.contracts import Chunk, Decision, FloatArray, State
from semgfin_rt.decision import PolicySpec
from semgfin_rt.engine.build import build_pipeline
from semgfin_rt.errors import OptionError
from semgfin_rt.nn.checkpoint_folder import sha256
from semgfin_rt.pipeline import Pipeline
from semgfin_rt.recordings.cutting import cut_beginning
from semgfin_rt.recordings.xdf import Stretch, read_with_stretches
from semgfin_rt.recordings.xdf_file import read_contents
from semgfin_rt.sinks.lsl import STREAM_TYPE
from semgfin_rt.sinks.session import RecordedDecisions, read_decisions
from semgfin_rt.train.loop import Progress

_FROM_THE_MIDDLE = (
    "The recording began in the middle of a stream: up to its first loss nothing can be repeated."
)


def is_session(path: Path) -> bool:
    """Whether it is a file of this program with decisions.

    Raises
    ------
    RecordingError
        If it is an .xdf file that cannot be read.
    """
    if path.suffix.lower() != ".xdf":
        return False
    contents = read_contents(path)
    return contents.session is not None and bool(contents.of_type(STREAM_TYPE))


def verify_session(
    model: Path,
    path: Path,
    backend: str = "auto",
    seconds: float | None = None,
    report: Progress = lambda *_: None,
) -> Comparison:
    """Compare the recorded decisions with those of a rerun.

    Parameters
    ----------
    model : Path
        Folder of the checkpoint that decided.
    path : Path
        A session (.xdf) of this program.
    backend : {"auto", "onnx", "torch", "cuda"}
        The bits are the same only on the backend of the session.
    seconds : float, optional
        Of the recorded signal; all of it by default.
    report : callable
        Told ("verify", done, of how many, 0.0).

    Raises
    ------
    RecordingError
        If the session cannot be read or holds no decisions.
    OptionError
        If another checkpoint decided, or nothing can be compared.
    """
    (recording, stretches), groups = read_with_stretches(path), read_decisions(path)
    group = groups[0]
    if group.checkpoint_sha256 != sha256(model):
        raise OptionError(
            f"'{path}' was decided by a checkpoint of SHA-256 {group.checkpoint_sha256[:12]}, and "
            f"'{model}' has {sha256(model)[:12]}: give that checkpoint."
        )
    built = build_pipeline(model, backend, _policy(group.policy))
    found = Comparison(built.backend, notes=list(built.notes))
    if len(groups) > 1:
        found.notes.append("Policy or checkpoint were changed: compared until the first change.")
    published = _published(group, groups[1:])
    newest = sorted(published)
    if seconds is not None:
        recording = cut_beginning(recording, round(seconds * recording.spec.rate))
    stretches = [s for s in stretches if s.row < len(recording.samples)]
    edges = [*(s.row for s in stretches), len(recording.samples)]
    for number, stretch in enumerate(stretches):
        if number == 0 and stretch.sample != 0:
            found.notes.append(_FROM_THE_MIDDLE)
            continue
        samples = recording.samples[edges[number] : edges[number + 1]]
        for decision in _decided(built.pipeline, samples, stretch, number > 0, newest):
            _compare(found, decision, published[decision.sample])
            if found.compared % 100 == 0:
                report("verify", found.compared, len(published), 0.0)
    report("verify", found.compared, found.compared, 0.0)
    if not found.compared:
        where = "" if seconds is None else f" in its first {seconds:g} s"
        fix = "record from the start of a stream" if seconds is None else "give it more --seconds"
        raise OptionError(f"'{path}' holds no decision that can be repeated{where}: {fix}.")
    return found


def _policy(fields: Mapping[str, Any]) -> PolicySpec:
    thresholds = tuple((int(c), float(p)) for c, p in fields.get("thresholds", ()))
    return PolicySpec(**{**fields, "thresholds": thresholds})


def _published(group: RecordedDecisions, later: Sequence[RecordedDecisions]) -> dict[int, Decision]:
    """First decision on each window, before the first change of policy or checkpoint."""
    until = min((d.sample for g in later for d in g.decisions), default=None)
    published: dict[int, Decision] = {}
    for decision in group.decisions:
        if until is None or decision.sample < until:
            published.setdefault(decision.sample, decision)  # stale ones repeat it
    return published


def _decided(
    pipeline: Pipeline,
    samples: FloatArray,
    stretch: Stretch,
    after_loss: bool,
    newest: Sequence[int],
) -> Iterator[Decision]:
    """Decide again on the windows of a stretch that end at `newest`, and on no other."""
    times = np.arange(len(samples)) / pipeline.contract.rate
    begin = bisect_left(newest, stretch.sample)
    end = bisect_left(newest, stretch.sample + len(samples))
    done, lost = 0, int(after_loss)
    for sample in newest[begin:end]:
        stop = sample + 1 - stretch.sample
        chunk = Chunk(samples[done:stop], stretch.sample + done, times[done:stop], lost)
        for decision in pipeline.push(chunk, newest_only=True):
            if decision.sample == sample:
                yield decision
        done, lost = stop, 0


def _compare(found: Comparison, decision: Decision, was: Decision) -> None:
    found.compared += 1
    again = {m.horizon_ms: m for m in decision.movements}
    for movement in was.movements:
        now = again[movement.horizon_ms]
        stale = movement.state is State.STALE  # the transport's word, not the policy's
        same = np.array_equal(now.probabilities, movement.probabilities) and (
            stale or (now.label, now.state) == (movement.label, movement.state)
        )
        if not same:
            found.different += 1
            found.first = found.first or {
                "sample": was.sample,
                "horizon_ms": movement.horizon_ms,
                "label": now.label,
                "published_label": movement.label,
                "largest": float(np.abs(now.probabilities - movement.probabilities).max()),
            }
            return
