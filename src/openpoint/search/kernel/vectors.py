"""Compiled: copies of vectors and rows; slices would take long to compile."""

from __future__ import annotations

from typing import Any

from openpoint.compiled.jit import inner


@inner
def copy(values: Any, into: Any) -> None:
    """Copy a vector."""
    for k in range(len(values)):
        into[k] = values[k]


@inner
def keep(values: Any, into: Any, row: int) -> None:
    """Copy a vector into a row of a table."""
    for k in range(len(values)):
        into[row, k] = values[k]


@inner
def recall(table: Any, row: int, into: Any) -> None:
    """Copy a row of a table into a vector."""
    for k in range(len(into)):
        into[k] = table[row, k]
