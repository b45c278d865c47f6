"""Random small grids with devices of all kinds, through engineering units, for what reads grids."""

import random
from functools import cache
from typing import Any

import numpy as np

from openpoint.grid import Grid
from openpoint.network import build_network
from openpoint.network.devices import build_devices, build_prices, build_supply
from openpoint.search.enumeration import count_positions, count_topologies
from tests.builders.device_grids import DeviceGrid, between, free_of_charge, sampled_figures
from tests.builders.grids import Flavour, Rows, random_grid

BASE = Flavour(buses=(3, 7)), Flavour(buses=(3, 7), dispatch=True)


@cache
def random_device_tables(seed: int, most: int = 5000) -> Grid:
    """The grid of a seed with at most so many states: banks, source voltages, taps, units, prices, limits that bind."""
    rng = random.Random(seed)
    tables = {kind: frame.to_dicts() for kind, frame in random_grid(seed, BASE[seed % 2]).tables().items()}
    for kind in ("transformers", "capacitors"):
        for row in tables[kind]:
            row["controllable"] = False
    for change in rng.sample([_bank, _voltages, _tap, _unit], 4):
        tried = {kind: [dict(row) for row in rows] for kind, rows in tables.items()}
        change(rng, tried)
        if _states(Grid.from_tables("random", tried).check()) <= most:
            tables = tried
    for row in tables["sources"]:
        row["price_usd_per_kwh"] = round(rng.uniform(0.05, 0.3), 3)
    return _limited(rng, Grid.from_tables("random", tables).check())


def device_grid_of(grid: Grid, *, prices: bool = False) -> DeviceGrid:
    """Its arrays; the loss is the cost, or what its energy costs."""
    network = build_network(grid)
    loss, _ = free_of_charge(network)
    cost = build_prices(grid, network) if prices else loss
    return DeviceGrid(network, build_devices(grid, network), cost, build_supply(grid, network))


def _states(grid: Grid) -> int:
    network = build_network(grid)
    return count_topologies(network) * count_positions(build_devices(grid, network))


def _bank(rng: random.Random, tables: dict[str, Rows]) -> None:
    bus = rng.choice(tables["buses"])["name"]
    levels = sorted(round(rng.uniform(50.0, 600.0), 1) for _ in range(rng.randint(2, 3)))
    row: dict[str, Any] = {"name": "bank", "bus": bus, "q_kvar": levels[-1], "steps": len(levels)}
    if rng.random() < 0.5 and len(set(levels)) == len(levels):
        row["levels_kvar"] = levels
    tables["capacitors"].append({**row, "steps_on": rng.randint(0, len(levels)), "controllable": True})


def _voltages(rng: random.Random, tables: dict[str, Rows]) -> None:
    for row in tables["sources"]:
        count, step = rng.randint(2, 4), rng.choice((0.01, 0.0125, 0.02))
        low = round(rng.uniform(0.97, 1.0), 3)
        row |= {"v_min_pu": low, "v_max_pu": low + step * (count - 1), "v_step_pu": step}
        row["v_pu"] = low + step * rng.randrange(count)


def _tap(rng: random.Random, tables: dict[str, Rows]) -> None:
    for row in tables["transformers"][:2]:
        low = rng.randint(-3, 0)
        row |= {"tap_min": low, "tap_max": low + rng.randint(1, 4), "controllable": True}
        row |= {"tap_pos": rng.randint(low, row["tap_max"]), "tap_step_percent": rng.choice((1.25, 2.5))}


def _unit(rng: random.Random, tables: dict[str, Rows]) -> None:
    """A unit of fixed output that may stop, and prices for all."""
    p = round(rng.uniform(50.0, 600.0), 1)
    row = {"name": "unit", "bus": rng.choice(tables["buses"])["name"], "p_kw": p, "p_min_kw": p, "p_max_kw": p}
    tables["generators"].append({**row, "q_kvar": 0.0, "may_stop": True})
    for row in tables["generators"]:
        if row.get("p_max_kw") is not None:
            row["cost_usd_per_kwh"] = round(rng.uniform(0.03, 0.3), 3)
            row["cost_on_usd_per_h"] = rng.choice((0.0, 2.0))
            row["cost_usd_per_kw2h"] = rng.choice((0.0, 1e-4))


def _limited(rng: random.Random, grid: Grid) -> Grid:
    """The grid with limits that lie midway between the figures of two of some states."""
    found = device_grid_of(grid)
    net, draw = found.network, np.random.default_rng(rng.randrange(2**32))
    figures = sampled_figures(draw, found)
    if figures is None:
        return grid
    v, i, s = figures
    tables = {kind: frame.to_dicts() for kind, frame in grid.tables().items()}
    inner = np.setdiff1d(np.arange(net.n_terminals), net.source_terminal)
    low = between(draw, v.min(axis=1)) if rng.random() < 0.6 else None
    high = -between(draw, -v.max(axis=1)) if rng.random() < 0.4 else None
    if low is not None and high is not None and high <= low:
        high = None
    for bus in inner:
        tables["buses"][bus] |= {"v_min_pu": low, "v_max_pu": high}
    if rng.random() < 0.5:
        rows = [row for kind in ("lines", "switches", "transformers") for row in tables[kind]]
        e = rng.randrange(len(rows))
        amps = max(-between(draw, -i[:, e]) * net.i_base_a[e], 1.0)
        rated = "s_max_kva" in rows[e]
        rows[e]["s_max_kva" if rated else "i_max_a"] = amps * (np.sqrt(3.0) * rows[e]["vn_to_kv"] if rated else 1.0)
    if rng.random() < 0.4:
        most = -between(draw, -s[:, 0].real) * net.s_base_kva
        tables["sources"][0]["p_max_kw"] = most
    return Grid.from_tables(grid.name, tables).check()
