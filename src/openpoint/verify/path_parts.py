"""Parts of the paths: a node whose paths are divided into parts, of which each is bounded by a tree of its own.

The bound by paths (`openpoint.verify.paths`) is a minimum over states of the paths at one set of multipliers. In a
radial state one closed path enters each junction j. So with any number z_j that it pays, and toll_k that of the
junction which path k enters, 0 if it is open,

    loss >= fixed + Σ_j (P_j y_j + Q_j μ_j) + Σ_k cost_k
         =  fixed + Σ_j (P_j y_j + Q_j μ_j + z_j) + Σ_k (cost_k − toll_k)

for any y, μ >= 0. Every path belongs to one part, whose *inner* junctions are those all of whose paths belong to it.
What is left is a constant, and for each part

    A = Σ_inner (P_j y_j + Q_j μ_j) + Σ_part (cost_k − toll_k)        toll_k: only of junctions that are not inner

of which each has a minimum of its own. In a radial state the balances of inner junctions hold, so that A does not
depend on their multipliers: each leaf of the tree of a part has its own ones. Those at the border of the part are the
same in all parts. The closed paths of a part enter each inner junction once, a junction of the border at most once
(`openpoint.verify.part_node`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from openpoint.arrays import Ints, States
from openpoint.verify.graph import FREE, OPEN
from openpoint.verify.lines import MOST_BITS, ByParts, Line, OfPart
from openpoint.verify.part_node import NEW, SAME, TAKE, PartTree, highest_of_all, least_of_tree
from openpoint.verify.path_cost import BROKEN, FORTH, GREATEST, LIMIT, PathRoom, PathTable
from openpoint.verify.paths import PathNodes, Swept, nodes_of, room_for
from openpoint.verify.schema import CertificateError

DIGITS = 40
"""Binary digits of z."""
MOST = 32 << DIGITS
"""Σ |z_j| is less, so that no number of the table exceeds 2^61."""
OF_ARC, OF_JUNCTION = ("high", "sent_p", "sent_q"), ("load_p", "load_q", "lost_p", "lost_q")
OF_PLACE = ("branch", "r", "x", "z2", "within_p", "within_q", "trees_p", "trees_q", "drawn")
"""Columns of the table, by what they are of."""


def nodes_of_grid(swept: Swept) -> PathNodes:
    """`nodes_of` for a certificate.

    Raises:
        CertificateError: powers are so large that the bound by paths has too few digits.
    """
    try:
        return nodes_of(swept)
    except OverflowError:
        raise CertificateError("powers are too large for the bound by paths") from None


class Priced:
    """A node with prices: multipliers, and z of junctions.

    Attributes:
        nodes: the paths. status: states of branches. mask: (K) states that paths may have.
        held: (3, J) multipliers y, μ, and z, times 2^d. free: (K) whether it is in no part yet. total: sum of all that
            belongs to no part, times 2^d. top: (J) highest squared voltages, as shares of those of the table.
    """

    def __init__(self, nodes: PathNodes, status: States, held: tuple[Ints, Ints, int], prices: Ints) -> None:
        """`held`: y, μ of junctions times 2^bits, and bits. prices: z of junctions, times 2^`DIGITS`.

        Raises:
            CertificateError: the numbers have too many digits, or are too large.
        """
        self.nodes, self.status, table = nodes, status, nodes.table
        if held[2] > table.d:
            raise CertificateError(f"the multipliers have {held[2]} binary digits, more than {table.d}")
        if int(np.abs(prices).astype(object).sum()) >= MOST:
            raise CertificateError("the prices of junctions are too large")
        z = prices << table.d - DIGITS if table.d >= DIGITS else prices >> DIGITS - table.d
        self.held = np.array([*(nodes.widened(part, held[2]) for part in held[:2]), z])
        self.mask, self.free = _states(table, status), np.ones(len(table.u), dtype=bool)
        room = room_for(table)
        highest_of_all(table, room, np.full(len(nodes.buses), 1 << table.d), self.mask)
        self.top = room.high[:-1]
        self.total = table.fixed + sum(self.at(j, *self.held[:2, j].tolist()) for j in range(len(nodes.buses)))
        self.total += int(z.sum())

    def at(self, j: int, y: int, mu: int) -> int:
        """P y + Q μ of a junction."""
        table = self.nodes.table
        return (int(table.load_p[j]) * y >> table.d) + (int(table.load_q[j]) * mu >> table.d)

    def part(self, some: list[int]) -> Part:
        """The part of these paths, whose terms are taken out of the total.

        Raises:
            CertificateError: a path is in two parts, or named twice.
        """
        if len(set(some)) < len(some) or not np.all(self.free[some]):
            raise CertificateError("a path is in two parts, or twice in one")
        self.free[some] = False
        part = Part(self, some)
        for j in part.met[: part.inner].tolist():
            y, mu, z = self.held[:, j].tolist()
            self.total -= self.at(j, y, mu) + z
        return part


def _states(table: PathTable, status: States) -> States:
    """(K) states that paths may have by those of their branches."""
    opened, free = (np.zeros(len(table.u), dtype=np.int64) for _ in range(2))
    for found, state in ((opened, OPEN), (free, FREE)):
        np.add.at(found, np.repeat(np.arange(len(table.u)), np.diff(table.start)), status[table.branch] == state)
    closed = table.may & ~BROKEN
    left = np.where(opened == 1, BROKEN, np.where(opened > 1, 0, np.where(free > 0, closed | BROKEN, closed)))
    return left.astype(np.int8)


class Part:
    """A part of the paths; `inner`: number of its inner junctions, the first ones of `met`."""

    def __init__(self, of: Priced, some: list[int]) -> None:
        whole, root, count = of.nodes.table, len(of.nodes.buses), len(some)
        within = np.bincount(np.append(whole.u[some], whole.v[some]), minlength=root + 1)
        around = np.bincount(np.append(whole.u, whole.v), minlength=root + 1)
        met = np.flatnonzero(within[:root])
        is_inner = within[met] == around[met]
        border = met[~is_inner]
        self.of, self.inner, self.some, self.count = of, int(is_inner.sum()), some, count
        self.met = np.concatenate([met[is_inner], border, [root]])
        self.table = _of_part(whole, some, self.met, border)
        self.mask = np.append(of.mask[some], np.full(len(border), BROKEN | FORTH, dtype=np.int8)).astype(np.int8)
        z = np.zeros(root + 1, dtype=np.int64)
        z[border] = of.held[2, border]
        tolls = np.stack([z[whole.v[some]], z[whole.u[some]]], axis=1).reshape(-1)
        self.toll = np.append(tolls, np.zeros(2 * len(border), dtype=np.int64))

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
        room = room_for(self.table)
        room.y[:-1], room.mu[:-1] = self.of.held[:2, self.met[:-1]]
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
            top=self.of.top[self.met[:-1]],
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
    columns: dict[str, Any] = {name: np.append(getattr(whole, name)[arcs], np.repeat(outside, 2)) for name in OF_ARC}
    columns |= {name: getattr(whole, name)[at] for name in OF_PLACE}
    columns |= {name: getattr(whole, name)[met[:-1]] for name in OF_JUNCTION}
    return replace(
        whole,
        u=np.append(number[whole.u[some]], outside + len(met) - 1).astype(np.int32),
        v=np.append(number[whole.v[some]], number[border]).astype(np.int32),
        start=np.cumsum(np.append(0, length)).astype(np.int32),
        load=np.append(whole.load[some], outside),
        may=np.append(whole.may[some], outside).astype(np.int8),
        **columns,
    )


class PartLines:
    """The parts of a node, whose lines follow one after the other.

    Attributes:
        leaves: how many bounds there were so far.
    """

    def __init__(self, swept: Swept, goal: Fraction, status: States, line: ByParts) -> None:
        """`status`: of the branches at the node.

        Raises:
            CertificateError: there is no bound of these.
        """
        held, junctions = line.held, len(swept.junctions)
        if len(line.prices) != junctions:
            raise CertificateError(f"the grid has {junctions} junctions, not those of the line")
        nodes = nodes_of_grid(swept)
        prices = np.array(line.prices, dtype=np.int64)
        self.priced = Priced(nodes, status, (held.y, held.mu, held.bits), prices)
        self.goal, self.leaves, self.left = goal, 0, line.count
        self.bounds = Fraction(0)

    def line(self, line: Line, is_mine: Callable[[], bool]) -> bool:
        """Check a line; whether it is the last one, and the bounds add up to the one claimed.

        Raises:
            CertificateError: it does not hold, or they do not.
        """
        if not isinstance(line, OfPart):
            raise CertificateError(f"'{line.word}' where a part of the paths begins")
        of_branch, given, tree = self.priced.nodes.of_branch, line.leaves, line.nodes
        if any(branch not in of_branch for branch in line.branches):
            raise CertificateError("a part is of a branch on no path")
        part = self.priced.part([of_branch[branch] for branch in line.branches])
        if any(len(leaf) != 2 * part.inner for leaf in given):
            raise CertificateError(f"the part has {part.inner} inner junctions, and leaves of others")
        count = int(((tree == NEW) | (tree == TAKE)).sum())
        alone = part.count + len(part.table.branch)
        self.leaves += int(((tree == NEW) | (tree == SAME) | (tree >= alone)).sum())
        if is_mine():
            least = part.least(tree, np.array(given, dtype=np.int64).reshape(count, 2 * part.inner), line.bits)
            if least is None:
                raise CertificateError("the tree of the part does not cover its states, or a leaf has no bound")
            if Fraction(least, 1 << part.table.d) < Fraction(line.bound):
                raise CertificateError("a leaf does not reach the bound claimed of the part")
        self.bounds += Fraction(line.bound)
        self.left -= 1
        if self.left:
            return False
        if np.any(self.priced.free):
            raise CertificateError("a path is in no part")
        if Fraction(self.priced.total, 1 << part.table.d) + self.bounds < self.goal:
            raise CertificateError("the bounds of the parts do not add up to the bound claimed")
        return True
