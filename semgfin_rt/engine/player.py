"""The player: a recording as an LSL stream, paced to the sample.

It is a process of its own, see `playback`, and nobody waits for it but the parent in `start`
(until the streams exist) and `stop`. The samples travel as a file that the child maps; where it
is, is shared memory; commands go to it through a pipe, and bad news come back through the same.
"""

from __future__ import annotations

import multiprocessing as mp
import tempfile
import uuid
from pathlib import Path

import numpy as np

from semgfin_rt import lsl
from semgfin_rt.contracts import Recording
from semgfin_rt.engine.playback import TRUTH_SUFFIX, Command, Play, PlayCounts, main
from semgfin_rt.errors import OptionError, StreamError
from semgfin_rt.sources.recording import truth_events

CHUNK_S = 0.005  # of signal
_START_S = 60.0  # a slow machine imports NumPy and liblsl in a few seconds
_STOP_S = 5.0


def new_source_id() -> str:
    """Return a source_id that no other player has."""
    return f"semgfin-player-{uuid.uuid4()}"


class Player:
    """Play a recording into LSL.

    Sample 0 is pushed once the signal (and the truth) has a consumer. The outlets stay open
    after the last sample until `stop`, so that consumers can drain.

    Parameters
    ----------
    recording : Recording
    source_id : str, optional
        Of the signal stream, unique; the truth stream's is the same with ``-truth`` behind it.
    name : str
        Of the signal stream.
    speed : float
        The stream keeps its nominal rate and states its speed: samples come at rate x speed.
    loop : bool
        Begin again at the end; sample indices count on.
    stay : bool
        Pause at the end of the recording instead of ending there, so that one can go back.
    seconds : float, optional
        Of signal, after which to end.
    wait_for_truth : bool
        Also wait for a consumer of the truth.
    consumer_timeout : float
        How long to wait for consumers, in s.
    chunk_samples : int, optional
        Samples a push, 5 ms by default; a divisor of the hop, so that a window ends with a push.
    counter : int
        Of the first sample, in the counter channel: `pushed` of a player that this one replaces,
        so that its consumer counts what it missed exactly.
    """

    def __init__(
        self,
        recording: Recording,
        source_id: str | None = None,
        name: str = "semgfin player",
        speed: float = 1.0,
        loop: bool = False,
        seconds: float | None = None,
        wait_for_truth: bool = True,
        consumer_timeout: float = 60.0,
        chunk_samples: int | None = None,
        counter: int = 0,
        stay: bool = False,
    ) -> None:
        _require_speed(speed)
        if seconds is not None and not seconds > 0:
            raise OptionError(f"{seconds:g} s cannot be played: give more than 0.")
        self.recording = recording
        self.source_id = source_id or new_source_id()
        self.truth_id = self.source_id + TRUTH_SUFFIX
        self.name = name
        self.speed = speed
        self.loop = loop
        self.seconds = seconds
        self.wait_for_truth = wait_for_truth
        self.consumer_timeout = consumer_timeout
        self.counter = counter
        self.stay = stay
        self.chunk_samples = chunk_samples or max(1, round(recording.spec.rate * CHUNK_S))
        self._context = mp.get_context("spawn")
        self._progress = PlayCounts(*(self._context.Value("q", 0, lock=False) for _ in range(3)))
        self._stop = self._context.Event()
        self._process: mp.process.BaseProcess | None = None
        self._failure: str | None = None

    @property
    def pushed(self) -> int:
        """Samples pushed so far; readable at any time, also after `stop`."""
        return int(self._progress.pushed.value)

    @property
    def position(self) -> int:
        """Sample of the recording that is next, its length at the end; readable at any time."""
        return int(self._progress.position.value)

    @property
    def paused(self) -> bool:
        """Whether it is paused; readable at any time."""
        return bool(self._progress.paused.value)

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process and return once its streams can be found.

        Raises
        ------
        StreamError
            If it does not come up.
        """
        play = self._play(self._hand_over())
        self._link, child = self._context.Pipe()
        process = self._context.Process(
            target=main,
            args=(play, child, self._progress, self._stop),
            name="semgfin player",
            daemon=True,
        )
        process.start()
        self._process = process  # one that could not be started cannot be ended
        child.close()
        if not self._link.poll(_START_S) or not self._receive():
            self.stop()
            raise StreamError(self._failure or "the player did not start: start it again.")

    def _hand_over(self) -> Path:
        """Write the samples where the child maps them."""
        samples = np.ascontiguousarray(self.recording.samples, np.float32)
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="semgfin-player-")
            file = Path(self._folder.name) / "samples.npy"
            try:
                np.save(file, samples)
            except OSError:
                self._folder.cleanup()
                raise
        except OSError as error:
            raise StreamError(
                f"the recording cannot be handed to its player ({error.strerror}): make room for "
                f"{samples.nbytes / 1e6:.0f} MB in {tempfile.gettempdir()}."
            ) from error
        return file

    # ---------------------------------------------------------------------------- control
    # Each acts within 50 ms, and raises StreamError where no player runs.
    def pause(self) -> None:
        """Stand still: the stream stays, no sample is lost, and the count goes on later."""
        self._tell(Command("pause"))

    def resume(self) -> None:
        """Go on; from the beginning where the recording is at its end."""
        self._tell(Command("resume"))

    def step(self, n_samples: int) -> None:
        """Push so many samples at the usual pace, then pause.

        Raises
        ------
        OptionError
            If it is not at least one.
        """
        if n_samples < 1:
            raise OptionError(f"a step of {n_samples} samples is none: give at least 1.")
        self._tell(Command("step", n_samples))

    def seek(self, sample: int) -> None:
        """Go on at `sample` of the recording, paused or not; the truth says that it is a break.

        Raises
        ------
        OptionError
            If the recording has no such sample.
        """
        n = len(self.recording.samples)
        if not 0 <= sample < n:
            raise OptionError(f"sample {sample} is not in the recording: give 0 to {n - 1}.")
        self._tell(Command("seek", sample))

    def set_speed(self, speed: float) -> None:
        """Play at another speed; the truth says so, the description of the stream cannot.

        Raises
        ------
        OptionError
            If it is out of range.
        """
        _require_speed(speed)
        self._tell(Command("speed", speed))
        self.speed = speed

    def set_loop(self, loop: bool) -> None:
        """Begin again at the end, or no longer."""
        self._tell(Command("loop", loop))
        self.loop = loop

    # ------------------------------------------------------------------------ its end
    def check(self, patience: float = 0.0) -> None:
        """Raise what went wrong in the player, if anything did.

        Parameters
        ----------
        patience : float
            How long to wait for bad news, in s: a dying process closes its streams before its
            pipe.

        Raises
        ------
        StreamError
            If no consumer came, or the process died before the end.
        """
        if self._process is not None and self._link.poll(patience) and not self._receive():
            raise StreamError(self._failure or "")
        if self._failure:
            raise StreamError(self._failure)

    def stop(self) -> None:
        """End the process and withdraw the streams. May be called again."""
        if self._process is None:
            return
        self._stop.set()
        self._process.join(_STOP_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._process.close()
        self._process = None
        self._link.close()
        self._folder.cleanup()

    def __enter__(self) -> Player:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _tell(self, command: Command) -> None:
        if self._process is None:
            raise StreamError(f"no player runs that could {command.name}: start it.")
        try:
            self._link.send(command)
        except OSError as error:
            self.check()
            raise StreamError("the player has ended: start it again.") from error

    def _receive(self) -> bool:
        """Take one message of the child: true when all is well."""
        try:
            self._failure = self._link.recv()
        except (EOFError, ConnectionError):
            self._failure = f"the player died after {self.pushed} samples: start it again."
        return self._failure is None

    def _play(self, file: Path) -> Play:
        recording = self.recording
        rate = recording.spec.rate
        return Play(
            file,
            recording.spec,
            tuple(truth_events(recording)),
            self.name,
            self.source_id,
            recording.ring,
            recording.dataset,
            recording.subject,
            self.speed,
            self.loop,
            None if self.seconds is None else max(1, round(self.seconds * rate)),
            self.stay,
            self.chunk_samples,
            self.wait_for_truth,
            self.consumer_timeout,
            lsl.uses_lan(),
            self.counter,
        )


def _require_speed(speed: float) -> None:
    if not 0.0 < speed <= lsl.MAX_SPEED:
        raise OptionError(
            f"speed {speed:g} is not possible: give more than 0 and at most {lsl.MAX_SPEED:g}."
        )
