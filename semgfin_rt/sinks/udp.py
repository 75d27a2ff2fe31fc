"""Decisions as JSON over UDP: one datagram a decision, UTF-8, for programs without LSL.

The object in a datagram::

    {"sample": 57599,           index of the window's newest sample
     "time": 12345.678901,      LSL clock of that sample, in s
     "age_ms": 1.25,            its age when the decision was published
     "horizons": [              ascending; the present first, where the checkpoint has it
       {"horizon_ms": 0,
        "label": 6,             -1 where there is none
        "name": "fist",         "-" where there is none
        "confidence": 0.93,     of the most probable class
        "state": "VALID",       VALID, HOLD, REJECT or STALE
        "probabilities": {"0": 0.02, "6": 0.93, ...}}]}    by label

Probabilities are rounded to 6 decimals; a number that is not finite is null. Stale decisions have
the same form, and their age says how stale. A listener that is not there, or slow, loses datagrams
and is otherwise not noticed: nothing here blocks. The order and the arrival of datagrams are UDP's,
so a listener looks at `sample`.
"""

from __future__ import annotations

import json
import math
import socket
from typing import Any

from semgfin_rt.contracts import Decision, Movement
from semgfin_rt.errors import OptionError
from semgfin_rt.model_contract import ModelContract


class UdpSink:
    """Send every decision as a datagram.

    Parameters
    ----------
    contract : ModelContract
    port : int
        Of this machine: decisions go nowhere else.

    Attributes
    ----------
    dropped : int
        Datagrams that the operating system did not take.

    Raises
    ------
    OptionError
        If there is no such port.
    """

    def __init__(self, contract: ModelContract, port: int) -> None:
        if not 1 <= port <= 65_535:
            raise OptionError(f"UDP port {port} does not exist: give 1 to 65535.")
        self.dropped = 0
        self._labels = [str(c.id) for c in contract.classes]
        self._contract = contract
        self._address = "127.0.0.1", port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def write(self, decision: Decision) -> None:
        """Send one decision; after `close`, none."""
        try:
            self._socket.sendto(self.encode(decision), self._address)
        except OSError:  # a full buffer, a network that is down, a socket that is closed
            self.dropped += 1

    def close(self) -> None:
        """Close the socket. May be called again."""
        self._socket.close()

    def encode(self, decision: Decision) -> bytes:
        """Return the datagram of a decision."""
        told = {
            "sample": decision.sample,
            "time": _number(decision.time),
            "age_ms": _number(decision.age_ms),
            "horizons": [self._horizon(movement) for movement in decision.movements],
        }
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()

    def _horizon(self, movement: Movement) -> dict[str, Any]:
        probabilities = map(_number, movement.probabilities.tolist())
        return {
            "horizon_ms": movement.horizon_ms,
            "label": movement.label,
            "name": self._contract.class_name(movement.label),
            "confidence": _number(movement.confidence),
            "state": str(movement.state),
            "probabilities": dict(zip(self._labels, probabilities, strict=True)),
        }


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None  # JSON knows no NaN
