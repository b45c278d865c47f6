"""Devices: what may be set in a balanced network beside its switches, each to one of its positions.

A position is a whole number from 0; what it means is a value, which rises or falls with the position:

| kind | place | value |
|---|---|---|
| `BANK` | terminal of a capacitor bank | reactive power that it feeds in at nominal voltage (constant susceptance) |
| `VOLTAGE` | number of a source, in `source_terminal` | magnitude of the voltage that the source holds |
| `TAP` | conductor of a transformer with a tap changer | its ratio, as `Network.tap` |
| `UNIT` | number of a dispatchable generator | 0: off, it feeds nothing; 1: on, within its limits |

The values hold for one moment or for one period of several; a device of several periods has a position in each.

From the tables of a balanced grid to its devices, the limits of its supply and the prices of its energy.

The arrays go with the `Network` that `build_network` makes of the same grid, whose order and base of power they have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.balanced import HAS_PHASES
from openpoint.grid.devices import kvar_by_steps
from openpoint.grid.grid import Grid
from openpoint.grid.schemas import BRANCH_TABLES
from openpoint.network.arrays import Network
from openpoint.network.build import tap_ratio
from openpoint.network.operating_cost import OperatingCost, SupplyLimits


class DeviceKind(IntEnum):
    """The kinds of devices."""

    BANK = 0
    VOLTAGE = 1
    TAP = 2
    UNIT = 3


@dataclass(frozen=True)
class Devices:
    """D devices, ordered by kind, in per unit.

    Attributes:
        names: (D) of the row of the grid. kind: (D) `DeviceKind`. place: (D) see the module.
        values: (D) arrays, the value at every position: rising or falling, at least one. Positions that the limits of
            a source's own bus forbid are not there.
        first: (D) number of position 0 as the grid counts it: the tap position, the steps that are on.
        today: (D) position today.
    """

    names: tuple[str, ...]
    kind: Ints
    place: Ints
    values: tuple[Floats, ...]
    first: Ints
    today: Ints

    @property
    def count(self) -> int:
        """D."""
        return len(self.names)

    @cached_property
    def sizes(self) -> Ints:
        """(D) number of positions."""
        return np.array([len(values) for values in self.values], dtype=np.int64)

    def of(self, kind: DeviceKind) -> Ints:
        """Numbers of the devices of a kind."""
        return self._of[kind]

    @cached_property
    def _of(self) -> tuple[Ints, ...]:
        return tuple(np.flatnonzero(self.kind == kind) for kind in DeviceKind)

    def at(self, positions: Ints) -> Floats:
        """(D) values at (D) positions."""
        pairs = zip(self.values, positions, strict=True)
        return np.array([values[k] for values, k in pairs], dtype=np.float64)

    def only(self, free: Ints) -> Devices:
        """The devices of these numbers; the others stay where the network has them, at today's position."""
        return Devices(
            tuple(self.names[d] for d in free),
            self.kind[free],
            self.place[free],
            tuple(self.values[d] for d in free),
            self.first[free],
            self.today[free],
        )

    def one_hot(self, positions: Ints) -> Floats:
        """1 where a position is taken, the positions of all devices one after another."""
        whole = np.zeros(int(self.sizes.sum()))
        whole[np.cumsum(self.sizes) - self.sizes + positions] = 1.0
        return whole

    def with_some(self, some: Ints, positions: Ints) -> Ints:
        """(D) positions: these of some devices, today's of the others."""
        whole = self.today.copy()
        whole[some] = positions
        return whole


def no_devices() -> Devices:
    """No devices at all."""
    nothing = np.empty(0, dtype=np.int64)
    return Devices((), nothing, nothing, (), nothing, nothing)


def with_positions(network: Network, devices: Devices, positions: Ints) -> Network:
    """The network with its devices at (D) positions; `network` has them at today's."""
    now, was = devices.at(positions), devices.at(devices.today)
    s_impedance, source_v, tap = network.s_impedance.copy(), network.source_v.copy(), network.tap.copy()
    banks, voltages, taps = (devices.of(kind) for kind in (DeviceKind.BANK, DeviceKind.VOLTAGE, DeviceKind.TAP))
    np.subtract.at(s_impedance, devices.place[banks], 1j * (now - was)[banks])
    held = devices.place[voltages]
    source_v[held] *= now[voltages] / np.abs(source_v[held])
    tap[devices.place[taps]] = now[taps]
    units = devices.of(DeviceKind.UNIT)
    off = devices.place[units[now[units] == 0.0]]
    limits = {name: getattr(network, name).copy() for name in ("p_min", "p_max", "q_min", "q_max", "generator_s")}
    for values in limits.values():
        values[off] = 0.0
    return replace(network, s_impedance=s_impedance, source_v=source_v, tap=tap, **limits)


def off_today(network: Network, devices: Devices) -> Bools:
    """(G) whether a generator that may stop is off today."""
    off = np.zeros(len(network.generator_names), dtype=np.bool_)
    units = devices.of(DeviceKind.UNIT)
    off[devices.place[units]] = devices.today[units] == 0
    return off


def with_outputs_held(network: Network, devices: Devices, *, ranged: bool, off: bool) -> Network:
    """The network in which generators with a range (`ranged`), or those that are off (`off`), keep today's output."""
    held = off_today(network, devices) & off
    if ranged:
        held |= (network.p_min < network.p_max) | (network.q_min < network.q_max)
    p, q = network.generator_s.real, network.generator_s.imag
    return replace(
        network,
        p_min=np.where(held, p, network.p_min),
        p_max=np.where(held, p, network.p_max),
        q_min=np.where(held, q, network.q_min),
        q_max=np.where(held, q, network.q_max),
    )


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
        if row["q_kvar"] != 0.0:
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
    """What the energy of sources and generators costs, and the losses of branches that have a price of their own beside
    the energy; losses are part of what the sources deliver.

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
        current=_loss_prices(grid)[network.conductor_branch] * network.r,
    )


def _loss_prices(grid: Grid) -> Floats:
    """Price of what every branch loses in its series resistance, in $/kWh, in the order of all branches."""
    name = "loss_price_usd_per_kwh"
    frames = [grid.tables()[kind] for kind in BRANCH_TABLES]
    return np.concatenate([frame[name] if name in frame.columns else np.zeros(frame.height) for frame in frames])


def _dispatchable(grid: Grid, network: Network) -> pl.DataFrame:
    """The rows of the dispatchable generators, in the order of the network."""
    order = pl.DataFrame({"name": list(network.generator_names)}, schema={"name": pl.String})
    return order.join(grid.generators, on="name", how="left", maintain_order="left")


def _limit(values: pl.Series, instead: float, base: float) -> Floats:
    result: Floats = values.fill_null(instead).to_numpy() / base
    return result
