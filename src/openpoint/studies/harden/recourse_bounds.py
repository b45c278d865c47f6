"""Bounds of the recourse of hardening without solving it.

From below: in a part of the grid that whole branches do not connect to a source, no more is served than its backup
generators and its own infeed give. The part stays so until a branch that leaves it is hardened, so with V the value of
its load and S what a generator there makes available,

    cost ≥ V (1 − Σ hardened branches that leave it) − voll · S Σ generators in it

which holds at every decision. Flows that ratings and voltages cap say more (`FlowBound`), and where the part with the
sources has few spanning trees, all of them are looked at. From above: a tree of whole branches that keeps the voltages
and ratings of the linear flow, shedding what it must, found once, serves after every other disaster that spares it; and
so does an island around the backup generators of a part without a source.

Theory: docs/methods.md M28, M29, M30.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.islands import nominal_demand
from openpoint.graph import forest
from openpoint.network import Network
from openpoint.solvers.base import StandardForm, Status
from openpoint.solvers.highs import HighsModel
from openpoint.studies.harden.flow_bound import MARGIN, FlowBound
from openpoint.studies.harden.tree_program import TreeProgram, TreeSearch
from openpoint.studies.harden.trees import (
    KEPT,
    feeder_of,
    least_drop,
    lifted,
    missed_limits,
    parts,
    shed_on,
    spanned,
    spanning_trees,
    violation,
)
from openpoint.twostage.program import RecourseBounds
from openpoint.twostage.workers.pool import never, remembered

PIECE = 20
"""Disasters between two questions whether to stop."""
TREES_FEW, TREES_MOST, TREES_PRICED = 1_000, 20_000, 200
"""Spanning trees up to which all are looked at for every open disaster, and for those that matter; and how many of
them, those of the lowest bounds, are priced by a linear program."""
OPEN_MOST = 1_000
"""Disasters for which flows and trees are looked at in one evaluation, those with the widest bounds."""
SEARCHES_KEPT = 100
"""Searches over trees that can go on where they ended, those last used: a few MB each."""
SMALL = 1e-7
"""Share of a load, and of the value of all of it, that is the tolerance of a program."""
CLOSED = 1e-9
"""Relative difference of bounds that is rounding."""


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
        generators_most: generators that may be bought.
        worst: whether the disaster that costs most counts alone: then no other is looked at.
        nothing_usd: cost where all load is shed and no branch closed that can be open; inf where that breaks limits.
    """

    network: Network
    lines: Ints
    buses: Ints
    backup_pu: tuple[float, float]
    root_w: Floats
    voll_usd: Floats
    generators_most: int
    worst: bool = False
    nothing_usd: float = field(init=False)
    _parts: dict[bytes, Ints] = field(default_factory=dict, init=False)
    _searched: set[bytes] = field(default_factory=set, init=False)
    _by_tree: dict[bytes, tuple[float, Bools, float]] = field(default_factory=dict, init=False)
    _islands: dict[bytes, float] = field(default_factory=dict, init=False)
    _programs: OrderedDict[bytes, TreeSearch] = field(default_factory=OrderedDict, init=False)

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
        self._flows = FlowBound(
            net,
            self._label,
            self._root,
            self._usable,
            self._value,
            infeed,
            self.buses,
            self.backup_pu,
            self.generators_most,
        )
        self._feeder = feeder_of(net, self.voll_usd, self.buses, self.root_w)
        at_line = np.full(net.n_conductors, -1)
        at_line[self.lines] = np.arange(len(self.lines))
        self._at_line = at_line
        self._trees_suffice = self._all_trees_serve()
        none = np.zeros(net.n_terminals)
        kept = violation(self._feeder, self._fixed, self._root, none, none) <= KEPT
        self.nothing_usd = float(self._value.sum()) if kept else np.inf
        self._trees = np.zeros((0, net.n_conductors), dtype=np.bool_)
        self._costs = np.zeros(0)

    @property
    def has_program(self) -> bool:
        """Whether a program over spanning trees takes the place of the recourse where no generator is bought."""
        return self._trees_suffice and self._flows.ideal

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
        settled = np.full(k, lower.max(initial=0.0)) if self.worst else lower
        for open_row in np.flatnonzero(self._above(whole) - saved > settled + CLOSED * np.maximum(1.0, settled)):
            if stop():
                break
            self._search(whole[open_row], enough=float(settled[open_row]) + float(saved[open_row]))
        upper, least = np.maximum(self._above(whole) - saved, lower), lower.copy()
        rest = upper - settled - CLOSED * np.maximum(1.0, settled)
        for open_row in [row for row in np.argsort(-rest, kind="stable")[:OPEN_MOST] if rest[row] > 0.0]:
            if stop() or (self.worst and upper[open_row] <= least.max() * (1.0 + CLOSED)):
                break
            dead = self._part_of(whole[open_row])
            dead = (dead > 0) & ~np.isin(dead, dead[self.buses[built]])
            flows = self._flows.least(whole[open_row], self.buses[built], dead)
            trees = 0.0 if len(built) else self._by_trees(whole[open_row], TREES_FEW)
            least[open_row] = max(lower[open_row], flows, trees)
        upper = np.maximum(self._above(whole) - saved, least)
        bought = decision[count:].tobytes()
        return RecourseBounds(lower, slope, least, upper, matters, tuple(row.tobytes() + bought for row in whole))

    def cuts(self, decision: Floats, realisations: Floats, stop: Callable[[], bool] = never) -> tuple[Floats, Floats]:
        """Cuts at a decision, which may be fractional, in (K, E) disasters: values (K) and slopes (K, n) of lower
        bounds of the recourse; 0 where it is stopped before."""
        count = len(self.lines)
        values, slopes = np.zeros(len(realisations)), np.zeros((len(realisations), len(decision)))
        hardened = np.zeros(self.network.n_conductors)
        hardened[self.lines] = decision[:count]
        for k, broken in enumerate(realisations):
            if k % PIECE == PIECE - 1 and stop():
                break
            cut = self._flows.cut(np.clip(1.0 - broken + hardened, 0.0, 1.0), decision[count:])
            values[k] = cut.value
            slopes[k, :count], slopes[k, count:] = np.where(broken > 0.5, cut.branch, 0.0)[self.lines], cut.place
        return values, slopes

    def improve(
        self, decision: Floats, broken: Floats, programs: float, gap: float, stop: Callable[[], bool] = never
    ) -> tuple[float, float]:
        """Bounds of the cost after a disaster (E) at a decision without generators that take longer to find: by all
        spanning trees where they are not too many, else a tree by exchanges that look at the price of shedding, and a
        search over trees to a relative gap, within so many linear programs beside the first."""
        count = len(self.lines)
        hardened = np.zeros(self.network.n_conductors, dtype=np.bool_)
        hardened[self.lines[decision[:count] > 0.5]] = True
        whole = (~(broken > 0.5) | hardened) & self._usable
        lower = self._by_trees(whole, TREES_MOST)
        if lower == 0.0:
            self._search(whole, thorough=True)
            if self.has_program:
                lower = self._by_program(whole, programs, gap, stop)
        return lower, float(self._above(whole[None, :])[0])

    def _by_program(self, whole: Bools, programs: float, gap: float, stop: Callable[[], bool] = never) -> float:
        """A lower bound of the cost without generators by the search over spanning trees, which goes on where it ended;
        the best tree that it finds is kept."""
        net, part = self.network, self._part_of(whole)
        live = whole & (part[net.terminal_fr] == 0) & (part[net.terminal_to] == 0)
        lost = float(self._value[part > 0].sum())

        def found(fed: Bools) -> float:
            # Buses whose load is all shed may feed each other in a loop there.
            order = np.argsort(np.where(self._fixed, 0, np.where(fed, 1, 2)), kind="stable")
            order = order[live[order]]
            tree = np.zeros(len(live), dtype=np.bool_)
            tree[order[forest(len(part), self._feeder.fr[order], self._feeder.to[order])]] = True
            if np.any(live & self._fixed & ~tree):
                return np.inf
            kept = tree | (whole & self._fixed & ~live)
            if kept.tobytes() + b"kept" in self._searched:
                return np.inf
            cost = self._priced(tree)
            self._keep(kept, lost + cost)
            return cost

        def begun() -> TreeSearch:
            distance = self._flows.distance(whole)
            return TreeSearch(TreeProgram(self._feeder, live, self._root, distance, *self._flows.net_demand))

        best = float(self._above(whole[None, :])[0]) - lost
        search = remembered(self._programs, live.tobytes(), begun, SEARCHES_KEPT)
        bound = search.bound(best, programs, gap, found, stop)
        bound -= MARGIN * max(1.0, abs(bound)) + SMALL * float(self._value.sum())
        return lost + max(bound, 0.0)

    def _by_trees(self, whole: Bools, most: int) -> float:
        """A lower bound of the cost without generators by all spanning trees of the part with the sources, the best of
        which is kept; 0 where they are more than `most`, or where a part of them may do with less."""
        net, part = self.network, self._part_of(whole)
        live = whole & (part[net.terminal_fr] == 0) & (part[net.terminal_to] == 0)
        key = live.tobytes()
        if key not in self._by_tree:
            if not self._trees_suffice or self._infeed.any() or self._number_of_trees(live, part) > most:
                return 0.0
            self._by_tree[key] = self._best_tree(live)
        lost, (shed, tree, cost) = float(self._value[part > 0].sum()), self._by_tree[key]
        self._keep(tree | (whole & self._fixed & ~live), lost + cost)
        return lost + shed

    def _number_of_trees(self, live: Bools, part: Ints) -> float:
        """Spanning trees of the part with the sources (Kirchhoff 1847)."""
        net, inside = self.network, np.flatnonzero((part == 0) & (self._label == np.arange(len(part))))
        number = np.full(len(part), -1)
        number[inside] = np.arange(len(inside))
        a, b = number[self._label[net.terminal_fr[live]]], number[self._label[net.terminal_to[live]]]
        laplacian = np.zeros((len(inside), len(inside)))
        np.add.at(laplacian, (np.concatenate([a, b]), np.concatenate([a, b])), 1.0)
        np.add.at(laplacian, (np.concatenate([a, b]), np.concatenate([b, a])), -1.0)
        rest = np.delete(np.arange(len(inside)), number[self._root])
        return float(np.exp(min(np.linalg.slogdet(laplacian[np.ix_(rest, rest)])[1], 100.0)))

    def _best_tree(self, live: Bools) -> tuple[float, Bools, float]:
        """A lower bound of the shedding on every spanning tree, the tree on which least is shed, and that cost."""
        feeder, root = self._feeder, self._root
        bounds, opened, number = spanning_trees(feeder, live, root, feeder.p, feeder.q, TREES_MOST)
        if not 0 < number <= TREES_MOST:
            return 0.0, live, np.inf
        least, best, chosen = np.inf, np.inf, live
        for place, k in enumerate(np.argsort(bounds, kind="stable")):
            if bounds[k] >= min(best, least) - CLOSED or place == TREES_PRICED:
                least = min(least, bounds[k])
                break
            tree = live.copy()
            tree[opened[k][opened[k] >= 0]] = False
            cost = shed_on(feeder, tree, root, feeder.p, feeder.q)[0]
            if cost > bounds[k] + CLOSED:
                bound, by_program = self._shed_least(tree)
                least, cost = min(least, max(float(bounds[k]), bound)), min(cost, by_program)
            else:
                least = min(least, bounds[k])
            if cost < best:
                best, chosen = cost, tree
        return float(min(least, best)), chosen, float(best)

    def _priced(self, tree: Bools) -> float:
        """Cost of shedding on a tree, the least that is known."""
        feeder = self._feeder
        cost = shed_on(feeder, tree, self._root, feeder.p, feeder.q)[0]
        return min(cost, self._shed_least(tree)[1]) if 0.0 < cost < np.inf else cost

    def _shed_least(self, tree: Bools) -> tuple[float, float]:
        """A lower bound of the cost of shedding on a tree, by a linear program over all limits that it misses, and the
        cost of its solution where that keeps all limits, else inf."""
        feeder = self._feeder
        missed, relief = missed_limits(feeder, tree, self._root, feeder.p, feeder.q)
        n = len(feeder.p)
        rows = np.vstack([-np.maximum(relief, 0.0), -np.eye(n), np.eye(n)])
        scale = np.maximum(np.abs(rows).max(axis=1, initial=0.0), 1e-12)
        right = np.concatenate([-missed, np.zeros(n), np.ones(n)]) / scale
        cost = feeder.price * np.maximum(feeder.p, 0.0)
        none = np.empty(0, dtype=np.int64)
        form = StandardForm(cost, 0.0, sp.csc_array(rows / scale[:, None]), right, 0, len(right), (), none, {})
        answer = HighsModel(form).solve(integral=False)
        if answer.status is not Status.OPTIMAL or answer.x is None:
            return 0.0, np.inf
        served = 1.0 - np.clip(answer.x * (1.0 + MARGIN) + SMALL, 0.0, 1.0)
        kept = violation(feeder, tree, self._root, feeder.p * served, feeder.q * served) <= KEPT
        return answer.value * (1.0 - MARGIN), float(cost @ (1.0 - served)) if kept else np.inf

    def _keep(self, tree: Bools, cost: float) -> None:
        """Keep a tree with the cost of what is shed where it serves, where it is not known."""
        if tree.tobytes() + b"kept" in self._searched or not np.isfinite(cost):
            return
        self._searched.add(tree.tobytes() + b"kept")
        self._trees = np.vstack([self._trees, tree])
        self._costs = np.append(self._costs, cost)

    def _all_trees_serve(self) -> bool:
        """Whether some spanning tree serves as well as any part of one: a bus without load or infeed may hang anywhere,
        since voltages need not change along a branch without flow, and the limits are the same everywhere."""
        net, feeder = self.network, self._feeder
        inner = self._label != self._root
        alike = np.ptp(feeder.low[inner]) == 0.0 and np.ptp(feeder.high[inner]) == 0.0 if inner.any() else False
        sheds = (feeder.p != 0.0) | (feeder.q == 0.0)
        if not alike or len(net.generator_names) or not sheds.all():
            return False
        low, high = feeder.low[inner][0], feeder.high[inner][0]
        held = feeder.held[net.source_terminal]
        tapped = np.flatnonzero(self._usable & (feeder.ratio != 1.0))
        from_root = feeder.fr[tapped] == self._root
        if not (from_root | (feeder.to[tapped] == self._root)).all():
            return False
        at = np.where(from_root, feeder.held[feeder.fr_at[tapped]], feeder.held[feeder.to_at[tapped]])
        beyond = np.where(from_root, at / feeder.ratio[tapped], at * feeder.ratio[tapped])
        ends = np.concatenate([beyond, held])
        return bool(np.all((low <= ends) & (ends <= high)))

    def tree(self, decision: Floats, broken: Floats) -> Bools:
        """(E) branches that suffice for a restoration after a disaster (E) at a decision: the best tree that is known,
        and islands around the backup generators of parts without a source."""
        net, count = self.network, len(self.lines)
        hardened = np.zeros(net.n_conductors, dtype=np.bool_)
        hardened[self.lines[decision[:count] > 0.5]] = True
        whole = (~(broken > 0.5) | hardened) & self._usable
        self._search(whole, thorough=True)
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
            self._parts[key] = parts(self._feeder, whole, self._root)[self._label]
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
        upper = np.full(len(whole), self.nothing_usd)
        for row, kept in enumerate(whole):
            serves = ~self._trees[:, ~kept].any(axis=1) & self._trees[:, kept & self._fixed].all(axis=1)
            upper[row] = min(upper[row], self._costs[serves].min(initial=np.inf))
        return upper

    def _search(self, whole: Bools, *, thorough: bool = False, enough: float = 0.0) -> None:
        """A tree of the part with the sources, kept where it is better than those known, if these cost more than is
        enough."""
        net, part, key = self.network, self._part_of(whole), whole.tobytes() + bytes([thorough])
        lost, known = float(self._value[part > 0].sum()), float(self._above(whole[None, :])[0])
        if key in self._searched or known <= max(lost, enough):
            return
        self._searched.add(key)
        live = whole & (part[net.terminal_fr] == 0) & (part[net.terminal_to] == 0)
        feeder = self._feeder
        tree = spanned(feeder, live)
        if np.any(live & self._fixed & ~tree):
            return  # what cannot be opened closes a loop
        tree = least_drop(feeder, live, tree, self._root, feeder.p, feeder.q)
        shed_usd = shed_on(feeder, tree, self._root, feeder.p, feeder.q)[0]
        if thorough:
            tree = lifted(feeder, live, tree, self._root, feeder.p, feeder.q)[0]
            shed_usd = self._priced(tree)
        if lost + shed_usd < known:
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
