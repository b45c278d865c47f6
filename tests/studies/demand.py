"""A whole study in one file: what a new one needs, and what follows from it."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.options import Question, option
from openpoint.results import columns as c
from openpoint.results.base import Result, in_kw
from openpoint.results.shape import figure, table
from openpoint.studies.study import Prepared, Ready, function


@dataclass(frozen=True, kw_only=True)
class DemandOptions(Question):
    """What counts."""

    least_kw: float = option(0.0, "Loads below it are not listed.", "number", unit="KW", least=0.0)


class DemandResult(Result, study="demand"):
    """The demand of a grid."""

    grid: Grid
    total_kw: float = figure("active power of all loads, kW")
    count: int = figure("loads of at least the least power")
    loads: pl.DataFrame = table({"name": c.text("name of the load"), "p_kw": c.number("active power, kW")})
    in_short: ClassVar[str] = "demand"  # type: ignore[misc]

    def facts(self) -> dict[str, str]:
        return {"demand": in_kw(self.total_kw), "loads": str(self.count)}


def prepare(grid: Grid, options: DemandOptions) -> Prepared[DemandResult]:
    """List the loads of a grid, the largest first."""
    loads = grid.loads.select("name", "p_kw").sort("p_kw", descending=True)
    loads = loads.filter(loads["p_kw"] >= options.least_kw)
    total = float(grid.loads["p_kw"].sum())
    return Ready(lambda: DemandResult(grid=grid, total_kw=total, count=loads.height, loads=loads))


demand = function("demand", DemandOptions, prepare)
