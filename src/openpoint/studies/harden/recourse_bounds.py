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

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.islands import nominal_demand
from openpoint.graph import forest
from openpoint.network import Network
from openpoint.studies.harden.all_trees import CLOSED, SMALL, TREES_MOST, AllTrees
from openpoint.studies.harden.flow_bound import MARGIN, FlowBound
from openpoint.studies.harden.tree_program import TreeProgram, TreeSearch
from openpoint.studies.harden.trees import (
    KEPT,
    feeder_of,
    least_drop,
    lifted,
    parts,
    shed_on,
    spanned,
    violation,
)
from openpoint.twostage.program import RecourseBounds
from openpoint.twostage.workers.pool import never, remembered

PIECE = 20
"""Disasters between two questions whether to stop."""
TREES_FEW = 1_000
"""Spanning trees up to which all are looked at for every open disaster, not only for those that matter."""
OPEN_MOST = 1_000
"""Disasters for which flows and trees are looked at in one evaluation, those with the widest bounds."""
PAIRS_MOST = 20_000_000
"""Disasters times pairs of places for which bounds are kept."""
SEARCHES_KEPT = 100
"""Searches over trees that can go on where they ended, those last used: a few MB each."""


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
    _islands: dict[bytes, float] = field(default_factory=dict, init=False)
    _programs: OrderedDict[bytes, TreeSearch] = field(default_factory=OrderedDict, init=False)

    def __post_init__(self) -> None:
        net = self.network
        self._demand = nominal_demand(net)
        self._root = int(net.source_terminal[0])
        self._usable = net.closed | net.switchable
        self._fixed = net.closed & ~net.switchable
        self._value = self.voll_usd * np.maximum(self._demand.real, 0.0)
        infeed = np.maximum(-self._demand.real, 0.0)
        np.add.at(infeed, net.generator_terminal, np.maximum(net.p_max, 0.0))
        self._infeed = infeed
        ways = self.buses, self.backup_pu, self.generators_most
        self._flows = FlowBound(net, self._usable, self._value, infeed, *ways)
        self._feeder = feeder_of(net, self.voll_usd, self.buses, self.root_w)
        at_line = np.full(net.n_conductors, -1)
        at_line[self.lines] = np.arange(len(self.lines))
        self._at_line = at_line
        self._trees_suffice = self._all_trees_serve()
        worth = float(self.voll_usd.max(initial=0.0)) * self.backup_pu[0]
        self._all = AllTrees(self._feeder, self._root, (*self.backup_pu, worth), self.generators_most)
        self._gain = worth + float(self.voll_usd.max(initial=0.0)) * float(infeed.sum())
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
        built = np.flatnonzero(decision[count:] > 0.5)
        broken = realisations > 0.5
        whole = self._whole(decision, realisations)
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
            if len(built) and self._all.knows(self._live(whole[open_row])[1]):
                continue  # all trees will say more
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
        whole = self._whole(decision, broken)
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
            cost = self._all.priced(tree)
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
        part, live = self._live(whole)
        if not self._has_trees(live, part, most):
            return 0.0
        lost, (shed, tree, cost) = float(self._value[part > 0].sum()), self._all.best(live)
        self._keep(tree | (whole & self._fixed & ~live), lost + cost)
        return lost + shed

    def _has_trees(self, live: Bools, part: Ints, most: int = TREES_MOST) -> bool:
        """Whether all spanning trees of the part with the sources, if no more than `most`, say what is shed."""
        if not self._trees_suffice or self._infeed.any():
            return False
        inside = (part == 0) & (self.network.merged == np.arange(len(part)))
        return self._all.knows(live) or self._all.number(live, inside) <= most

    def _live(self, whole: Bools) -> tuple[Ints, Bools]:
        """(N) part of each bus, and (E) the whole branches of the part with the sources."""
        net, part = self.network, self._part_of(whole)
        return part, whole & (part[net.terminal_fr] == 0) & (part[net.terminal_to] == 0)

    def _whole(self, decision: Floats, broken: Floats) -> Bools:
        """(…, E) branches that are whole after disasters (…, E) at a decision."""
        hardened = np.zeros(self.network.n_conductors, dtype=np.bool_)
        hardened[self.lines[decision[: len(self.lines)] > 0.5]] = True
        return np.asarray((~(broken > 0.5) | hardened) & self._usable)

    def with_generators(self, decision: Floats, realisations: Floats, least: Floats) -> tuple[Floats, Floats] | None:
        """Lower bounds of the cost in (K, E) disasters where generators are added to a decision that has none: with one
        or two, (K, G, G), and with so many anywhere, (K, M + 1); `least` (K) are bounds without. None where they are
        too many."""
        places, most = len(self.buses), self.generators_most
        if len(realisations) * places**2 > PAIRS_MOST:
            return None
        pairs, more = np.zeros((len(least), places, places)), np.zeros((len(least), most + 1))
        known: dict[bytes, tuple[Floats, Floats] | None] = {}
        for k, whole in enumerate(self._whole(decision, realisations)):
            part, live = self._live(whole)
            dead, by_dead = self._dead_with_generators(part)
            rest = max(float(least[k]) - dead, 0.0)
            inside = np.flatnonzero(part[self.buses] == 0)
            pairs[k] = dead - by_dead
            more[k] = np.maximum(dead - self._gain * np.arange(most + 1), 0.0)
            more[k, 0] += rest
            if rest <= CLOSED * max(1.0, dead) or not len(inside):
                continue
            if (key := live.tobytes()) not in known:
                says = self._generators_relieve and self._has_trees(live, part)
                known[key] = self._all.with_places(live, self.buses[inside]) if says else None
            pairs[k] += rest  # where no place is in that part
            one = np.isin(np.arange(places), inside)
            if (found := known[key]) is None:
                pairs[k][one[:, None] | one[None, :]] -= rest
                continue
            alone = np.full(places, rest)
            alone[inside] = np.minimum(np.diag(found[0]), rest)
            both = np.minimum(alone[:, None], alone[None, :])
            both[np.ix_(inside, inside)] = np.minimum(found[0], rest)
            pairs[k] += both - rest
            more[k, 1:] += np.minimum(found[1][1:], rest)
        return pairs, more

    def _dead_with_generators(self, part: Ints) -> tuple[float, Floats]:
        """Value of the load of the parts without a source, and what one or two generators there serve of it at most,
        (G, G)."""
        value = np.bincount(part, weights=self._value)
        here = part[self.buses]
        at = np.where(here > 0, value[here], 0.0)
        alone = np.minimum(at, self._gain)
        both = alone[:, None] + alone[None, :]
        same = here[:, None] == here[None, :]
        both = np.where(same, np.minimum(both, at[:, None]), both)
        np.fill_diagonal(both, alone)
        return float(value[1:].sum()), both

    @property
    def _generators_relieve(self) -> bool:
        """Whether a generator takes no more off a limit than its size on the whole path."""
        return self._flows.ideal and bool(np.all(self._demand.imag >= 0.0))

    def improve_placed(self, decision: Floats, broken: Floats, gap: float) -> tuple[float, float]:
        """Bounds of the cost after a disaster (E) at a decision with generators, by all spanning trees; the upper one
        is inf where they do not close the gap."""
        whole = self._whole(decision, broken)
        part, live = self._live(whole)
        if not self._generators_relieve or not self._has_trees(live, part):
            return 0.0, np.inf
        places = self.buses[decision[len(self.lines) :] > 0.5]
        saved = sum(self._saved(whole, part == dead, places) for dead in np.unique(part[places]) if dead)
        value = np.bincount(part, weights=self._value)
        number = np.bincount(part[places], minlength=len(value))
        lost = float(np.maximum(value - self._gain * number, 0.0)[1:].sum())
        least, _, cost = self._all.placed(live, places[part[places] == 0])
        upper = float(value[1:].sum()) - saved + cost
        return lost + least, upper if upper - lost - least <= gap * abs(upper) else np.inf

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
        inner = self.network.merged != self._root
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
        whole = self._whole(decision, broken)
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
            self._parts[key] = parts(self._feeder, whole, self._root)[self.network.merged]
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
            slope[count + built] -= min(gain, here)
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
        shed_usd = shed_on(feeder, tree, self._root, feeder.p, feeder.q, np.inf)[0]
        if thorough:
            tree = lifted(feeder, live, tree, self._root, feeder.p, feeder.q)[0]
            shed_usd = self._all.priced(tree)
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
