"""The grid of a day: with its generators, without those that its renewables, storages and vehicles stand for."""

from __future__ import annotations

import math

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.io import GridLike, read
from openpoint.scenarios.day.tables import Day


def equipped(grid: GridLike, day: Day) -> Grid:
    """The grid with what the day brings, of which `build_network`, `build_devices` and `build_prices` make arrays.

    - Its table `generators` is added. A generator of the grid with the name of one of them, or of a renewable, storage
      or vehicle, is replaced.
    - Its voltage limits stand in place of the grid's.
    - A source without a price gets the mean price of the day, which only costs outside the day read.

    Args:
        grid: a grid, or a path or name that `read` accepts. day: its day, which may have faults.
    """
    grid = read(grid)
    kept = grid.generators.filter(~pl.col("name").is_in(sorted(resource_names(day))))
    tables = {"generators": pl.concat([kept, day.generators])}
    if day.limits.height:
        tables["buses"] = _limited(grid, day)
    if (mean := _mean_price(day)) is not None:
        tables["sources"] = grid.sources.with_columns(pl.col("price_usd_per_kwh").fill_null(mean))
    return grid.with_tables(**tables)


def resource_names(day: Day) -> set[str]:
    """Names in the day that stand for a generator of the grid of the same name."""
    return {name for frame in (day.generators, day.renewables, day.storages, day.vehicles) for name in frame["name"]}


def _limited(grid: Grid, day: Day) -> pl.DataFrame:
    """The buses with the voltage limits of the day."""
    given = {bus: (low, high) for bus, low, high in day.limits.iter_rows()}
    others = given.get(None, (None, None))
    sources = set(grid.sources["bus"])
    limits = [given.get(bus, (None, None) if bus in sources else others) for bus in grid.buses["name"]]
    own = grid.buses.select("v_min_pu", "v_max_pu").iter_rows()
    rows = [tuple(b if a is None else a for a, b in zip(new, old)) for new, old in zip(limits, own)]
    return grid.buses.with_columns(
        pl.Series("v_min_pu", [row[0] for row in rows], dtype=pl.Float64),
        pl.Series("v_max_pu", [row[1] for row in rows], dtype=pl.Float64),
    )


def _mean_price(day: Day) -> float | None:
    """The mean price of the periods that have one, by their length; None where none has one."""
    rows = [(p, h) for p, h in day.periods.select("price_usd_per_kwh", "hours").iter_rows() if p is not None]
    total = sum(h for _, h in rows)
    mean = sum(p * h for p, h in rows) / total if total else math.nan
    return mean if math.isfinite(mean) else None
