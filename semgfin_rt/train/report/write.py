"""Write the three files of a report, each whole or not at all."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from semgfin_rt.atomic import written_whole
from semgfin_rt.errors import OptionError
from semgfin_rt.train.report.page import render
from semgfin_rt.train.report.summary import Results
from semgfin_rt.train.statistics import FEWEST, spread

_COLUMNS = pa.schema(
    [
        ("subject", pa.int32()),
        ("seed", pa.int32()),
        ("method", pa.string()),
        ("condition", pa.string()),
        ("horizon_ms", pa.int32()),
        ("measure", pa.string()),
        ("feature", pa.string()),
        ("value", pa.float64()),
    ]
)


def write_report(folder: Path, found: Results) -> None:
    """Write results.json, results.parquet and report.html.

    Parameters
    ----------
    folder : Path
        Made when it is not there; older files of these names are replaced.
    found : Results

    Raises
    ------
    OptionError
        When the folder cannot be written.
    """
    files = {
        "results.json": _json(found),
        "results.parquet": _parquet(found),
        "report.html": render(found).encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            with written_whole(folder / name) as part:
                part.write_bytes(content)
    except OSError as error:
        raise OptionError(
            f"the report cannot be written to {folder} ({error.strerror}): give another --out."
        ) from error


def _json(found: Results) -> bytes:
    run = asdict(found.run)
    del run["notes"]
    content = run | {
        "notes": found.notes,
        "figures": [figure.model_dump() for figure in found.figures],
        "details": [detail.model_dump() for detail in found.details],
        "statistics": {
            "fewest_subjects": FEWEST,
            "spread": [
                asdict(cell) | asdict(value)
                for cell, by_subject in found.scores.items()
                if (value := spread(by_subject))
            ],
            "comparisons": [asdict(comparison) for comparison in found.comparisons],
        },
    }
    text = json.dumps(content, default=str, ensure_ascii=False, allow_nan=False)
    return text.encode()


def _parquet(found: Results) -> bytes:
    rows = [figure.model_dump() for figure in found.figures]
    about = {"protocol": found.run.protocol, "dataset": found.run.dataset, "date": found.run.date}
    table = pa.Table.from_pylist(rows, schema=_COLUMNS.with_metadata(about))
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()
