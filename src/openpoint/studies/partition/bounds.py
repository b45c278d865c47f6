"""Bounds and priorities of loads, as tables that a user writes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.columns import Float64, String, TableSchema
from openpoint.errors import InputError, Problem, did_you_mean
from openpoint.grid.grid import Grid
from openpoint.scenarios.tables import read_tables


class Priorities(TableSchema):
    """Priorities: factors on the cost of a kW that is not served; loads that are not named have 1."""

    load = String(metadata={"doc": "load", "unit": ""})
    priority = Float64(metadata={"doc": "factor, 0 or more", "unit": ""})


def read_priorities(file: str | os.PathLike[str]) -> dict[str, float]:
    """The priorities in a CSV, Parquet or Excel file with the columns load and priority.

    Raises:
        InputError: with every fault; names that no load of a grid has are found by the study.
    """
    file = Path(file)
    frame, faults = read_tables(file, {"priorities": Priorities}, "the priorities").tables["priorities"]
    first: dict[str, int] = {}
    for n, (load, priority) in enumerate(frame.iter_rows(), start=1):
        if load is not None and (before := first.setdefault(load, n)) != n:
            message = f"{load} stands in row number {before}, too"
            faults.append(Problem(file.name, f"number {n}", "load", message, "Keep one of the rows"))
        if priority is not None and not (math.isfinite(priority) and priority >= 0.0):
            message, remedy = f"a priority of {priority:g}", "Give 0 or more; 1 is that of all other loads"
            faults.append(Problem(file.name, f"number {n}", "priority", message, remedy))
    if faults:
        raise InputError(faults)
    return dict(frame.iter_rows())


class Bounds(TableSchema):
    """Bounds: between which shares of its nominal power an uncertain load lies; loads that are not named are certain.

    With a row for each of its phases a load to ground deviates in each by itself, of which it has an equal part.
    """

    load = String(metadata={"doc": "load", "unit": ""})
    phase = String(
        nullable=True, metadata={"doc": "phase; empty = all of its phases together", "unit": "", "default": None}
    )
    low = Float64(metadata={"doc": "least share of its nominal power, 0 to 1", "unit": ""})
    high = Float64(metadata={"doc": "greatest share, 1 or more", "unit": ""})


@dataclass(frozen=True, eq=False)
class LoadBounds:
    """The bounds of uncertain loads.

    Attributes:
        frame: the table, without faults of its own. name: of its file.
    """

    frame: pl.DataFrame
    name: str

    @staticmethod
    def read(file: str | os.PathLike[str]) -> LoadBounds:
        """The bounds in a CSV, Parquet or Excel file with the columns of `Bounds`.

        Raises:
            InputError: with every fault; names that no load of a grid has are found by the study.
        """
        file = Path(file)
        frame, faults = read_tables(file, {"bounds": Bounds}, "the bounds").tables["bounds"]
        faults += _faults(frame, file.name)
        if faults:
            raise InputError(faults)
        return LoadBounds(frame, file.name)

    def split(self, grid: Grid) -> Grid:
        """The grid in which loads with bounds by phase are a load for each phase, `load.a`.

        Raises:
            InputError: names, phases and connections that do not fit the grid, all at once.
        """
        rows = {row["name"]: row for row in grid.loads.iter_rows(named=True)}
        if faults := list(self._misfits(rows)):
            raise InputError(faults)
        apart = set(self.frame.drop_nulls("phase")["load"])
        loads = []
        for name, row in rows.items():
            parts = row["phases"] if name in apart else ""
            share = {key: row[key] / len(parts) for key in ("p_kw", "q_kvar")} if parts else {}
            loads += [row | share | {"name": f"{name}.{phase}", "phases": phase} for phase in parts] or [row]
        return grid.with_tables(loads=pl.DataFrame(loads, schema=grid.loads.schema)) if apart else grid

    def deviations(self, grid: Grid) -> tuple[list[str], Floats, Floats]:
        """Names of the uncertain loads of the grid that `split` made, in its order; least and greatest deviation."""
        given = {
            load if phase is None else f"{load}.{phase}": (low - 1.0, high - 1.0)
            for load, phase, low, high in self.frame.iter_rows()
        }
        names = [name for name in grid.loads["name"] if name in given]
        ends = np.array([given[name] for name in names]).reshape(-1, 2)
        return names, ends[:, 0], ends[:, 1]

    def counts(self, grid: Grid) -> Floats:
        """(L) what each load of the grid that `split` made counts in the weight of its block: a load as a whole 1."""
        apart = set(self.frame.drop_nulls("phase")["load"])
        bases = [name[:-2] if name[:-2] in apart and name[-2:-1] == "." else name for name in grid.loads["name"]]
        return np.array([1.0 / bases.count(base) for base in bases])

    def _misfits(self, rows: dict[str, dict[str, object]]) -> Iterator[Problem]:
        for n, (load, phase, *_) in enumerate(self.frame.iter_rows(), start=1):
            place = self.name, f"number {n}"
            if load not in rows:
                yield Problem(
                    *place, "load", f"there is no load {load!r}", did_you_mean(load, rows, "Use one of the grid")
                )
            elif phase is not None and phase not in str(rows[load]["phases"]):
                yield Problem(
                    *place, "phase", f"{load} has no phase {phase!r}", f"Its phases are {rows[load]['phases']}"
                )
            elif phase is not None and rows[load]["connection"] == "delta":
                message = f"{load} is connected between phases, and moves as one"
                yield Problem(*place, "phase", message, "Leave the phase empty")


def _faults(frame: pl.DataFrame, name: str) -> Iterator[Problem]:
    """What is wrong in the table by itself."""
    first: dict[tuple[str, str | None], int] = {}
    whole = set(frame.filter(pl.col("phase").is_null())["load"])
    for n, (load, phase, low, high) in enumerate(frame.iter_rows(), start=1):
        place = name, f"number {n}"
        if (before := first.setdefault((load, phase), n)) != n:
            yield Problem(*place, "load", f"{load} stands in row number {before}, too", "Keep one of the rows")
        if phase is not None and load in whole:
            message = f"{load} has bounds as a whole and by phase"
            yield Problem(*place, "phase", message, "Keep one row without a phase, or rows with phases")
        if low is not None and not 0.0 <= low <= 1.0:
            yield Problem(*place, "low", f"a least share of {low:g}", "Give 0 to 1; 1 is the nominal load")
        if high is not None and not (high >= 1.0 and math.isfinite(high)):
            yield Problem(*place, "high", f"a greatest share of {high:g}", "Give 1 or more; 1 is the nominal load")
