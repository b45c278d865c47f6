"""Random small grids of every kind that the topology search takes, and all their radial states."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from openpoint.network import Network
from openpoint.search.enumeration import topologies
from openpoint.search.incumbent import Judge

from ..powerflow.small_networks import Branch, make_network

KINDS: list[tuple[str, ...]] = [
    (),
    ("locks",),
    ("stiff", "locks"),
    ("ratios",),
    ("shunts", "ratios"),
    ("generation",),
    ("generation", "shunts", "ratios", "stiff", "impedance", "locks"),
    ("capacitive", "impedance"),
    ("low",),
    ("low", "high", "generation"),
    ("ratings",),
    ("ratings", "low", "high", "generation", "shunts", "ratios", "stiff", "locks", "impedance"),
]
FEATURES = ("locks", "stiff", "ratios", "shunts", "generation", "impedance", "capacitive", "low", "high", "ratings")
"""What the grids have: locks; branches without resistance or impedance; ratios; shunts of branches; generation;
loads of constant impedance; loads that feed reactive power; lower and upper voltage limits; ratings."""


def random_grid(rng: np.random.Generator, kind: Collection[str]) -> Network:
    """3 to 8 buses, 1 or 2 sources of different voltages, 1 to 4 ties, also side by side and from a bus to itself."""
    n = int(rng.integers(3, 9))
    ends = [(int(rng.integers(max(0, bus - 4), bus)), bus) for bus in range(1, n)]
    for _ in range(int(rng.integers(1, 5))):
        a, b = rng.choice(n, 2, replace=bool(rng.random() < 0.1))
        ends.append((int(a), int(b)))
    loads = _loads(rng, n, kind)
    some = rng.random(n) < (0.3 if "impedance" in kind else 0.0)
    impedance = np.where(some, 0.1 * (loads.conj() if "generation" in kind else loads), 0.0)
    held = rng.choice(n, int(rng.integers(1, min(3, n))), replace=False)
    sources = {int(bus): complex(rng.uniform(0.97, 1.05) * np.exp(1j * rng.uniform(-0.1, 0.1))) for bus in held}
    low = float(rng.uniform(0.85, 0.99)) if "low" in kind else 0.0
    high = float(rng.uniform(1.0, 1.12)) if "high" in kind else np.inf
    branches = [_branch(rng, *e, kind) for e in ends]
    return make_network(n, branches, sources, power=loads, impedance=impedance, v_limits=(low, high))


def _loads(rng: np.random.Generator, n: int, kind: Collection[str]) -> np.ndarray:
    loads = rng.uniform(0.3, 2.0) * rng.uniform(0.0, 1.0, n) / n * np.exp(1j * rng.uniform(-0.2, 0.8, n))
    if "generation" in kind:
        return np.where(rng.random(n) < 0.35, -2.0 * rng.random() * loads, loads)
    return loads if "capacitive" in kind else loads.real + 1j * np.abs(loads.imag)


def _branch(rng: np.random.Generator, fr: int, to: int, kind: Collection[str]) -> Branch:
    z, y, tap, shift = complex(*rng.uniform(0.002, 0.06, 2)), 0.0j, 1.0, 0.0
    if "stiff" in kind and rng.random() < 0.25:
        z = complex(0.0, rng.choice([0.0, z.imag]))
    if "shunts" in kind and rng.random() < 0.3:
        y = complex(rng.uniform(0.0, 0.004), rng.uniform(-0.02, 0.04))
    if "ratios" in kind and rng.random() < 0.3:
        tap, shift = rng.uniform(0.93, 1.07), rng.choice([0.0, 0.5])
    limit = rng.uniform(0.1, 0.9) if "ratings" in kind and rng.random() < 0.5 else np.inf
    closed, switchable = bool(rng.random() < 0.7), bool("locks" not in kind or rng.random() < 0.85)
    if rng.random() < 0.5:
        fr, to = to, fr
    return Branch(fr, to, z, y, float(tap), float(shift), closed, switchable, float(limit))


def judged(network: Network, max_changes: int | None, change_cost: float) -> tuple[np.ndarray, np.ndarray]:
    """(K, E) all radial states and (K) what they are worth, inf where they miss limits or change too much."""
    found = list(topologies(network))
    states = np.concatenate(found) if found else np.zeros((0, network.n_conductors), dtype=bool)
    if not len(states):
        return states, np.zeros(0)
    value, miss = Judge(network, change_cost).worth(states)
    allowed = miss == 0.0
    if max_changes is not None:
        allowed &= (states != network.closed).sum(axis=1) <= max_changes
    return states, np.where(allowed, value, np.inf)
