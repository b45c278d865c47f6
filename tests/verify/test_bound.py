"""Bounds of the checker, with devices and without: random multipliers and states never reach more than the best
completion.
"""

import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from typing import Any

import networkx as nx
import numpy as np
import pytest
from scipy.optimize import minimize

from openpoint.arrays import States
from openpoint.network import Network
from openpoint.network.devices import DeviceKind
from openpoint.network.freedom import SwitchingRules
from openpoint.search.enumeration import combination, count_positions, topologies
from openpoint.verify import reference
from openpoint.verify.caps import caps
from openpoint.verify.data import read
from openpoint.verify.fixed_point import COARSE, NEAR, PHI, FixedPoint, fixed_point
from openpoint.verify.graph import CLOSED, FREE, OPEN, Graph
from openpoint.verify.lines import Given, Multipliers
from openpoint.verify.question import Question, problem_text
from tests.builders.device_grids import DeviceGrid, random_device_grid
from tests.search.random_grids import KINDS, judged, random_grid

Span = tuple[int, int]
"""First and last position of a device."""
ONE: int = reference.ONE
REFERENCE: Any = reference


def bounds_of(network: Network, graph: Graph, price: float, value: float, goal: float) -> tuple[Any, FixedPoint] | None:
    """The bounds for states worth at most `value`, of the reference checker and of the fast one; None where nothing
    bounds the voltage."""
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
    quick = fixed_point(replace(data, w_min=w_min, w_max=w_max), graph, Fraction(goal))
    problem = REFERENCE.Problem(problem_text(Question.of(network, SwitchingRules.of(network, None, price))))
    problem.grid.w_min, problem.grid.w_max = ([math.floor(w * ONE) for w in some] for some in (w_min, w_max))
    problem.grid.l_max = [0 if math.isinf(l) else math.ceil(Fraction(l) * ONE) for l in network.l_max.tolist()]
    return REFERENCE.Bound(problem, problem.grid, ([0] * graph.n,) * 2, graph.sources), quick


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "+".join(kind) or "plain")
def test_random_multipliers_never_reach_more_than_the_best_completion(kind: tuple[str, ...]) -> None:
    seen: Counter[str] = Counter()
    for seed in range(5):
        rng = np.random.default_rng(seed)
        network = random_grid(rng, kind)
        price = float(rng.choice([0.0, 0.01]))
        states, value = judged(network, None, price)
        if not np.isfinite(value).any():
            continue
        n, fr, to = network.n_terminals, network.terminal_fr.tolist(), network.terminal_to.tolist()
        graph = Graph(n, fr, to, set(network.source_terminal.tolist()), set(), math.inf)
        unavoidable = int(network.closed.sum()) - (n - len(graph.sources))
        built: dict[float, tuple[Any, FixedPoint] | None] = {}
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
            slow, quick = found
            for _ in range(2):
                size = rng.choice([1e-4, 1e-2, 0.1])
                y, mu = ([int(k) for k in np.rint(rng.normal(0.5 * size, size, n) * 2**COARSE)] for _ in range(2))
                for bus in graph.sources:
                    y[bus] = mu[bus] = 0
                phi = {int(bus): int(rng.normal(0, size) * 2**PHI) for bus in rng.integers(0, n, 2)}
                near = {bus: int(rng.uniform(0.7, 1.2) * 2**NEAR) for bus in range(n) if rng.random() < 0.7}
                tops = rng.integers(0, n, 2).tolist()
                given = Multipliers(n)
                given.take(Given(COARSE, np.array(y), np.array(mu), tops, phi, near))
                assert not quick.reached(status, given), seed
                line = [[v << reference.BITS - COARSE for v in part] for part in (y, mu)], (tops, phi, near)
                whole, below = slow.value(status.tolist(), line), quick.bound(status, given)
                assert whole is None or Fraction(whole, ONE) < goal + 1e-9 * abs(best) + 1e-12, seed
                if below is not None and whole is not None:
                    rest = Fraction(whole, ONE) - below
                    assert rest > -1e-15, seed  # σ and tangents, which may be anything, may be a little better
                    seen["equal"] += rest < 1e-11
                seen["above"] += 1
                seen["far below"] += whole is not None and whole / ONE >= goal - 10 * size
    assert seen["above"] >= 8
    assert seen["equal"] >= 8
    assert seen["far below"] >= 1  # these are bounds, though weak ones


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


def bound_of(grid: DeviceGrid, value: float) -> Any | None:
    """The bound of the reference checker for states worth at most `value`; None where nothing bounds the voltage."""
    parts: dict[str, Any] = {"devices": grid.devices, "cost": grid.cost, "supply": grid.supply}
    question = replace(Question.of(grid.network, **parts), devices=grid.devices)
    problem = REFERENCE.Problem(problem_text(question))
    problem.limited_states, g = True, problem.grid
    g.l_max = problem.series_limits()
    try:
        g.w_min, g.w_max = REFERENCE.ranges(problem, math.ceil(Fraction(value) * ONE), None, None)
    except reference.Refused:
        return None
    prices = dict(zip(problem.at, problem.price, strict=True))
    base = [prices.get(bus, 0) for bus in range(g.n)], [0] * g.n
    return REFERENCE.Bound(problem, g, base, set(problem.at) - problem.limited)


class Node:
    """A node, whose bound is found by raising the goal."""

    def __init__(self, of: Any, status: States, spans: list[Span]) -> None:
        self.of, self.status, self.spans = of, status.tolist(), spans
        self.inner = [bus for bus in range(of.g.n) if bus not in of.g.sources]

    def bound(self, free: np.ndarray) -> float:
        """The bound at these multipliers, of y, mu and phi at the buses without source; -1e3 where there is none."""
        y, mu, phi = [0] * self.of.g.n, [0] * self.of.g.n, {}
        for k, bus in enumerate(self.inner):
            y[bus], mu[bus] = (int(free[3 * k + c] * 2**COARSE) << reference.BITS - COARSE for c in (0, 1))
            phi[bus] = int(free[3 * k + 2] * 2**PHI)
        found = self.of.value(self.status, ((y, mu), ((), phi, {})), self.spans)
        return -1e3 if found is None else found / ONE

    def ascended(self, rng: np.random.Generator) -> float:
        """The best bound found by a search over the multipliers."""
        start = rng.normal(0.0, 0.02, 3 * len(self.inner)) * np.tile([1.0, 0.5, 0.0], len(self.inner))
        options = {"maxfev": 450, "xtol": 1e-5, "ftol": 1e-7}
        return -float(minimize(lambda free: -self.bound(free), start, method="Powell", options=options).fun)


def test_bounds_come_close_to_the_best_state_of_a_node_and_never_exceed_it() -> None:
    seen: Counter[str] = Counter()
    for seed in range(30):
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
            of = bound_of(grid, best)
            if of is None:
                continue
            found = Node(of, status, spans).ascended(rng)
            assert found <= best + 1e-9 * abs(best) + 1e-12, (seed, decided)
            seen["nodes"] += 1
            seen["near"] += found >= 0.9 * best - 1e-6
            if FREE not in status and narrow:
                seen["single"] += 1
                seen["tight"] += found >= 0.98 * best - 1e-6
            for d, (first, last) in enumerate(spans):
                seen[DeviceKind(grid.devices.kind[d]).name] += first < last
    assert min(seen[kind.name] for kind in DeviceKind) >= 2
    assert seen["near"] >= 6
    assert seen["tight"] >= 3


def whole(value: float) -> int:
    return math.floor(Fraction(value) * ONE)


Ends = tuple[float | None, float | None]


def least(price: float, square: float, ends: tuple[Ends, Ends], most: float, y: float, mu: float) -> float | None:
    """The least that an output adds."""
    box = [[None if end is None else whole(end) for end in pair] for pair in ends]
    circle = None if math.isinf(most) else whole(most)
    found = REFERENCE.box_least(whole(price) - whole(y), whole(square), -whole(mu), *box, circle)
    return None if found is None else found / ONE


def test_no_output_adds_less_and_some_adds_hardly_more() -> None:
    binding = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        p_ends, q_ends = np.sort(rng.uniform(-1.0, 2.0, 2)), np.sort(rng.uniform(-1.0, 1.0, 2))
        price, square = rng.uniform(0.0, 1.0), rng.choice([0.0, rng.uniform(0.0, 1.0)])
        y, mu = rng.uniform(-0.5, 1.5), rng.choice([0.0, rng.normal(0.0, 0.3)])
        s = float(rng.uniform(0.1, 2.0)) if rng.random() < 0.7 else np.inf
        p, q = np.meshgrid(np.linspace(*p_ends, 201), np.linspace(*q_ends, 201))
        inside = np.hypot(p, q) <= s
        if not inside.any():
            continue
        added = price * p + square * p**2 - y * p - mu * q
        best = float(added[inside].min())
        ends = (float(p_ends[0]), float(p_ends[1])), (float(q_ends[0]), float(q_ends[1]))
        found = least(price, square, ends, s, y, mu)
        # A grid of points: the best output may lie between them, near an edge of the circle.
        steps = np.hypot(np.ptp(p_ends), np.ptp(q_ends)) / 200.0
        assert best - 3.0 * steps * (abs(price - y) + abs(mu) + 4.0 * square) <= found <= best + 1e-12, seed
        binding += bool(added.min() < best)
    assert binding >= 7


@pytest.mark.parametrize(
    ("y", "mu", "bounded"), [(1.0, 0.0, True), (1.2, 0.0, True), (0.8, 0.0, False), (1.2, 0.1, False)]
)
def test_a_side_without_limit_allows_only_one_sign_of_its_multiplier(y: float, mu: float, bounded: bool) -> None:
    found = least(1.0, 0.0, ((None, 2.0), (None, None)), np.inf, y, mu)
    assert (found is not None) == bounded
    if bounded:
        assert found == pytest.approx((1.0 - y) * 2.0)


def test_a_circle_bounds_sides_without_limit() -> None:
    assert least(1.0, 0.0, ((None, None), (None, None)), 2.0, 1.3, -0.4) == pytest.approx(-2.0 * 0.5, rel=1e-12)


def test_a_generator_of_no_power_adds_nothing() -> None:
    assert least(0.0, 0.0, ((0.0, 1.0), (0.0, 0.0)), 0.0, 5.0, 5.0) == 0.0


def test_branches_are_decided_as_all_spanning_trees_have_them() -> None:
    decided = dead = 0
    for seed in range(30):
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
    assert decided > 25
    assert dead > 25


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
