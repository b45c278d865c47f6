"""Loads of a day by bus and period, and what of them may be moved or shed."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import polars as pl

from openpoint.arrays import Complexes, Floats
from openpoint.grid.grid import Grid
from openpoint.io import GridLike, read
from openpoint.network import Network
from openpoint.network.day import Demand
from openpoint.network.load_shares import PARTS
from openpoint.scenarios.day.tables import Day


class DayLoads(NamedTuple):
    """(T, N) loads of constant power, current and impedance."""

    power: Complexes
    current: Complexes
    impedance: Complexes


def load_shares(day: Day, grid: Grid) -> Complexes:
    """(T, L) what each load of the grid is in a period: a share of its active power and, times j, of its reactive."""
    profiles = {load: (p, q or p) for load, p, q in day.load_profiles.iter_rows()}
    followed = [profiles.get(name, profiles.get(None)) for name in grid.loads["name"]]
    plain = day.periods["load_share"].to_numpy()
    curves = profiles_of(day)
    columns = [(1.0 + 1.0j) * plain if each is None else curves[each[0]] + 1j * curves[each[1]] for each in followed]
    return np.stack(columns, axis=1) if columns else np.zeros((day.periods.height, 0), dtype=np.complex128)


def profiles_of(day: Day) -> dict[str, Floats]:
    """Each profile over the periods, in their order."""
    frame = day.profiles
    row = {name: n for n, name in enumerate(frame["period"])}
    order = [row[name] for name in day.periods["period"]] if frame.width > 1 else []
    return {name: frame[name].to_numpy()[order] for name in frame.columns[1:]}


def day_loads(grid: Grid, network: Network, shares: Complexes) -> DayLoads:
    """The loads by bus; `shares` are those of `load_shares`."""
    bus = {name: n for n, name in enumerate(network.bus_names)}
    size = len(shares), network.n_terminals
    found = {model: np.zeros(size, dtype=np.complex128) for model in ("power", "current", "impedance")}
    for k, row in enumerate(grid.loads.iter_rows(named=True)):
        s = complex(row["p_kw"], row["q_kvar"]) / network.s_base_kva
        p_model, q_model = PARTS[row["model"]]
        n = bus[row["bus"]]
        found[p_model][:, n] += shares[:, k].real * s.real
        found[q_model][:, n] += shares[:, k].imag * complex(0.0, s.imag)
    return DayLoads(**found)


def demand_of(day: Day, grid: Grid, network: Network) -> Demand:
    """What may be moved or shed, by bus; loads of a bus that differ in it are taken together, weighted by size."""
    bus = {name: n for n, name in enumerate(network.bus_names)}
    at = np.array([bus[name] for name in grid.loads["bus"]], dtype=np.int64)
    size = np.array([math.hypot(p, q) for p, q in grid.loads.select("p_kw", "q_kvar").iter_rows()])

    def mean(values: Floats, weight: Floats) -> Floats:
        total, whole = np.zeros(network.n_terminals), np.zeros(network.n_terminals)
        least, most = np.full(network.n_terminals, np.inf), np.full(network.n_terminals, -np.inf)
        has_weight = weight > 0
        np.add.at(total, at, values * weight)
        np.add.at(whole, at, weight)
        np.minimum.at(least, at[has_weight], values[has_weight])
        np.maximum.at(most, at[has_weight], values[has_weight])
        means = np.divide(total, whole, out=np.zeros_like(total), where=whole > 0)
        return np.where(whole > 0, np.clip(means, least, most), 0.0)  # exactly the number where all have the same

    shift, in_time, moving, shed, shedding, apart = flexibility(day, grid).T
    moved = size * np.maximum(shift, in_time)
    alone = (apart >= 0.0) & (shed > 0.0)
    return Demand(
        shift_buses=mean(shift, size),
        shift_time=mean(in_time, size),
        shift_price=mean(moving, moved),
        shed_share=mean(shed, size),
        shed_price=mean(shedding, size * shed),
        shed_reactive_price=np.where(
            np.isin(np.arange(network.n_terminals), at[alone]), mean(apart, size * shed), np.nan
        ),
    )


def flexibility(day: Day, grid: Grid) -> Floats:
    """(L, 6) shares that may move between buses and in time, their price, the share that may be shed, its price, and
    that of reactive power, −1 = none of its own."""
    given = {
        (load, bus): (*numbers, price or 0.0, -1.0 if reactive is None else reactive)
        for load, bus, *numbers, price, reactive in day.flexible_loads.iter_rows()
    }
    others = given.get((None, None), (*(0.0,) * 5, -1.0))
    rows = [
        given.get((name, None), given.get((None, bus), others))
        for name, bus in grid.loads.select("name", "bus").iter_rows()
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 6)


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
