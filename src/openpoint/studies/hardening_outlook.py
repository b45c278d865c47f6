"""What hardening knows of its recourse without solving it.

From below: in a part of the grid that whole branches do not connect to a source, no more is served than its backup
generators and its own infeed give. The part stays so until a branch that leaves it is hardened, so with V the value of
its load and S what a generator there makes available,

    cost ≥ V (1 − Σ hardened branches that leave it) − voll · S Σ generators in it

which holds at every decision. From above: a tree of whole branches that keeps the voltages and ratings of the linear
flow while it serves all it reaches, found once, serves after every other disaster that spares it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import breadth_first_order, connected_components

from openpoint.formulations.lindistflow import nominal_demand, voltage_limits
from openpoint.network import Network
from openpoint.twostage.program import Floats, Outlook

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

STEPS_MOST = 12
"""Exchanges tried to lift the voltages of a tree before the general program has the word."""
VOLTAGE_TOLERANCE = 1e-9
"""Per unit of squared voltage."""


@dataclass
class Restorer:
    """Lower and upper bounds of the shedding after disasters.

    Attributes:
        network: the grid.
        lines: (H) branches that may be hardened. buses: (G) buses that may get a generator.
        backup_pu: active power of a generator.
        voll_usd: (N) value of lost load, per unit of power.
    """

    network: Network
    lines: Ints
    buses: Ints
    backup_pu: float
    voll_usd: Floats
    _trees: list[tuple[Bools, float]] = field(default_factory=list, init=False)
    _parts: dict[bytes, Ints] = field(default_factory=dict, init=False)
    _hopeless: set[bytes] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        net = self.network
        self._demand = nominal_demand(net)
        self._label = np.arange(net.n_terminals)
        self._label[net.source_terminal] = net.source_terminal[0]
        self._root = int(net.source_terminal[0])
        self._usable = net.closed | net.switchable
        self._fixed = net.closed & ~net.switchable
        self._value = self.voll_usd * np.maximum(self._demand.real, 0.0)
        infeed = np.maximum(-self._demand.real, 0.0)
        np.add.at(infeed, net.generator_terminal, np.maximum(net.p_max, 0.0))
        self._infeed = infeed
        self._low, self._high = voltage_limits(net)
        self._trees.append((np.zeros(net.n_conductors, dtype=np.bool_), float(self._value.sum())))  # all open
        at_line = np.full(net.n_conductors, -1)
        at_line[self.lines] = np.arange(len(self.lines))
        self._at_line = at_line

    def outlook(self, decision: Floats, realisations: Floats) -> Outlook:
        """Bounds of the recourse in (K, E) disasters at a decision."""
        net, count = self.network, len(self.lines)
        hardened = np.zeros(net.n_conductors, dtype=np.bool_)
        hardened[self.lines[decision[:count] > 0.5]] = True
        broken = realisations > 0.5
        whole = (~broken | hardened) & self._usable
        k = len(realisations)
        lower, upper, slope = np.zeros(k), np.full(k, np.inf), np.zeros((k, len(decision)))
        for row in range(k):
            lower[row] = self._below(whole[row], decision, slope[row])
        upper = self._above(whole)
        for open_row in np.flatnonzero(upper > lower + 1e-9 * np.maximum(1.0, lower)):
            self._search(whole[open_row])
        upper = np.minimum(upper, self._above(whole))
        matters = np.concatenate([broken[:, self.lines], np.ones((k, len(self.buses)), dtype=np.bool_)], axis=1)
        return Outlook(lower, slope, np.maximum(upper, lower), matters)

    def _part_of(self, whole: Bools) -> Ints:
        """(N) part of each bus; that of the sources is 0."""
        key = whole.tobytes()
        if key not in self._parts:
            net, on = self.network, np.flatnonzero(whole)
            n = net.n_terminals
            a, b = self._label[net.terminal_fr[on]], self._label[net.terminal_to[on]]
            graph = sp.csr_array((np.ones(len(on)), (a, b)), shape=(n, n))
            part = connected_components(graph, directed=False)[1][self._label]
            self._parts[key] = np.where(part == part[self._root], 0, part + 1)
        return self._parts[key]

    def _below(self, whole: Bools, decision: Floats, slope: Floats) -> float:
        """The lower bound in one disaster; fills its slope."""
        net, count = self.network, len(self.lines)
        part = self._part_of(whole)
        total = 0.0
        for dead in np.unique(part[part > 0]):
            inside = part == dead
            value = float(self._value[inside].sum())
            if value == 0.0:
                continue
            built = np.flatnonzero(inside[self.buses])
            gain = float(self.voll_usd[inside].max()) * (self.backup_pu + float(self._infeed[inside].sum()))
            here = value - gain * float(np.sum(decision[count + built] > 0.5))
            if here <= 0.0:
                continue
            total += here
            leaving = self._usable & ~whole & (inside[net.terminal_fr] != inside[net.terminal_to])
            at = self._at_line[leaving]
            slope[at[at >= 0]] -= value
            slope[count + built] -= gain
        return total

    def _above(self, whole: Bools) -> Floats:
        """(K) cost of the best known tree that lies within the whole branches of each disaster, (K, E)."""
        upper = np.full(len(whole), np.inf)
        for tree, cost in self._trees:
            fits = ~np.any(tree & ~whole, axis=1) & ~np.any(whole & self._fixed & ~tree, axis=1)
            upper[fits] = np.minimum(upper[fits], cost)
        return upper

    def _search(self, whole: Bools) -> None:
        """A tree that serves all that the sources reach, by exchanges that lift the lowest voltage; kept if found."""
        net, part, key = self.network, self._part_of(whole), whole.tobytes()
        cost = float(self._value[part > 0].sum())
        if key in self._hopeless or self._above(whole[None, :])[0] <= cost:
            return
        live = whole & (part[net.terminal_fr] == 0) & (part[net.terminal_to] == 0)
        weight = np.where(self._fixed, 0.0, np.where(net.closed, 1.0, 2.0) * (1e-6 + np.abs(net.z.diagonal())))
        tree = _lightest(net.n_terminals, self._label[net.terminal_fr], self._label[net.terminal_to], live, weight)
        if np.any(live & self._fixed & ~tree):
            return  # what cannot be opened closes a loop
        miss = self._miss(tree)
        for _ in range(STEPS_MOST):
            if miss <= VOLTAGE_TOLERANCE:
                rest = whole & self._fixed & ~live  # dead, and closed all the same
                self._trees.append((tree | rest, cost))
                return
            better = min(((self._miss(x), i, x) for i, x in enumerate(self._exchanges(tree, live))), default=None)
            if better is None or better[0] >= miss:
                break
            miss, tree = better[0], better[2]
        self._hopeless.add(key)

    def _exchanges(self, tree: Bools, live: Bools) -> list[Bools]:
        """Trees with one branch closed and one of its loop opened."""
        net, found = self.network, []
        fr, to = self._label[net.terminal_fr], self._label[net.terminal_to]
        parent, via, depth = self._walk(tree)[:3]
        for tie in np.flatnonzero(live & ~tree):
            a, b = int(fr[tie]), int(to[tie])
            loop = []
            while a != b:
                if depth[a] < depth[b]:
                    a, b = b, a
                loop.append(int(via[a]))
                a = int(parent[a])
            for opened in loop:
                if not self._fixed[opened]:
                    other = tree.copy()
                    other[tie], other[opened] = True, False
                    found.append(other)
        return found

    def _walk(self, tree: Bools) -> tuple[Ints, Ints, Ints, Ints]:
        """Parent, branch to it and depth of each bus, and the buses in order from the root."""
        net, on = self.network, np.flatnonzero(tree)
        n = net.n_terminals
        a, b = self._label[net.terminal_fr[on]], self._label[net.terminal_to[on]]
        graph = sp.csr_array((np.ones(2 * len(on)), (np.concatenate([a, b]), np.concatenate([b, a]))), shape=(n, n))
        order, parent = breadth_first_order(graph, self._root, directed=False)
        branch = {(int(x), int(y)): int(e) for x, y, e in zip(a, b, on)}
        via, depth = np.full(n, -1), np.zeros(n, dtype=np.int64)
        for bus in order[1:]:
            up = int(parent[bus])
            via[bus] = branch.get((int(bus), up), branch.get((up, int(bus)), -1))
            depth[bus] = depth[up] + 1
        return parent.astype(np.int64), via, depth, order.astype(np.int64)

    def _miss(self, tree: Bools) -> float:
        """By how much the linear flow of a tree that serves all it reaches misses limits, summed up."""
        net = self.network
        parent, via, _, order = self._walk(tree)
        flow = self._demand.copy()
        w = np.zeros(net.n_terminals)
        w[net.source_terminal] = np.abs(net.source_v) ** 2
        for bus in order[:0:-1]:
            flow[parent[bus]] += flow[bus]
        r, x, tap = net.r, net.x, net.tap
        miss = 0.0
        for bus in order[1:]:
            e = via[bus]
            s = flow[bus]
            ahead = self._label[net.terminal_to[e]] == bus
            ratio = tap[e] ** 2
            drop = 2.0 * (r[e] * s.real + x[e] * s.imag) * (1.0 if ahead else -1.0)
            above = w[net.terminal_fr[e] if ahead else net.terminal_to[e]]  # of a source, the one at this branch
            w[bus] = above / ratio - drop if ahead else (above + drop) * ratio
            miss += max(self._low[bus] - w[bus], 0.0) + max(w[bus] - self._high[bus], 0.0)
            miss += max(abs(s) - np.sqrt(net.l_max[e]) * POLYGON, 0.0) if np.isfinite(net.l_max[e]) else 0.0
        return float(miss)


POLYGON = float(np.cos(np.pi / 16))
"""Within this share of its rating a flow keeps every side of the inscribed polygon of 16 corners."""


def _lightest(n: int, fr: Ints, to: Ints, allowed: Bools, weight: Floats) -> Bools:
    """The spanning forest of least weight (Kruskal 1956)."""
    root = np.arange(n)

    def find(bus: int) -> int:
        while root[bus] != bus:
            root[bus] = root[root[bus]]
            bus = int(root[bus])
        return bus

    tree = np.zeros(len(fr), dtype=np.bool_)
    for e in np.flatnonzero(allowed)[np.argsort(weight[allowed], kind="stable")]:
        a, b = find(int(fr[e])), find(int(to[e]))
        if a != b:
            root[a] = b
            tree[e] = True
    return tree
