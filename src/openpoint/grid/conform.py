"""Bring a raw table into the shape of its schema, and collect what does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from openpoint.columns import TableSchema
from openpoint.errors import MOST_FAULTS, Problem, remedy_of_column
from openpoint.grid.schemas import SCHEMAS

RawTable = pl.DataFrame | Mapping[str, Any] | Iterable[Mapping[str, Any]]

_TRUTH = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def conform(
    kind: str, raw: RawTable | None, schema: type[TableSchema] | None = None
) -> tuple[pl.DataFrame, list[Problem]]:
    """The table with exactly the columns and types of its schema, and every fault found.

    Unknown columns are refused, absent optional ones take their default; a single number stands for a 1 × 1 matrix.
    Where faults were found, the frame has null for what is not known; it is empty if what was given is no table.

    Args:
        kind: what messages call the table. raw: the table.
        schema: its schema; default: that of the grid's table of this kind.
    """
    schema = schema or SCHEMAS[kind]
    empty = schema.empty()
    if raw is None:
        return empty, []
    try:
        frame = _frame(schema, raw)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        reason = str(error).strip().partition("\n")[0]
        return empty, [Problem(kind, "", "", f"this is no table: {reason}", "Give columns of equal length")]
    if frame.width == 0:
        return empty, []
    columns, given = schema.columns(), frame.columns
    faults = [
        Problem(kind, "", name, "unknown column", remedy_of_column(name, columns))
        for name in given
        if name not in columns
    ]
    series: list[pl.Series] = []
    for name, column in columns.items():
        metadata, dtype = column.metadata, column.dtype
        if name not in given:
            if "default" not in metadata:
                faults.append(Problem(kind, "", name, "column is missing", f"Add it: {metadata['doc']}"))
            series.append(_everywhere(name, metadata.get("default"), dtype, frame.height))
            continue
        values, found = _cast(kind, frame, name, dtype)
        faults += found
        if not column.nullable and frame[name].null_count():
            missing = frame[name].is_null()
            if "default" in metadata:
                values = values.zip_with(~missing, _everywhere(name, metadata["default"], dtype, frame.height))
            else:
                faults += [
                    Problem(kind, _label(frame, i), name, "value is missing", f"Give {metadata['doc']}")
                    for i in missing.arg_true().head(MOST_FAULTS)
                ]
        series.append(values)
    return pl.DataFrame(series), faults


def _everywhere(name: str, value: Any, dtype: pl.DataType, height: int) -> pl.Series:
    """A column with one value in all rows."""
    return pl.Series(name, [value] * height, dtype=dtype)


def _frame(schema: type[TableSchema], raw: RawTable) -> pl.DataFrame:
    """A frame of whatever was given; numbers of mixed types in a column are widened."""
    if isinstance(raw, pl.DataFrame):
        return raw
    matrices = [name for name, column in schema.columns().items() if isinstance(column.dtype, pl.List)]
    if isinstance(raw, Mapping):
        columns = {
            name: [_as_matrix(v) for v in values] if name in matrices and isinstance(values, list) else values
            for name, values in raw.items()
        }
        return pl.DataFrame(columns, strict=False)
    rows = [{**row, **{name: _as_matrix(row[name]) for name in matrices if name in row}} for row in raw]
    return pl.DataFrame(rows, strict=False, infer_schema_length=None)


def _as_matrix(value: Any) -> Any:
    return [value] if isinstance(value, (int, float)) else value


def _cast(kind: str, frame: pl.DataFrame, name: str, dtype: pl.DataType) -> tuple[pl.Series, list[Problem]]:
    values = frame[name]
    if values.dtype == dtype and not isinstance(dtype, pl.List):
        return values, []
    if isinstance(dtype, pl.List) and values.dtype.is_numeric():
        values = pl.Series(name, [None if v is None else [v] for v in values.to_list()], dtype=dtype)
    if dtype == pl.String and values.dtype.is_float() and _are_whole(values.drop_nulls()):
        values = values.cast(pl.Int64)
    if dtype == pl.Boolean and values.dtype == pl.String:
        truth = [None if v is None else _TRUTH.get(v.strip().lower()) for v in values.to_list()]
        cast = pl.Series(name, truth, dtype=dtype)
    else:
        try:
            cast = values.cast(dtype, strict=False)
            if cast.dtype != dtype:  # a cast of a structure is one of its fields
                raise pl.exceptions.InvalidOperationError
        except pl.exceptions.PolarsError:
            unknown = pl.Series(name, [None] * frame.height, dtype=dtype)
            return unknown, [Problem(kind, "", name, f"the values are not {_word(dtype)}", "Correct them")]
    is_list, whole = isinstance(dtype, pl.List), dtype == pl.Int64 and values.dtype.is_float()
    # Queries have a price of their own, whatever the size of the table: first what is known without one.
    alike = cast.null_count() == values.null_count() and not whole
    if alike and not (is_list and cast.explode(empty_as_null=False, keep_nulls=False).null_count()):
        return cast, []
    lost = cast.is_null() & values.is_not_null()
    if whole:
        lost |= (values % 1 != 0).fill_null(False)
    if is_list:
        lost |= (cast.list.len() != cast.list.drop_nulls().list.len()).fill_null(False)
    if not lost.any():
        return cast, []
    faults = [
        Problem(kind, _label(frame, i), name, f"{_show(values[i])} is not {_word(dtype)}", "Correct the value")
        for i in lost.arg_true().head(MOST_FAULTS)
    ]
    return cast.zip_with(~lost, pl.Series(name, [None] * frame.height, dtype=dtype)), faults


def _are_whole(values: pl.Series) -> bool:
    return bool(((values % 1 == 0) & (values.abs() < 2**53)).all())


def _show(value: Any) -> str:
    return repr(value.to_list() if isinstance(value, pl.Series) else value)


def _label(frame: pl.DataFrame, row: int) -> str:
    """The name of a row, or its number (1 = first) where it has none."""
    name = frame["name"][row] if "name" in frame.columns else None
    return str(name) if name is not None else f"number {row + 1}"


def _word(dtype: pl.DataType) -> str:
    if dtype == pl.Float64:
        return "a number"
    if dtype == pl.Int64:
        return "a whole number"
    if dtype == pl.Boolean:
        return "true or false"
    return "a list of numbers" if isinstance(dtype, pl.List) else "text"


Read = tuple[pl.DataFrame, list[Problem]]
"""A table with null for what is not known, and the faults of its form."""


@dataclass(frozen=True)
class Filled:
    """Tables in which every cell that is not known holds a stand-in.

    Attributes:
        frames: the tables by kind.
        unknown: (table, column) that have such cells.
        stand_ins: (table, row, column) of these cells.
    """

    frames: dict[str, pl.DataFrame]
    unknown: frozenset[tuple[str, str]]
    stand_ins: frozenset[tuple[str, str, str]]

    def errors_elsewhere(self, found: Iterable[Problem]) -> list[Problem]:
        """Of the problems found in the filled tables the errors in cells that were known."""
        return [p for p in found if p.severity == "error" and (p.table, p.row, p.column) not in self.stand_ins]


def fill(read: Mapping[str, Read]) -> Filled:
    """Fill unknown cells with values in which no check finds a fault.

    Args:
        read: every table of a grid.
    """
    frames: dict[str, pl.DataFrame] = {}
    stand_ins: set[tuple[str, str, str]] = set()
    unknown: set[tuple[str, str]] = set()
    for kind, (frame, faults) in read.items():
        columns = SCHEMAS[kind].columns()
        rows = frame.to_dicts()
        for number, row in enumerate(rows, start=1):
            gaps = [name for name, column in columns.items() if row[name] is None and not column.nullable]
            unknown.update((kind, name) for name in gaps)
            name = row["name"] if row["name"] is not None else f"number {number}"
            stand_ins.update((kind, name, gap) for gap in gaps)
            row.update({gap: _stand_in(kind, gap, row, number) for gap in gaps})
        if faults and not rows:
            unknown.update((kind, name) for name in columns)
        frames[kind] = pl.DataFrame(rows, schema=frame.schema)
    return Filled(frames, frozenset(unknown), frozenset(stand_ins))


def _stand_in(kind: str, column: str, row: Mapping[str, Any], number: int) -> Any:
    """A value that causes no fault in other cells: null, except where checks go through the rows one by one."""
    schema = SCHEMAS[kind].columns()[column]
    metadata = schema.metadata
    dtype = schema.dtype
    if dtype == pl.Int64:
        return None
    if "default" in metadata:
        return metadata["default"]
    if isinstance(dtype, pl.List):
        n = len(row["phases"] or "1")
        return [1.0] * (n * (n + 1) // 2)
    if dtype == pl.String:
        return f"number {number}" if column == "name" else ""
    return None
