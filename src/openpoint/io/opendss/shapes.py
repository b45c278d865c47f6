"""Load shapes of an OpenDSS circuit, as tables beside its grid."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from openpoint.io.opendss.curves import PURPOSES as PURPOSES
from openpoint.io.opendss.process import run_script
from openpoint.io.opendss.text import read_script

_SHAPES = {"name": pl.String, "step": pl.Int64, "hour": pl.Float64, "p": pl.Float64, "q": pl.Float64} | {
    "is_actual": pl.Boolean
}


@dataclass(frozen=True)
class LoadShapes:
    """Load shapes and the elements that use them.

    Attributes:
        shapes: a row a step. Columns: name, step (from 0), hour, p, q (null where it follows p), is_actual (p and q
            are kW and kvar and not multipliers).
        uses: element (`class.name`), purpose (daily, yearly or duty), name of the shape.
    """

    shapes: pl.DataFrame
    uses: pl.DataFrame


def read_shapes(path: str | os.PathLike[str]) -> LoadShapes:
    """The load shapes in an OpenDSS circuit file: `shapes`, a row for each step, and `uses`, by element.

    Raises:
        InputError: the circuit cannot be read; each fault with its file and line.
    """
    path = Path(path)
    found = run_script("shapes", path.name, read_script(path))
    return LoadShapes(
        pl.DataFrame(found["shapes"], schema=_SHAPES, orient="row"),
        pl.DataFrame(found["uses"], schema=dict.fromkeys(("element", "purpose", "shape"), pl.String), orient="row"),
    )
