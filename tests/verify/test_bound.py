"""Bounds of the checker, with devices and without: random multipliers and states never reach more than the best
completion.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from scipy.optimize import minimize

from openpoint.arrays import States
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, no_devices
from openpoint.search.enumeration import combination, count_positions, topologies
from openpoint.verify.bound import COARSE, FINE, NEAR, PHI, Exact
from openpoint.verify.caps import caps
from openpoint.verify.data import read
from openpoint.verify.devices import Output, Places, Span
from openpoint.verify.fixed_point import FixedPoint, Given, Multipliers, fixed_point
from openpoint.verify.graph import CLOSED, FREE, OPEN, Graph
from tests.builders.device_grids import DeviceGrid, random_device_grid
from tests.search.random_grids import KINDS, judged, random_grid


def bounds_of(
    network: Network, graph: Graph, price: float, value: float, goal: float
) -> tuple[Exact, FixedPoint] | None:
    """The bounds for states worth at most `value`; None where nothing bounds the voltage."""
    data = read(network, network.l_max.tolist(), Fraction(price))
    held = {
        int(t): Fraction(v.real) ** 2 + Fraction(v.imag) ** 2 for t, v in zip(network.source_terminal, network.source_v)
    }
    tops = caps(data, graph, list(range(network.n_conductors)), Fraction(value), max(held.values()))
    high = [min(cap, limit) for cap, limit in zip(tops, network.w_max.tolist(), strict=True)]
    if math.inf in high:
        return None
    w_max = [held.get(bus, Fraction(w)) for bus, w in enumerate(high)]
    w_min = [held.get(bus, Fraction(w)) for bus, w in enumerate(network.w_min.tolist())]
    data, places = replace(data, w_min=w_min, w_max=w_max), Places(network, no_devices())
    quick = fixed_point(data, graph, Fraction(goal), places)
    assert quick is not None
    return Exact(data, graph, Fraction(goal), places), quick


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "+".join(kind) or "plain")
def test_random_multipliers_never_reach_more_than_the_best_completion(kind: tuple[str, ...]) -> None:
    seen: Counter[str] = Counter()
    for seed in range(10):
        rng = np.random.default_rng(seed)
        network = random_grid(rng, kind)
        price = float(rng.choice([0.0, 0.01]))
        states, value = judged(network, None, price)
        if not np.isfinite(value).any():
            continue
        n, fr, to = network.n_terminals, network.terminal_fr.tolist(), network.terminal_to.tolist()
        graph = Graph(n, fr, to, set(network.source_terminal.tolist()), set(), math.inf)
        unavoidable = int(network.closed.sum()) - (n - len(graph.sources))
        built: dict[float, tuple[Exact, FixedPoint] | None] = {}
        for _ in range(5):
            tree = states[rng.choice(np.flatnonzero(np.isfinite(value)))]
            known = rng.random(len(tree)) < rng.choice([0.0, 0.4, 0.8, 1.0])
            status = np.where(known, np.where(tree, CLOSED, OPEN), FREE).astype(np.int8)
            if not graph.consequences(status):
                continue
            fits = np.ones(len(states), dtype=bool)
            for e, state in enumerate(status):
                fits &= (state == FREE) | (states[:, e] == (state == CLOSED))
            best = float(value[fits].min())
            goal = best - price * unavoidable
            if best not in built:
                built[best] = bounds_of(network, graph, price, best, goal + 1e-9 * abs(best) + 1e-12)
            if (found := built[best]) is None:
                continue
            exact, quick = found
            plain_goal = exact.goal
            for _ in range(2):
                exact.goal = plain_goal
                size = rng.choice([1e-4, 1e-2, 0.1])
                y, mu = ([int(k) for k in np.rint(rng.normal(0.5 * size, size, n) * 2**COARSE)] for _ in range(2))
                for bus in graph.sources:
                    y[bus] = mu[bus] = 0
                phi = {int(bus): int(rng.normal(0, size) * 2**PHI) for bus in rng.integers(0, n, 2)}
                near = {bus: int(rng.uniform(0.7, 1.2) * 2**NEAR) for bus in range(n) if rng.random() < 0.7}
                tops = rng.integers(0, n, 2).tolist()
                order = graph.directed(status, set(tops), y)
                assert not exact.reached(status, order, y, mu, phi, near, []), seed
                given = Multipliers(n)
                given.take(Given(COARSE, np.array(y), np.array(mu), tops, phi, near))
                assert not quick.reached(status, given), seed
                whole, below = exact.bound(status, order, y, mu, phi, near, []), quick.bound(status, given)
                if below is not None and whole is not None:
                    rest = Fraction(whole, 1 << exact.k + exact.fine) - below
                    assert rest > -1e-15, seed  # σ and tangents, which may be anything, may be a little better
                    seen["equal"] += rest < 1e-11
                seen["above"] += 1
                exact.goal -= int(10 * size * 2 ** (exact.k + 96))
                seen["far below"] += exact.reached(status, order, y, mu, phi, near, [])
            exact.goal = plain_goal
    assert seen["above"] >= 16
    assert seen["equal"] >= 16
    assert seen["far below"] >= 2  # these are bounds, though weak ones


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


DIGITS, K = 45, 60


def whole(value: float, digits: int = K) -> int:
    return int(Fraction(value) * 2**digits)


def least(output: Output, y: float, mu: float) -> float | None:
    found = output.least(whole(y, DIGITS), whole(mu, DIGITS), DIGITS, K)
    return None if found is None else found / 2.0 ** (3 * K + DIGITS)


def test_no_output_adds_less_and_some_adds_hardly_more() -> None:
    binding = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        p_ends, q_ends = np.sort(rng.uniform(-1.0, 2.0, 2)), np.sort(rng.uniform(-1.0, 1.0, 2))
        price, square = rng.uniform(0.0, 1.0), rng.choice([0.0, rng.uniform(0.0, 1.0)])
        y, mu = rng.uniform(-0.5, 1.5), rng.choice([0.0, rng.normal(0.0, 0.3)])
        s = float(rng.uniform(0.1, 2.0)) if rng.random() < 0.7 else np.inf
        p, q = np.meshgrid(np.linspace(*p_ends, 201), np.linspace(*q_ends, 201))
        inside = np.hypot(p, q) <= s
        if not inside.any():
            continue
        added = price * p + square * p**2 - y * p - mu * q + 0.1
        best = float(added[inside].min())
        most = whole(s) if np.isfinite(s) else None
        ranges = [(whole(low), whole(high)) for low, high in (p_ends.tolist(), q_ends.tolist())]
        found = least(Output(0, *ranges, most, whole(price), whole(square), whole(0.1)), y, mu)
        assert found is not None
        # A grid of points: the best output may lie between them, near an edge of the circle.
        steps = np.hypot(np.ptp(p_ends), np.ptp(q_ends)) / 200.0
        assert best - 3.0 * steps * (abs(price - y) + abs(mu) + 4.0 * square) <= found <= best + 1e-12, seed
        binding += bool(added.min() < best)
    assert binding >= 15


@pytest.mark.parametrize(
    ("y", "mu", "bounded"), [(1.0, 0.0, True), (1.2, 0.0, True), (0.8, 0.0, False), (1.2, 0.1, False)]
)
def test_a_side_without_limit_allows_only_one_sign_of_its_multiplier(y: float, mu: float, bounded: bool) -> None:
    source = Output(0, (None, whole(2.0)), (None, None), None, whole(1.0), 0, 0)
    assert (least(source, y, mu) is not None) == bounded
    if bounded:
        assert least(source, y, mu) == pytest.approx((1.0 - y) * 2.0)


def test_a_circle_bounds_sides_without_limit() -> None:
    source = Output(0, (None, None), (None, None), whole(2.0), whole(1.0), 0, 0)
    assert least(source, 1.3, -0.4) == pytest.approx(-2.0 * 0.5, rel=1e-12)


def test_a_generator_of_no_power_adds_what_it_costs_to_be_on() -> None:
    assert least(Output(0, (0, whole(1.0)), (0, 0), 0, 0, 0, whole(0.25)), 5.0, 5.0) == 0.25


def test_branches_are_decided_as_all_spanning_trees_have_them() -> None:
    decided = dead = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, m = int(rng.integers(3, 8)), int(rng.integers(3, 12))
        fr, to = rng.integers(0, n, m).tolist(), rng.integers(0, n, m).tolist()
        sources = set(rng.choice(n, int(rng.integers(1, 3)), replace=False).tolist())
        fresh = set(np.flatnonzero(rng.random(m) < 0.4).tolist())
        most = float(rng.choice([np.inf, 0.0, 1.0, 1.5]))
        graph = Graph(n, fr, to, sources, fresh, most)
        trees = spanning_trees(graph)
        for _ in range(8):
            status = np.where(rng.random(m) < 0.7, FREE, rng.integers(0, 2, m)).astype(np.int8)
            fitting = [tree for tree in trees if all(s in (FREE, t) for s, t in zip(status, tree, strict=True))]
            before = int(np.sum(status == FREE))
            if not graph.consequences(status):
                assert not fitting, seed
                dead += 1
                continue
            for tree in fitting:
                assert all(s in (FREE, t) for s, t in zip(status, tree, strict=True)), seed
            if most == np.inf:  # then nothing else follows
                ways = np.array(fitting)
                assert len(ways), seed
                np.testing.assert_array_equal(status == FREE, (ways != ways[0]).any(axis=0))
            decided += before - int(np.sum(status == FREE))
    assert decided > 50
    assert dead > 50


def spanning_trees(graph: Graph) -> list[tuple[int, ...]]:
    """The states of all spanning trees with at most so many closings; sources are one node."""
    first, m = min(graph.sources), len(graph.fr)
    fr, to = ([first if bus in graph.sources else bus for bus in side] for side in (graph.fr, graph.to))
    nodes = set(range(graph.n)) - (graph.sources - {first})
    found = []
    for closed in combinations(range(m), len(nodes) - 1):
        tree = nx.MultiGraph([(fr[e], to[e]) for e in closed])
        tree.add_nodes_from(nodes)
        if nx.is_connected(tree) and len(graph.fresh.intersection(closed)) <= graph.most:
            found.append(tuple(CLOSED if e in closed else OPEN for e in range(m)))
    return found
