"""A checkpoint made ready to decide: at once by what the last start kept, or with torch.

torch takes 3 s to load, and while it does, nothing else runs in its process for up to half a
second. So a process that decides already lets a child prepare the next checkpoint.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from semgfin_rt.errors import CheckpointError, SemgfinError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.agreement import answer, difference, trials
from semgfin_rt.nn.backend import ASKED_AS, Choice, median_ms, require_backend
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.nn.kept import kept_file, read
from semgfin_rt.nn.onnx_backend import FAILURES, OnnxBackend


def start_backend(model: Path, wanted: str, cache: Path) -> tuple[ModelContract, Choice]:
    """Load a checkpoint, and take the wanted backend or the fastest.

    The fastest is measured at the first start with a checkpoint; where a GPU may be there, or ONNX
    Runtime was not the fastest, at every start.

    Parameters
    ----------
    model : Path
    wanted : {"auto", "onnx", "torch", "cuda"}
    cache : Path
        Folder for what is kept.

    Raises
    ------
    OptionError
        If the backend is not there.
    CheckpointError
        If there is no valid checkpoint at `model`, or the backend cannot run it or disagrees.
    """
    require_backend(wanted)
    contract = load_contract(model)
    file = kept_file(model, cache)
    choice = _kept_choice(contract, wanted, file)
    if choice is None:
        import torch

        from semgfin_rt.nn.checkpoint import load_checkpoint
        from semgfin_rt.nn.choosing import choose_backend

        network, contract = load_checkpoint(model)
        torch.set_num_threads(1)  # a second thread gains nothing for one window, costs latency
        choice = choose_backend(network, contract, wanted, file)
    return contract, choice


def start_beside(model: Path, running: str, cache: Path) -> tuple[ModelContract, Choice]:
    """Do so in a process that decides already, with the backend named `running`.

    Where `cache` cannot be written, this process has to load torch after all.

    Raises
    ------
    CheckpointError
        As `start_backend`.
    """
    wanted = ASKED_AS[running]
    if wanted == "onnx":
        contract = load_contract(model)
        choice = _kept_choice(contract, wanted, kept_file(model, cache))
        if choice is not None:
            return contract, choice
        _prepare(model, wanted, cache)
    return start_backend(model, wanted, cache)


def _prepare(model: Path, wanted: str, cache: Path) -> None:
    """Let a child start with a checkpoint, and keep what it finds out."""
    module = ["-P", "-m", "semgfin_rt.nn.starting"]
    command = [sys.executable, *module, str(model), wanted, str(cache)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    if child.returncode:
        said = child.stderr.strip().splitlines()
        code = child.returncode
        raise CheckpointError(
            said[-1] if said else f"{model} could not be prepared (exit code {code}): try again."
        )


def _kept_choice(contract: ModelContract, wanted: str, file: Path) -> Choice | None:
    """Take what was kept, if it is what is wanted and agrees with the reference."""
    if wanted not in ("auto", "onnx") or (wanted == "auto" and _may_have_gpu()):
        return None
    kept = read(file)
    if kept is None or (wanted == "auto" and not kept.fastest):
        return None
    try:
        backend = OnnxBackend(kept.graph)
        found = answer(backend, trials(contract))
    except FAILURES:
        return None
    if not difference(kept.expected, found, contract, kept.allowed).agrees:
        return None
    return Choice(backend, {backend.name: median_ms(backend, contract)})


def _may_have_gpu() -> bool:
    """Whether NVIDIA's driver is there, as far as can be told without loading torch."""
    return shutil.which("nvidia-smi") is not None or Path("/dev/nvidiactl").exists()


if __name__ == "__main__":
    try:
        start_backend(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
    except SemgfinError as error:
        sys.exit(str(error))
