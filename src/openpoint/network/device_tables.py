"""From the tables of a balanced grid to its devices, the limits of its supply and the prices of its energy.

The arrays go with the `Network` that `build_network` makes of the same grid, whose order and base of power they have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.balanced import HAS_PHASES
from openpoint.grid.banks import kvar_by_steps
from openpoint.grid.grid import Grid
from openpoint.network.arrays import Network
from openpoint.network.build import tap_ratio
from openpoint.network.devices import DeviceKind, Devices
from openpoint.network.operating_cost import OperatingCost, SupplyLimits

# Limits of voltage are kept to this share, as in the search.
_TOLERANCE = 1e-6


class _Device(NamedTuple):
    """A device with the fields of `Devices`."""

    name: str
    kind: DeviceKind
    place: int
    values: Floats
    first: int
    today: int


def build_devices(grid: Grid, network: Network) -> Devices:
    """All devices of a grid that a decision may set and that have a choice.

    - A controllable capacitor bank: 0 … steps on.
    - A source with a range of voltages: those of the range that its bus allows.
    - A controllable transformer with taps: tap_min … tap_max.
    - A generator that may stop: off and on; it is on today if it feeds in anything.

    Args:
        grid: without faults. network: of this grid, perhaps with other limits.

    Raises:
        OptionError: the grid has several phases.
    """
    if not network.is_balanced:
        raise OptionError(f"devices are set one by one in balanced grids (phases '1'); {HAS_PHASES}")
    found = [*_banks(grid, network), *_voltages(grid), *_taps(grid, network), *_units(grid, network)]
    return Devices(
        names=tuple(device.name for device in found),
        kind=np.array([device.kind for device in found], dtype=np.int64),
        place=np.array([device.place for device in found], dtype=np.int64),
        values=tuple(device.values for device in found),
        first=np.array([device.first for device in found], dtype=np.int64),
        today=np.array([device.today for device in found], dtype=np.int64),
    )


def _banks(grid: Grid, network: Network) -> Iterator[_Device]:
    bus = {name: n for n, name in enumerate(network.bus_names)}
    for row in grid.capacitors.filter("controllable").iter_rows(named=True):
        if row["q_kvar"] > 0:
            values = np.array(kvar_by_steps(row)) / network.s_base_kva
            yield _Device(row["name"], DeviceKind.BANK, bus[row["bus"]], values, first=0, today=row["steps_on"])


def _voltages(grid: Grid) -> Iterator[_Device]:
    limits = {name: (low, high) for name, low, high in grid.buses.select("name", "v_min_pu", "v_max_pu").iter_rows()}
    for s, row in enumerate(grid.sources.iter_rows(named=True)):
        if row["v_step_pu"] is None:
            continue
        low, high = limits[row["bus"]]
        count = math.floor((row["v_max_pu"] - row["v_min_pu"]) / row["v_step_pu"] + _TOLERANCE) + 1
        today = round((row["v_pu"] - row["v_min_pu"]) / row["v_step_pu"])
        values = row["v_min_pu"] + row["v_step_pu"] * np.arange(count)
        values[today] = row["v_pu"]
        kept = np.flatnonzero(
            (values >= (low or 0.0) * (1.0 - _TOLERANCE))
            & (values <= (math.inf if high is None else high) * (1.0 + _TOLERANCE))
        )
        if len(kept) > 1:
            first = int(kept[0])
            yield _Device(row["name"], DeviceKind.VOLTAGE, s, values[kept], first, today - first)


def _taps(grid: Grid, network: Network) -> Iterator[_Device]:
    level = dict(grid.buses.select("name", "vn_kv").iter_rows())
    number = {name: e for e, name in enumerate(network.branch_names)}
    for row in grid.transformers.filter("controllable").iter_rows(named=True):
        low, high = row["tap_min"], row["tap_max"]
        if low < high and row["tap_step_percent"]:
            ends = level[row["from_bus"]], level[row["to_bus"]]
            values = np.array([tap_ratio(row, position, *ends) for position in range(low, high + 1)])
            yield _Device(row["name"], DeviceKind.TAP, number[row["name"]], values, low, row["tap_pos"] - low)


def _units(grid: Grid, network: Network) -> Iterator[_Device]:
    rows = {row["name"]: row for row in grid.generators.iter_rows(named=True)}
    for g, name in enumerate(network.generator_names):
        if rows[name]["may_stop"]:
            is_on = rows[name]["p_kw"] != 0 or rows[name]["q_kvar"] != 0
            yield _Device(name, DeviceKind.UNIT, g, np.array([0.0, 1.0]), first=0, today=int(is_on))


def build_supply(grid: Grid, network: Network) -> SupplyLimits:
    """Limits of the power of sources, and of the apparent power of dispatchable generators.

    Args:
        grid: without faults. network: of this grid.
    """
    sources, base = grid.sources, network.s_base_kva
    return SupplyLimits(
        p_min=_limit(sources["p_min_kw"], -math.inf, base),
        p_max=_limit(sources["p_max_kw"], math.inf, base),
        q_min=_limit(sources["q_min_kvar"], -math.inf, base),
        q_max=_limit(sources["q_max_kvar"], math.inf, base),
        s_max=_limit(sources["s_max_kva"], math.inf, base),
        generator_s_max=_limit(_dispatchable(grid, network)["s_max_kva"], math.inf, base),
    )


def build_prices(grid: Grid, network: Network) -> OperatingCost:
    """What the energy of sources and generators costs; losses are part of what the sources deliver.

    The linear prices are in $/kWh, so that the cost in per unit times `s_base_kva` is in $ per hour.

    Args:
        grid: without faults. network: of this grid.

    Raises:
        InputError: the price of a source is not known, naming each.
    """
    sources = grid.sources.select("name", "price_usd_per_kwh")
    if unknown := sources.filter(pl.col("price_usd_per_kwh").is_null())["name"].to_list():
        message, remedy = "the price of its energy is not known", "Give it, or seek something else than cost"
        raise InputError([Problem("sources", name, "price_usd_per_kwh", message, remedy) for name in unknown])
    generators, base = _dispatchable(grid, network), network.s_base_kva
    return OperatingCost(
        loss=0.0,
        source=sources["price_usd_per_kwh"].to_numpy(),
        generator=generators["cost_usd_per_kwh"].to_numpy(),
        square=generators["cost_usd_per_kw2h"].to_numpy() * base,
        idle=generators["cost_on_usd_per_h"].to_numpy() / base,
        current=np.zeros(network.n_conductors),
    )


def _dispatchable(grid: Grid, network: Network) -> pl.DataFrame:
    """The rows of the dispatchable generators, in the order of the network."""
    order = pl.DataFrame({"name": list(network.generator_names)}, schema={"name": pl.String})
    return order.join(grid.generators, on="name", how="left", maintain_order="left")


def _limit(values: pl.Series, instead: float, base: float) -> Floats:
    result: Floats = values.fill_null(instead).to_numpy() / base
    return result
