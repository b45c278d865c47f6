"""Doubts about the loads as a whole: none at all, or all too small, as megawatts in a column of kilowatts are."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from openpoint.errors import Problem
from openpoint.grid.rules.unit_doubts import MEDIUM_VOLTAGE_KV, median_drops
from openpoint.grid.schemas import Tables

# Loads at medium voltage are hardly kilowatts where none reaches this. Over the published cases, and examples of
# pandapower and SimBench, the largest load of a grid is never below 2 kVA, at medium voltage never below 29.
LEAST_KVA_MEDIUM = 1.0
# Loads at any voltage are where none reaches this, and lines would drop less than LEAST_DROP.
LEAST_KVA = 20.0
# Drop per unit of the median line of a voltage level under its whole feeder. Where loads are below LEAST_KVA, at low
# voltage, those grids have 8e-4 and more.
LEAST_DROP = 2e-4

_MEANT = "unless that is meant"


def load_doubts(grid: Tables) -> Iterator[Problem]:
    """What the loads as a whole leave in doubt; it changes what every figure means."""
    loads = grid.loads
    if grid.buses.is_empty():
        return  # listed as a fault
    if loads.is_empty():
        yield _doubt("", "the table has no rows, so figures are of a grid without load", f"Add the loads, {_MEANT}")
        return
    kva = (loads["p_kw"] ** 2 + loads["q_kvar"] ** 2).sqrt()
    if not kva.is_finite().all():
        return  # listed as a fault
    if kva.max() == 0:
        yield _doubt("p_kw", "all loads are 0, so figures are of a grid without load", f"Give the loads, {_MEANT}")
    elif _are_too_small(grid, kva):
        most, largest = max(zip(kva.to_list(), loads["name"].to_list(), strict=True))
        message = f"all loads together are {kva.sum():.3g} kVA, the largest, {largest!r}, {most:.3g} kVA"
        yield _doubt("p_kw", message, "Give kilowatts: if these are MW and Mvar, multiply p_kw and q_kvar by 1000")


def _are_too_small(grid: Tables, kva: pl.Series) -> bool:
    if not kva.lt(LEAST_KVA).all():
        return False
    level = dict(grid.buses.select("name", "vn_kv").iter_rows())
    vn_kv = [level.get(bus, 0.0) for bus in grid.loads["bus"].to_list()]
    if min(vn_kv) >= MEDIUM_VOLTAGE_KV and kva.lt(LEAST_KVA_MEDIUM).all():
        return True
    drops = median_drops(grid)
    return bool(drops) and max(drops) < LEAST_DROP


def _doubt(column: str, message: str, remedy: str) -> Problem:
    return Problem("loads", "", column, message, remedy, "warning", changes_figures=True)
