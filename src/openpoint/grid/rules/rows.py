"""The rows of a table, read column by column: a query of Polars has a price of its own, however small the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl


def rows(frame: pl.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The values of these columns, row by row."""
    return zip(*(frame[column].to_list() for column in columns), strict=True)
