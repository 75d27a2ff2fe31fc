"""`semgfin-train export`: a checkpoint for programs that run ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from semgfin_rt.cli.common import require_writable
from semgfin_rt.folders import find_model


def export(
    checkpoint: Annotated[
        str, typer.Argument(help="Folder or name of a checkpoint.", metavar="CHECKPOINT")
    ],
    out: Annotated[Path, typer.Option(help="The file to write.", metavar="FILE.onnx")],
) -> None:
    """Write a checkpoint as ONNX, compared with torch first."""
    require_writable(out)
    from semgfin_rt.nn.agreement import TOLERANCE
    from semgfin_rt.nn.export import export_onnx, read_shapes

    difference = export_onnx(find_model(checkpoint), out)
    shapes = [f"{name} ({', '.join(map(str, s))})" for name, s in read_shapes(out).items()]
    print(f"wrote {out}")
    print(f"input: {shapes[0]}")
    print(f"outputs: {', '.join(shapes[1:])}")
    print(f"size: {out.stat().st_size / 1e6:.2f} MB")
    print(f"largest difference from torch: {difference:.1e}")
    if difference > TOLERANCE:
        print(
            f"More than {TOLERANCE:.0e}, and no more than float32 allows: the classifier has large "
            "weights that cancel."
        )
