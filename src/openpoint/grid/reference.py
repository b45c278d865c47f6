"""The reference page of the tables, made from the schemas."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import dataframely as dy

from openpoint.grid.schemas import SCHEMAS


def tables_markdown(schemas: Mapping[str, type[dy.Schema]] = SCHEMAS) -> str:
    """A Markdown section for every table: its columns with type, unit, default and meaning."""
    parts = []
    for kind, schema in schemas.items():
        dtypes = schema.create_empty().schema
        parts += [f"## {kind}", "", inspect.cleandoc(schema.__doc__ or ""), ""]
        parts += ["| column | type | unit | default | meaning |", "|---|---|---|---|---|"]
        for name, column in schema.columns().items():
            metadata = column.metadata or {}
            cells = (f"`{name}`", _type_word(str(dtypes[name])), metadata.get("unit", ""), _default(metadata))
            parts.append(f"| {' | '.join(cells)} | {metadata.get('doc', '')} |")
        parts.append("")
    return "\n".join(parts)


def _type_word(dtype: str) -> str:
    words = {"String": "text", "Float64": "number", "Int64": "whole number", "Boolean": "true or false"}
    return words.get(dtype, "numbers")


def _default(metadata: dict[str, Any]) -> str:
    if "default" not in metadata:
        return "must be given"
    value = metadata["default"]
    if value is None or value == []:
        return "empty"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"
