"""Columns of tables, each declared once: its type, whether a cell may be empty, and what is said about it.

A table that is read is a `TableSchema`; tables of results are `openpoint.results.columns.Table`. Validation, JSON
Schema and the reference pages are derived from the declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import polars as pl


@dataclass(frozen=True, kw_only=True)
class TableColumn:
    """A column of a table.

    Attributes:
        nullable: whether a cell may be empty.
        metadata: `doc`, one sentence; `unit`; `default`, where the column may be left out of a table that is read.
        alias: its name, where that is no name of an attribute.
        dtype: its Polars type.
    """

    nullable: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    alias: str | None = None
    dtype: ClassVar[pl.DataType]


class String(TableColumn):
    """A column of text."""

    dtype = pl.String()


class Float64(TableColumn):
    """A column of numbers."""

    dtype = pl.Float64()


class Int64(TableColumn):
    """A column of whole numbers."""

    dtype = pl.Int64()


class Bool(TableColumn):
    """A column of true and false."""

    dtype = pl.Boolean()


class Numbers(TableColumn):
    """A column of lists of numbers."""

    dtype = pl.List(pl.Float64())


class Names(TableColumn):
    """A column of lists of names."""

    dtype = pl.List(pl.String())


class TableSchema:
    """Base of classes whose attributes are the columns of a table, in order; the docstring describes the table."""

    @classmethod
    @cache
    def columns(cls) -> Mapping[str, TableColumn]:
        """The columns by name."""
        return {column.alias or name: column for name, column in vars(cls).items() if isinstance(column, TableColumn)}

    @classmethod
    def empty(cls) -> pl.DataFrame:
        """The table without a row."""
        return cls._empty().clone()  # a frame can be changed in place

    @classmethod
    @cache
    def _empty(cls) -> pl.DataFrame:
        return pl.DataFrame(schema={name: column.dtype for name, column in cls.columns().items()})
