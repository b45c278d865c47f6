"""Priorities of loads as a table that a user writes."""

from __future__ import annotations

import math
import os
from pathlib import Path

from openpoint.columns import Float64, String, TableSchema
from openpoint.errors import InputError, Problem
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
