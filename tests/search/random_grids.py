"""Random small grids of every kind that the topology search takes, and all their radial states."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.state import excesses
from openpoint.search.exchange.ac_check import AcEvaluator
from tests.builders.grids import all_topologies
from tests.powerflow.small_networks import Branch, make_network, rated_by_ends

KINDS: list[tuple[str, ...]] = [
    (),
    ("locks",),
    ("stiff", "locks"),
    ("ratios",),
    ("shunts", "ratios"),
    ("shunts", "hanging"),
    ("generation",),
    ("generation", "shunts", "ratios", "stiff", "impedance", "locks", "hanging"),
    ("capacitive", "impedance"),
    ("current",),
    ("current", "generation", "impedance", "low"),
    ("dispatch",),
    ("dispatch", "generation", "ratings", "low", "high", "shunts", "ratios", "stiff", "current", "hanging"),
    ("low",),
    ("low", "high", "generation"),
    ("ratings",),
    ("ratings", "low", "high", "generation", "shunts", "ratios", "stiff", "locks", "impedance", "hanging"),
]
FEATURES = [
    *("locks", "stiff", "ratios", "shunts", "generation", "impedance", "current", "capacitive"),
    *("low", "high", "ratings", "hanging"),
]
"""What the grids have: locks; branches without resistance or impedance; ratios; shunts of branches; generation;
loads of constant impedance and current; loads that feed reactive power; lower and upper voltage limits; ratings; open
branches that hang on one end. Of KINDS also generators to dispatch."""


def random_grid(rng: np.random.Generator, kind: Collection[str]) -> Network:
    """3 to 8 buses, 1 or 2 sources of different voltages, 1 to 4 ties, also side by side and from a bus to itself."""
    n = int(rng.integers(3, 9))
    ends = [(int(rng.integers(max(0, bus - 4), bus)), bus) for bus in range(1, n)]
    for _ in range(int(rng.integers(1, 5))):
        a, b = rng.choice(n, 2, replace=bool(rng.random() < 0.1))
        ends.append((int(a), int(b)))
    return _grid(rng, kind, n, ends, rng.choice(n, int(rng.integers(1, min(3, n))), replace=False).tolist())


def random_meshes(rng: np.random.Generator, kind: Collection[str]) -> Network:
    """7 to 11 buses, 1 or 2 sources, 4 to 6 ties: so many junctions that these fall into parts."""
    n = int(rng.integers(7, 12))
    ends = [(int(rng.integers(max(0, bus - 4), bus)), bus) for bus in range(1, n)]
    for _ in range(int(rng.integers(4, 7))):
        a, b = rng.choice(n, 2, replace=False)
        ends.append((int(a), int(b)))
    return _grid(rng, kind, n, ends, rng.choice(n, int(rng.integers(1, 3)), replace=False).tolist())


def random_regions(rng: np.random.Generator, kind: Collection[str]) -> Network:
    """A trunk of 1 to 3 buses from the source on, and 2 or 3 groups of 1 to 3 buses with one or two loops each."""
    trunk = int(rng.integers(1, 4))
    n, ends = trunk, [(bus - 1, bus) for bus in range(1, trunk)]
    for _ in range(int(rng.integers(2, 4))):
        group = range(n, n + int(rng.integers(1, 4)))
        ends += [(bus - 1, bus) for bus in group[1:]]
        ends += [(int(rng.integers(trunk)), bus) for bus in (group[0], group[-1])]
        if rng.random() < 0.3:
            ends.append((int(rng.integers(trunk)), int(rng.choice(group))))
        n += len(group)
    return _grid(rng, kind, n, ends, [0])


def _grid(
    rng: np.random.Generator, kind: Collection[str], n: int, ends: list[tuple[int, int]], held: list[int]
) -> Network:
    """A grid of these branches; held: buses of sources."""
    loads = _loads(rng, n, kind)
    some = rng.random(n) < (0.3 if "impedance" in kind else 0.0)
    impedance = np.where(some, 0.1 * (loads.conj() if "generation" in kind else loads), 0.0)
    sources = {bus: complex(rng.uniform(0.97, 1.05) * np.exp(1j * rng.uniform(-0.1, 0.1))) for bus in held}
    low = float(rng.uniform(0.85, 0.99)) if "low" in kind else 0.0
    high = float(rng.uniform(1.0, 1.12)) if "high" in kind else np.inf
    branches = [_branch(rng, *e, kind) for e in ends]
    current = np.where(rng.random(n) < 0.5, loads, 0.0) if "current" in kind else None
    power = loads if current is None else loads - current
    generators = [(int(rng.integers(n)), 0.0j) for _ in range(int(rng.integers(1, 3)))] if "dispatch" in kind else []
    network = make_network(
        n,
        branches,
        sources,
        power=power,
        current=current,
        impedance=impedance,
        generators=generators,
        v_limits=(low, high),
    )
    if "hanging" in kind:
        network = hanging(rng, network)
    p, q = rng.uniform(0.0, 0.4, (2, len(generators)))
    network = replace(network, p_min=np.zeros(len(p)), p_max=p, q_min=-q, q_max=q * (rng.random(len(q)) < 0.5))
    return rated_by_ends(rng.spawn(1)[0], network)


def hanging(rng: np.random.Generator, network: Network) -> Network:
    """The same with most branches that have a shunt hanging on one end while they are open."""
    half, z = 0.5 * network.y_shunt.diagonal(), network.z.diagonal()
    stays = half + half / (1.0 + z * half)
    at = rng.integers(0, 3, len(stays))
    return replace(
        network,
        y_open_fr=np.where(at == 1, stays / network.tap**2, 0.0j),
        y_open_to=np.where(at == 2, stays, 0.0j),
    )


EDGES = (0.0, 1e-12, -1e-12, 1e-9, -1e-9, 1e-7, -1e-7, 5e-7, 1e-6, -1e-6, 1.0001e-6, 0.9999e-6, 2e-6, 1e-3, -1e-3)
"""By how much of itself a limit lies beside the figure of a state; 1e-6 of it counts as kept."""


def edged(seed: int) -> Network | None:
    """A grid whose limits lie beside the figures of one of its states, some with tiny loads, or none, or branches
    without impedance; None where it has no state."""
    rng = np.random.default_rng([seed, 7])
    kind = [name for name in FEATURES if name not in ("ratings", "low", "high") and rng.random() < 0.3]
    net = random_grid(rng, kind)
    size = rng.choice([1.0, 1.0, 1.0, 1e-2, 1e-4, 1e-6, 0.0])
    some = size * (rng.random(net.n_terminals) < (0.8 if rng.random() < 0.3 else 1.0))
    net = replace(net, s_power=net.s_power * some, s_current=net.s_current * some, s_impedance=net.s_impedance * some)
    if rng.random() < 0.15:
        z = net.z.diagonal()
        z = np.where(rng.random(len(z)) < rng.choice([0.3, 1.0]), 0.0, z)
        net = replace(net, z=sp.csr_array(sp.diags_array(z)))
    states = all_topologies(net)
    flows = solve(net, states) if len(states) else None
    if flows is None or not flows.converged.any():
        return None
    ok = np.flatnonzero(flows.converged)
    k = ok[np.argmin(flows.loss[ok])] if rng.random() < 0.6 else rng.choice(ok)
    v, i = np.abs(flows.v[k]), flows.i_rated[k]

    def beside(figures: np.ndarray) -> np.ndarray:
        return np.asarray((figures * (1.0 + rng.choice(EDGES))) ** 2)

    if rng.random() < 0.6:
        inner = np.setdiff1d(np.arange(net.n_terminals), net.source_terminal)
        net = replace(net, w_min=beside(v if rng.random() < 0.5 else np.full(len(v), v[inner].min())))
    if rng.random() < 0.3:
        net = replace(net, w_max=beside(np.full(len(v), v.max())))
    if rng.random() < 0.6:
        rated = rng.random(len(i)) < 0.5
        l_max = np.where(rated, beside(i), np.inf)
        net = replace(net, l_max=np.where(l_max == 0.0, rng.choice([np.inf, 1e-12, 0.0]), l_max))
    return net


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
    states = all_topologies(network)
    if not len(states):
        return states, np.zeros(0)
    value, miss = AcEvaluator(network, change_cost).evaluate(states)
    allowed = miss == 0.0
    if len(network.generator_names):
        value, allowed = _sampled(network, states, change_cost)
    if max_changes is not None:
        allowed &= (states != network.closed).sum(axis=1) <= max_changes
    return states, np.where(allowed, value, np.inf)


def _sampled(network: Network, states: np.ndarray, change_cost: float) -> tuple[np.ndarray, np.ndarray]:
    """What states are worth at the best of some outputs of the generators: an upper bound, and near the truth."""
    rng = np.random.default_rng(0)
    value = np.full(len(states), np.inf)
    g = len(network.generator_names)
    centre, width = np.full((len(states), 2 * g), 0.5), 1.0
    for _ in range(4):
        rows = np.repeat(centre, 40, axis=0)
        share = np.clip(rows + width * (rng.random(rows.shape) - 0.5), 0.0, 1.0)
        share = np.where(rng.random(rows.shape) < 0.2, np.round(share), share)
        p = network.p_min + share[:, :g] * (network.p_max - network.p_min)
        q = network.q_min + share[:, g:] * (network.q_max - network.q_min)
        closed = np.repeat(states, 40, axis=0)
        flows = solve(network, closed, generation=p + 1j * q)
        kept = flows.converged & (excesses(network, flows) == 0.0)
        found = np.where(kept, flows.loss, np.inf).reshape(-1, 40)
        best = found.argmin(axis=1)
        better = found.min(axis=1) < value
        value = np.minimum(value, found.min(axis=1))
        centre = np.where(better[:, None], share.reshape(len(states), 40, -1)[np.arange(len(states)), best], centre)
        width *= 0.4
    value += change_cost * (states != network.closed).sum(axis=1) if change_cost else 0.0
    return value, np.isfinite(value)
