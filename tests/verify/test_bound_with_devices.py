"""The bound of a node with intervals of positions: near the best of its states at good multipliers, and never above."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
from scipy.optimize import minimize

from openpoint.arrays import States
from openpoint.network.devices import DeviceKind
from openpoint.search.enumeration import combination, count_positions, topologies
from openpoint.verify.bound import COARSE, FINE, PHI, Exact
from openpoint.verify.caps import caps
from openpoint.verify.data import read
from openpoint.verify.devices import Places, Span
from openpoint.verify.graph import Graph
from openpoint.verify.wires import CLOSED, FREE, OPEN
from tests.builders.device_grids import DeviceGrid, random_device_grid

FEATURES = ("banks", "voltages", "taps", "fixed units", "limits", "ratings")
STATES = 400


class Valued:
    """A grid with the values of all its states."""

    def __init__(self, grid: DeviceGrid) -> None:
        net, devices = grid.network, grid.devices
        trees = np.concatenate([np.empty((0, net.n_conductors), dtype=np.bool_), *topologies(net)])
        count = count_positions(devices)
        pair = np.arange(len(trees) * count)
        self.grid, self.closed, self.positions = grid, trees[pair // count], combination(devices, pair % count)
        value, violation = grid.evaluator.evaluate(self.closed, self.positions)
        self.value = np.where(violation == 0.0, value, np.inf)

    def best(self, status: States, spans: list[Span]) -> float:
        """The least value at a node."""
        fits = np.isfinite(self.value)
        for e, state in enumerate(status):
            fits &= (state == FREE) | (self.closed[:, e] == (state == CLOSED))
        for d, (first, last) in enumerate(spans):
            fits &= (first <= self.positions[:, d]) & (self.positions[:, d] <= last)
        return float(self.value[fits].min(initial=np.inf))


def exact_of(grid: DeviceGrid, graph: Graph, value: float) -> Exact | None:
    """The bound for states worth at most `value`; None where nothing bounds the voltage."""
    net = grid.network
    places = Places(net, grid.devices)
    l_max = (net.l_max * (1.0 + 1e-6) ** 2).tolist()
    data = read(net, l_max, Fraction(0), grid.devices)
    held = places.squares_of(data)
    usable = list(range(net.n_conductors))
    tops = caps(places.highest(data), graph, usable, Fraction(value), max(high for _, high in held.values()))
    high = [min(cap, limit) for cap, limit in zip(tops, (net.w_max * (1.0 + 1e-6) ** 2).tolist())]
    if math.inf in high:
        return None
    low = (net.w_min * (1.0 - 1e-6) ** 2).tolist()
    ranges = [held.get(bus, (Fraction(a), Fraction(b))) for bus, (a, b) in enumerate(zip(low, high))]
    data = replace(data, w_min=[a for a, _ in ranges], w_max=[b for _, b in ranges])
    return Exact(data, graph, Fraction(0), places)


class Node:
    """A node, whose bound is found by raising the goal."""

    def __init__(self, exact: Exact, status: States, spans: list[Span], tops: set[int]) -> None:
        self.exact, self.status, self.spans, self.tops = exact, status, spans, tops
        self.inner = [bus for bus in range(exact.graph.n) if bus not in exact.graph.sources]

    def multipliers(self, free: np.ndarray) -> tuple[list[int], list[int], dict[int, int]]:
        """y, mu and phi from floats at the buses without source."""
        y, mu = [0] * self.exact.graph.n, [0] * self.exact.graph.n
        phi = {}
        for k, bus in enumerate(self.inner):
            y[bus], mu[bus] = (int(free[3 * k + c] * 2**COARSE) for c in (0, 1))
            phi[bus] = int(free[3 * k + 2] * 2**PHI)
        return y, mu, phi

    def bound(self, free: np.ndarray) -> float:
        """The bound at these multipliers, rounded to a float; -1e3 where there is none."""
        y, mu, phi = self.multipliers(free)
        order = self.exact.graph.directed(self.status, self.tops, y)
        found = self.exact.bound(self.status, order, y, mu, phi, {}, self.spans)
        return -1e3 if found is None else found / 2.0 ** (self.exact.k + FINE)

    def ascended(self, rng: np.random.Generator) -> float:
        """The best bound found by a search over the multipliers."""
        start = rng.normal(0.0, 0.02, 3 * len(self.inner)) * np.tile([1.0, 0.5, 0.0], len(self.inner))
        options = {"maxfev": 900, "xtol": 1e-5, "ftol": 1e-7}
        return -float(minimize(lambda free: -self.bound(free), start, method="Powell", options=options).fun)


def test_bounds_come_close_to_the_best_state_of_a_node_and_never_exceed_it() -> None:
    seen: Counter[str] = Counter()
    for seed in range(60):
        valued = Valued(random_device_grid(seed, FEATURES, STATES))
        grid, rng = valued.grid, np.random.default_rng(seed)
        if not grid.devices.count or not np.isfinite(valued.value).any():
            continue
        net = grid.network
        ends = net.terminal_fr.tolist(), net.terminal_to.tolist()
        graph = Graph(net.n_terminals, *ends, set(net.source_terminal.tolist()), set(), math.inf)
        for decided in (0.6, 1.0):
            k = rng.choice(np.flatnonzero(np.isfinite(valued.value)))
            known = rng.random(net.n_conductors) < decided
            status = np.where(known, np.where(valued.closed[k], CLOSED, OPEN), FREE).astype(np.int8)
            assert graph.consequences(status)
            narrow = rng.random() < 0.5
            spans = [
                (p, p) if narrow else (int(rng.integers(0, p + 1)), int(rng.integers(p, size)))
                for p, size in zip(valued.positions[k].tolist(), grid.devices.sizes.tolist())
            ]
            best = valued.best(status, spans)
            exact = exact_of(grid, graph, best)
            if exact is None:
                continue
            found = Node(exact, status, spans, set()).ascended(rng)
            assert found <= best + 1e-9 * abs(best) + 1e-12, (seed, decided)
            seen["nodes"] += 1
            seen["near"] += found >= 0.9 * best - 1e-6
            if FREE not in status and narrow:
                seen["single"] += 1
                seen["tight"] += found >= 0.98 * best - 1e-6
            for d, (first, last) in enumerate(spans):
                seen[DeviceKind(grid.devices.kind[d]).name] += first < last
    assert min(seen[kind.name] for kind in DeviceKind) >= 5
