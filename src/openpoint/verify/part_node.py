"""Compiled: the least cost of a part of the paths, by a tree whose nodes divide states of paths, in integers.

A part is a small grid (`openpoint.verify.path_parts`). Its junctions are the inner ones first, then those of its
border, and at last what stands for all sources; to its own paths one without branches is added for each junction of
the border, which feeds it from outside at no cost. Its paths may have the states that the node leaves to them.

A tree is a list of numbers, in the order in which its nodes are met: a path that the node divides into the states that
it may have, open first, then forth, then back; or, beyond the number of the paths, a position after which it divides
the places where that path may be open, those up to it first; or a leaf with multipliers of the inner junctions of its
own (`NEW`), or with those of the leaf before (`SAME`). Nodes in which a path has no state, or junctions cannot be fed
once each, are left out.

The bound of a leaf is what its paths cost open, or closed where they cannot be open, and how much more a path costs at
least that feeds a junction: closed paths join junctions to groups, of which each is fed once from elsewhere.

All numbers are integers times 2^d. Products are formed in 128 bits and rounded to the side that makes the bound less;
`openpoint.verify.paths` chooses d so that no number exceeds 2^61.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Indices, Ints, States
from openpoint.compiled.jit import inlined, lean
from openpoint.compiled.table import Table
from openpoint.compiled.wide import covers, product
from openpoint.verify.graph import FREE, OPEN

BROKEN, FORTH, BACK = 1, 2, 4
"""States of a path, as bits: open at one of its branches; closed, with power from u to v; from v to u."""
NEVER: Any = np.int64(2**62)
"""The cost of what cannot be."""
LIMIT: Any = np.int64(2**61)
"""No number is greater."""
ZERO: Any = np.int64(0)
"""Nothing, of the width of all numbers here."""
NEW, SAME = -1, -2
LEAST_VOLTAGE = 2
"""Losses are at most so many times those of the table: at lower voltages no more of them is counted."""


@dataclass(frozen=True, eq=False)
class PathTable(Table):
    """The paths of a grid with J junctions, and the least power of their states in all radial states, times 2^d.

    Attributes:
        d: binary digits. fixed: loss of the trees that dangle from junctions and sources.
        load_p, load_q: (J) loads of junctions. u, v: (K) junctions at the ends of paths; J stands for all sources.
        start: (K + 1) first position of each path. branch: (B) at each position, from u to v. load: (K, 2) load
            within, active power without losses, rounded upwards.
        drawn: (B, 8) p, q drawn at u and at v where the path is open at this branch, and how much of these is lost.
        fall: (2K) of the squared voltage, at least, where path k is closed, as a share of the highest of all.
        f, g: (2K) power that arrives where path k is closed, forth (2k) and back (2k + 1). s: (2K, 8) what it sends is
            f + s[0] + s[1] (f² + g²) + s[2] f + s[3] g, and g likewise with s[4] to s[7].
        may: (K) states that its ends allow.
    """

    d: int
    fixed: int
    load_p: Ints
    load_q: Ints
    u: Indices
    v: Indices
    start: Indices
    branch: Indices
    load: Ints
    drawn: Ints
    fall: Ints
    f: Ints
    g: Ints
    s: Ints
    may: States


@dataclass(frozen=True, eq=False)
class PathRoom(Table):
    """Room to work.

    Attributes:
        y, mu: (J + 1) multipliers >= 0, times 2^d; 0 at the sources. more: (J + 1) how much more the path costs at
            least that feeds a group. high: (J + 1) highest squared voltages, as shares of those of the table. times:
            (J + 1) factor of what is lost at these. of: (J + 1) a junction of the same group, itself at the top one.
    """

    y: Ints
    mu: Ints
    more: Ints
    high: Ints
    times: Ints
    of: Indices


@dataclass(frozen=True, eq=False)
class PartTree(Table):
    """A part and its tree, or what is still to be read of it.

    Attributes:
        own: number of its paths; those after them stand for what is outside. inner: of its inner junctions.
        top: (J) of its junctions, as `PathRoom.high`, at all nodes.
        toll: (2K) taken off the costs of arcs. shift: binary digits that `values` lack beside all other numbers.
        nodes: (T) the tree. values: (V, 2 inner) multipliers y, then μ, of leaves. stack: (S, K) states of the paths at
            nodes to come. first, last: (S, K) positions between which they may be open there. low, high: (K) those of
            the current node. may, must, only: (J) of junctions, see `imply`.
    """

    own: int
    inner: int
    shift: int
    top: Ints
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


@inlined
def broken_at(table: PathTable, status: States, k: int) -> int:
    """The position of the open branch of a path; -1 where there is none."""
    for at in range(table.start[k], table.start[k + 1]):
        if status[table.branch[at]] == OPEN:
            return at
    return -1


@inlined
def cost_open(table: PathTable, room: PathRoom, k: int, at: int) -> int:
    """Cost of a path that is open at a position, at least."""
    d, one, drawn, found = table.d, ZERO + 1 << table.d, table.drawn, -table.load[k, 0]
    for end in range(2):
        j = table.v[k] if end else table.u[k]
        for c in range(2):
            power = drawn[at, 2 * end + c] + product(room.times[j] - one, drawn[at, 4 + 2 * end + c], d)
            found += product(room.mu[j] if c else one + room.y[j], power, d)
    return int(found)


@inlined
def part(square: int, by: int, least: int, d: int) -> int:
    """Least value of `square` f² + `by` f with f >= `least`, rounded downwards; -LIMIT where it is below -1/8."""
    if by >= 0 or -by <= 2 * product(square, least, d):
        found: int = product(square, product(least, least, d), d) + product(by, least, d)
        return found
    guess = float(by) * float(by) / (4.0 * float(square)) if square > 0 else -1.0
    if not 0.0 <= guess < float(ZERO + 1 << d - 3):
        return int(-LIMIT)
    quotient = int(guess) + (int(guess) >> 50) + 2
    return -quotient if covers(quotient, 4 * square, by, ZERO) else int(-LIMIT)


@inlined
def cost_closed(table: PathTable, room: PathRoom, a: int) -> int:
    """Least cost of a closed path; -LIMIT where none is found."""
    d, s, k, load = table.d, table.s, a // 2, table.load
    tail, head = (table.v[k], table.u[k]) if a % 2 else (table.u[k], table.v[k])
    y, mu = (ZERO + 1 << d) + room.y[tail], room.mu[tail]
    # What is lost of all that is sent, by y and by mu, as often as it is at the highest voltage.
    lost_y, lost_mu = product(y, room.times[tail], d), product(mu, room.times[tail], d)
    square = product(lost_y, s[a, 1], d) + product(lost_mu, s[a, 5], d)
    by_f = room.y[tail] - room.y[head] + product(lost_y, s[a, 2], d) + product(lost_mu, s[a, 6], d)
    by_g = mu - room.mu[head] + product(lost_y, s[a, 3], d) + product(lost_mu, s[a, 7], d)
    one, two = part(square, by_f, table.f[a], d), part(square, by_g, table.g[a], d)
    if min(one, two) == -LIMIT:
        return int(-LIMIT)
    found = product(y, load[k, 0], d) + product(mu, load[k, 1], d) - load[k, 0] + one + two
    found += product(lost_y, s[a, 0] - load[k, 0], d) + product(lost_mu, s[a, 4] - load[k, 1], d)
    return int(found)


@inlined
def least_open(table: PathTable, room: PathRoom, status: States, k: int, begin: int, end: int) -> int:
    """The least cost of a path that is open at one of its places from `begin` to before `end`; NEVER if at none."""
    least: int = ZERO + NEVER
    broken = broken_at(table, status, k)
    for at in range(begin, end):
        if at == broken or (broken < 0 and status[table.branch[at]] == FREE):
            least = min(least, cost_open(table, room, k, at))
    return least


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
def highest(table: PathTable, room: PathRoom, own: int, top: Ints, mask: States) -> None:
    """How high junctions are at most by the paths that may feed them, and how often more is lost there.

    Args:
        own, top: as of `PartTree`. mask: (K) states of the paths.
    """
    d, one, root, again = table.d, ZERO + 1 << table.d, len(table.load_p), True
    for j in range(root):
        room.high[j] = 0
        room.times[j] = one
    room.high[root] = one
    room.times[root] = one
    while again:
        again = False
        for a in range(2 * len(table.u)):
            k, bit, j = a // 2, BACK if a % 2 else FORTH, head(table, a)
            if j == root or mask[k] & bit == 0:
                continue
            tail = table.v[k] if a % 2 else table.u[k]
            high = min(top[j], room.high[tail] - table.fall[a] if k < own else top[j])
            if high > room.high[j]:
                room.high[j] = high
                again = True
    for j in range(root):
        high = max(room.high[j], one // LEAST_VOLTAGE)
        times = int(float(one) / float(high) * float(one)) - 16  # a few units below the quotient
        if room.high[j] > 0 and times > one and product(times, high, d) < one:
            room.times[j] = times


@inlined
def top_of(room: PathRoom, j: int) -> int:
    """The top junction of the group that a junction is in."""
    while room.of[j] != j:
        j = room.of[j]
    return j


@inlined
def leaf(table: PathTable, room: PathRoom, tree: PartTree, status: States, mask: States) -> int:
    """The bound of the part at a leaf; NEVER where it has no state, -LIMIT where no bound is found."""
    total, root = ZERO, len(table.load_p)
    highest(table, room, tree.own, tree.top, mask)
    for j in range(root + 1):
        room.more[j] = NEVER
        room.of[j] = j
    for j in range(tree.inner):
        total += product(table.load_p[j], room.y[j], table.d) + product(table.load_q[j], room.mu[j], table.d)
    for k in range(len(mask)):
        if mask[k] & BROKEN == 0:
            room.of[top_of(room, table.u[k])] = top_of(room, table.v[k])
    for k in range(len(mask)):
        opened, forth, back = ZERO + NEVER, ZERO + NEVER, ZERO + NEVER
        if mask[k] & BROKEN != 0:
            opened = ZERO + least_open(table, room, status, k, tree.low[k], tree.high[k] + 1) if k < tree.own else ZERO
            if opened == NEVER:
                return int(-LIMIT)
        if mask[k] & FORTH != 0:
            forth = ZERO + cost_closed(table, room, 2 * k) if k < tree.own else ZERO
        if mask[k] & BACK != 0:
            back = ZERO + cost_closed(table, room, 2 * k + 1) if k < tree.own else ZERO
        if forth == -LIMIT or back == -LIMIT:
            return int(-LIMIT)
        forth -= tree.toll[2 * k]
        back -= tree.toll[2 * k + 1]
        least = opened if mask[k] & BROKEN != 0 else min(forth, back)
        total += least
        u, v = top_of(room, table.u[k]), top_of(room, table.v[k])
        if mask[k] & FORTH != 0 and u != v:
            room.more[v] = min(room.more[v], forth - least)
        if mask[k] & BACK != 0 and u != v:
            room.more[u] = min(room.more[u], back - least)
    for j in range(root):
        if room.of[j] == j and top_of(room, root) != j:
            if room.more[j] == NEVER:
                return int(NEVER)
            total += room.more[j]
    return int(total)


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
def highest_of_all(table: PathTable, room: PathRoom, top: Ints, mask: States) -> None:
    """`highest` of all paths of a grid."""
    highest(table, room, len(mask), top, mask)


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
