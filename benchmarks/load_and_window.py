"""Load one DB2-size subject and window it: data frames, window by window, against strided views.

Baseline: the usual script, with a pandas data frame for each movement and repetition, a copy of
every window, and statistics for each sample position. Ours: the reader, per-channel statistics
and a strided view. Each runs in a process of its own, in turn, with its imports done before the
clock starts: ours parses in a limited child, whose memory counts, and which is warm; `cold` has it
start within the time, as for the only file of a program that reads it at once.

    python benchmarks/load_and_window.py [--runs 3] [--json benchmarks/load_and_window.json]
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

WINDOW, HOP = 600, 20  # 300 ms and 10 ms at 2 kHz


def data_frames(path: Path) -> tuple[float, Any]:
    """Return the seconds that it took and the windows, the published way."""
    import numpy as np
    import pandas as pd
    from scipy.io import loadmat

    began = time.perf_counter()
    contents = loadmat(path, variable_names=["emg", "restimulus", "rerepetition"])
    n = min(len(contents["emg"]), len(contents["restimulus"]))
    frame = pd.DataFrame(contents["emg"][:n])
    frame["movement"] = contents["restimulus"][:n, 0]
    frame["repetition"] = contents["rerepetition"][:n, 0]
    windows = []
    for (movement, _repetition), part in frame.groupby(["movement", "repetition"]):
        if movement == 0:
            continue
        signal = part.drop(columns=["movement", "repetition"])
        for start in range(0, len(signal) - WINDOW + 1, HOP):
            windows.append(signal.iloc[start : start + WINDOW].to_numpy(dtype=np.float32))
    stacked = np.stack(windows)
    stacked -= stacked.mean(axis=0)
    stacked /= stacked.std(axis=0)
    return time.perf_counter() - began, stacked


def strided_views(path: Path, *, warm: bool = True) -> tuple[float, Any]:
    """Return the seconds that it took and the windows, our way."""
    import numpy as np

    from semgfin_rt.recordings.limited_child import in_child, warm_up

    if warm:
        warm_up("scipy.io")
        in_child(int, "1", where="nothing")  # waits until it has imported that
    from semgfin_rt.dsp.scaling import Scaler
    from semgfin_rt.dsp.windows import Windowing, window_table
    from semgfin_rt.recordings import load

    began = time.perf_counter()
    (recording,) = load(path)
    scaler = Scaler.fit([recording.samples], recording.spec.channels)
    windowing = Windowing(WINDOW, HOP)
    windows = windowing.view(scaler(recording.samples))  # one stretch: row i is window i
    table = window_table(recording, windowing, (0,))
    movement = np.flatnonzero(table.steady[:, 0] & (table.labels[:, 0] != 0))
    return time.perf_counter() - began, (windows, movement)


def cold(path: Path) -> tuple[float, Any]:
    """Return the same, with a child that has to start."""
    return strided_views(path, warm=False)


METHODS = {"data_frames": data_frames, "strided_views": strided_views, "cold": cold}


def measure(method: str, path: Path) -> dict[str, float]:
    """Run one method in a process of its own."""
    command = [sys.executable, __file__, "--method", method, "--path", str(path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, float] = json.loads(output)
    return result


def child_peak_mib() -> float:
    """Peak resident memory of the limited child, where there is one."""
    from semgfin_rt.recordings.limited_child import child_pid

    pid = child_pid()
    if pid is None:
        return 0.0
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def child(method: str, path: Path) -> None:
    """Print seconds, seconds with one pass over all windows, and peak memory of this process."""
    import numpy as np

    seconds, result = METHODS[method](path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 + child_peak_mib()
    began = time.perf_counter()
    windows, rows = result if isinstance(result, tuple) else (result, range(len(result)))
    checksum = sum(float(np.abs(windows[row]).mean()) for row in rows)
    pass_s = time.perf_counter() - began
    print(
        json.dumps(
            {
                "s": seconds,
                "s_with_one_pass": seconds + pass_s,
                "mib": peak,
                "windows": len(rows),
                "mean_abs": checksum / len(rows),
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--method", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.method:
        child(options.method, options.path)
        return

    from semgfin_rt.recordings.synthetic import write_subject

    with tempfile.TemporaryDirectory() as folder:
        path = write_subject(Path(folder), 1, 1)
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in METHODS}
        for _ in range(options.runs):
            for name in METHODS:
                runs[name].append(measure(name, path))
    median: dict[str, dict[str, Any]] = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for name, rows in runs.items()
    }
    ours, baseline = median["strided_views"], median["data_frames"]
    result = {
        "baseline": baseline,
        "ours": ours,
        "ours_cold": median["cold"],
        "times_faster": baseline["s"] / ours["s"],
        "times_faster_cold": baseline["s"] / median["cold"]["s"],
        "times_faster_with_one_pass": baseline["s_with_one_pass"] / ours["s_with_one_pass"],
        "share_of_memory": ours["mib"] / baseline["mib"],
        "runs": options.runs,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "date": datetime.now(UTC).date().isoformat(),
    }
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
