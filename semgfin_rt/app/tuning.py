"""Fine-tuning in the background, and whether its result is kept.

It is a process of its own, with a low priority, so that neither window nor engine slows down; its
main thread is the only one of ours. The caller's thread calls `start`, `poll`, `cancel`, `keep` and
`close`: `poll` never waits, `start` writes the recording to the disk (some 0.1 s for seven
minutes), `cancel` and `close` wait for the process, which is told to end at once. Everything is
written to a temporary folder beside the result; it goes with `close`, and if the program is killed
the process ends at its next word to it.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from semgfin_rt.app.comparison import Comparison
from semgfin_rt.contracts import Recording
from semgfin_rt.errors import CheckpointError, SemgfinError, TrainingError
from semgfin_rt.interrupts import spared_ctrl_c
from semgfin_rt.nn.checkpoint_folder import is_replaceable, put_in_place
from semgfin_rt.train.options import FinetuneOptions

State: TypeAlias = Literal["ready", "running", "done", "failed", "cancelled", "kept"]
_NICENESS = 10
_NEWS_S = 0.1  # between words on the progress
_NO_SIGNAL, _NO_LABELS = np.empty((0, 0), np.float32), np.empty(0, np.int16)


@dataclass(frozen=True)
class StageProgress:
    """Stage of the fine-tuning, and how far it is."""

    stage: str
    step: int
    steps: int


def require_place(out: Path) -> None:
    """See, before a session as well, that its result can be written.

    Raises
    ------
    CheckpointError
        If `out` is something else than a checkpoint, or cannot be made.
    """
    if out.exists() and not is_replaceable(out):
        raise CheckpointError(f"{out} exists and is not a checkpoint: choose another folder.")
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise CheckpointError(f"{out} cannot be written: choose another folder.")


class Tuning:
    """Adapt a checkpoint to a recording, in the background. A context manager that closes.

    Parameters
    ----------
    base : Path
        Checkpoint to start from; it is not changed.
    recording : Recording
        Of a calibration.
    out : Path
        Where the result goes when it is kept.
    options : FinetuneOptions, optional

    Attributes
    ----------
    state : {"ready", "running", "done", "failed", "cancelled", "kept"}
    progress : StageProgress
        What `poll` heard last.
    comparison : Comparison or None
        Once it is done.
    failure : str
        One sentence, where it failed.
    """

    def __init__(
        self, base: Path, recording: Recording, out: Path, options: FinetuneOptions | None = None
    ) -> None:
        self.base, self.recording, self.out = base, recording, out
        self.options = options or FinetuneOptions()
        self.state: State = "ready"
        self.progress = StageProgress("starting", 0, 1)
        self.comparison: Comparison | None = None
        self.failure = ""
        self._process: mp.process.BaseProcess | None = None
        self._folder: Path | None = None

    @property
    def checkpoint(self) -> Path:
        """Folder of the adapted checkpoint, for an engine that is to try or to use it.

        It is a temporary one before it is kept.
        """
        if self.state == "kept" or self._folder is None:
            return self.out
        return self._folder / "checkpoint"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process.

        Raises
        ------
        CheckpointError
            If the result could not be written.
        """
        require_place(self.out)
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=".calibration-", dir=self.out.parent))
            arrays = {name: getattr(self.recording, name) for name in _ARRAYS}
            np.savez(self._folder / "signal.npz", **arrays)
        except OSError as error:
            self.close()
            raise CheckpointError(
                f"{self.out} cannot be written ({error.strerror}): choose another folder."
            ) from error
        bare = replace(
            self.recording, samples=_NO_SIGNAL, labels=_NO_LABELS, repetitions=_NO_LABELS
        )
        context = mp.get_context("spawn")
        self._link, child = context.Pipe(duplex=False)
        process = context.Process(
            target=_main,
            args=(self.base, bare, self._folder, self.options, child),
            name="semgfin tuning",
            daemon=True,
        )
        with spared_ctrl_c():
            process.start()
            self._process = process
        child.close()
        self.state = "running"

    def poll(self) -> State:
        """Take in what the process says; return how it stands."""
        try:
            while self.state == "running" and self._link.poll():
                self._hear(self._link.recv())
        except (EOFError, OSError):
            self._end()
            self.state = "failed"
            self.failure = "the fine-tuning process ended unexpectedly: calibrate again."
        return self.state

    def wait(self, patience: float) -> State:
        """Wait up to `patience` s for news, and take them in."""
        if self.state == "running":
            self._link.poll(patience)
        return self.poll()

    def cancel(self) -> None:
        """End the process and forget its work; nothing happens where there is none."""
        if self.state == "running":
            self.close()
            self.state = "cancelled"

    def keep(self) -> Path:
        """Move the result to `out`, whole or not at all, in place of an older checkpoint there.

        Raises
        ------
        TrainingError
            If there is no result, or it is worse than the checkpoint was.
        CheckpointError
            If something else than a checkpoint is at `out` by now, or it cannot be moved.
        """
        if self.state != "done" or self.comparison is None or self._folder is None:
            raise TrainingError(f"there is no result to keep ({self.state}): calibrate first.")
        if self.comparison.is_worse:
            raise TrainingError(
                f"{self.comparison.shortfall}, so nothing was kept: go on with {self.base}, or "
                "record better repetitions."
            )
        require_place(self.out)
        try:
            put_in_place(self.checkpoint, self.out)
        except OSError as error:
            raise CheckpointError(
                f"{self.out} cannot be written ({error.strerror}): choose another folder."
            ) from error
        self.state = "kept"
        self.close()
        return self.out

    def close(self) -> None:
        """End the process, undo what is not kept. May be called again."""
        self._end()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Tuning:
        """Nothing is started yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _hear(self, news: StageProgress | Comparison | SemgfinError) -> None:
        if isinstance(news, StageProgress):
            self.progress = news
            return
        self._end()
        if isinstance(news, SemgfinError):
            self.state, self.failure = "failed", str(news)
        else:
            self.state, self.comparison = "done", news

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        self._process.join()
        self._process.close()
        self._process = None
        self._link.close()


# ------------------------------------------------------------------------ in the child
_ARRAYS = ("samples", "labels", "repetitions")


def _main(
    base: Path, bare: Recording, folder: Path, options: FinetuneOptions, link: Connection
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    # A thread of torch that has nothing to do sleeps: spinning, it would take the core from another
    # that has, on a machine that does something else as well.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    with np.load(folder / "signal.npz") as arrays:
        recording = replace(bare, **{name: arrays[name] for name in _ARRAYS})
    from semgfin_rt.app.tuning_work import tune_and_compare  # loads torch

    last = float("-inf")

    def report(stage: str, step: int, steps: int, _loss: float) -> None:
        nonlocal last
        now = time.monotonic()
        if step == steps or now - last > _NEWS_S:
            last = now
            link.send(StageProgress(stage, step, steps))

    try:
        link.send(tune_and_compare(base, recording, folder / "checkpoint", options, report))
    except SemgfinError as error:
        link.send(error)
    except BrokenPipeError:  # nobody listens any more
        shutil.rmtree(folder, ignore_errors=True)
