"""The shape of a result: the keys and tables that it writes, declared once by its study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from openpoint.columns import TableColumn
from openpoint.results import columns
from openpoint.results.columns import Table, rows_schema
from openpoint.results.schema import Schema, record, root, text


@dataclass(frozen=True)
class Shape:
    """The keys and tables that a study writes, in order.

    Attributes:
        study: the key `study` of the document.
        name: of the published JSON Schema.
        title: description of the document.
        keys: everything except the tables and the head.
        tables: the tables by name, larger ones first.
        beside: names of tables whose rows are in a key of the JSON document; they are written as tables only.
        asked: description of the question.
        subject: description of what was asked about, under the key `grid`.
    """

    study: str
    name: str
    title: str
    keys: Mapping[str, Schema]
    tables: Mapping[str, Table]
    beside: tuple[str, ...] = ()
    asked: str = "what was asked"
    subject: str = "name of the grid"

    @property
    def head(self) -> dict[str, Schema]:
        """The keys that every result begins with."""
        return {
            "study": {"const": self.study, "description": self.asked},
            "version": text("version of openpoint"),
            "grid": text(self.subject),
        }

    @property
    def rows(self) -> dict[str, Schema]:
        """The JSON Schemas of the tables in the document."""
        return {name: rows_schema(name, table) for name, table in self.tables.items() if name not in self.beside}

    def json_schema(self) -> Schema:
        """JSON Schema (draft 2020-12) of the document."""
        return root(self.name, self.title, record({**self.head, **self.keys, **self.rows}))

    def dtype(self, key: str) -> pl.DataType:
        """The type of a key in the table of one row that holds the summary; what is listed is counted or joined."""
        return _column_of(self.keys[key]).dtype if key in self.keys else pl.String()


def _column_of(shape: Schema) -> TableColumn:
    kinds, doc = shape.get("type", "string"), shape["description"]
    words = [kinds] if isinstance(kinds, str) else kinds
    if "array" in words:
        return columns.text(doc) if shape["items"].get("type") == "string" else columns.whole(doc)
    for word, column in _COLUMNS.items():
        if word in words:
            return column(doc)
    return columns.text(doc, nullable=True)


_COLUMNS: dict[str, Callable[[str], TableColumn]] = {
    "boolean": columns.maybe_flag,
    "integer": columns.maybe_whole,
    "number": columns.maybe_number,
}
