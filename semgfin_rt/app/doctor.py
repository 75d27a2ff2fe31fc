"""Why a stream is not found, or found by others: what this machine has, one finding a line."""

from __future__ import annotations

import os
import platform
import socket
import uuid
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import psutil

from semgfin_rt import lsl
from semgfin_rt.contracts import SignalSpec
from semgfin_rt.texts import printable

Level: TypeAlias = Literal["ok", "warn", "bad"]

MULTICAST_PORT = 16571
"""UDP; a stream is asked for here. liblsl's default, as are the data ports."""
DATA_PORTS = range(16572, 16604)
"""UDP and TCP; an outlet takes the next free one, or two with IPv6."""
_FEW_PORTS = 4
_TUNNELS = ("tun", "tap", "wg", "ppp", "utun", "docker", "br-", "veth")
_LOOP_S = 3.0
PROBE = "semgfin-doctor-"
"""What the source_id of its own stream begins with."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    what : str
    level : {"ok", "warn", "bad"}
    text : str
        What was found, and what to do where it is not as it should be.
    """

    what: str
    level: Level
    text: str


def examine(look_s: float = 1.0) -> list[Finding]:
    """Look at everything that finding a stream depends on; takes `look_s` and about a second.

    LSL must have been configured (`lsl.configure`), which decides the scope.
    """
    return [*examine_machine(), _streams(look_s)]


def examine_machine() -> list[Finding]:
    """Look at the same without looking for the streams of others.

    Takes about a second, or 3 s where this machine is blocked.

    Raises
    ------
    StreamError
        If a stream of our own is found and does not answer.
    """
    return [_library(), _security(), _scope(), *_interfaces(), _ports(), _loopback()]


def _library() -> Finding:
    pylsl = lsl.api()
    versions = f"liblsl {pylsl.library_version() / 100:g}, pylsl {pylsl.__version__}"
    machine = f"{platform.system()} on {os.cpu_count()} cores"
    return Finding("library", "ok", f"{versions}, {machine}.")


def _security() -> Finding:
    # Secure LSL names itself in its library info; plain liblsl neither encrypts nor authenticates.
    if "security" in lsl.api().library_info().lower():
        return Finding("security", "ok", "this liblsl is built with security: see its own check.")
    advice = (
        "anyone on the network may read the signal and publish under its name: use a network of "
        "its own, or a liblsl with security (Secure LSL)."
        if lsl.uses_lan()
        else "nothing to do while streams stay on this machine."
    )
    return Finding(
        "security",
        "warn" if lsl.uses_lan() else "ok",
        f"this liblsl neither encrypts nor authenticates; {advice}",
    )


def _scope() -> Finding:
    file = os.environ.get("LSLAPICFG")
    if file:
        return Finding(
            "scope", "warn", f"LSLAPICFG is set: '{file}' decides where streams are looked for."
        )
    if lsl.uses_lan():
        return Finding("scope", "ok", "streams of the network are looked for (--lan).")
    return Finding(
        "scope",
        "ok",
        "streams of this machine only are looked for; `--lan` looks further. The data ports of "
        "outlets listen on every interface all the same: let the firewall close them.",
    )


def _interfaces() -> list[Finding]:
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    found = []
    for name, addresses in sorted(psutil.net_if_addrs().items()):
        own = [a.address for a in addresses if a.family == socket.AF_INET]
        if name not in up or not own:
            continue
        tunnel = name.startswith(_TUNNELS)
        advice = (
            "; a tunnel or bridge: multicast may leave by it and find no stream. Name the sender's "
            "address in KnownPeers of an lsl_api.cfg, or switch it off."
            if tunnel and lsl.uses_lan()
            else "."
        )
        level: Level = "warn" if tunnel and lsl.uses_lan() else "ok"
        found.append(Finding("interface", level, f"{name}: {', '.join(own)}{advice}"))
    return found or [Finding("interface", "bad", "no network interface is up, not even loopback.")]


def _ports() -> Finding:
    free = sum(map(_is_free, DATA_PORTS))
    text = f"{free} of {len(DATA_PORTS)} TCP data ports ({DATA_PORTS[0]}-{DATA_PORTS[-1]}) are free"
    if free >= _FEW_PORTS:
        return Finding(
            "ports",
            "ok",
            f"{text}; a firewall must let them and UDP {MULTICAST_PORT} through for --lan.",
        )
    return Finding("ports", "bad", f"{text}: end programs that hold streams open.")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _loopback() -> Finding:
    """Send a sample through a stream of our own."""
    source_id = f"{PROBE}{uuid.uuid4()}"
    spec = SignalSpec(("probe",), 100.0, "count")
    outlet = lsl.api().StreamOutlet(lsl.make_info("semgfin doctor", "EMG", source_id, spec))
    began = lsl.local_clock()
    found = lsl.find_streams(_LOOP_S, source_id=source_id)
    if not found:
        return Finding(
            "loopback",
            "bad",
            f"a stream of this program was not found within {_LOOP_S:g} s: a firewall or VPN "
            "blocks even this machine; allow UDP and TCP on 127.0.0.1.",
        )
    ms = 1000 * (lsl.local_clock() - began)
    inlet = lsl.open_inlet(found[0], 1)
    with lsl.answering("semgfin doctor", _LOOP_S):
        inlet.open_stream(timeout=_LOOP_S)
    outlet.push_chunk(np.ones((1, 1), np.float32))
    sample, _ = inlet.pull_sample(timeout=_LOOP_S)
    inlet.close_stream()
    if sample is None:
        return Finding(
            "loopback",
            "bad",
            "a stream of this program was found, and no sample came through: a firewall closes "
            f"TCP {DATA_PORTS[0]}-{DATA_PORTS[-1]}.",
        )
    return Finding(
        "loopback", "ok", f"a stream was found in {ms:.0f} ms, and a sample came through."
    )


def _streams(look_s: float) -> Finding:
    found = lsl.find_streams(look_s)
    if not found:
        return Finding(
            "streams",
            "warn",
            f"no stream was found within {look_s:g} s: start the amplifier's program and its LSL "
            "output" + ("." if lsl.uses_lan() else ", and look further with --lan."),
        )
    listed = "; ".join(
        f"'{printable(s.name, 40)}' of {printable(s.host, 40)}, {s.n_channels} channels at "
        f"{s.rate:g} Hz"
        for s in found
    )
    return Finding("streams", "ok", f"{len(found)} found: {listed}.")
