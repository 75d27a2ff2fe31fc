"""Devices at hand: started, killed, frozen and imitated from here; see `device`.

Starting one waits some 20 ms for its word that it is up. All are gone on the way out.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from semgfin_rt import lsl
from semgfin_rt.app.faults.device import Manner
from semgfin_rt.errors import StreamError
from semgfin_rt.model_contract import ModelContract

_WORDS = 3  # pid, when it was up, uid
COMMAND = (sys.executable, "-P", "-m", "semgfin_rt.app.faults.device")


@dataclass(frozen=True)
class Device:
    """A device that was started.

    Attributes
    ----------
    pid : int
    up : float
        LSL clock when its stream existed.
    uid : str
        Of its outlet.
    manner : Manner
    """

    pid: int
    up: float
    uid: str
    manner: Manner

    def freeze(self) -> None:
        """Stop it as a debugger would, or a laptop's lid."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on; it sends what has become due."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> float:
        """End it without a word; return the LSL clock."""
        os.kill(self.pid, signal.SIGKILL)
        return lsl.local_clock()


class Devices:
    """Devices of one identity, whose signal fits a checkpoint. Use it as a context manager.

    Parameters
    ----------
    contract : ModelContract
    command : sequence of str
        Starts the process that they are forked from.
    lan : bool
        They are to be seen by other machines.

    Attributes
    ----------
    manner : Manner
        Of a device, unless told otherwise.
    """

    def __init__(
        self, contract: ModelContract, command: Sequence[str] = COMMAND, *, lan: bool = False
    ) -> None:
        source_id = f"semgfin-fault-{uuid.uuid4()}"
        self.manner = Manner(source_id, contract.channels, contract.rate, contract.unit)
        self._command = [*command, "--lan"] if lan else list(command)

    def __enter__(self) -> Devices:
        """Start the process that they are forked from."""
        pipe = subprocess.PIPE
        # A second thread of a library would make the fork unsafe.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            self._command,
            stdin=pipe,
            stdout=pipe,
            text=True,
            env=environment,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Kill all of them."""
        self._process.communicate()  # the end of its input

    @property
    def pid(self) -> int:
        """Id of the process that they are forked from."""
        return self._process.pid

    def wait(self) -> None:
        """Wait until that process has come up."""
        self._ask("")

    def start(self, **changes: Any) -> Device:
        """Start one and return once its stream exists.

        Parameters
        ----------
        **changes
            Of fields of `Manner`.

        Raises
        ------
        StreamError
            If it does not come up.
        """
        manner = replace(self.manner, **changes)
        pid, up, uid = self._ask(manner.line())
        return Device(int(pid), float(up), uid, manner)

    def _ask(self, line: str) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        words = self._process.stdout.readline().split()
        if len(words) != _WORDS:
            raise StreamError("the device that was to fail did not come up: run the row again.")
        return words
