"""Parts of the paths: a node whose paths are divided into parts, of which each is bounded by a tree of its own.

The bound by paths (`openpoint.verify.paths`) is a minimum over states of the paths at one set of multipliers. Let z_S
be numbers for sets S of junctions, of any sign where S is one junction, else >= 0. In a radial state the closed paths
enter a set of one junction once, any other at least once: its junctions are fed from the sources, which are in none.
So with toll_a the sum of z_S over the sets that arc a enters, and toll_k that of the state of path k, 0 if open,

    loss >= fixed + Σ_j (P_j y_j + Q_j μ_j) + Σ_k cost_k
         >= fixed + Σ_j (P_j y_j + Q_j μ_j) + Σ_S z_S + Σ_k (cost_k − toll_k)

for any y, μ >= 0. Every path belongs to at most one part, whose *inner* junctions are those all of whose paths belong
to it. What is left is a constant, the least term of each path that is in no part, and for each part

    A = Σ_inner (P_j y_j + Q_j μ_j) + Σ_part (cost_k − toll_k)

of which each has a minimum of its own. In a radial state the balances of inner junctions hold, so that A does not
depend on their multipliers: each leaf of the tree of a part has its own ones. Those at the border of the part are the
same in all parts. The closed paths of a part enter each inner junction once, a junction of the border at most once,
and have no cycle: with an arc from the sources without cost to each junction of the border they are an arborescence
(`openpoint.verify.part_node`).

The least powers are those of the first node, of closed paths about flows that the file gives
(`openpoint.verify.about`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from openpoint.arrays import Ints, States
from openpoint.verify.errors import CertificateError
from openpoint.verify.lines import ByParts, Line, OfPart
from openpoint.verify.multipliers import MOST_BITS
from openpoint.verify.part_node import NEW, SAME, PartTree, least_of_tree, priced
from openpoint.verify.path_node import BACK, BROKEN, FORTH, LIMIT, NEVER, PathRoom, PathTable
from openpoint.verify.path_table import GREATEST, PathNodes, nodes_of, room_for
from openpoint.verify.paths import Swept

DIGITS = 40
"""Binary digits of z."""
MOST = 1 << 58
"""Σ |S| |z_S| is less, in the digits of the table, so that no number exceeds 2^61."""
Sets = list[tuple[int, list[int]]]
"""z times 2^`DIGITS`, and the numbers of the junctions of its set, from 0 in the order of their buses."""


def order_of(nodes: PathNodes) -> Ints:
    """(K) numbers of the paths in the order of their first branches."""
    start, branch = nodes.table.start, nodes.table.branch
    return np.argsort([int(branch[a:b].min()) for a, b in pairwise(start)], kind="stable")


def nodes_of_grid(swept: Swept, flows: Ints | None = None, bits: int = 0) -> PathNodes:
    """`nodes_of` for a certificate.

    Raises:
        CertificateError: powers are so large that the bound by paths has too few digits.
    """
    try:
        return nodes_of(swept, flows, bits)
    except OverflowError:
        raise CertificateError("powers are too large for the bound by paths") from None


class Priced:
    """A node with prices: multipliers, and z of sets of junctions.

    Attributes:
        nodes: the paths, bounded about flows. status, mask: states of branches, and states that paths may have.
        held: (2, J) multipliers y, μ, times 2^d. toll: (2K) of arcs. opened: (K) cost of each path where it is open.
        below: (K) by how much another state costs less, tolls taken off, or more where it cannot be open.
        free: (K) whether it is in no part. total: sum of all that belongs to no part, times 2^d.
    """

    def __init__(
        self, nodes: PathNodes, status: States, ways: States, held: tuple[Ints, Ints, int], sets: Sets
    ) -> None:
        """`held`: y, μ of junctions times 2^bits, and bits.

        Raises:
            CertificateError: there are no bounds of these numbers.
        """
        self.nodes, self.status, self.mask = nodes, status, ways.copy()
        table, room = nodes.table, nodes.room
        if held[2] > table.d:
            raise CertificateError(f"the multipliers have {held[2]} binary digits, more than {table.d}")
        self.held = np.array([nodes.widened(part, held[2]) for part in held[:2]])
        room.y[:-1], room.mu[:-1] = self.held
        self.toll, self.total = np.zeros(2 * len(table.u), dtype=np.int64), 0
        self._take_tolls(sets)
        base = int(priced(table, room, status, self.mask))
        if base == -LIMIT:
            raise CertificateError("no bound by paths is found at these multipliers")
        self.total += base
        may = np.stack([self.mask & FORTH, self.mask & BACK], axis=1) != 0
        arc = np.where(may, (room.cost - self.toll).reshape(-1, 2), NEVER).min(axis=1)
        below = np.where(self.mask & BROKEN != 0, np.minimum(arc, 0), arc)
        self.opened, self.below, self.free = room.opened.copy(), below, np.ones(len(table.u), dtype=bool)
        self.total += int(below.sum())

    def _take_tolls(self, sets: Sets) -> None:
        """Add all z to the total, and to the tolls of the arcs that enter their sets."""
        table, d, size = self.nodes.table, self.nodes.table.d, len(self.nodes.buses)
        scaled = [z << d - DIGITS if d >= DIGITS else z >> DIGITS - d for z, _ in sets]
        if sum(len(some) * abs(z) for z, (_, some) in zip(scaled, sets, strict=True)) >= MOST:
            raise CertificateError("the prices of sets of junctions are too large")
        for z, (_, some) in zip(scaled, sets, strict=True):
            within = np.zeros(size + 1, dtype=bool)
            within[some] = True
            u, v = within[table.u], within[table.v]
            self.toll[0::2] += z * (v & ~u)
            self.toll[1::2] += z * (u & ~v)
            self.total += z

    def part(self, some: list[int]) -> Part:
        """The part of these paths, whose terms are taken out of the total.

        Raises:
            CertificateError: a path is in two parts, or named twice.
        """
        if len(set(some)) < len(some) or not np.all(self.free[some]):
            raise CertificateError("a path is in two parts, or twice in one")
        self.free[some] = False
        self.total -= int((self.opened[some] + self.below[some]).sum())
        part = Part(self, some)
        self.total -= part.given
        return part


class Part:
    """A part of the paths.

    Attributes:
        inner: number of its inner junctions, the first ones of `met`. given: Σ (P_j y_j + Q_j μ_j) of these at the
            multipliers of the node, times 2^d.
    """

    def __init__(self, of: Priced, some: list[int]) -> None:
        whole, root, count = of.nodes.table, len(of.nodes.buses), len(some)
        within = np.bincount(np.append(whole.u[some], whole.v[some]), minlength=root + 1)
        around = np.bincount(np.append(whole.u, whole.v), minlength=root + 1)
        met = np.flatnonzero(within[:root])
        is_inner = within[met] == around[met]
        border = met[~is_inner]
        self.of, self.inner, self.some = of, int(is_inner.sum()), some
        self.met = np.concatenate([met[is_inner], border, [root]])
        self.table = _of_part(whole, some, self.met, border)
        self.mask = np.append(of.mask[some], np.full(len(border), BROKEN | FORTH, dtype=np.int8)).astype(np.int8)
        arcs = np.array([2 * k + way for k in some for way in (0, 1)], dtype=np.int64)
        self.toll = np.append(of.toll[arcs], np.zeros(2 * len(border), dtype=np.int64))
        self.count, d, (y, mu) = count, whole.d, of.held
        self.given = sum(
            (int(whole.load_p[j]) * int(y[j]) >> d) + (int(whole.load_q[j]) * int(mu[j]) >> d)
            for j in self.met[: self.inner]
        )

    def least(self, nodes: Ints, values: Ints, bits: int) -> int | None:
        """The least bound of the leaves of a tree, times 2^d; None where it does not cover the part.

        Args:
            nodes: the tree. values: (V, 2 inner) multipliers y, then μ, of leaves, times 2^bits.
        """
        if bits not in range(min(self.table.d, MOST_BITS) + 1):
            return None
        tree, room = self.tree(nodes, values, bits), self.room()
        found = int(least_of_tree(self.table, room, tree, self.of.status, self.mask.copy()))
        return None if found == -LIMIT else found

    def room(self) -> PathRoom:
        """Room with the multipliers of the node."""
        room = room_for(len(self.met), len(self.mask))
        room.y[:-1], room.mu[:-1] = self.of.held[:, self.met[:-1]]
        return room

    def tree(self, nodes: Ints, values: Ints, bits: int) -> PartTree:
        """A tree to be read."""
        start, count = self.table.start, self.count
        rows = 2 * min(count + len(self.table.branch), len(nodes)) + 4
        stack = np.zeros((rows, len(self.mask)), dtype=np.int8)
        first, last = np.zeros((2, rows, count), dtype=np.int32)
        stack[0], first[0], last[0] = self.mask, start[:count], start[1 : count + 1] - 1
        junctions = np.zeros((3, len(self.met)), dtype=np.int32)
        return PartTree(
            own=count,
            inner=self.inner,
            shift=self.table.d - bits,
            toll=self.toll,
            nodes=nodes,
            values=np.clip(values, 0, GREATEST << bits),
            stack=stack,
            first=first,
            last=last,
            low=first[0].copy(),
            high=last[0].copy(),
            may=junctions[0],
            must=junctions[1],
            only=junctions[2],
        )


def _of_part(whole: PathTable, some: list[int], met: Ints, border: Ints) -> PathTable:
    """The table of a part, with a path of no branches to each junction of the border."""
    number = np.zeros(len(whole.load_p) + 1, dtype=np.int32)
    number[met] = np.arange(len(met))
    at = np.concatenate([np.arange(whole.start[k], whole.start[k + 1]) for k in some])
    arcs = np.array([2 * k + way for k in some for way in (0, 1)], dtype=np.int64)
    outside = np.zeros(len(border), dtype=np.int32)
    length = np.append(whole.start[1:][some] - whole.start[:-1][some], outside)
    columns: dict[str, Any] = {
        name: np.append(getattr(whole, name)[arcs], np.repeat(outside, 2)) for name in ("f", "g")
    }
    columns |= {name: getattr(whole, name)[at] for name in ("u_p", "u_q", "v_p", "v_q")}
    return replace(
        whole,
        load_p=whole.load_p[met[:-1]],
        load_q=whole.load_q[met[:-1]],
        u=np.append(number[whole.u[some]], outside + len(met) - 1).astype(np.int32),
        v=np.append(number[whole.v[some]], number[border]).astype(np.int32),
        start=np.cumsum(np.append(0, length)).astype(np.int32),
        branch=whole.branch[at],
        load=np.append(whole.load[some], outside),
        s=np.concatenate([whole.s[arcs], np.zeros((2 * len(border), 8), dtype=np.int64)]),
        may=np.append(whole.may[some], outside).astype(np.int8),
        **columns,
    )


class PartLines:
    """The parts of a node, whose lines follow one after the other.

    Attributes:
        leaves: how many bounds there were so far.
    """

    def __init__(self, swept: Swept, goal: Fraction, node: tuple[States, States], line: ByParts) -> None:
        """`node`: states of branches and of paths.

        Raises:
            CertificateError: there is no bound of these.
        """
        if line.paths != len(swept.paths):
            raise CertificateError(f"the grid has {len(swept.paths)} paths, not {line.paths}")
        flows, held = line.flows, line.held
        order = order_of(nodes_of_grid(swept)) if len(swept.paths) else np.zeros(0, dtype=np.int64)
        about = np.zeros((len(order), 2, 2), dtype=np.int64)
        about[order] = np.stack([flows.y, flows.mu], axis=1).reshape(-1, 2, 2)
        nodes = nodes_of_grid(swept, np.maximum(about.reshape(-1, 2), 0), flows.bits)
        self.priced = Priced(nodes, *node, (held.y, held.mu, held.bits), line.sets)
        self.goal, self.leaves, self.left = goal, 0, line.count
        self.bounds = Fraction(0)

    def line(self, line: Line, is_mine: Callable[[], bool]) -> bool:
        """Check a line; whether it is the last one, and the bounds add up to the one claimed.

        Raises:
            CertificateError: it does not hold, or they do not.
        """
        if not isinstance(line, OfPart):
            raise CertificateError(f"'{line.word}' where a part of the paths begins")
        of_branch, given, tree = self.priced.nodes.of_branch, line.given, line.nodes
        if any(branch not in of_branch for branch in line.branches):
            raise CertificateError("a part is of a branch on no path")
        part = self.priced.part([of_branch[branch] for branch in line.branches])
        if line.inner != part.inner:
            raise CertificateError(f"the part has {part.inner} inner junctions, not {line.inner}")
        count = int((tree == NEW).sum())
        self.leaves += count + int((tree == SAME).sum())
        if is_mine():
            values = np.stack([given.y, given.mu]).reshape(2 * part.inner, count).T
            least = part.least(tree, np.ascontiguousarray(values), given.bits)
            if least is None:
                raise CertificateError("the tree of the part does not cover its states, or a leaf has no bound")
            if Fraction(least, 1 << part.table.d) < Fraction(line.bound):
                raise CertificateError("a leaf does not reach the bound claimed of the part")
        self.bounds += Fraction(line.bound)
        self.left -= 1
        if self.left:
            return False
        if Fraction(self.priced.total, 1 << part.table.d) + self.bounds < self.goal:
            raise CertificateError("the bounds of the parts do not add up to the bound claimed")
        return True
