"""Row 13: a disk that is full, slow, or may not be written to, while recording."""

from __future__ import annotations

import logging
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from semgfin_rt import lsl
from semgfin_rt.app.faults.devices import Devices
from semgfin_rt.app.faults.finding import Finding, Scale
from semgfin_rt.app.faults.listening import Listening, Trace
from semgfin_rt.app.faults.stalls import recorded_chunks
from semgfin_rt.engine.commands import StartRecording, StopRecording
from semgfin_rt.nn.checkpoint_folder import load_contract

ALERT_S = 1.0
_ROOM = 500_000  # bytes: some 2 s of recording
_RECORDER = "recorder_process"  # in the command of the recorder's process


@dataclass
class _Story:
    """What happened to the recordings.

    Attributes
    ----------
    alert_s : dict of str to float
    files : dict of Path to str
        What each must have no gap after; looked at in the end, as reading takes the engine's time.
    """

    alert_s: dict[str, float] = field(default_factory=dict)
    files: dict[Path, str] = field(default_factory=dict)


def out_of_room(scale: Scale) -> Finding:
    """Fill the disk, forbid it, and let it hang; then give it back."""
    contract = load_contract(scale.model)
    trace, story = Trace(1, len(contract.channels)), _Story()
    with Devices(contract) as devices, tempfile.TemporaryDirectory() as place:
        devices.start()
        # Recording from the start, so that there is a recorder.
        first = Path(place) / "first.xdf"
        with Listening(scale.model, devices.manner.source_id, record=first) as heard:
            heard.until_told("Recording into")
            heard.engine.do(StopRecording())
            for _ in range(scale.pick(1, 10)):
                with _small_disk(Path(place)) as (disk, limit, how):
                    _fill(heard, disk, limit, Path(place), story)
                with _locked_folder(Path(place)) as folder:
                    _be_refused(heard, folder, story)
                _hang(heard, Path(place), story)
            heard.go_on(0.5)
            health = heard.health
        wrong = [
            f"{path.name} is damaged by {what}"
            for path, what in story.files.items()
            if not opens_in_pyxdf(path) or trace.gaps(recorded_chunks(path))
        ]
    missed = health.expected - health.decisions
    worst = max(story.alert_s.values())
    alerts = ", ".join(f"{what} {seconds:.2f} s" for what, seconds in story.alert_s.items())
    return Finding(
        f"alert after: {alerts}; {missed} of {health.expected} decisions missed, {health.lost} "
        f"samples lost; {'; '.join(wrong) or f'{len(story.files)} files whole'} ({how})",
        worst <= ALERT_S and not missed and not health.lost and not wrong,
        {f"alert_s_{what}": s for what, s in story.alert_s.items()} | {"missed": missed},
    )


def _fill(
    heard: Listening,
    disk: Path,
    limit: Callable[[int, bool], None],
    place: Path,
    story: _Story,
) -> None:
    path, since = disk / "full.xdf", len(heard.events)
    heard.engine.do(StartRecording(path))
    heard.until_told("Recording into", since=since)
    limit(_recorder_pid(), True)
    grown, size = lsl.local_clock(), 0
    while not heard.event("cannot be written", since=since):
        heard.turn()
        if path.stat().st_size > size:
            grown, size = lsl.local_clock(), path.stat().st_size
    _note(story, "full", lsl.local_clock() - grown)
    _keep(path, place, "a full disk, up to its last flush", story)
    limit(_recorder_pid(), False)
    heard.until_told("is written again", since=since)
    heard.engine.do(StopRecording())
    heard.until_told("were recorded into", since=since)
    _keep(path, place, "a full disk, although room was made", story)


def _be_refused(heard: Listening, folder: Path, story: _Story) -> None:
    since, began = len(heard.events), lsl.local_clock()
    heard.engine.do(StartRecording(folder / "locked.xdf"))
    heard.until_told("cannot be created", since=since)
    _note(story, "read-only", lsl.local_clock() - began)
    heard.engine.do(StopRecording())


def _hang(heard: Listening, place: Path, story: _Story) -> None:
    path, since = place / f"slow-{len(heard.events)}.xdf", len(heard.events)
    heard.engine.do(StartRecording(path))
    heard.until_told("Recording into", since=since)
    heard.go_on(0.5)
    recorder = _recorder_pid()
    os.kill(recorder, signal.SIGSTOP)  # as a process hangs in a write
    began = lsl.local_clock()
    try:
        heard.until_told("has not answered", since=since)
        _note(story, "slow", lsl.local_clock() - began)
        heard.go_on(1.0)
    finally:
        os.kill(recorder, signal.SIGCONT)
    heard.until_told("answers again", since=since)
    heard.engine.do(StopRecording())
    heard.until_told("were recorded into", since=since)
    story.files[path] = "a slow disk"


def _keep(path: Path, place: Path, what: str, story: _Story) -> None:
    copy = place / f"{len(story.files)}-{path.name}"
    shutil.copy(path, copy)
    story.files[copy] = what


def _note(story: _Story, what: str, seconds: float) -> None:
    story.alert_s[what] = max(seconds, story.alert_s.get(what, 0.0))


def _recorder_pid() -> int:
    return recorder_of(os.getpid())


def recorder_of(pid: int) -> int:
    """Return the id of the recorder's process that a process has."""
    children = psutil.Process(pid).children(recursive=True)
    return int(next(c.pid for c in children if any(_RECORDER in w for w in c.cmdline())))


def opens_in_pyxdf(path: Path) -> float:
    """Return the last timestamp of the signal as pyxdf reads it, without our own repairs."""
    import pyxdf

    logging.getLogger("pyxdf").setLevel(logging.CRITICAL)
    streams, _ = pyxdf.load_xdf(str(path))
    signals = [s for s in streams if s["info"]["type"][0] == "EMG"]
    return float(signals[0]["time_stamps"][-1])


# ------------------------------------------------------------------------------- disks
@contextmanager
def _small_disk(place: Path) -> Iterator[tuple[Path, Callable[[int, bool], None], str]]:
    """Yield a folder with little room, how to take and give it, and what it is."""
    disk = place / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "none", str(disk)],
        capture_output=True,
        check=False,
    ).returncode
    if mounted:  # not root: a limit of the process does what a full disk does
        yield disk, _limit_file, "file size limit"
        disk.rmdir()
        return
    try:
        yield disk, lambda _pid, full: _resize(disk, full), "tmpfs"
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
        disk.rmdir()


def _resize(disk: Path, full: bool) -> None:
    size = _ROOM if full else 100 * _ROOM
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def _limit_file(pid: int, full: bool) -> None:
    most = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (_ROOM if full else most, most))


@contextmanager
def _locked_folder(place: Path) -> Iterator[Path]:
    """Yield a folder in which nobody may write; for root, one of the kernel's."""
    if os.geteuid() == 0:
        yield Path("/proc")
        return
    folder = place / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    yield folder
    folder.rmdir()
