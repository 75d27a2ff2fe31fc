"""Memory and time of training against the number of subjects, each of the size of DB2.

Baseline: everything in memory, as this program did it at first: the recordings, their filtered and
their z-scored signals. Ours: recordings are read one at a time, and training maps the filtered
signals from the disk. Each number of subjects runs in a process of its own.

Two sizes of memory: the peak of all pages (VmHWM), in which pages of mapped files count although
the system takes them back when it needs room, and the peak of those that it cannot take back
(RssAnon, sampled).

    OMP_NUM_THREADS=1 python benchmarks/subjects_memory.py [--json benchmarks/subjects_memory.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from semgfin_rt.contracts import Recording

NUMBERS = (1, 5, 10, 20, 40)
DISTINCT = 3  # subjects that are synthesised; the others are these at another gain
METHODS = ("in_memory", "from_disk")
LIMIT_MIB = 6 * 1024


def write_subjects(folder: Path, most: int) -> None:
    """Write S1_E1_A1.mat and so on: a few distinct subjects, and links to them."""
    from semgfin_rt.recordings.synthetic import write_subject

    written = [write_subject(folder, n, 1) for n in range(1, min(most, DISTINCT) + 1)]
    for n in range(DISTINCT + 1, most + 1):
        os.link(written[n % DISTINCT], folder / f"S{n}_E1_A1.mat")


def read(folder: Path, n_subjects: int) -> Iterator[Recording]:
    """Read subjects one at a time, each with a gain of its own: no two signals are equal."""
    from semgfin_rt.recordings import iter_recordings

    for recording in iter_recordings(folder, range(1, n_subjects + 1)):
        recording.samples[:] *= 1 + recording.subject / 1000
        yield recording


def train(method: str, folder: Path, n_subjects: int, progress: Any) -> None:
    """Run a shortened `fit`."""
    from semgfin_rt.train import dataset
    from semgfin_rt.train.fit import fit
    from semgfin_rt.train.options import FitOptions
    from semgfin_rt.train.signals import SignalCache

    held = []

    class InMemory(SignalCache):
        """Keeps every signal three times: raw, filtered, and a copy in place of the z-scored."""

        def filtered(self, recording: Recording, sos: Any) -> Recording:
            done = dataset.filtered(recording, sos)
            held.append((recording, replace(done, samples=done.samples.copy())))
            return done

    how = InMemory if method == "in_memory" else SignalCache
    options = FitOptions(shorten=0.02, window_ms=150, horizons_ms=(0,))
    with (
        mock.patch("semgfin_rt.train.fit.SignalCache", how),
        mock.patch("semgfin_rt.train.recipes._FEWEST_WINDOWS", 40_000),  # as many as usual
        tempfile.TemporaryDirectory(dir=folder) as out,
    ):
        fit(read(folder, n_subjects), Path(out) / "model", options, progress)


def status(key: str) -> float:
    """Return a line of /proc/self/status in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:"))


def child(method: str, folder: Path, n_subjects: int) -> None:
    """Print seconds of preparation and training, and peaks of memory, of this process."""
    peak = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, status("RssAnon"))

    watching = threading.Thread(target=watch)
    watching.start()
    first_step: list[float] = []

    def progress(*_: Any) -> None:
        if not first_step:
            first_step.append(time.perf_counter())

    began = time.perf_counter()
    try:
        train(method, folder, n_subjects, progress)
    finally:
        done.set()
        watching.join()
    ended = time.perf_counter()
    print(
        json.dumps(
            {
                "subjects": n_subjects,
                "preparation_s": round(first_step[0] - began, 1),
                "training_s": round(ended - first_step[0], 1),
                "peak_mib": round(status("VmHWM")),
                "peak_anonymous_mib": round(peak),
            }
        )
    )


def measure(method: str, folder: Path, n_subjects: int) -> dict[str, float]:
    """Run one method on that many subjects in a process of its own."""
    command = [sys.executable, __file__, "--method", method, "--path", str(folder)]
    command += ["--numbers", str(n_subjects)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, float] = json.loads(output)
    print(method, result, flush=True)
    return result


def processor() -> str:
    """Name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--note", default="", help="What else there is to say of this run.")
    parser.add_argument("--method", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.method:
        child(options.method, options.path, options.numbers[0])
        return

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_subjects(folder, max(options.numbers))
        rows: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
        for n in options.numbers:
            for method in METHODS:
                rows[method].append(measure(method, folder, n))
    most = {method: found[-1] for method, found in rows.items()}
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    result = {
        "baseline_in_memory": rows["in_memory"],
        "ours_from_disk": rows["from_disk"],
        "share_of_peak": most["from_disk"]["peak_mib"] / most["in_memory"]["peak_mib"],
        "share_of_peak_anonymous": most["from_disk"]["peak_anonymous_mib"]
        / most["in_memory"]["peak_anonymous_mib"],
        "mib_a_further_subject": {
            method: slope(found, "peak_anonymous_mib") for method, found in rows.items()
        },
        "limit_mib": LIMIT_MIB,
        "within_limit": most["from_disk"]["peak_mib"] < LIMIT_MIB,
        "data": f"synthetic, 12 channels at 2 kHz; {DISTINCT} distinct subjects, the others are "
        "these at another gain",
        "training": "preset realtime, window 150 ms, hop 10 ms, horizon 0, 2 % of the steps",
        "machine": f"{processor()}, {memory:.0f} GiB, {os.environ.get('OMP_NUM_THREADS', 'all')} "
        f"thread(s), Python {platform.python_version()}",
        "note": options.note,
        "date": datetime.now(UTC).date().isoformat(),
    }
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def slope(rows: list[dict[str, float]], key: str) -> float | None:
    """Growth of a figure for each subject, from the fewest to the most."""
    first, last = rows[0], rows[-1]
    more = last["subjects"] - first["subjects"]
    return round((last[key] - first[key]) / more, 1) if more else None


if __name__ == "__main__":
    main()
