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

import ipaddress
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
    host : str
        This machine, unless `lan`.
    lan : bool
        The host may be another machine.

    Attributes
    ----------
    dropped : int
        Datagrams that the operating system did not take.

    Raises
    ------
    OptionError
        If the port or the host cannot be used.
    """

    def __init__(
        self, contract: ModelContract, port: int, host: str = "127.0.0.1", *, lan: bool = False
    ) -> None:
        self.dropped = 0
        self._labels = [str(c.id) for c in contract.classes]
        self._contract = contract
        family, self._address = _resolve(host, port, lan)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
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


def _resolve(host: str, port: int, lan: bool) -> tuple[socket.AddressFamily, Any]:
    if not 1 <= port <= 65_535:
        raise OptionError(f"UDP port {port} does not exist: give 1 to 65535.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise OptionError(
            f"the UDP host '{host}' is not known: give 127.0.0.1, or the address of a machine."
        ) from error
    # Where a name has both, IPv4: listeners bind to 127.0.0.1.
    family, *_, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    if not lan and not ipaddress.ip_address(address[0]).is_loopback:
        raise OptionError(
            f"the UDP host '{host}' is another machine, which would see every decision: give "
            "127.0.0.1, or allow the network with --lan."
        )
    return family, address
