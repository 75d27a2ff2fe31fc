"""A checkpoint as one ONNX file, compared with torch before it appears."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime
import torch

from semgfin_rt import __version__
from semgfin_rt.atomic import written_whole
from semgfin_rt.errors import CheckpointError, OptionError
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.checkpoint_folder import CONTRACT, read_capped, sha256
from semgfin_rt.nn.graph import can_be_graph, onnx_model
from semgfin_rt.nn.onnx_backend import OnnxBackend
from semgfin_rt.nn.reference import compare

_FORMAT = "1"  # of the names, shapes and metadata in the file


def export_onnx(folder: Path, out: Path) -> float:
    """Write a checkpoint as ONNX; the file appears whole or not at all.

    Inputs and outputs are those of `graph.onnx_model`. The metadata hold contract.json
    (``semgfin_rt.contract``), the SHA-256 of the checkpoint (``semgfin_rt.checkpoint_sha256``),
    ``semgfin_rt.version`` and ``semgfin_rt.format``.

    Parameters
    ----------
    folder : Path
        The checkpoint.
    out : Path
        A file that ends in .onnx; an older one is replaced.

    Returns
    -------
    float
        Largest difference between ONNX Runtime on one CPU thread and torch, on the scale of
        `agreement.Difference`.

    Raises
    ------
    CheckpointError
        When `folder` is no checkpoint or has no FIN, or the difference is too large.
    OptionError
        When `out` cannot be written.
    """
    if out.suffix != ".onnx":
        raise OptionError(f"'{out}' is no ONNX file: give a name that ends in .onnx.")
    network, contract = load_checkpoint(folder)
    if not can_be_graph(contract):
        raise CheckpointError(
            f"{folder} computes its features instead of imitating them, which cannot be exported: "
            "give a checkpoint with a FIN."
        )
    model = onnx_model(network, contract)
    metadata = {
        "contract": read_capped(folder / CONTRACT).decode(),
        "checkpoint_sha256": sha256(folder),
        "version": __version__,
        "format": _FORMAT,
    }
    onnx.helper.set_model_props(model, {f"semgfin_rt.{key}": v for key, v in metadata.items()})
    data: bytes = model.SerializeToString()
    difference = compare(OnnxBackend(data), network, contract)
    if not difference.agrees:
        raise CheckpointError(
            f"the ONNX model {difference}, so it was not written: try other versions of torch "
            f"({torch.__version__}) and onnxruntime ({onnxruntime.__version__})."
        )
    try:
        with written_whole(out) as part:
            part.write_bytes(data)
    except OSError as error:
        raise OptionError(
            f"'{out}' cannot be written ({error.strerror}): name a file in a folder that exists "
            "and that you may write to."
        ) from error
    return difference.largest


def read_shapes(path: Path) -> dict[str, tuple[str | int, ...]]:
    """Shapes of the input and the outputs of an ONNX file, by name and in this order."""
    graph = onnx.load(path, load_external_data=False).graph
    return {
        value.name: tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.output)
    }
