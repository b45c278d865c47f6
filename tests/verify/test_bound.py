"""The bound in integers is valid at any multipliers, and in 64 bits it is that of Python's integers but for rounding.

How tight it is at good multipliers, certificates show.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from openpoint.network import Network
from openpoint.network.devices import no_devices
from openpoint.verify.bound import COARSE, NEAR, PHI, Exact
from openpoint.verify.caps import caps
from openpoint.verify.data import read
from openpoint.verify.devices import Places
from openpoint.verify.fixed_point import FixedPoint, fixed_point
from openpoint.verify.graph import Graph
from openpoint.verify.multipliers import Given, Multipliers
from openpoint.verify.wires import CLOSED, FREE, OPEN
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
