"""Prices at the border of parts: what parts add is raised by steps along what is missing there.

**Derivation.** With all paths in parts but some, whose terms do not change, the bound of parts below is

    L(y, μ, z) = constant + Σ_border (P_j y_j + Q_j μ_j + z_j) + Σ_parts least A(y, μ, toll)

where y, μ are the multipliers of junctions at the border, and z_j is added to the dual value of the set {j}, so to the
toll of each arc that enters j. Since one path enters each junction, z_j may have any sign; y and μ are >= 0. The bound
holds at any prices, and the best of all that were tried is kept. What larger sets pay stays as it is.

Each A is concave in the prices, as a minimum of affine functions of them. Its slope is that of the state and flows in
which it is least: what the paths of the part draw at j, by y_j and μ_j, and minus the number of its arcs that enter j,
by z_j. So what is missing in the balance of j over all parts, and one less the arcs that enter j in all of them, is a
supergradient of L: parts that were searched apart disagree there, where two of them feed j or none does. Inner
multipliers are only near their best ones, and so are slopes; the bound does not depend on these.

**Steps** go to the nearest prices at which what parts may add at most, by all that was seen of each of them, reaches a
level `ahead` of the best bound (`openpoint.search.paths.bundle`). Distances are those of the diagonal of the junctions'
metric for y and μ, and of one number for z, by which the first slope goes as far for z as for these two together. After
some steps that do not raise the bound, and where no prices reach the level, it is halfway nearer.

Parts of the paths, searched one by one: what each of them adds to the path bound.

The path bound (`openpoint.search.paths.bound`) prices the balance of every junction. On large grids the gap that this
leaves is a sum of many local ones, of which branching closes one at a time. Here the multipliers are held, the paths
are divided into parts, and the least cost of every part is found by a small search. What the parts add is summed.

**Derivation.** Fix a node, multipliers y, μ >= 0 at which no path is unbounded, and from the arborescence the dual
values z_S of sets S of junctions, of any sign where S is one junction, else >= 0. Every completion enters a set of one
junction once, any other at least once, so that Σ over its arcs a of toll_a >= Σ_S z_S, where toll_a is the sum of z_S
over the sets that a enters. With c_k the cost of path k in its own state and with its own flows, at most that
in the loss,

    loss >= C + Σ_j (P_j y_j + Q_j μ_j) + Σ_k c_k >= C + Σ_j (P_j y_j + Q_j μ_j) + Σ_S z_S + Σ_k (c_k − toll_k)

with toll_k = 0 where path k is open. Let every path belong to at most one part. In a part, the inner junctions are
those all of whose paths belong to it; no junction is inner in two. Then the right side is a constant, a term for each
path in no part, and for each part

    A = Σ_inner (P_j y_j + Q_j μ_j) + Σ_part (c_k − toll_k)

each of which has a minimum over all states of its own. In a completion the balances of inner junctions hold, so that A
does not depend on their multipliers: any others >= 0 give a lower bound of A as well. It does depend on those of the
junctions at its border and on the tolls, which stay as they are. The relaxation of a part is that of a small grid: one
path enters each inner junction, at most one of its own each junction of the border, which else is fed from outside at
no cost, and there is no cycle. What was known of flows and voltages at the node still holds in it.

At the multipliers of the path bound the least A is at least Σ_inner (P_j y_j + Q_j μ_j) + Σ_part V_k, since
c_k − V_k − toll_k is a reduced cost; the sum of these is the path bound, and a part adds its least A less this. With
other prices at the border, and other z_S of single junctions there, parts add more (`openpoint.search.paths.border`).

The search of a part divides a node by the states of a path, and where all are decided by the places where one may be
open: each node has a first and a last place of every path, and no other branch of it is open there.

Nothing here asks for resistances: where a path without impedance is unbounded, the bound is −inf, at a node of the
whole grid as at a node of a part, and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Floats, Indices, Ints, States
from openpoint.search.kernel.arrays import Model
from openpoint.search.paths import entries
from openpoint.search.paths.arrays import BACK, FORTH, OPEN, Paths, PathWork, metric_of, path_work_for
from openpoint.search.paths.bound import HUGE
from openpoint.search.paths.bundle import Bundle
from openpoint.search.paths.search import PartNodes, part_nodes, search_part


def tolls(paths: Paths, work: PathWork) -> Floats:
    """(2K) dual values of the sets that each arc enters, after `openpoint.search.paths.bound.path_bound`."""
    some = np.flatnonzero(np.isfinite(work.cost))
    toll = np.zeros(len(work.cost))
    toll[some] = [work.cost[d] - entries.reduced(paths, work, int(d)) for d in some]
    return toll


class Part:
    """Some paths of a node as the paths of a small grid.

    Attributes:
        some: the paths. arcs: their arcs. met: junctions, the inner ones first, the sources last. inner: how many.
        model, paths, work, status: of the small grid, whose last paths stand for what feeds the border from outside.
    """

    def __init__(self, model: Model, paths: Paths, work: PathWork, status: States, some: Ints) -> None:
        """`work`: of the node, after `openpoint.search.paths.entries.prepared`."""
        root, count = paths.junctions, len(some)
        within = np.bincount(np.append(paths.u[some], paths.v[some]), minlength=root + 1)
        around = np.bincount(np.append(paths.u, paths.v), minlength=root + 1)
        met = np.flatnonzero(within[:root])
        whole = within[met] == around[met]
        self.some, self.arcs, self.inner = some, (2 * some[:, None] + [0, 1]).ravel(), int(whole.sum())
        border = met[~whole]
        self.met = np.concatenate([met[whole], border, [root]])
        number = np.full(root + 1, -1)
        number[self.met] = np.arange(len(self.met))
        at = np.concatenate([np.arange(paths.start[k], paths.start[k + 1]) for k in some])
        ends = paths.u_bus[some], paths.v_bus[some]
        buses = np.unique(np.concatenate([paths.bus[self.met[:-1]], *ends, paths.beyond[at]]))
        bus = np.full(len(work.top), -1)
        bus[buses] = np.arange(len(buses))
        length = np.append(paths.start[1:][some] - paths.start[:-1][some], np.zeros(len(border), dtype=np.int64))
        u = np.append(number[paths.u[some]], np.full(len(border), len(met)))
        v = np.append(number[paths.v[some]], number[border])
        first, incident = incidence(u, v, len(met))
        r, x = (np.append(along[some], np.zeros(len(border))) for along in (paths.r, paths.x))
        self.paths = replace(
            paths,
            junctions=len(met),
            bus=_indices(bus[paths.bus[self.met[:-1]]]),
            start=_indices(np.cumsum(np.append(0, length))),
            branch=_indices(np.arange(len(at))),
            beyond=_indices(bus[paths.beyond[at]]),
            r=r,
            x=x,
            u=_indices(u),
            v=_indices(v),
            u_bus=_indices(bus[np.append(ends[0], paths.bus[border])]),
            v_bus=_indices(bus[np.append(ends[1], paths.bus[border])]),
            first=first,
            at=incident,
            **dict.fromkeys(("pruned", "above", "by"), np.zeros(0, dtype=np.int32)),
            metric=self._metric(u[:count], v[:count], r[:count]),
        )
        branch = paths.branch[at]
        along = {name: getattr(model, name)[branch] for name in ("r", "x", "z2", "price")}
        self.model, self.status = replace(model, n=len(buses), **along), status[branch]
        self.work = path_work_for(self.paths, len(buses))
        self.begin: tuple[Floats, Floats] | None = None
        self.nodes: PartNodes | None = None
        self._fill(paths, work, buses, at)

    def _metric(self, u: Ints, v: Ints, r: Floats) -> Floats:
        """That of the inner junctions, as if the border were sources; 0 at the border, whose multipliers are held."""
        metric = np.zeros((len(self.met) - 1, len(self.met) - 1))
        inner = self.inner
        metric[:inner, :inner] = metric_of(inner, np.minimum(u, inner), np.minimum(v, inner), r)
        return metric

    def _fill(self, paths: Paths, work: PathWork, buses: Ints, at: Ints) -> None:
        """What the node has decided of these paths."""
        own, some, count = self.work, self.some, len(self.some)
        own.highest[:] = work.top[buses]
        own.known_w[:] = work.top[paths.bus[self.met[:-1]]]
        own.load_p[:], own.load_q[:], own.nominal[:] = work.load_p[buses], work.load_q[buses], work.load_p[buses]
        for c, name in enumerate(("u_p", "u_q", "v_p", "v_q")):
            getattr(own, name)[:] = getattr(work, name)[at]
            own.stub[:, c], own.stub[:, 4 + c] = getattr(own, name), work.stub[at, 4 + c]
            own.stub[:, 4 + c] += getattr(own, name) - work.stub[at, c]
        own.inner[:count] = work.inner[some]
        moved = self.paths.start[:count] - paths.start[some]
        own.opened[:count] = np.where(work.opened[some] >= 0, work.opened[some] + moved, -1)
        own.known_p[: 2 * count], own.known_q[: 2 * count] = work.end_p[self.arcs], work.end_q[self.arcs]
        own.about_p[: 2 * count], own.about_q[: 2 * count] = work.flow_p[self.arcs], work.flow_q[self.arcs]
        own.mask[:count], own.mask[count:] = work.mask[some], OPEN | FORTH

    def least(self, y: Floats, mu: Floats, toll: Floats, huge: float, ahead: float, nodes: int) -> float:
        """Lower bound of the least A, with the loads at the border; inf where the part has no state.

        Args:
            y, mu: (J + 1) multipliers; those of inner junctions are where the first search begins. toll: (2K).
            huge: as for the path bound. ahead: for the steps (`openpoint.search.paths.ascent`). nodes: at most so many.

        Multipliers of the first node of the search are kept as `begin` for the next one.
        """
        own, mask, inner = self.work, self.work.mask.copy(), self.inner
        own.y[:], own.mu[:] = y[self.met], mu[self.met]
        if self.begin is not None:
            own.y[:inner], own.mu[:inner] = self.begin
        own.toll[: len(self.arcs)] = toll[self.arcs]
        if self.nodes is None or len(self.nodes.bound) != nodes:
            self.nodes = part_nodes(self.paths, own, nodes)
        found = search_part(self.model, self.paths, own, self.status, self.nodes, huge, ahead)
        self.begin = self.nodes.y[0, :inner].copy(), self.nodes.mu[0, :inner].copy()
        own.mask[:] = mask
        return found

    def leave(self, y: Floats, mu: Floats) -> None:
        """Write the multipliers of inner junctions with which the next search would begin."""
        if self.begin is not None:
            y[self.met[: self.inner]], mu[self.met[: self.inner]] = self.begin

    def given(self, y: Floats, mu: Floats, junctions: slice) -> float:
        """Σ (P_j y_j + Q_j μ_j) over some of the junctions that it meets, by their places in `met`."""
        bus, met = self.paths.bus[junctions], self.met[:-1][junctions]
        return float(self.work.load_p[bus] @ y[met] + self.work.load_q[bus] @ mu[met])


def incidence(u: Ints, v: Ints, junctions: int) -> tuple[Indices, Indices]:
    """`Paths.first` and `Paths.at`."""
    end = np.concatenate([u, v])
    order = np.argsort(end, kind="stable")
    first = np.searchsorted(end[order], np.arange(junctions + 2))
    return _indices(first), _indices(2 * (order % len(u)) + order // len(u))


def _indices(values: Ints) -> Indices:
    return values.astype(np.int32)


STEPS = 100
"""Evaluations of the path bound before the parts, at most."""
IN_VAIN, LITTLE = 3, 1e-3
"""Steps in a row after which the level is nearer if none raises the bound by such a share of the way to it."""
SHORTEST = 1e-4
"""Distance of the level at which steps end, as a share of the way."""
INNER = 0.02
"""Level of the steps within a part, as a share of the way."""


@dataclass(frozen=True)
class Prices:
    """Prices, a supergradient or a direction: (J + 1) of y, of μ and of z, at the sources 0."""

    y: Floats
    mu: Floats
    z: Floats

    def __add__(self, other: Prices) -> Prices:
        return Prices(self.y + other.y, self.mu + other.mu, self.z + other.z)

    def dot(self, other: Prices) -> float:
        return float(self.y @ other.y + self.mu @ other.mu + self.z @ other.z)


@dataclass(frozen=True)
class Node:
    """A node to be divided.

    Attributes:
        of, status: the node after its path bound, and its branches. bound: the path bound. toll: (2K) `tolls` of it.
        head: (2K) junction that each arc enters.
    """

    of: PathWork
    status: States
    bound: float
    toll: Floats
    head: Ints


def node_of(paths: Paths, of: PathWork, status: States, bound: float) -> Node:
    """A node after its path bound, which is `bound`."""
    toll = tolls(paths, of) if np.isfinite(bound) else np.zeros(len(of.cost))
    return Node(of, status, bound, toll, np.stack([paths.v, paths.u], axis=1).reshape(-1).astype(np.int64))


class Border:
    """A node whose paths are divided into parts, and the prices at their border.

    Attributes:
        parts: the parts. prices: those at the border, and in `y`, `mu` within parts, with which these begin; those of
            the best bound where steps have ended. best: the best bound so far.
    """

    def __init__(
        self,
        model: Model,
        paths: Paths,
        node: Node,
        some: list[Ints],
        begin: Prices | None = None,
    ) -> None:
        """`some`: paths of each part, all but those between sources. `begin`: prices, those of the node by default."""
        of, size = node.of, paths.junctions
        self.paths, self.node, self.best = paths, node, -np.inf
        self.parts = [Part(model, paths, of, node.status, part) for part in some]
        self.at = np.zeros(size + 1, dtype=bool)
        for part in self.parts:
            self.at[part.met[part.inner : -1]] = True
        at = np.flatnonzero(self.at)
        p, q = np.zeros(size + 1), np.zeros(size + 1)
        p[at], q[at] = of.load_p[paths.bus[at]], of.load_q[paths.bus[at]]
        self.missing = Prices(p, q, self.at.astype(float))
        self.rest = node.bound - float(p @ of.y + q @ of.mu)
        for part in self.parts:
            self.rest -= part.given(of.y, of.mu, slice(part.inner)) + float(of.open_cost[part.some].sum())
        self._order, self._size = at, np.sqrt(np.diag(paths.metric)[at])
        begin = Prices(of.y, of.mu, np.zeros(size + 1)) if begin is None else begin
        self.prices = Prices(begin.y.copy(), begin.mu.copy(), np.where(self.at, begin.z, 0.0))

    def tolls(self) -> Floats:
        """(2K) what each arc pays at the prices."""
        return self.node.toll + self.prices.z[self.node.head]

    def rounds(
        self, cutoff: float, ahead: float, nodes: int, huge: float | None = None, way: float | None = None
    ) -> Iterator[float]:
        """Bounds of the node at better and better prices; -inf after each part in between.

        Args:
            cutoff: greatest loss of interest. ahead: first distance of the level, as a share of the way.
            nodes: of the search of a part, at most. huge: as for the path bound; by default `HUGE` cutoffs.
            way: from the path bound to a loss that is known; by default to the cutoff, which lies below such a loss
                where a gap is allowed, and would make steps too short.
        """
        way, huge = cutoff - self.node.bound if way is None else way, HUGE * cutoff if huge is None else huge
        level, vain, bundle = ahead * way, 0, None
        centre, begun = self.prices, self.best
        while level > SHORTEST * way:
            value, toll, found = self.rest + self.prices.dot(self.missing), self.tolls(), list[tuple[float, Prices]]()
            for part in self.parts:
                least = part.least(self.prices.y, self.prices.mu, toll, huge, INNER * way, nodes)
                adds = least - part.given(self.prices.y, self.prices.mu, slice(part.inner, None))
                value += adds
                if not np.isfinite(value):
                    yield value
                    return
                found.append((adds, self._slope(part)))
                yield -np.inf
            vain = 0 if value > self.best + LITTLE * level else vain + 1
            if value > self.best:
                self.best, centre = value, self.prices
            yield value
            if value >= cutoff:
                return
            if not len(self._order):
                break
            bundle = self._bundle(found, way) if bundle is None else bundle
            for k, (adds, slope) in enumerate(found):
                bundle.add(k, adds, self._at_border(slope), self._at_border(self.prices))
            level, vain = (0.5 * level, 0) if vain == IN_VAIN else (level, vain)
            moved = None
            while moved is None and level > SHORTEST * way:
                moved = bundle.nearest(self._at_border(centre), self.best + level - self.rest)
                level = 0.5 * level if moved is None else level
            if moved is None and self.best > begun + LITTLE * way:  # cuts are about true: some may exclude better ones
                level, bundle, begun, moved = ahead * way, None, self.best, self._at_border(centre)
            if moved is not None:
                self.prices = self._moved(centre, moved)
        self.prices = centre
        for part in self.parts:
            part.leave(self.prices.y, self.prices.mu)

    def _bundle(self, found: list[tuple[float, Prices]], way: float) -> Bundle:
        """The bundle of the first slopes, in units of the way."""
        whole = self.missing
        for _, slope in found:
            whole = whole + slope
        y, mu, z = np.split(self._at_border(whole), 3)
        far = float((self._size * y) @ (self._size * y) + (self._size * mu) @ (self._size * mu))
        of_z = np.full(len(z), np.sqrt(far / max(1.0, float(z @ z))))
        size = np.concatenate([self._size, self._size, of_z])
        floor = np.repeat([0.0, 0.0, -np.inf], len(z))
        return Bundle(len(found), way, size, floor, self._at_border(self.missing))

    def _at_border(self, prices: Prices) -> Floats:
        """(3 B) y, μ and z of the junctions at the border."""
        return np.concatenate([prices.y[self._order], prices.mu[self._order], prices.z[self._order]])

    def _moved(self, centre: Prices, at_border: Floats) -> Prices:
        """Prices with others (3 B) at the border."""
        parts = []
        for of, values in zip((centre.y, centre.mu, centre.z), np.split(at_border, 3), strict=True):
            moved = of.copy()
            moved[self._order] = values
            parts.append(moved)
        return Prices(*parts)

    def _slope(self, part: Part) -> Prices:
        """That of the least cost of a part, less the loads at its border, where it was searched last."""
        own, count, size = part.work, len(part.some), self.paths.junctions
        border = part.met[part.inner : -1]
        y, mu, z = np.zeros((3, size + 1))
        bus = part.paths.bus[part.inner :]
        y[border] = own.residual_p[part.inner :] - own.load_p[bus]
        mu[border] = own.residual_q[part.inner :] - own.load_q[bus]
        closed = own.state[:count] != OPEN
        arcs = 2 * part.some + (own.state[:count] == BACK)
        np.subtract.at(z, self.node.head[arcs[closed]], 1.0)
        z[~self.at] = 0.0
        return Prices(y, mu, z)
