"""Topologies of least deviation of voltages where buses only consume: a bound, and candidates that exact flow values.

Where every bus only consumes, no source holds more than v̂ and ratios are 1, the squared voltage of a bus is at most v̂²
less the drops without losses of the branches on its path, whatever the losses (Farivar and Low 2013). So

    Σ_n |w_n − 1|  ≥  Σ_n (1 − w_n)  ≥  N (1 − v̂²) + Σ_e n_e s_e,      s_e = 2 (r_e P_e + x_e Q_e)

with n_e buses and the load P_e, Q_e beyond branch e. The sum of products is least over the trees by a mixed-integer
program on chains: branches in a row between junctions (buses at which three or more branches meet, and sources). A
chain is closed one way or the other, or open at one of its branches, which its buses are then fed up to from both
sides. What flows inside a chain is known but for what leaves it at its far end, (n, P, Q). There is one product n s a
chain, and it is replaced by the lower convex hull of the points (k, s, k s): of k buses the load is at least that of
the k lightest, and at most that of the k heaviest. Where an optimum of the program is far below the true sum of its
tree, the range of n of its chains is divided there, and the program is solved anew: at one k the product is linear.
The program is solved by HiGHS, so that its bound is one of floating point.

Theory: docs/methods.md, drops of voltage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from scipy.spatial import ConvexHull, QhullError

from openpoint.arrays import Bools, Floats
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.solvers.base import StandardForm
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.deadline import Deadline

Piece = tuple[int, int]
"""The least and the most buses beyond a chain."""
DIVIDED = 8
"""Chains whose range is divided after a program."""
ROUND_GAP = 3e-3
"""Relative gap of one program."""


@dataclass(frozen=True)
class Chain:
    """Branches in a row from junction `ends[0]` to `ends[1]`, and (C, 3) buses, active and reactive load between."""

    ends: tuple[int, int]
    branches: list[int]
    weights: Floats
    within: list[int]

    def turned(self) -> Chain:
        """From the other end."""
        return Chain(self.ends[::-1], self.branches[::-1], self.weights[::-1], self.within[::-1])


@dataclass(frozen=True)
class Way:
    """Columns of a chain that is closed from its first to its second end with n in a range: y, then n, P, Q and the
    product."""

    chain: tuple[int, int]
    piece: Piece
    y: int
    r: float
    x: float


@dataclass
class _Rows:
    """A mixed-integer program as it is written: columns of at least 0, equations, and rows of at most 0."""

    cost: list[float] = field(default_factory=list)
    binaries: list[int] = field(default_factory=list)
    equations: list[tuple[dict[int, float], float]] = field(default_factory=list)
    most: list[dict[int, float]] = field(default_factory=list)

    def column(self, cost: float, *, binary: bool = False) -> int:
        if binary:
            self.binaries.append(len(self.cost))
        self.cost.append(cost)
        return len(self.cost) - 1

    def form(self) -> StandardForm:
        """As solvers take it."""
        terms = [row for row, _ in self.equations] + self.most
        places = [(i, column, value) for i, row in enumerate(terms) for column, value in row.items()]
        at, columns, values = zip(*places)
        a = sp.csr_array((values, (at, columns)), shape=(len(terms), len(self.cost)))
        every, whole = sp.eye_array(len(self.cost), format="csr"), np.array(self.binaries)
        right = np.zeros(len(self.cost)), np.ones(len(whole))
        b = np.concatenate([[value for _, value in self.equations], np.zeros(len(self.most)), *right])
        rows = sp.csc_array(sp.vstack([a, -every, every[whole]]))
        zero = len(self.equations)
        return StandardForm(np.array(self.cost), 0.0, rows, b, zero, len(b) - zero, (), whole, {})


class DropTrees:
    """The trees of a network by their sum of lossless drops, least first as far as it is known.

    Args:
        network: whose buses only consume, with ratios of 1. rules: the locks.
    """

    def __init__(self, network: Network, rules: SwitchingRules) -> None:
        self.network, self.lone, self.usable = network, rules.must_close, ~rules.must_open
        self.sources = set(network.source_terminal.tolist())
        self.r, self.x = 2.0 * network.r, 2.0 * network.x
        self.load = np.stack([np.ones(network.n_terminals), network.s_power.real, network.s_power.imag], axis=1)
        self.load[list(self.sources)] = 0.0
        self.weight, self.members = self.load.copy(), [[i] for i in range(network.n_terminals)]
        self.constant, self.pieces = 0.0, dict[tuple[int, int], list[Piece]]()
        self.chains = self._chains(self._without_pendants())
        self.junctions = {end for chain in self.chains for end in chain.ends} - self.sources

    def _without_pendants(self) -> list[dict[int, int]]:
        """(N) neighbours by branch once buses with one branch are joined to their neighbours, whose drops are known."""
        net = self.network
        near: list[dict[int, int]] = [{} for _ in range(net.n_terminals)]
        for e in np.flatnonzero(self.usable).tolist():
            a, b = int(net.terminal_fr[e]), int(net.terminal_to[e])
            near[a][e], near[b][e] = b, a
        waiting = [i for i in range(len(near)) if len(near[i]) == 1 and i not in self.sources]
        while waiting:
            i = waiting.pop()
            if len(near[i]) != 1:
                continue
            ((e, other),) = near[i].items()
            n, p, q = self.weight[i]
            self.constant += n * (self.r[e] * p + self.x[e] * q)
            self.weight[other] += self.weight[i]
            self.members[other] += self.members[i]
            near[i] = {}
            del near[other][e]
            if len(near[other]) == 1 and other not in self.sources:
                waiting.append(other)
        return near

    def _chains(self, near: list[dict[int, int]]) -> list[Chain]:
        found, seen = list[Chain](), set[int]()
        for a in range(len(near)):
            if a not in self.sources and len(near[a]) == 2:
                continue
            for first, b in near[a].items():
                if first in seen:
                    continue
                branches, within = [first], list[int]()
                while b not in self.sources and len(near[b]) == 2:
                    within.append(b)
                    e = next(k for k in near[b] if k != branches[-1])
                    branches.append(e)
                    b = near[b][e]
                seen.update(branches)
                found.append(Chain((a, b), branches, self.weight[within].reshape(-1, 3), within))
        return found

    def solve(self, gap: float, deadline: Deadline) -> Iterator[tuple[float, Bools]]:
        """Bounds of the sum of the drops, of each program, with the tree of its optimum; up to a gap of the drops."""
        best = np.inf
        if not self.chains:
            yield self.constant, self.usable.copy()
        while self.chains:
            program, ways, opens = self._program()
            found = HighsModel(program.form()).solve(
                integral=True, gap=ROUND_GAP, seconds=deadline.left(), stop=deadline.over
            )
            if found.x is None:
                return
            x, bound = found.x, found.bound + self.constant
            closed = self.usable.copy()
            closed[[e for e, column in opens if x[column] > 0.5]] = False
            short = [(self._product(way, x) - x[way.y + 4], way) for way in ways if x[way.y] > 0.5]
            best = min(best, found.value + sum(value for value, _ in short) + self.constant)
            yield bound, closed
            if bound >= best * (1.0 - gap) or deadline.over():
                return
            short.sort(key=lambda each: -each[0])
            for value, way in short[:DIVIDED]:
                if value > 0.0:
                    self._divide(way, round(x[way.y + 1]))

    def _product(self, way: Way, x: Floats) -> float:
        return float(x[way.y + 1] * (way.r * x[way.y + 2] + way.x * x[way.y + 3]))

    def _divide(self, way: Way, at: int) -> None:
        """Divide a range of n around a number."""
        least, most = way.piece
        near = (most - least) // 8
        parts = (least, at - 1 - near), (max(least, at - near), min(most, at + near)), (at + 1 + near, most)
        kept = self.pieces[way.chain]
        kept.remove(way.piece)
        kept += [part for part in parts if part[0] <= part[1]]

    def _program(self) -> tuple[_Rows, list[Way], list[tuple[int, int]]]:
        """The program with the ranges of n as they are divided, its ways, and the branches that may be open."""
        rows, ways, opens = _Rows(), list[Way](), list[tuple[int, int]]()
        balance: dict[int, list[dict[int, float]]] = {j: [{}, {}, {}] for j in {*self.junctions, *self.sources}}
        into: dict[int, list[int]] = {j: [] for j in self.junctions}
        for c, chain in enumerate(self.chains):
            choices = list[int]()
            for d, one in enumerate((chain, chain.turned())):
                start, end = one.ends
                if end in self.sources or start == end:
                    continue
                for way in self._ways(rows, (c, d), one):
                    ways.append(way)
                    choices.append(way.y)
                    into[end].append(way.y)
                    for k in range(3):
                        balance[end][k][way.y + 1 + k] = 1.0
                        balance[start][k][way.y + 1 + k] = -1.0
                        balance[start][k][way.y] = -float(one.weights[:, k].sum())
            for at, e in enumerate(chain.branches):
                if self.lone[e]:
                    continue
                sides = chain.weights[:at], chain.weights[at:][::-1]
                fed = self._fed(chain.branches[:at], sides[0])[0] + self._fed(chain.branches[:at:-1], sides[1])[0]
                opened = rows.column(fed, binary=True)
                choices.append(opened)
                opens.append((e, opened))
                for j, weights in zip(chain.ends, sides, strict=True):
                    for k in range(3):
                        balance[j][k][opened] = balance[j][k].get(opened, 0.0) - float(weights[:, k].sum())
            rows.equations.append((dict.fromkeys(choices, 1.0), 1.0))
        for j in self.junctions:
            rows.equations.append((dict.fromkeys(into[j], 1.0), 1.0))
            rows.equations += [(balance[j][k], float(self.weight[j, k])) for k in range(3)]
        return rows, ways, opens

    def _fed(self, branches: list[int], weights: Floats) -> tuple[float, float, float, float]:
        """Σ n s of branches in a row from where they are fed, of the weights at their ends; and by how much it grows
        with n, P and Q that leave at the far end, but for their product."""
        n, p, q = np.cumsum(weights[::-1], axis=0)[::-1].T
        r, x = self.r[branches], self.x[branches]
        load = r * p + x * q
        return float(n @ load), float(load.sum()), float(r @ n), float(x @ n)

    def _ways(self, rows: _Rows, key: tuple[int, int], chain: Chain) -> Iterator[Way]:
        """The chain closed from its first end to its second, for each range of n."""
        costs = self._fed(chain.branches, np.concatenate([chain.weights, np.zeros((1, 3))]))
        r, x = float(self.r[chain.branches].sum()), float(self.x[chain.branches].sum())
        start, end = chain.ends
        drop = r * self.load[:, 1] + x * self.load[:, 2]
        own = self.members[end]
        nearer = {i for j in (start, end, *chain.within) for i in self.members[j]} | self.sources
        rest = np.sort(np.delete(drop, list(nearer)))
        least = int(self.weight[end, 0])
        light, heavy = (float(drop[own].sum()) + np.append(0.0, np.cumsum(part)) for part in (rest, rest[::-1]))
        for low, high in self.pieces.setdefault(key, [(least, least + len(rest))]):
            y, n, p, q, z = (rows.column(cost, binary=k == 0) for k, cost in enumerate((*costs, 1.0)))
            some = slice(low - least, high - least + 1)
            rows.most += [
                {n: -1.0, y: float(low)},
                {n: 1.0, y: -float(high)},
                {p: 1.0, y: -float(self.load[:, 1].sum())},
                {q: 1.0, y: -float(self.load[:, 2].sum())},
                {p: -r, q: -x, y: float(light[some][0])},
                {p: r, q: x, y: -float(heavy[some][-1])},
            ]
            planes = _below(np.arange(low, high + 1.0), light[some], heavy[some])
            rows.most += [{z: -1.0, n: a, p: b * r, q: b * x, y: c} for a, b, c in planes.tolist()]
            yield Way(key, (low, high), y, r, x)


def _below(n: Floats, light: Floats, heavy: Floats) -> Floats:
    """(F, 3) a, b, c of planes a n + b s + c that lie below n s for all s from light to heavy, the highest of them."""
    if len(n) == 1:
        return np.array([[0.0, n[0], 0.0]])
    points = np.concatenate([np.stack([n, s, n * s], axis=1) for s in (light, heavy)])
    scale = np.maximum(np.abs(points).max(axis=0), 1e-12)
    inside = points / scale
    top = [inside[0, 0], inside[0, 1], 3.0]  # only facets that face down are wanted
    try:
        facets = ConvexHull(np.vstack([inside, top]), qhull_options="QJ").equations
    except QhullError:
        return np.zeros((0, 3))
    facets = facets[facets[:, 2] < -1e-9]
    a, b, c = -facets[:, [0, 1, 3]].T / facets[:, 2] * (scale[2] / np.array([[scale[0]], [scale[1]], [1.0]]))
    above = points[:, :1] * a + points[:, 1:2] * b + c - points[:, 2:]
    return np.stack([a, b, c - np.maximum(above.max(axis=0), 0.0)], axis=1)
