"""Prices at the border of parts: what parts add is raised by steps along what is missing there.

**Derivation.** With all paths in parts but some, whose terms do not change, the bound of `openpoint.search.paths.parts`
is

    L(y, μ, z) = constant + Σ_border (P_j y_j + Q_j μ_j + z_j) + Σ_parts least A(y, μ, toll)

where y, μ are the multipliers of junctions at the border, and z_j is added to the dual value of the set {j}, so to the
toll of each arc that enters j. Since one path enters each junction, z_j may have any sign; y and μ are >= 0. The bound
holds at any prices, and the best of all that were tried is kept. What larger sets pay stays as it is.

Each A is concave in the prices, as a minimum of affine functions of them. Its slope is that of the state and flows in
which it is least: what the paths of the part draw at j, by y_j and μ_j, and minus the number of its arcs that enter j,
by z_j. So what is missing in the balance of j over all parts, and one less the arcs that enter j in all of them, is a
supergradient of L: parts that were searched apart disagree there, where two of them feed j or none does. Inner
multipliers are only near their best ones, and so are slopes; the bound does not depend on these.

**Steps** are as long as Polyak (1969) makes them, towards a level `ahead` of the best bound. They follow the sum of the
supergradient and a share of the last direction (Camerini, Fratta, Maffioli 1975), in the metric of the junctions'
Laplacian for y and μ, and in one number for z, by which the first step goes as far for z as for these two together.
After some steps that do not raise the bound the level is halfway nearer, and steps begin anew at the best prices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Floats, Ints, States
from openpoint.search.kernel.arrays import Model
from openpoint.search.paths.arrays import BACK, OPEN, Paths, PathWork
from openpoint.search.paths.bound import HUGE
from openpoint.search.paths.parts import Part, tolls

KEPT = 0.9
"""Share of the last direction in the next one."""
IN_VAIN = 8
"""Steps in a row that do not raise the bound after which the level is nearer."""
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

    def times(self, share: float) -> Prices:
        """A part of it."""
        return Prices(share * self.y, share * self.mu, share * self.z)

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
        *,
        firm: bool = False,
    ) -> None:
        """`some`: paths of each part, all but those between sources. `begin`: prices, those of the node by default.

        `firm`: as for `openpoint.search.paths.parts.Part`.
        """
        of, size = node.of, paths.junctions
        self.paths, self.node, self.best = paths, node, -np.inf
        self.parts = [Part(model, paths, of, node.status, part, firm=firm) for part in some]
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
        self.metric = paths.metric[np.ix_(at, at)]
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
        level, vain, weight = ahead * way, 0, 0.0
        last, kept = None, (self.prices, self.missing)
        while level > SHORTEST * way:
            value, slope = self.rest + self.prices.dot(self.missing), self.missing
            toll = self.tolls()
            for part in self.parts:
                least = part.least(self.prices.y, self.prices.mu, toll, huge, INNER * way, nodes)
                value += least - part.given(self.prices.y, self.prices.mu, slice(part.inner, None))
                if not np.isfinite(value):
                    yield value
                    return
                slope = slope + self._slope(part)
                yield -np.inf
            if value > self.best:
                self.best, vain, kept = value, 0, (self.prices, slope)
            else:
                vain += 1
            yield value
            if value >= cutoff:
                return
            if vain == IN_VAIN:
                level, vain, value, last = 0.5 * level, 0, self.best, None
                self.prices, slope = kept
            uphill = self._possible(slope)
            last = uphill if last is None else uphill + last.times(KEPT)
            step = Prices(self._scaled(last.y), self._scaled(last.mu), weight * last.z)
            if weight == 0.0:
                weight = step.dot(last) / max(1.0, float(last.z @ last.z))
                step = replace(step, z=weight * last.z)
            norm = step.dot(last)
            if norm <= 0.0:
                break
            moved = self.prices + step.times((self.best + level - value) / norm)
            self.prices = replace(moved, y=np.maximum(0.0, moved.y), mu=np.maximum(0.0, moved.mu))
        self.prices = kept[0]
        for part in self.parts:
            part.leave(self.prices.y, self.prices.mu)

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

    def _possible(self, slope: Prices) -> Prices:
        """A slope without what would lower a multiplier of 0."""
        y, mu = self.prices.y, self.prices.mu
        return replace(
            slope,
            y=np.where((y <= 0.0) & (slope.y < 0.0), 0.0, slope.y),
            mu=np.where((mu <= 0.0) & (slope.mu < 0.0), 0.0, slope.mu),
        )

    def _scaled(self, slope: Floats) -> Floats:
        scaled = np.zeros(len(slope))
        scaled[self.at] = self.metric @ slope[self.at]
        return scaled
