"""Random parts of the paths of a grid, with random prices and trees, beside all radial states."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.verify.graph import CLOSED, FREE, OPEN
from openpoint.verify.path_cost import BACK, BROKEN, FORTH
from openpoint.verify.path_parts import DIGITS, Part, Priced
from openpoint.verify.paths import Swept, nodes_of, obstacles, swept
from tests.builders.grids import all_topologies
from tests.builders.path_grids import data_of, graph_of, squares_of

BITS = 30
TOLERANCE = 1e-9


def swept_of(network: Network) -> Swept:
    status = np.where(network.terminal_fr == network.terminal_to, OPEN, FREE).astype(np.int8)
    status[~network.switchable] = network.closed[~network.switchable]
    return swept(data_of(network), graph_of(network), squares_of(network), status.tolist())


def random_tree(rng: np.random.Generator, part: Part, depth: int) -> list[int]:
    """Divisions of random paths."""
    size, tree, start = len(part.met) - 1, list[int](), part.table.start.tolist()

    def head(a: int) -> int:
        return int(part.table.u[a // 2] if a % 2 else part.table.v[a // 2])

    def implied(mask: list[int]) -> bool:
        while True:
            before = list(mask)
            for j in range(size):
                arcs = [a for a in range(2 * len(mask)) if head(a) == j and mask[a // 2] & (BACK if a % 2 else FORTH)]
                must = [a for a in arcs if mask[a // 2] in (FORTH, BACK)] or (arcs if len(arcs) == 1 else [])
                if not arcs or len(must) > 1:
                    return False
                for a in arcs:
                    bit = BACK if a % 2 else FORTH
                    mask[a // 2] = mask[a // 2] if not must else bit if a in must else mask[a // 2] & ~bit
                    if not mask[a // 2]:
                        return False
            if mask == before:
                return True

    def placed(mask: list[int], open_at: dict[int, list[int]]) -> bool:
        for k, positions in open_at.items():
            mask[k] &= ~BROKEN if not positions else BROKEN | FORTH | BACK
        return all(mask)

    def grow(mask: list[int], left: int, open_at: dict[int, list[int]]) -> None:
        if not (placed(mask, open_at) and implied(mask)):
            return
        of = int(rng.integers(part.count))
        lowest, highest = span.get(of, (start[of], start[of + 1] - 1))
        if left and lowest < highest and rng.random() < 0.3:
            at = int(rng.integers(lowest, highest))
            tree.append(part.count + at)
            for low, high in ((lowest, at), (at + 1, highest)):
                before = span.get(of)
                span[of] = low, high
                free = [p for p in usable[of] if low <= p <= high]
                grow(list(mask), left - 1, open_at | {of: free})
                span.pop(of) if before is None else span.update({of: before})
            return
        some = [k for k in range(part.count) if mask[k] not in (BROKEN, FORTH, BACK)]
        if not left or not some:
            tree.append(-1 if rng.random() < 0.7 else -2)
            return
        k = int(rng.choice(some))
        tree.append(k)
        for bit in (BROKEN, FORTH, BACK):
            if mask[k] & bit:
                grow([bit if other == k else value for other, value in enumerate(mask)], left - 1, open_at)

    span: dict[int, tuple[int, int]] = {}
    usable = [_usable(part, start[k], start[k + 1]) for k in range(part.count)]
    grow(part.mask.tolist(), depth, {})
    return tree


def _usable(part: Part, begin: int, end: int) -> list[int]:
    """The places at which a path may be open."""
    states = part.of.status[part.table.branch[begin:end]].tolist()
    wanted = OPEN if OPEN in states else FREE
    return [begin + at for at, state in enumerate(states) if state == wanted]


def faults_of_checked_parts(network: Network, rng: np.random.Generator, nodes: int) -> tuple[int, list[str]]:
    """Bounds by parts of the checker at random nodes: how many, and those above the best completion."""
    states = all_topologies(network)
    if obstacles(data_of(network)) or not len(states):
        return 0, []
    flows = solve(network, states)
    loss = np.where(flows.converged & flows.energised.all(axis=1), flows.loss, np.inf)
    swept, graph = swept_of(network), graph_of(network)
    bounds, wrong = 0, []
    for _ in range(nodes):
        status = np.array(swept.status, dtype=np.int8)
        for e in np.flatnonzero((status == FREE) & (rng.random(len(status)) < rng.choice([0.0, 0.3]))):
            status[e] = rng.choice([OPEN, CLOSED])
        if not graph.consequences(status):
            continue
        fits = np.all((status == FREE) | (states == (status == CLOSED)), axis=1)
        best = float(loss[fits].min(initial=np.inf))
        bound = _random_bound(swept, status, rng)
        if bound is not None:
            bounds += 1
            if bound > best + 1e-12 + TOLERANCE * abs(best):
                wrong.append(f"bound by parts of the checker {bound:.9g} above {best:.9g}")
    return bounds, wrong


def _random_bound(swept: Swept, status: np.ndarray, rng: np.random.Generator) -> float | None:
    """At random multipliers and prices, of random parts with random trees."""
    count, of = len(swept.paths), nodes_of(swept)
    size, largest = len(of.buses), float(rng.choice([0.0, 0.03, 0.2, 1.0]))
    y, mu = (np.floor(largest * rng.random(size) * 2**BITS).astype(np.int64) for _ in range(2))
    highest = float(rng.choice([0.0, 0.01, 0.1]))
    z = np.floor(highest * rng.uniform(-1.0, 1.0, size) * 2**DIGITS).astype(np.int64)
    priced = Priced(of, status, (y, mu, BITS), z)
    label, total = rng.integers(int(rng.integers(1, 5)), size=count), Fraction(0)
    for g in range(4):
        if not np.any(label == g):
            continue
        part = priced.part(np.flatnonzero(label == g).tolist())
        tree = np.array(random_tree(rng, part, int(rng.integers(4))), dtype=np.int64)
        shape = int((tree == -1).sum()), 2 * part.inner
        least = part.least(tree, np.floor(largest * rng.random(shape) * 2**BITS).astype(np.int64), BITS)
        if least is None:
            return None
        total += Fraction(least, 1 << of.table.d)
    return float(total + Fraction(priced.total, 1 << of.table.d))
