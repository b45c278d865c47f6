"""Random small grids with devices of all kinds, as arrays, whose limits lie between the figures of two states."""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.random import Generator

from openpoint.arrays import Complexes, Floats
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices
from openpoint.network.operating_cost import OperatingCost, SupplyLimits, least_loss, no_supply_limits
from openpoint.powerflow.operating_point import OperatingPointEvaluator
from openpoint.search.enumeration import combination, count_positions, count_topologies, topologies
from tests.search.random_grids import random_grid

FEATURES = ("banks", "voltages", "taps", "fixed units", "units", "limits", "ratings", "supply", "prices", "moves")
"""What a grid may hold: banks; sources of several voltages; regulators; units of fixed output that may stop; units
whose output is to be chosen, some of which may stop; limits of voltage, current, sources and generators that bind;
prices of sources, generators and squared currents; costs of changes and moves."""
BASE = ("locks", "stiff", "ratios", "shunts", "generation", "impedance", "current", "capacitive", "hanging")
"""Features of the grid itself (`random_grids`)."""


@dataclass(frozen=True)
class DeviceGrid:
    """A grid with devices, its costs and limits."""

    network: Network
    devices: Devices
    cost: OperatingCost
    supply: SupplyLimits

    @property
    def evaluator(self) -> OperatingPointEvaluator:
        return OperatingPointEvaluator(self.network, self.devices, self.cost, self.supply)


@cache
def random_device_grid(seed: int, features: Collection[str] = FEATURES, most: int = 20_000) -> DeviceGrid:
    """The grid of a seed, of 3 to 8 buses, with some of the features and at most so many states."""
    rng = np.random.default_rng([seed, 14])
    held = [name for name in features if rng.random() < 0.5]
    network = random_grid(rng, [name for name in BASE if rng.random() < 0.2])
    network = replace(network, source_v=network.source_v / np.abs(network.source_v) * rng.choice([1.0, 1.03]))
    network = _units(rng, network, held)
    trees = max(count_topologies(network), 1)
    rows: list[tuple[DeviceKind, int, Floats, int]] = []
    for row in _rows(rng, network, held):
        states = trees * math.prod(len(values) for _, _, values, _ in [*rows, row])
        if states <= most:
            rows.append(row)
    devices = _devices(sorted(rows, key=lambda row: row[0]))
    grid = DeviceGrid(_at_today(network, devices), devices, *free_of_charge(network))
    grid = _priced(rng, grid, held)
    return _limited(rng, grid, held) if {"limits", "ratings", "supply"} & set(held) else grid


def free_of_charge(network: Network) -> tuple[OperatingCost, SupplyLimits]:
    """The loss as the cost, and no limits beside those of the network."""
    g, s = len(network.generator_terminal), len(network.source_terminal)
    return least_loss(g, s, network.n_conductors), no_supply_limits(g, s)


def _units(rng: Generator, network: Network, held: list[str]) -> Network:
    """The network with one or two units if there are any, fixed ones first."""
    kinds = [kind for kind in ("fixed units", "units") if kind in held]
    at = rng.integers(0, network.n_terminals, len(kinds))
    p = rng.uniform(0.05, 0.6, len(kinds))
    q = p * rng.uniform(0.0, 0.6, len(kinds))
    ranged = np.array([kind == "units" for kind in kinds], dtype=np.bool_)
    p_min = np.where(ranged, p * rng.choice([0.0, 0.0, 0.4], len(kinds)), p)
    return replace(
        network,
        generator_names=tuple(kinds),
        generator_terminal=at,
        generator_return=np.full(len(kinds), -1),
        generator_s=p + 1j * q,
        p_min=p_min,
        p_max=p,
        q_min=np.where(ranged, -q, q),
        q_max=q,
    )


def _rows(rng: Generator, network: Network, held: list[str]) -> list[tuple[DeviceKind, int, Floats, int]]:
    """Kinds, places, values and today's positions of devices, in an order drawn."""
    found = []

    def add(kind: DeviceKind, place: int, values: Floats) -> None:
        values = values[::-1] if kind in (DeviceKind.VOLTAGE, DeviceKind.TAP) and rng.random() < 0.3 else values
        found.append((kind, place, np.ascontiguousarray(values), int(rng.integers(len(values)))))

    if "banks" in held:
        for bus in rng.choice(network.n_terminals, int(rng.integers(1, 3)), replace=False):
            count = int(rng.integers(2, 6))
            even = np.linspace(0.0, rng.uniform(0.1, 0.8), count)
            add(DeviceKind.BANK, bus, even if rng.random() < 0.6 else np.cumsum(rng.uniform(0.0, 0.2, count)))
    if "voltages" in held:
        for k in range(len(network.source_terminal)):
            add(DeviceKind.VOLTAGE, k, np.linspace(*np.sort(rng.uniform(0.93, 1.07, 2)), int(rng.integers(2, 6))))
    if "taps" in held:
        for e in rng.choice(network.n_conductors, min(int(rng.integers(1, 3)), network.n_conductors), replace=False):
            add(DeviceKind.TAP, e, np.linspace(*np.sort(rng.uniform(0.9, 1.1, 2)), int(rng.integers(2, 6))))
    for k, name in enumerate(network.generator_names):
        if name == "fixed units" or rng.random() < 0.5:
            add(DeviceKind.UNIT, k, np.array([0.0, 1.0]))
    return [found[k] for k in rng.permutation(len(found))]


def _devices(rows: list[tuple[DeviceKind, int, Floats, int]]) -> Devices:
    count = range(len(rows))
    return Devices(
        tuple(f"{kind.name.lower()} {place}" for kind, place, _, _ in rows),
        np.array([rows[k][0] for k in count], dtype=np.int64),
        np.array([rows[k][1] for k in count], dtype=np.int64),
        tuple(rows[k][2] for k in count),
        np.zeros(len(rows), dtype=np.int64),
        np.array([rows[k][3] for k in count], dtype=np.int64),
    )


def _at_today(network: Network, devices: Devices) -> Network:
    """The network with banks added, and voltages and ratios of today's positions."""
    now = devices.at(devices.today)
    s_impedance, source_v, tap = network.s_impedance.copy(), network.source_v.copy(), network.tap.copy()
    for kind, place, value in zip(devices.kind, devices.place, now, strict=True):
        if kind == DeviceKind.BANK:
            s_impedance[place] -= 1j * value
        elif kind == DeviceKind.VOLTAGE:
            source_v[place] *= value / abs(source_v[place])
        elif kind == DeviceKind.TAP:
            tap[place] = value
    return replace(network, s_impedance=s_impedance, source_v=source_v, tap=tap)


def _priced(rng: Generator, grid: DeviceGrid, held: list[str]) -> DeviceGrid:
    cost = grid.cost
    if "prices" in held:
        units = len(grid.network.generator_names)
        cost = replace(
            cost,
            source=rng.uniform(0.5, 1.5, len(cost.source)),
            generator=rng.uniform(0.3, 1.5, units),
            square=rng.uniform(0.0, 1.0, units),
            idle=rng.uniform(0.0, 0.02, units),
            current=rng.uniform(0.0, 0.05, len(cost.current)) * (rng.random(len(cost.current)) < 0.5),
        )
    if "moves" in held:
        cost = replace(cost, change=float(rng.choice([0.0, 1e-3])), move=float(rng.choice([0.0, 1e-3])))
    return replace(grid, cost=cost)


def sampled_figures(rng: Generator, grid: DeviceGrid) -> tuple[Floats, Floats, Complexes] | None:
    """Voltages of buses without source, currents and powers of sources in some states, a row each; None in none."""
    network = grid.network
    trees = np.concatenate([np.empty((0, network.n_conductors), dtype=np.bool_), *topologies(network)])
    if not len(trees):
        return None
    count = 200
    positions = combination(grid.devices, rng.integers(0, count_positions(grid.devices), count))
    share = rng.random((count, len(network.p_min))), rng.random((count, len(network.p_min)))
    p = network.p_min + share[0] * (network.p_max - network.p_min)
    q = network.q_min + share[1] * (network.q_max - network.q_min)
    flows = grid.evaluator.flows(trees[rng.integers(0, len(trees), count)], positions, p + 1j * q)
    good = flows.converged & flows.energised.all(axis=1)
    inner = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
    if not good.any():
        return None
    return np.abs(flows.v[good][:, inner]), flows.i_rated[good], flows.source_s[good]


def _limited(rng: Generator, grid: DeviceGrid, held: list[str]) -> DeviceGrid:
    """The grid with limits that lie midway between the figures of two of some states, at times with none kept."""
    network, supply, figures = grid.network, grid.supply, sampled_figures(rng, grid)
    if figures is None:
        return grid
    v, i, s = figures
    if "limits" in held:
        low = between(rng, v.min(axis=1)) if rng.random() < 0.7 else 0.0
        high = max(between(rng, -v.max(axis=1)) * -1.0, low) if rng.random() < 0.6 else np.inf
        network = replace(network, w_min=np.full(len(v.T) + len(network.source_terminal), low**2))
        network = replace(network, w_max=np.full(len(network.w_min), high**2))
    if "ratings" in held:
        l_max = network.l_max.copy()
        for e in rng.choice(network.n_conductors, int(rng.integers(1, 4))):
            l_max[e] = max(-between(rng, -i[:, e]), 1e-3) ** 2
        network = replace(network, l_max=l_max)
    if "supply" in held:
        k = int(rng.integers(len(s.T)))
        most = np.full(len(s.T), np.inf)
        most[k] = -between(rng, -s[:, k].real)
        size = np.full(len(s.T), np.inf)
        size[-1] = max(-between(rng, -np.abs(s[:, -1])), 0.05)
        circle = np.hypot(network.p_max, network.q_max) * rng.uniform(0.9, 1.1)
        supply = replace(supply, p_max=most, s_max=size)
        if "units" in held:
            supply = replace(supply, generator_s_max=np.maximum(circle, 1e-2))
    return replace(grid, network=network, supply=supply)


def between(rng: Generator, figures: Floats) -> float:
    """A lower limit in the widest of some gaps between figures; most states keep it in most cases."""
    ordered = np.unique(np.concatenate([figures, [figures.min() - 0.01, figures.max() + 0.01]]))
    place = int(rng.random() ** 2 * (len(ordered) - 1))
    around = range(max(place - 2, 0), min(place + 3, len(ordered) - 1))
    widest = max(around, key=lambda k: ordered[k + 1] - ordered[k])
    return float((ordered[widest] + ordered[widest + 1]) / 2.0)
