"""What a result holds, declared once: figures and tables are fields of its class with a sentence each.

The keys of its document, their JSON Schema, the columns of its files, the reference, and the list of attributes in its
docstring follow from the declarations.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import Any

import polars as pl

from openpoint.columns import TableColumn
from openpoint.results import columns
from openpoint.results.columns import Table, rows_schema
from openpoint.results.schema import Schema, names, record, root, text

SENTENCE, SCHEMA, COLUMNS = "sentence", "schema", "columns"
_NULL = re.compile(r"\bnull\b")
_KINDS = {"float": "number", "int": "integer", "bool": "boolean"}


def figure(
    sentence: str,
    *,
    default: Any = MISSING,
    options: Sequence[str] = (),
    maybe: bool = False,
    schema: Schema | None = None,
) -> Any:
    """A field of a result that is written under its name; the unit is the ending of the name.

    Args:
        sentence: what it is. default: of the field. options: the words that it may be.
        maybe: whether it may be infinite or NaN, which is null where it is written.
        schema: in place of that of its type.
    """
    more = {"enum": list(options)} if options else {}
    return field(default=default, metadata={SENTENCE: sentence, SCHEMA: schema, "maybe": maybe, "more": more})


def table(of: Table, sentence: str = "", *, default: Any = MISSING) -> Any:
    """A field of a result that is a table: a frame, or a tuple of what has its `row`, which is counted in summaries.

    Args:
        of: the columns. sentence: what a row is. default: of the field.
    """
    return field(default=default, metadata={SENTENCE: sentence, COLUMNS: of})


def cell(column: TableColumn) -> Any:
    """A field of the rows of a table, with its column; None by default where a cell may be empty."""
    return field(default=None if column.nullable else MISSING, metadata={COLUMNS: column})


def columns_of(row: type[Any]) -> Table:
    """The columns of a table whose rows are of a dataclass of cells."""
    return {each.name: each.metadata[COLUMNS] for each in fields(row)}


def declare(
    of: type[Any],
    also: Sequence[str] = (),
    more: Mapping[str, Schema] = MappingProxyType({}),
    frames: Mapping[str, Table] = MappingProxyType({}),
) -> None:
    """Keep what a dataclass declares with it, and list its figures and tables among the attributes of its docstring.

    Args:
        of: the class. also: properties that are written like figures; their docstrings say what they are.
        more: further keys. frames: tables that are no fields.
    """
    own = {name: told for name, told in vars(of)["__dataclass_fields__"].items() if SENTENCE in told.metadata}
    given = {name: own[name].metadata for name in vars(of).get("__annotations__", {}) if name in own}
    of._declared = {
        **{name: {**told, SCHEMA: _of_field(name, _written(own[name].type), told)} for name, told in given.items()},
        **{name: {SCHEMA: _of_property(getattr(of, name).fget)} for name in also},
        **{name: {SCHEMA: schema} for name, schema in more.items()},
        **{name: {COLUMNS: table, SCHEMA: more.get(name)} for name, table in frames.items()},
    }
    sentences = {name: told[SENTENCE] for name, told in _declared(of).items() if told.get(SENTENCE)}
    rows = [f"    {name}: {_NULL.sub('None', sentence)}." for name, sentence in sentences.items()]
    doc = inspect.cleandoc(of.__doc__ or "")
    of.__doc__ = "\n".join([doc if "\nAttributes:\n" in doc or not rows else f"{doc}\n\nAttributes:", *rows])


def keys_of(of: type[Any]) -> dict[str, Schema]:
    """The JSON Schemas of what a class declares, by name, its own before those of the classes that it derives from."""
    return {name: told[SCHEMA] for name, told in _declared(of).items() if told.get(SCHEMA)}


def tables_of(of: type[Any]) -> dict[str, Table]:
    """The columns of the tables that a class declares."""
    return {name: told[COLUMNS] for name, told in _declared(of).items() if COLUMNS in told}


def _declared(of: type[Any]) -> dict[str, Mapping[str, Any]]:
    """What a class and those that it derives from declare, by name."""
    found: dict[str, Mapping[str, Any]] = {}
    for base in of.__mro__:
        found = {**found, **{name: told for name, told in vars(base).get("_declared", {}).items() if name not in found}}
    return found


def _of_field(name: str, annotation: str, told: Mapping[str, Any]) -> Schema | None:
    """The JSON Schema of a field; None of a table that is no key."""
    if COLUMNS not in told:
        own = told[SCHEMA] or _schema(annotation, "", told["maybe"]) | told["more"]
        return {**own, "description": told[SENTENCE]}
    rows = rows_schema(name, told[COLUMNS]) | {"description": told[SENTENCE]}
    return rows if annotation.startswith("tuple") else None


def _of_property(getter: Callable[..., Any]) -> Schema:
    """The JSON Schema of what a property says it is."""
    sentence = " ".join((inspect.getdoc(getter) or "").partition("\n\n")[0].split()).rstrip(".").replace("None", "null")
    if not sentence[1:2].isupper():
        sentence = sentence[:1].lower() + sentence[1:]
    return _schema(_written(getter.__annotations__["return"]), sentence, maybe=False)


def _written(annotation: Any) -> str:
    """An annotation as it is written, also of a module that does not put annotations off."""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _schema(annotation: str, sentence: str, maybe: bool) -> Schema:
    """The JSON Schema of a type: text, numbers, true or false, names, or any of them or None."""
    kind, _, null = annotation.partition(" | ")
    if kind == "tuple[str, ...]":
        return names(sentence)
    type_ = _KINDS.get(kind.partition("[")[0], "string")
    least = {"minimum": 0} if kind == "int" and not null else {}
    return {"type": [type_, "null"] if null or maybe else type_, "description": sentence, **least}


@dataclass(frozen=True)
class Shape:
    """The keys and tables that a study writes, in order.

    Attributes:
        study: the key `study` of the document, and the name of its JSON Schema.
        keys: everything except the tables and the head.
        tables: the tables by name; one that is among the keys is a row of the summary, too.
        subject: description of what was asked about, under the key `grid`.
    """

    study: str
    keys: Mapping[str, Schema]
    tables: Mapping[str, Table]
    subject: str

    @property
    def head(self) -> dict[str, Schema]:
        """The keys that every result begins with."""
        return {
            "study": {"const": self.study, "description": "what was asked"},
            "version": text("version of openpoint"),
            "grid": text(self.subject),
        }

    @property
    def rows(self) -> dict[str, Schema]:
        """The JSON Schemas of the tables in the document."""
        return {name: rows_schema(name, table) for name, table in self.tables.items() if name not in self.keys}

    def json_schema(self) -> Schema:
        """JSON Schema (draft 2020-12) of the document."""
        shape = record({**self.head, **self.keys, **self.rows})
        return root(self.study, f"Result of openpoint {self.study}", shape)

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
