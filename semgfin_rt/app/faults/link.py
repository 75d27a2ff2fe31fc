"""Row 3: the network between source and engine fails.

``python -m semgfin_rt.app.faults.link MODEL SECONDS ...`` is a process in a network of its own
(`unshare -n`), in which the engine runs; the device runs in a second one, and a pair of virtual
interfaces joins the two. Pulling the plug is setting the device's interface down. At last the
device's TCP is told to give up early, so that the last break outlasts the connection, of which
nothing arrives on the engine's side. The process prints a line of JSON; it ends, and all it started
with it, when it is killed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from semgfin_rt import lsl
from semgfin_rt.app.faults.devices import COMMAND, Devices
from semgfin_rt.app.faults.finding import Finding, Scale, skipped
from semgfin_rt.app.faults.listening import Listening, Trace
from semgfin_rt.app.faults.stalls import recorded_chunks
from semgfin_rt.errors import SemgfinError, StreamError
from semgfin_rt.nn.checkpoint_folder import load_contract

LIVE_S = 3.0
_OURS, _THEIRS = "10.97.53.1", "10.97.53.2"
_PATIENCE_S = 90.0  # for samples after the link is up: TCP asks again after up to twice the break
_WARM_S = 1.0
_DEADLY_S, _TCP_RETRIES = 5.0, 2  # after which TCP gives up within 1.4 s


@dataclass(frozen=True)
class Breaks:
    """What came of it.

    Attributes
    ----------
    live_s : list of float
        From link-up to the first sample, of each break; of the newest, so that it is live.
    lost : int
        Samples missing in the recording.
    deadly_live_s : float
        As `live_s`, of the break that outlasts the connection.
    deadly_gaps : list of [int, int]
        What is missing then, as said and in truth.
    """

    live_s: list[float]
    lost: int
    deadly_live_s: float
    deadly_gaps: list[list[int]]


def unplugged(scale: Scale) -> Finding:
    """Pull the plug for a while, in a network of our own."""
    reason = _why_not()
    if reason:
        return skipped(reason)
    breaks_s = scale.pick((1.0, 3.0), (1.0, 3.0, 10.0, 30.0))
    command = [*_in_own_network(), sys.executable, "-P", "-m", "semgfin_rt.app.faults.link"]
    command += [str(scale.model), *map(str, breaks_s)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            told, trouble = process.communicate()
        finally:
            process.kill()
    if process.returncode:
        raise StreamError(f"the network of our own failed: {trouble.strip().splitlines()[-1:]}")
    found = Breaks(**json.loads(told.splitlines()[-1]))
    live = ", ".join(f"{b:g} s: {s:.2f} s" for b, s in zip(breaks_s, found.live_s, strict=True))
    said, true = (sum(gap[i] for gap in found.deadly_gaps) for i in (0, 1))
    return Finding(
        f"{found.lost} samples lost in the recording; live again after a break of {live}; after "
        f"one of {_DEADLY_S:g} s in which the sender's TCP gave up, {found.deadly_live_s:.2f} s, "
        f"{true} lost, {said} counted",
        found.lost == 0 and max(found.live_s) <= LIVE_S and said == true > 0,
        {
            "lost": found.lost,
            "live_s_worst": max(found.live_s),
            "deadly_live_s": found.deadly_live_s,
            "deadly_lost": true,
            "deadly_counted": said,
        },
    )


def _in_own_network() -> list[str]:
    return ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-r", "-n"]


def _why_not() -> str:
    if not all(shutil.which(tool) for tool in ("unshare", "nsenter", "ip", "sysctl")):
        return "it needs the tools unshare, nsenter (util-linux), ip (iproute2) and sysctl (procps)"
    tried = subprocess.run(
        [*_in_own_network(), "ip", "link", "add", "name", "probe", "type", "veth"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        return f"this user may not make a network of its own ({tried.stderr.strip()})"
    return ""


# --------------------------------------------------------------------------- in the network
def main() -> None:
    """Break the link as told by the arguments, and print what came of it."""
    model, breaks_s = Path(sys.argv[1]), [float(word) for word in sys.argv[2:]]
    lsl.configure(lan=True)
    _run("ip link set lo up")
    contract = load_contract(model)
    with Devices(contract, ["unshare", "-n", *COMMAND], lan=True) as devices:
        there = f"nsenter -t {devices.pid} -n "
        devices.wait()
        _run(f"ip link add name ours type veth peer name theirs netns {devices.pid}")
        _run(f"ip addr add {_OURS}/24 dev ours")
        _run("ip link set ours up")
        _run("ip route add 224.0.0.0/4 dev ours")
        _run(there + "ip link set lo up")
        _run(there + f"ip addr add {_THEIRS}/24 dev theirs")
        _plug(there)
        devices.start()
        sys.stdout.write(json.dumps(asdict(_break(model, devices, there, breaks_s))))


def _break(model: Path, devices: Devices, there: str, breaks_s: list[float]) -> Breaks:
    trace = Trace(1, len(devices.manner.channels))
    live_s: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "session.xdf"
        with Listening(model, devices.manner.source_id, record=path) as heard:
            heard.until_told("Recording into")
            for break_s in breaks_s:
                heard.go_on(_WARM_S)
                _run(there + "ip link set theirs down")
                heard.go_on(break_s)
                _plug(there)
                live_s.append(_until_live(heard))
            heard.go_on(_WARM_S)
        gaps = trace.gaps(recorded_chunks(path))
    _run(there + f"sysctl -w net.ipv4.tcp_retries2={_TCP_RETRIES}")
    with Listening(model, devices.manner.source_id) as heard:
        heard.go_on(_WARM_S)
        _run(there + "ip link set theirs down")
        heard.go_on(_DEADLY_S)
        _plug(there)
        deadly_s = _until_live(heard)
        heard.go_on(_WARM_S)
        deadly = trace.gaps(h.chunk for h in heard.heard)
    lost = sum(abs(true) for _, true in gaps)
    return Breaks(live_s, lost, deadly_s, [list(gap) for gap in deadly])


def _until_live(heard: Listening) -> float:
    """Go on until a sample comes that is younger than a window; return how long that took, in s."""
    began = lsl.local_clock()
    heard.until(
        lambda: (
            heard.heard[-1].at > began
            and heard.heard[-1].at - heard.heard[-1].chunk.times[-1] < 0.1
        ),
        "a sample",
        _PATIENCE_S,
    )
    return lsl.local_clock() - began


def _plug(there: str) -> None:
    _run(there + "ip link set theirs up")
    _run(there + "ip route add 224.0.0.0/4 dev theirs")  # which went when it was down


def _run(command: str) -> None:
    try:
        subprocess.run(command.split(), check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise StreamError(f"`{command}` failed ({error.stderr.strip()})") from error


if __name__ == "__main__":
    try:
        main()
    except SemgfinError as error:
        sys.exit(str(error))
