"""JSON Schema of tables that are read: what `from_tables` accepts. The files hold the same columns."""

from __future__ import annotations

from collections.abc import Mapping

from openpoint.columns import Numbers, TableColumn, TableSchema
from openpoint.results.columns import JSON_TYPES
from openpoint.results.schema import Schema, listing, record, root


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
