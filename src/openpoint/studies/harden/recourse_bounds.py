"""Bounds of the recourse of hardening without solving it.

From below: in a part of the grid that whole branches do not connect to a source, no more is served than its backup
generators and its own infeed give. The part stays so until a branch that leaves it is hardened, so with V the value of
its load and S what a generator there makes available,

    cost ≥ V (1 − Σ hardened branches that leave it) − voll · S Σ generators in it

which holds at every decision. From above: a tree of whole branches that keeps the voltages and ratings of the linear
flow, shedding what it must, found once, serves after every other disaster that spares it; and so does an island around
the backup generators of a part without a source.

Theory: docs/methods.md M28, M29, M30.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.islands import nominal_demand
from openpoint.network import Network
from openpoint.studies.harden.trees import feeder_of, lifted, spanned
from openpoint.twostage.program import RecourseBounds
from openpoint.twostage.workers.pool import never

PIECE = 20
"""Disasters between two questions whether to stop."""


@final
@dataclass
class RestorationBounds:
    """Lower and upper bounds of the shedding after disasters.

    Attributes:
        network: the grid.
        lines: (H) branches that may be hardened. buses: (G) buses that may get a generator.
        backup_pu: active and reactive power of a generator.
        root_w: (G) squared voltage that a generator holds where it forms an island.
        voll_usd: (N) value of lost load, per unit of power.
    """

    network: Network
    lines: Ints
    buses: Ints
    backup_pu: tuple[float, float]
    root_w: Floats
    voll_usd: Floats
    _parts: dict[bytes, Ints] = field(default_factory=dict, init=False)
    _searched: set[bytes] = field(default_factory=set, init=False)
    _islands: dict[bytes, float] = field(default_factory=dict, init=False)

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
        self._feeder = feeder_of(net, self.voll_usd, self.buses, self.root_w)
        at_line = np.full(net.n_conductors, -1)
        at_line[self.lines] = np.arange(len(self.lines))
        self._at_line = at_line
        self._trees = np.zeros((1, net.n_conductors), dtype=np.bool_)  # all open
        self._costs = np.array([float(self._value.sum())])

    def recourse_bounds(
        self, decision: Floats, realisations: Floats, stop: Callable[[], bool] = never
    ) -> RecourseBounds:
        """Bounds of the recourse in (K, E) disasters at a decision; looser where it is stopped."""
        net, count = self.network, len(self.lines)
        hardened = np.zeros(net.n_conductors, dtype=np.bool_)
        hardened[self.lines[decision[:count] > 0.5]] = True
        built = np.flatnonzero(decision[count:] > 0.5)
        broken = realisations > 0.5
        whole = (~broken | hardened) & self._usable
        k = len(realisations)
        lower, slope = np.zeros(k), np.zeros((k, len(decision)))
        saved, matters = np.zeros(k), np.zeros((k, len(decision)), dtype=np.bool_)
        for row in range(k):
            if row % PIECE == PIECE - 1 and stop():
                matters[row:] = True
                break
            lower[row] = self._below(whole[row], decision, slope[row])
            open_parts = np.zeros(net.n_terminals + 1, dtype=np.bool_)
            open_parts[0] = True
            part = self._part_of(whole[row])
            for dead in np.unique(part[self.buses[built]]):
                open_parts[dead] = True
                if dead:
                    saved[row] += self._saved(whole[row], part == dead, self.buses[built])
            touches = open_parts[part]
            matters[row, :count] = broken[row, self.lines] & (
                touches[net.terminal_fr[self.lines]] | touches[net.terminal_to[self.lines]]
            )
            matters[row, count:] = touches[self.buses]
        known = self._above(whole)
        for open_row in np.flatnonzero(known - saved > lower + 1e-9 * np.maximum(1.0, lower)):
            if stop():
                break
            self._search(whole[open_row])
        upper = np.maximum(self._above(whole) - saved, lower)
        bought = decision[count:].tobytes()
        return RecourseBounds(lower, slope, upper, matters, tuple(row.tobytes() + bought for row in whole))

    def tree(self, decision: Floats, broken: Floats) -> Bools:
        """(E) branches that suffice for a restoration after a disaster (E) at a decision: the best tree that is known,
        and islands around the backup generators of parts without a source."""
        net, count = self.network, len(self.lines)
        hardened = np.zeros(net.n_conductors, dtype=np.bool_)
        hardened[self.lines[decision[:count] > 0.5]] = True
        whole = (~(broken > 0.5) | hardened) & self._usable
        self._search(whole)
        serves = ~np.any((self._trees & ~whole) | (whole & self._fixed & ~self._trees), axis=1)
        tree = spanned(self._feeder, whole)
        if serves.any():
            tree = self._trees[int(np.argmin(np.where(serves, self._costs, np.inf)))]
        tree = tree | (whole & self._fixed)
        part = self._part_of(whole)
        for dead in np.unique(part[self.buses[decision[count:] > 0.5]]):
            inside = part == dead
            if dead:
                tree = tree | spanned(self._feeder, whole & inside[net.terminal_fr] & inside[net.terminal_to])
        return tree

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
            gain = float(self.voll_usd[inside].max()) * (self.backup_pu[0] + float(self._infeed[inside].sum()))
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
        trees = self._trees.astype(np.float32)
        closed = np.where(self._fixed, trees, 1.0).astype(np.float32)
        for rows in np.array_split(np.arange(len(whole)), 1 + len(whole) * len(trees) // CELLS):
            strays = (~whole[rows]).astype(np.float32) @ trees.T
            strays += (whole[rows] & self._fixed).astype(np.float32) @ (1.0 - closed).T
            upper[rows] = np.where(strays < 0.5, self._costs, np.inf).min(axis=1)
        return upper

    def _search(self, whole: Bools) -> None:
        """A tree of the part with the sources, kept where it is better than those known."""
        net, part, key = self.network, self._part_of(whole), whole.tobytes()
        lost = float(self._value[part > 0].sum())
        if key in self._searched or self._above(whole[None, :])[0] <= lost:
            return
        self._searched.add(key)
        live = whole & (part[net.terminal_fr] == 0) & (part[net.terminal_to] == 0)
        tree = spanned(self._feeder, live)
        if np.any(live & self._fixed & ~tree):
            return  # what cannot be opened closes a loop
        tree, shed_usd, _ = lifted(self._feeder, live, tree, self._root, self._feeder.p, self._feeder.q)
        if np.isfinite(shed_usd):
            rest = whole & self._fixed & ~live  # dead, and closed all the same
            self._trees = np.vstack([self._trees, tree | rest])
            self._costs = np.append(self._costs, lost + shed_usd)

    def _saved(self, whole: Bools, inside: Bools, built: Ints) -> float:
        """What one island with all backup generators of a part without a source serves, the dearest loads first."""
        net = self.network
        live = whole & inside[net.terminal_fr] & inside[net.terminal_to]
        roots = built[inside[built]]
        key = live.tobytes() + roots.tobytes()
        if key not in self._islands:
            self._islands[key] = self._island(live, inside, roots)
        return self._islands[key]

    def _island(self, live: Bools, inside: Bools, roots: Ints) -> float:
        tree = spanned(self._feeder, live)
        if np.any(live & self._fixed & ~tree):
            return 0.0
        p, q = np.where(inside, self._feeder.p, 0.0), np.where(inside, self._feeder.q, 0.0)
        p_left, q_most = len(roots) * self.backup_pu[0], len(roots) * self.backup_pu[1]
        share = np.zeros(len(p))
        for bus in np.argsort(-self.voll_usd, kind="stable"):
            if p[bus] > 0.0 and p_left > 0.0:
                share[bus] = min(1.0, p_left / p[bus])
                p_left -= share[bus] * p[bus]
        q_all = abs(float(share @ q))
        share *= 1.0 if q_all <= q_most else q_most / q_all
        served = float(self.voll_usd @ (share * p))
        p, q = share * p, share * q
        spread = 1.0 / len(roots)
        p_each, q_each = spread * float(p.sum()), spread * float(q.sum())
        p[roots] -= p_each
        q[roots] -= q_each
        _, shed_usd, _ = lifted(self._feeder, live, tree, int(roots[0]), p, q)
        return served if shed_usd == 0.0 else 0.0


CELLS = 20_000_000
"""Pairs of a tree and a disaster that are compared at once."""
