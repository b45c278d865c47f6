"""Checks of tables with faults of form, as far as possible, so that all faults are reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from openpoint.errors import Problem
from openpoint.grid.schemas import SCHEMAS

Read = tuple[pl.DataFrame, list[Problem]]
"""A table with null for what is not known, and the faults of its form."""


@dataclass(frozen=True)
class Filled:
    """Tables in which every cell that is not known holds a stand-in.

    Attributes:
        frames: the tables by kind.
        unknown: (table, column) that have such cells.
        stand_ins: (table, row, column) of these cells.
    """

    frames: dict[str, pl.DataFrame]
    unknown: frozenset[tuple[str, str]]
    stand_ins: frozenset[tuple[str, str, str]]

    def errors_elsewhere(self, found: Iterable[Problem]) -> list[Problem]:
        """Of the problems found in the filled tables the errors in cells that were known."""
        return [p for p in found if p.severity == "error" and (p.table, p.row, p.column) not in self.stand_ins]


def fill(read: Mapping[str, Read]) -> Filled:
    """Fill unknown cells with values in which no check finds a fault.

    Args:
        read: every table of a grid.
    """
    frames: dict[str, pl.DataFrame] = {}
    stand_ins: set[tuple[str, str, str]] = set()
    unknown: set[tuple[str, str]] = set()
    for kind, (frame, faults) in read.items():
        columns = SCHEMAS[kind].columns()
        rows = frame.to_dicts()
        for number, row in enumerate(rows, start=1):
            gaps = [name for name, column in columns.items() if row[name] is None and not column.nullable]
            unknown.update((kind, name) for name in gaps)
            name = row["name"] if row["name"] is not None else f"number {number}"
            stand_ins.update((kind, name, gap) for gap in gaps)
            row.update({gap: _stand_in(kind, gap, row, number) for gap in gaps})
        if faults and not rows:
            unknown.update((kind, name) for name in columns)
        frames[kind] = pl.DataFrame(rows, schema=frame.schema)
    return Filled(frames, frozenset(unknown), frozenset(stand_ins))


def _stand_in(kind: str, column: str, row: Mapping[str, Any], number: int) -> Any:
    """A value that causes no fault in other cells: null, except where checks go through the rows one by one."""
    schema = SCHEMAS[kind].columns()[column]
    metadata = schema.metadata or {}
    dtype = schema.dtype
    if dtype == pl.Int64:
        return None
    if "default" in metadata:
        return metadata["default"]
    if isinstance(dtype, pl.List):
        n = len(row["phases"] or "1")
        return [1.0] * (n * (n + 1) // 2)
    if dtype == pl.String:
        return f"number {number}" if column == "name" else ""
    return None
