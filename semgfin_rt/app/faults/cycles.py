"""Row 19: connect and destroy, over and over, half of it in the midst of a recovery."""

from __future__ import annotations

from pathlib import Path

from semgfin_rt import lsl
from semgfin_rt.app.faults.child import in_child
from semgfin_rt.app.faults.devices import Devices
from semgfin_rt.app.faults.finding import Finding, Scale
from semgfin_rt.errors import SemgfinError, SystemLibraryError
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.sources.supervisor import SupervisedSource

_HEAR_S = 5.0


def cycled(scale: Scale) -> Finding:
    """Go through the cycles in a process of its own, whose crash is what is looked for."""
    n = scale.pick(20, 1000)
    try:
        recovering, failed, files, threads = in_child(_cycle, scale.model, n)
    except SystemLibraryError as error:
        return Finding(f"{error}, within {n} cycles", False, {"aborts": 1})
    return Finding(
        f"0 aborts, {failed} failed, in {n} cycles, {recovering} of them closed in mid-recovery; "
        f"{files:+d} open files, {threads:+d} threads since the first",
        failed == 0 and recovering == n // 2 and max(files, threads) <= 2,
        {"aborts": 0, "failed": failed, "files": files, "threads": threads},
    )


def _cycle(model: Path, n: int) -> tuple[int, int, int, int]:
    """Return how many were closed in mid-recovery, how many failed; files and threads left over."""
    contract = load_contract(model)
    recovering = failed = 0
    left: list[tuple[int, int]] = []
    with Devices(contract) as devices:
        device = devices.start()
        for cycle in range(n):
            source = SupervisedSource(source_id=devices.manner.source_id)
            try:
                source.connect()
                failed += not _hears(source)
                if cycle % 2:
                    device.kill()
                    _until_lost(source)
                    device = devices.start()
                    source.read(0.005 * (cycle % 20))
                    recovering += 1
            except SemgfinError:
                failed += 1
            source.close()
            left.append((_count("fd"), _count("task")))
    early, late = left[: max(2, n // 10)], left[-max(2, n // 10) :]
    files, threads = (max(x[i] for x in late) - max(x[i] for x in early) for i in (0, 1))
    return recovering, failed, files, threads


def _hears(source: SupervisedSource) -> bool:
    until = lsl.local_clock() + _HEAR_S
    while lsl.local_clock() < until:
        if len(source.read(0.1, 20).samples):
            return True
    return False


def _until_lost(source: SupervisedSource) -> None:
    until = lsl.local_clock() + _HEAR_S
    while lsl.local_clock() < until and not any("is lost" in e.text for e in source.events()):
        source.read(0.01)


def _count(what: str) -> int:
    return len(list(Path(f"/proc/self/{what}").iterdir()))
