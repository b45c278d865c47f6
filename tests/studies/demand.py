"""A whole study in one file: what a new one needs, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.options import Question, option
from openpoint.results import columns as c
from openpoint.results.base import Result, in_kw
from openpoint.results.schema import number, whole
from openpoint.results.shape import Shape
from openpoint.studies.study import Prepared, Ready, function


@dataclass(frozen=True, kw_only=True)
class DemandOptions(Question):
    """What counts."""

    least_kw: float = option(0.0, "Loads below it are not listed.", "number", unit="KW", least=0.0)


@dataclass(frozen=True, repr=False)
class DemandResult(Result):
    """The demand of a grid."""

    grid: Grid
    total_kw: float
    count: int
    loads: pl.DataFrame
    shape: ClassVar[Shape] = Shape(
        "demand",
        "demand",
        "Result of openpoint demand",
        {"total_kw": number("active power of all loads, kW"), "count": whole("loads of at least the least power")},
        {"loads": {"name": c.text("name of the load"), "p_kw": c.number("active power, kW")}},
    )
    in_short: ClassVar[str] = "demand"  # type: ignore[misc]

    def facts(self) -> dict[str, str]:
        return {"demand": in_kw(self.total_kw), "loads": str(self.count)}


def prepare(grid: Grid, options: DemandOptions) -> Prepared[DemandResult]:
    """List the loads of a grid, the largest first."""
    loads = grid.loads.select("name", "p_kw").sort("p_kw", descending=True)
    loads = loads.filter(loads["p_kw"] >= options.least_kw)
    return Ready(lambda: DemandResult(grid, float(grid.loads["p_kw"].sum()), loads.height, loads))


demand = function("demand", DemandOptions, prepare)
