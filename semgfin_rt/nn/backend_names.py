"""Which backends there are: apart, for what must not load torch before its first picture."""

from __future__ import annotations

from semgfin_rt.errors import OptionError

BACKENDS = ("auto", "onnx", "torch", "cuda")


def require_backend(wanted: str) -> None:
    """Refuse a backend that is not known or not there, before anything is loaded.

    Raises
    ------
    OptionError
        One sentence on which can be had.
    """
    if wanted not in BACKENDS:
        raise OptionError(f"backend '{wanted}' is not known: choose {', '.join(BACKENDS)}.")
    if wanted == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise OptionError("no CUDA device was found: choose `--backend auto`, onnx or torch.")
