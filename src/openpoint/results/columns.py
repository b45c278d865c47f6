"""Columns of the tables of results, each declared once with its description.

Polars types, the JSON Schema, the reference page, the checks of the tests and the tables of reports follow from these
declarations. The unit is the ending of a column's name. What reports show has a heading, a number its digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from openpoint.columns import Bool, Float64, Int64, Names, Numbers, String, TableColumn, TableSchema
from openpoint.names import join_names
from openpoint.results.schema import Schema, listing, record, root

Table = Mapping[str, TableColumn]
"""The columns of a table by name, in order."""


def text(doc: str, heading: str = "", *, nullable: bool = False, options: Sequence[str] = ()) -> String:
    """Text; one of the options where there are any."""
    return String(nullable=nullable, metadata={"doc": doc, "heading": heading, "options": list(options)})


def names(doc: str, heading: str = "") -> Names:
    """Names; in one line where a table is written or shown, see `openpoint.names.join_names`."""
    return Names(metadata={"doc": doc, "heading": heading})


def number(doc: str, heading: str = "", digits: int = 0) -> Float64:
    """A number that is always known."""
    return Float64(metadata={"doc": doc, "heading": heading, "digits": digits})


def maybe_number(doc: str, heading: str = "", digits: int = 0) -> Float64:
    """A number, or null where there is none."""
    return Float64(nullable=True, metadata={"doc": doc, "heading": heading, "digits": digits})


def whole(doc: str, heading: str = "", digits: int = 0) -> Int64:
    """A number of things, from 0."""
    return Int64(metadata={"doc": doc, "heading": heading, "digits": digits})


def maybe_whole(doc: str, heading: str = "", digits: int = 0) -> Int64:
    """A whole number, or null where there is none."""
    return Int64(nullable=True, metadata={"doc": doc, "heading": heading, "digits": digits})


LIMITS_OF_CURRENT: Table = {
    "i_max_a": maybe_number("limit of the current, A", "limit, A", 1),
    "loading_limit_percent": maybe_number("limit of the loading, percent of the rating", "limit, %", 1),
}
"""The limit that is in force of a branch."""


def flag(doc: str, heading: str = "") -> Bool:
    """True or false."""
    return Bool(metadata={"doc": doc, "heading": heading})


def maybe_flag(doc: str, heading: str = "") -> Bool:
    """True or false, or null where it is not known."""
    return Bool(nullable=True, metadata={"doc": doc, "heading": heading})


def dtypes(table: Table) -> dict[str, pl.DataType]:
    """The Polars types of the columns."""
    return {name: column.dtype for name, column in table.items()}


def empty(table: Table) -> pl.DataFrame:
    """The table without a row."""
    return pl.DataFrame(schema=dtypes(table))


def frame(table: Table, rows: Iterable[Mapping[str, object] | Sequence[object]]) -> pl.DataFrame:
    """The table of rows: records by name, of which other names are left out, or values in the order of the columns."""
    cells = [[row.get(name) for name in table] if isinstance(row, Mapping) else row for row in rows]
    return pl.DataFrame(cells, schema=dtypes(table), orient="row")


def filled(table: Table, columns: Mapping[str, object]) -> pl.DataFrame:
    """The table of columns by name, the first of which is there; one that is missing is null, and so is nan."""
    height = len(columns[next(iter(table))])  # type: ignore[arg-type]
    given = {name: columns.get(name, [None] * height) for name in table}
    return pl.DataFrame(given, schema=dtypes(table)).with_columns(pl.selectors.float().fill_nan(None))


def joined(frame: pl.DataFrame) -> pl.DataFrame:
    """The table with its lists of names as text in one line each."""
    lists = [name for name, kind in frame.schema.items() if kind == pl.List(pl.String)]
    return frame.with_columns(pl.Series(name, [join_names(each) for each in frame[name]], pl.String) for name in lists)


def finite(value: float) -> float | None:
    """The number, None where it is infinite or NaN: neither is allowed in JSON and in tables of results."""
    return value if math.isfinite(value) else None


def rows_schema(name: str, table: Table) -> Schema:
    """The JSON Schema of the rows of a table."""
    rows = record({column: _column_schema(shape) for column, shape in table.items()})
    return listing(rows, f"one object a row of the table of {name}")


def _column_schema(column: TableColumn) -> Schema:
    metadata = column.metadata
    if isinstance(column, Names):
        return {"type": "array", "description": metadata["doc"], "items": {"type": "string"}}
    kind = next(word for type_, word in JSON_TYPES if isinstance(column, type_))
    shape: Schema = {"type": [kind, "null"] if column.nullable else kind, "description": metadata["doc"]}
    if metadata.get("options"):
        shape["enum"] = metadata["options"]
    if isinstance(column, Int64) and not column.nullable:
        shape["minimum"] = 0
    return shape


JSON_TYPES: tuple[tuple[type[TableColumn], str], ...] = (
    (Bool, "boolean"),
    (Int64, "integer"),
    (Float64, "number"),
    (String, "string"),
)


def input_schema(name: str, tables: Mapping[str, type[TableSchema]], required: list[str]) -> Schema:
    """The JSON Schema of tables as JSON objects.

    Args:
        name: of the published schema. tables: a schema for each table. required: tables that must be given.
    """
    shapes = {kind: listing(_rows(schema), (schema.__doc__ or kind).strip()) for kind, schema in tables.items()}
    return root(name, f"Tables of a {name}", record(shapes) | {"required": required})


def _rows(schema: type[TableSchema]) -> Schema:
    columns = schema.columns()
    shape = record({name: _column(column) for name, column in columns.items()})
    return shape | {"required": [name for name, column in columns.items() if "default" not in (column.metadata)]}


def _column(column: TableColumn) -> Schema:
    metadata = column.metadata
    unit = f", {metadata['unit']}" if metadata["unit"] else ""
    shape: Schema = {"description": f"{metadata['doc']}{unit}"}
    if "default" in metadata:
        shape["default"] = metadata["default"]
    if isinstance(column, Numbers):
        numbers = {"type": "array", "items": {"type": "number"}}
        return shape | {"anyOf": [numbers, {"type": "number"}]}
    kind = next(word for type_, word in JSON_TYPES if isinstance(column, type_))
    return shape | {"type": [kind, "null"] if column.nullable else kind}
