"""Load shapes of an OpenDSS circuit, as tables beside its grid."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from openpoint.io.opendss_engine import circuit_of, property_of

PURPOSES = ("daily", "yearly", "duty")
_CLASSES = ("load", "generator", "pvsystem", "storage")


@dataclass(frozen=True)
class LoadShapes:
    """Load shapes and who follows them.

    Attributes:
        shapes: a row a step. Columns: name, step (from 0), hour, p, q (null where it follows p), is_actual (p and q
            are kW and kvar and not multipliers).
        uses: element (`class.name`), purpose (daily, yearly or duty), name of the shape.
    """

    shapes: pl.DataFrame
    uses: pl.DataFrame


def read_shapes(path: str | os.PathLike[str]) -> LoadShapes:
    """The load shapes in an OpenDSS circuit file.

    Raises:
        InputError: as `openpoint.io.opendss.grid_from_file`.
    """
    with circuit_of(Path(path)) as (engine, _):
        return LoadShapes(_shapes(engine), _uses(engine))


def _shapes(engine: Any) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    api = engine.LoadShape
    has_next = api.First()
    while has_next:
        name, p, q = api.Name(), list(api.PMult()), list(api.QMult())
        hours, each = list(api.TimeArray()), api.HrInterval()
        follows = len(q) != len(p)
        for step, value in enumerate(p):
            hour = step * each if each > 0 or len(hours) != len(p) else hours[step]
            rows.append(
                {"name": name, "step": step, "hour": hour, "p": value, "q": None if follows else q[step]}
                | {"is_actual": bool(api.UseActual())}
            )
        has_next = api.Next()
    return pl.DataFrame(
        rows,
        schema={"name": pl.String, "step": pl.Int64, "hour": pl.Float64, "p": pl.Float64, "q": pl.Float64}
        | {"is_actual": pl.Boolean},
    )


def _uses(engine: Any) -> pl.DataFrame:
    used: list[tuple[str, str, str]] = []
    for element in (name.lower() for name in engine.Circuit.AllElementNames()):
        if element.partition(".")[0] in _CLASSES:
            engine.Circuit.SetActiveElement(element)
            given = [(purpose, property_of(engine, purpose).lower()) for purpose in PURPOSES]
            used += [(element, purpose, shape) for purpose, shape in given if shape and shape != "none"]
    return pl.DataFrame(used, schema=dict.fromkeys(("element", "purpose", "shape"), pl.String), orient="row")
