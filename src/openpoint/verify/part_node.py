"""Compiled: the least cost of a part of the paths, by a tree whose nodes divide states of paths, in integers.

A part is a small grid (`openpoint.verify.path_parts`). Its junctions are the inner ones first, then those of its
border, and at last what stands for all sources; to its own paths one without branches is added for each junction of
the border, which feeds it from outside at no cost. Its paths may have the states that the node leaves to them.

A tree is a list of numbers, in the order in which its nodes are met: a path that the node divides into the states that
it may have, open first, then forth, then back; or, beyond the number of the paths, a position after which it divides
the places where that path may be open, those up to it first; or a leaf with multipliers of the inner junctions of its
own (`NEW`), or with those of the leaf before (`SAME`). Nodes in which a path has no state, or junctions cannot be fed
once each, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from openpoint.arrays import Indices, Ints, States
from openpoint.compiled.jit import inlined, lean
from openpoint.compiled.table import Table
from openpoint.compiled.wide import product
from openpoint.verify.path_node import (
    BACK,
    BROKEN,
    FORTH,
    LIMIT,
    NEVER,
    PathRoom,
    PathTable,
    arborescence,
    broken_at,
    cost_closed,
    costs,
    least_open,
    restrict,
)
from openpoint.verify.path_node import ZERO as ZERO
from openpoint.verify.wires import FREE

NEW, SAME = -1, -2


@dataclass(frozen=True, eq=False)
class PartTree(Table):
    """A part and its tree, or what is still to be read of it.

    Attributes:
        own: number of its paths; those after them stand for what is outside. inner: of its inner junctions.
        toll: (2K) taken off the costs of arcs. shift: binary digits that `values` lack beside all other numbers.
        nodes: (T) the tree. values: (V, 2 inner) multipliers y, then μ, of leaves. stack: (S, K) states of the paths at
            nodes to come. first, last: (S, K) positions between which they may be open there. low, high: (K) those of
            the current node. may, must, only: (J) of junctions, see `imply`.
    """

    own: int
    inner: int
    shift: int
    toll: Ints
    nodes: Ints
    values: Ints
    stack: States
    first: Indices
    last: Indices
    low: Indices
    high: Indices
    may: Indices
    must: Indices
    only: Indices


@lean
def priced(table: PathTable, room: PathRoom, status: States, mask: States) -> int:
    """`costs` of a node whose paths are restricted by its branches first; -LIMIT where a path has no state."""
    if not restrict(table, status, mask):
        return int(-LIMIT)
    found: int = costs(table, room, status, mask)
    return found


@inlined
def head(table: PathTable, a: int) -> int:
    """The junction that an arc enters."""
    junction: int = table.u[a // 2] if a % 2 else table.v[a // 2]
    return junction


@inlined
def imply(table: PathTable, tree: PartTree, mask: States) -> bool:
    """Where one arc alone may enter a junction it does; where one must, no other does. False: a contradiction."""
    root, again = len(table.load_p), True
    while again:
        again = False
        for j in range(root):
            tree.may[j] = 0
            tree.must[j] = -1
        for a in range(2 * len(table.u)):
            bit, j = BACK if a % 2 else FORTH, head(table, a)
            if mask[a // 2] & bit != 0 and j != root:
                tree.may[j] += 1
                tree.only[j] = a
                if mask[a // 2] == bit:
                    if tree.must[j] >= 0:
                        return False
                    tree.must[j] = a
        for j in range(root):
            if tree.may[j] == 0:
                return False
        for a in range(2 * len(table.u)):
            k, bit, j = a // 2, BACK if a % 2 else FORTH, head(table, a)
            if j == root or mask[k] & bit == 0:
                continue
            if tree.must[j] >= 0 and tree.must[j] != a:
                mask[k] &= ~bit
                again = True
                if mask[k] == 0:
                    return False
            elif tree.must[j] < 0 and tree.may[j] == 1:
                mask[k] = bit
                again = True
    return True


@inlined
def places(table: PathTable, tree: PartTree, status: States, mask: States) -> bool:
    """Where a path has no place left to be open it is closed; False where it has no state then."""
    for k in range(tree.own):
        if tree.low[k] > table.start[k] or tree.high[k] < table.start[k + 1] - 1:
            broken, left = broken_at(table, status, k), False
            for at in range(tree.low[k], tree.high[k] + 1):
                left |= at == broken or (broken < 0 and status[table.branch[at]] == FREE)
            if not left:
                mask[k] &= ~BROKEN
            if mask[k] == 0:
                return False
    return True


@inlined
def leaf(table: PathTable, room: PathRoom, tree: PartTree, status: States, mask: States) -> int:
    """The path bound of the part at a leaf; NEVER where it has no state, -LIMIT where no bound is found."""
    total = ZERO
    for j in range(tree.inner):
        total += product(table.load_p[j], room.y[j], table.d) + product(table.load_q[j], room.mu[j], table.d)
    for k in range(len(mask)):
        least = ZERO + table.huge if k < tree.own else ZERO
        if k < tree.own and mask[k] & BROKEN != 0:
            least = least_open(table, room, status, k, tree.low[k], tree.high[k] + 1)
            if least == NEVER:
                return int(-LIMIT)
        room.opened[k] = least
        total += least
        for a in range(2 * k, 2 * k + 2):
            room.cost[a] = NEVER
            if mask[k] & (BACK if a % 2 else FORTH) != 0:
                cost = cost_closed(table, room, a) if k < tree.own else ZERO
                if cost == -LIMIT:
                    return int(-LIMIT)
                room.cost[a] = cost - least - tree.toll[a]
    more = ZERO + arborescence(table, room, -1)
    return int(NEVER) if more == NEVER else int(total + more)


@inlined
def put(tree: PartTree, mask: States, row: int) -> None:
    """Put the current node on the stack."""
    for k in range(len(mask)):
        tree.stack[row, k] = mask[k]
    for k in range(tree.own):
        tree.first[row, k] = tree.low[k]
        tree.last[row, k] = tree.high[k]


@inlined
def take(tree: PartTree, mask: States, row: int) -> None:
    """Go on to a node of the stack."""
    for k in range(len(mask)):
        mask[k] = tree.stack[row, k]
    for k in range(tree.own):
        tree.low[k] = tree.first[row, k]
        tree.high[k] = tree.last[row, k]


@inlined
def divided(table: PathTable, tree: PartTree, mask: States, what: int, top: int) -> int:
    """Put the nodes into which one is divided on the stack, that to go on with last; its height, -1 if it is not."""
    if top + 3 > len(tree.stack):
        return -1
    count = 0
    if what < tree.own:
        for s in range(3):
            bit = BACK >> s
            if mask[what] & bit != 0:
                put(tree, mask, top + count)
                tree.stack[top + count, what] = bit
                count += 1
        return top + count if count > 1 else -1
    for k in range(tree.own):
        if tree.low[k] <= what - tree.own < tree.high[k]:
            put(tree, mask, top)
            put(tree, mask, top + 1)
            tree.first[top, k] = what - tree.own + 1
            tree.last[top + 1, k] = what - tree.own
            count = 2
    return top + count if count > 1 else -1


@lean
def least_of_tree(table: PathTable, room: PathRoom, tree: PartTree, status: States, mask: States) -> int:
    """The least bound of all leaves, -LIMIT where a node is left without one.

    Args:
        table: of the part. room: with the multipliers of its junctions; those of inner ones are changed.
        status: (E) of the branches of the grid. mask: (K) room for the states of paths. The first row of the stack has
            those of the first node.
    """
    least, top, at, value = NEVER, 1, 0, 0
    while top > 0:
        top -= 1
        take(tree, mask, top)
        if not (places(table, tree, status, mask) and imply(table, tree, mask)):
            continue
        if at == len(tree.nodes):
            return int(-LIMIT)
        what = tree.nodes[at]
        at += 1
        if what >= 0:
            top = divided(table, tree, mask, what, top)
            if top < 0:
                return int(-LIMIT)
            continue
        if what == NEW:
            if value == len(tree.values):
                return int(-LIMIT)
            for j in range(tree.inner):
                room.y[j] = tree.values[value, j] << tree.shift
                room.mu[j] = tree.values[value, tree.inner + j] << tree.shift
            value += 1
        elif what != SAME:
            return int(-LIMIT)
        least = min(least, leaf(table, room, tree, status, mask))
    return int(least) if at == len(tree.nodes) and value == len(tree.values) else int(-LIMIT)
