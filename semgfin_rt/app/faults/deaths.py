"""Row 14: everything is killed while it records."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from semgfin_rt import lsl
from semgfin_rt.app.faults.devices import Devices
from semgfin_rt.app.faults.disks import opens_in_pyxdf, recorder_of
from semgfin_rt.app.faults.finding import Finding, Scale, Spread
from semgfin_rt.app.faults.listening import PATIENCE_S, Trace
from semgfin_rt.app.faults.stalls import recorded_chunks
from semgfin_rt.engine.process import EngineProcess
from semgfin_rt.engine.spec import EngineSpec
from semgfin_rt.errors import StreamError
from semgfin_rt.interrupts import spared_ctrl_c
from semgfin_rt.nn.checkpoint_folder import load_contract

LOST_S = 1.0
_START_S = 120.0  # of two engines at once on a busy machine
_RECORDED = 300_000  # bytes: some 1.5 s


def killed_while_recording(scale: Scale) -> Finding:
    """Kill the engine's process; every other time the recorder's with it, as the system may."""
    contract = load_contract(scale.model)
    trace = Trace(1, len(contract.channels))
    lost_s: list[float] = []
    gaps = 0
    n = scale.pick(5, 200)
    with (
        tempfile.TemporaryDirectory() as folder,
        Devices(contract) as devices,
        ExitStack() as stack,
    ):
        devices.start()
        source_id = devices.manner.source_id
        paths = [Path(folder) / f"{i}.xdf" for i in range(n)]
        specs = [EngineSpec(scale.model, source_id=source_id, record=path) for path in paths]
        upcoming = stack.enter_context(_started(specs[0]))
        for i, path in enumerate(paths):
            engine = upcoming
            if i + 1 < n:  # which loads while this one records
                upcoming = stack.enter_context(_started(specs[i + 1]))
            died = _kill(engine, path, with_recorder=bool(i % 2))
            lost_s.append(died - opens_in_pyxdf(path))
            gaps += len(trace.gaps(recorded_chunks(path)))
            path.unlink()
    lost = Spread.of(lost_s)
    return Finding(
        f"{lost.text('s', 2)} lost, {gaps} gaps before, in {len(lost_s)} deaths of which "
        f"{len(lost_s) // 2} took the recorder along; pyxdf opens all",
        lost.worst <= LOST_S and gaps == 0,
        {"lost_s_median": lost.median, "lost_s_worst": lost.worst, "gaps": gaps},
    )


@contextmanager
def _started(spec: EngineSpec) -> Iterator[EngineProcess]:
    engine = EngineProcess(spec)
    with spared_ctrl_c():
        engine.start()
    try:
        yield engine
    finally:
        engine.close()


def _kill(engine: EngineProcess, path: Path, *, with_recorder: bool) -> float:
    """Kill it once it has recorded; return when, by the LSL clock. Its file is final then."""
    _wait_for_file(path, engine)
    if engine.pid is None:
        raise StreamError("the engine ended before it was killed: run the row again.")
    recorder = recorder_of(engine.pid)
    os.kill(engine.pid, signal.SIGKILL)
    if with_recorder:
        os.kill(recorder, signal.SIGKILL)
    died = lsl.local_clock()
    engine.close()
    _wait_for_end(recorder)
    return died


def _wait_for_file(path: Path, engine: EngineProcess) -> None:
    end = time.monotonic() + _START_S
    while not path.exists() or path.stat().st_size < _RECORDED:
        snapshot = engine.poll()
        failed = snapshot is not None and snapshot.phase == "failed"
        if failed or time.monotonic() > end:
            why = "in time" if snapshot is None else f"({snapshot.message})"
            raise StreamError(f"the engine that was to be killed did not record {why}")
        time.sleep(0.02)


def _wait_for_end(recorder: int) -> None:
    """Wait until the recorder, which is not our child, has written what it had and ended."""
    end = time.monotonic() + PATIENCE_S
    with suppress(psutil.NoSuchProcess):
        while time.monotonic() < end:
            if psutil.Process(recorder).status() == psutil.STATUS_ZOMBIE:  # init takes its time
                return
            time.sleep(0.01)
