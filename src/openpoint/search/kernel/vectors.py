"""Compiled: copies of vectors and rows; slice assignments would take long to compile."""

from __future__ import annotations

from typing import Any

from openpoint.compiled.jit import inlined


@inlined
def copy_values(values: Any, into: Any) -> None:
    """Copy a vector."""
    for k in range(len(values)):
        into[k] = values[k]


@inlined
def store_row(values: Any, into: Any, row: int) -> None:
    """Copy a vector into a row of a table."""
    for k in range(len(values)):
        into[row, k] = values[k]


@inlined
def load_row(table: Any, row: int, into: Any) -> None:
    """Copy a row of a table into a vector."""
    for k in range(len(into)):
        into[k] = table[row, k]


@inlined
def store_states(values: Any, into: Any, row: int) -> None:
    """Copy states of branches, 0 to 3, into a row of a table with four of them in a byte."""
    for k in range(0, len(values), 4):
        four = 0
        for part in range(min(4, len(values) - k)):
            four |= values[k + part] << (2 * part)
        into[row, k // 4] = four


@inlined
def load_states(table: Any, row: int, into: Any) -> None:
    """Copy states of branches from such a row."""
    for k in range(len(into)):
        into[k] = (table[row, k // 4] >> (2 * (k % 4))) & 3
