"""A rule for the rows of one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl


@dataclass(frozen=True)
class Rule:
    """A row is at fault where `bad` holds."""

    kind: str
    column: str
    bad: pl.Expr
    message: str
    remedy: str


def positive(kind: str, column: str) -> Rule:
    """The number in a column must be positive."""
    return Rule(kind, column, pl.col(column) <= 0, "{value} is not positive", "Give a positive number")


def not_negative(kind: str, column: str) -> Rule:
    """The number in a column must not be negative."""
    return Rule(kind, column, pl.col(column) < 0, "{value} is negative", "Give zero or a positive number")


def rows(frame: pl.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The values of these columns, row by row."""
    return zip(*(frame[column].to_list() for column in columns), strict=True)
