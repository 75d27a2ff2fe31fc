"""Decisions as an LSL stream of numbers that describes itself, and the way back.

A row holds the sample index, the age in ms, and for each horizon the label, the confidence, the
code of the state and the probability of each class. Its LSL timestamp is that of the newest sample
of the window, so a recorder aligns it with the signal. Nothing here blocks: liblsl's own thread
sends.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from semgfin_rt import lsl
from semgfin_rt.contracts import Decision, Movement, State
from semgfin_rt.errors import StreamError
from semgfin_rt.model_contract import ModelContract

STREAM_TYPE = "Movement"
_NAME = "semgfin decisions"
_STATES = tuple(State)  # the code of a state is its place in here
_HEAD = 2  # sample, age_ms
_FIXED = 3  # label, confidence, state of a horizon


@dataclass(frozen=True)
class DecisionLayout:
    """What the columns of a row mean.

    Attributes
    ----------
    horizons_ms : tuple of int
    class_ids : tuple of int
    class_names : tuple of str
    """

    horizons_ms: tuple[int, ...]
    class_ids: tuple[int, ...]
    class_names: tuple[str, ...]

    @classmethod
    def of(cls, contract: ModelContract, horizons_ms: tuple[int, ...] | None) -> DecisionLayout:
        """Return that of decisions by `contract`, on some of its horizons or all of them."""
        return cls(
            tuple(h for h in contract.horizons_ms if horizons_ms is None or h in horizons_ms),
            contract.class_ids,
            tuple(c.name for c in contract.classes),
        )

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Name of every column."""
        probabilities = tuple(f"p_{c}" for c in self.class_ids)
        per_horizon = ("label", "confidence", "state", *probabilities)
        named = (f"{column}@{ms}ms" for ms in self.horizons_ms for column in per_horizon)
        return ("sample", "age_ms", *named)

    def encode(self, decision: Decision) -> npt.NDArray[np.float64]:
        """Return the row of a decision, (n_columns,)."""
        row = np.empty(len(self.columns))
        row[:_HEAD] = decision.sample, decision.age_ms
        table = row[_HEAD:].reshape(len(self.horizons_ms), -1)  # (n_horizons, 3 + n_classes)
        for line, m in zip(table, decision.movements, strict=True):
            line[:_FIXED] = m.label, m.confidence, _STATES.index(m.state)
            line[_FIXED:] = m.probabilities
        return row

    def decode(self, row: npt.ArrayLike, time: float) -> Decision:
        """Return the decision of a row with LSL timestamp `time`: for clients of the stream.

        The features are not published: they come back as (n_horizons, 0, 0).
        """
        values = np.asarray(row, np.float64)
        sample, age_ms = values[:_HEAD].tolist()
        table = values[_HEAD:].reshape(len(self.horizons_ms), -1)  # (n_horizons, 3 + n_classes)
        probabilities = table[:, _FIXED:].astype(np.float32)
        movements = tuple(
            Movement(ms, int(label), confidence, p, _STATES[int(code)])
            for ms, (label, confidence, code), p in zip(
                self.horizons_ms, table[:, :_FIXED].tolist(), probabilities, strict=True
            )
        )
        features = np.empty((len(movements), 0, 0), np.float32)
        return Decision(int(sample), time, movements, features, age_ms)


class LslSink:
    """Publish every decision as a sample of an LSL stream.

    Parameters
    ----------
    contract : ModelContract
    source_id : str
        Must be unique: clients find the stream by it.
    horizons_ms : tuple of int, optional
        Those that the decisions carry; all of the contract's by default.
    """

    def __init__(
        self,
        contract: ModelContract,
        source_id: str,
        horizons_ms: tuple[int, ...] | None = None,
    ) -> None:
        self.layout = DecisionLayout.of(contract, horizons_ms)
        self._outlet: Any = lsl.api().StreamOutlet(_info(self.layout, source_id))

    def write(self, decision: Decision) -> None:
        """Publish one decision."""
        self._outlet.push_sample(self.layout.encode(decision).tolist(), decision.time)

    def close(self) -> None:
        """Withdraw the stream. May be called again."""
        self._outlet = None


def _info(layout: DecisionLayout, source_id: str) -> Any:
    columns = layout.columns
    # Irregular: windows may be skipped, and then the next decision is not one hop later.
    info = lsl.api().StreamInfo(_NAME, STREAM_TYPE, len(columns), 0.0, "double64", source_id)
    desc = info.desc()
    desc.append_child_value("manufacturer", "semgfin_rt")
    channels = desc.append_child("channels")
    for column in columns:
        channels.append_child("channel").append_child_value("label", column)
    desc.append_child_value("horizons_ms", json.dumps(layout.horizons_ms))
    classes = dict(zip(layout.class_ids, layout.class_names, strict=True))
    desc.append_child_value("classes", json.dumps(classes))
    desc.append_child_value("states", json.dumps({i: str(s) for i, s in enumerate(_STATES)}))
    return info


def read_layout(info: Any) -> DecisionLayout:
    """Read the layout of a decision stream from its full description (`StreamInlet.info()`).

    For clients, which then `DecisionLayout.decode` each row.

    Raises
    ------
    StreamError
        If it is not a stream of this program's decisions.
    """
    desc = info.desc()
    try:
        horizons = json.loads(desc.child_value("horizons_ms"))
        classes = {int(k): str(v) for k, v in json.loads(desc.child_value("classes")).items()}
        layout = DecisionLayout(tuple(map(int, horizons)), tuple(classes), tuple(classes.values()))
    except (ValueError, TypeError, AttributeError) as error:
        raise StreamError(
            f"the stream '{info.name()}' does not describe decisions: choose one that "
            "`semgfin-rt` publishes."
        ) from error
    if len(layout.columns) != info.channel_count():
        raise StreamError(
            f"the stream '{info.name()}' has {info.channel_count()} columns and describes "
            f"{len(layout.columns)}: it is of another version of semgfin-rt."
        )
    return layout
