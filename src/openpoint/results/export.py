"""Tables of results as files: CSV, Parquet, Excel, and an answer as GeoJSON."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from openpoint.arrays import Floats
from openpoint.atomic import write_bytes, write_files
from openpoint.errors import InputError, Problem
from openpoint.grid.coordinates import middle, routes_of
from openpoint.grid.grid import Grid
from openpoint.grid.table_files import table_bytes


class Tabled(Protocol):
    """The export of a result: tables by name, and a summary with one value for each key."""

    def tables(self) -> dict[str, pl.DataFrame]:
        """The tables by name."""

    def row(self) -> Mapping[str, str | float | int | None]:
        """The summary."""

    def row_frame(self) -> pl.DataFrame:
        """The summary as a table."""


def to_csv(result: Tabled, folder: str | Path) -> list[Path]:
    """Write one CSV file for each table into the folder, which is made where missing; the paths written."""
    return _write(result, Path(folder), "csv")


def to_parquet(result: Tabled, folder: str | Path) -> list[Path]:
    """Write one Parquet file for each table into the folder, which is made where missing; the paths written."""
    return _write(result, Path(folder), "parquet")


def to_excel(result: Tabled, file: str | Path) -> Path:
    """Write one workbook with a sheet for each table; the path written.

    Text is written as text: a bus called `=1+1` is not a formula, one called `http://…` not a link.
    """
    import xlsxwriter

    path, buffer = Path(file), io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(buffer, options) as book:
        bold = book.add_format({"bold": True})
        sheet = book.add_worksheet("summary")
        sheet.set_column(0, 0, 24)
        sheet.set_column(1, 1, 60)
        for row, (key, value) in enumerate(result.row().items()):
            sheet.write_string(row, 0, key, bold)
            _write_cell(sheet, row, 1, value)
        for name, frame in result.tables().items():
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 0)
            for column, header in enumerate(frame.columns):
                sheet.set_column(column, column, max(10, len(header) + 2))
                sheet.write_string(0, column, header, bold)
                for row, value in enumerate(frame[header], start=1):
                    _write_cell(sheet, row, column, value)
    write_bytes(path, buffer.getvalue())
    return path


def _write(result: Tabled, folder: Path, ending: str) -> list[Path]:
    frames = {"summary": result.row_frame(), **result.tables()}
    write_files(
        {folder / f"{name}.{ending}": table_bytes(frame, csv=ending == "csv") for name, frame in frames.items()}
    )
    return [folder / f"{name}.{ending}" for name in frames]


def _write_cell(sheet: Any, row: int, column: int, value: str | float | int | None) -> None:
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, str):
        sheet.write_string(row, column, value)
    elif value is not None:
        sheet.write_number(row, column, value)


def geojson(grid: Grid, buses: pl.DataFrame, branches: pl.DataFrame, when: str) -> str:
    """The grid as a FeatureCollection.

    Args:
        grid: the grid, whose buses have coordinates; what lies at a bus without any is left out.
        buses, branches: tables of a result, of a balanced grid. when: the ending of the columns of the state that is
            shown, such as `after`.

    Raises:
        InputError: no bus has coordinates.
    """
    table = grid.buses.filter(pl.col("x").is_not_null() & pl.col("y").is_not_null())
    at = {name: [x, y] for name, x, y in table.select("name", "x", "y").iter_rows()}
    if not at:
        remedy = "Give x and y of the buses, as longitude and latitude"
        raise InputError([Problem("buses", "", "x", "no bus has coordinates, so there is nothing to draw", remedy)])
    ends = dict(grid.lines.select("name", "open_end").iter_rows())
    routes = dict(zip(grid.branches()["name"], routes_of(grid), strict=True))
    features = [*_buses(buses, at, when), *_branches(branches, at, routes, ends, when)]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False) + "\n"


def _buses(buses: pl.DataFrame, at: dict[str, list[float]], when: str) -> Iterator[dict[str, Any]]:
    for row in buses.iter_rows(named=True):
        if row["name"] in at:
            known = {"kind": "bus", "name": row["name"], "vn_kv": row["vn_kv"], "v_pu": _number(row[f"v_{when}_pu"])}
            yield _feature("Point", at[row["name"]], known)


def _branches(
    branches: pl.DataFrame, at: dict[str, list[float]], routes: dict[str, Floats], ends: dict[str, str], when: str
) -> Iterator[dict[str, Any]]:
    for row in branches.iter_rows(named=True):
        if row["from_bus"] not in at or row["to_bus"] not in at:
            continue
        fr, to = at[row["from_bus"]], at[row["to_bus"]]
        closed = row[f"closed_{when}"]
        known = {
            "kind": row["kind"],
            "name": row["name"],
            "state": "closed" if closed else "open",
            "changed": closed != row["closed_before"],
            "i_a": _number(row[f"i_{when}_a"]),
            "loading_percent": _number(row[f"loading_{when}_percent"]),
            "p_from_kw": _number(row[f"p_from_{when}_kw"]),
            "q_from_kvar": _number(row[f"q_from_{when}_kvar"]),
            "loss_kw": _number(row[f"loss_{when}_kw"]),
        }
        way = [fr, *routes[row["name"]].tolist(), to]
        yield _feature("LineString", way, known)
        if not closed:
            end = ends.get(row["name"], "both")
            place = {"from": fr, "to": to}.get(end) or middle(way)
            about = {"kind": "open point", "name": row["name"], "open_end": end, "changed": known["changed"]}
            yield _feature("Point", place, about)


def _feature(shape: str, coordinates: Any, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": shape, "coordinates": coordinates}, "properties": properties}


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
