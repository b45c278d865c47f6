"""Compiled: the least cost of a part of the paths, by a tree whose nodes divide states of paths, in integers.

A part is a small grid (`openpoint.verify.path_parts`). Its junctions are the inner ones first, then those of its
border, and at last what stands for all sources; to its own paths one without branches is added for each junction of
the border, which feeds it from outside at no cost. Its paths may have the states that the node leaves to them.

A tree is a list of numbers, in the order in which its nodes are met: a path that the node divides into the states that
it may have, open first, then forth, then back; or, beyond the number of the paths, a position after which it divides
the places where that path may be open, those up to it first; or a leaf with multipliers of the inner junctions of its
own (`NEW`), or with the last ones (`SAME`). Before these there may be other multipliers (`TAKE`), and, beyond the
number of the positions, states of a path, or its places up to or after a position, that are taken out of the node: they
are bounded as a leaf is. Nodes in which a path has no state, or junctions cannot be fed once each, are left out.

The bound of a leaf is what its paths cost open, or closed where they cannot be open, and how much more those cost at
least that feed the junctions: closed paths join junctions to groups, of which each is fed once from elsewhere, and no
cycle is left.

All numbers are integers times 2^d. Products are formed in 128 bits and rounded to the side that makes the bound less;
`openpoint.verify.paths` chooses d so that no number exceeds 2^61.
"""

from __future__ import annotations

from dataclasses import dataclass

from openpoint.arrays import Indices, Ints, States
from openpoint.compiled.jit import inlined, lean
from openpoint.compiled.table import Table
from openpoint.compiled.wide import product
from openpoint.verify.path_cost import (
    BACK,
    BROKEN,
    FORTH,
    LIMIT,
    LOWEST,
    NEVER,
    ZERO,
    PathRoom,
    PathTable,
    broken_at,
    closed,
    head,
    least_open,
    least_sent,
    may_be_open,
    price_stubs,
    tail,
    theta_of,
    up,
)

NEW, SAME, TAKE = -1, -2, -3
TURNS = 2
"""Times that prices of voltages are worked out at a leaf, the first ones at the highest voltages."""


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
                left |= may_be_open(table, status, k, at, broken)
            if not left:
                mask[k] &= ~BROKEN
            if mask[k] == 0:
                return False
    return True


@inlined
def one_way(mask: States, k: int) -> bool:
    """Whether a path is closed in one direction."""
    is_so: bool = mask[k] == FORTH or mask[k] == BACK
    return is_so


@inlined
def arrange(table: PathTable, room: PathRoom, tree: PartTree, mask: States) -> bool:
    """Write the order of paths that are closed in one direction; False where these are a cycle."""
    count, left, again = 0, 0, True
    for j in range(len(table.load_p) + 1):
        room.leaving[j] = 0
    for k in range(len(mask)):
        room.order[k] = -1
        if k < tree.own and one_way(mask, k):
            room.leaving[tail(table, 2 * k + (mask[k] == BACK))] += 1
            left += 1
    while again:
        again = False
        for k in range(tree.own):
            a = 2 * k + (mask[k] == BACK)
            if one_way(mask, k) and room.leaving[head(table, a)] == 0:
                room.order[count] = a
                count += 1
                again = True
                room.leaving[tail(table, a)] -= 1
                room.leaving[head(table, a)] = -1
    return count == left


@inlined
def draws(table: PathTable, room: PathRoom, tree: PartTree, status: States, mask: States) -> None:
    """Least power that paths draw at ends that they do not feed, but those that are closed in one direction."""
    for j in range(len(table.load_p)):
        room.sum_p[j] = table.load_p[j]
        room.sum_q[j] = table.load_q[j]
    for k in range(tree.own):
        broken = broken_at(table, status, k)
        for end in range(2):
            p, q, j = ZERO + NEVER, ZERO + NEVER, table.v[k] if end else table.u[k]
            if mask[k] & BROKEN != 0:
                for at in range(tree.low[k], tree.high[k] + 1):
                    if may_be_open(table, status, k, at, broken):
                        p = min(p, table.drawn[at, 2 * end])
                        q = min(q, table.drawn[at, 2 * end + 1])
            if mask[k] & (BACK if end else FORTH) != 0:
                p = min(p, table.sent_p[2 * k + end])
                q = min(q, table.sent_q[2 * k + end])
            if p == NEVER or one_way(mask, k):
                p, q = ZERO, ZERO
            room.draw_p[2 * k + end], room.draw_q[2 * k + end] = p, q
            if j < len(table.load_p):
                room.sum_p[j] += p
                room.sum_q[j] += q


@inlined
def arrives(table: PathTable, room: PathRoom, a: int) -> tuple[int, int]:
    """What is sent into a closed path at least; writes what arrives at its end at least, and how much voltage falls."""
    j, end = head(table, a), a ^ 1  # closed towards its end v, it is directed forth
    room.f[a] = room.sum_p[j] - room.draw_p[end]
    room.g[a] = room.sum_q[j] - room.draw_q[end]
    return least_sent(table, room, a)


@inlined
def least_flows(table: PathTable, room: PathRoom, tree: PartTree, status: States, mask: States) -> None:
    """Least power that arrives where paths are closed, and the highest voltages that follow. Requires `arrange`."""
    root = len(table.load_p)
    for _ in range(TURNS):
        draws(table, room, tree, status, mask)
        for t in range(len(mask)):
            a = room.order[t]
            if a >= 0:
                p, q = arrives(table, room, a)
                if tail(table, a) < root:
                    room.sum_p[tail(table, a)] += p
                    room.sum_q[tail(table, a)] += q
        for k in range(tree.own):
            for a in range(2 * k, 2 * k + 2):
                if not one_way(mask, k) and mask[k] & (BACK if a % 2 else FORTH) != 0:
                    arrives(table, room, a)
        highest(table, room, tree.own, tree.top, mask)


@inlined
def highest(table: PathTable, room: PathRoom, own: int, top: Ints, mask: States) -> None:
    """How high junctions are at most by the paths that may feed them.

    Args:
        own, top: as of `PartTree`. mask: (K) states of the paths.
    """
    one, root, again = ZERO + 1 << table.d, len(table.load_p), True
    for j in range(root):
        room.high[j] = 0
    room.high[root] = one
    while again:
        again = False
        for a in range(2 * len(table.u)):
            k, bit, j = a // 2, BACK if a % 2 else FORTH, head(table, a)
            if j == root or mask[k] & bit == 0:
                continue
            high = top[j]
            if k < own:
                high = min(high, room.high[tail(table, a)] - room.fall[a])
            if high > room.high[j]:
                room.high[j] = high
                again = True
    for j in range(root + 1):
        room.high[j] = room.high[j] if room.high[j] > 0 else one
        room.about[j] = max(float(room.high[j]) / float(one), LOWEST)
        room.times[j] = theta_of(room.about[j], table.d)


@inlined
def priced(table: PathTable, room: PathRoom, tree: PartTree, status: States, mask: States) -> bool:
    """Prices of squared voltages at junctions, and costs of the paths that are closed in one direction.

    Requires `arrange`; returns whether bounds were found.
    """
    d, root = table.d, len(table.load_p)
    for j in range(root + 1):
        room.price[j] = 0
        room.theta[j] = theta_of(room.about[j], d)
    for j in range(tree.inner):
        room.price[j] += up(up(room.theta[j], room.theta[j], d), of_trees(table, room, j), d)
    for k in range(tree.own):
        if mask[k] == BROKEN:
            price_stubs(table, room, status, k, tree.low[k], tree.high[k] + 1)
    for t in range(len(mask)):
        a = room.order[t]
        if a >= 0:
            closed(table, room, a)
            if room.cost[a] == -LIMIT:
                return False
            room.price[tail(table, a)] += room.taken[a]
            if room.price[tail(table, a)] > LIMIT >> 6:
                return False
    return True


@inlined
def of_trees(table: PathTable, room: PathRoom, j: int) -> int:
    """What the losses in the trees that dangle from a junction cost at the highest voltage."""
    c = product((ZERO + 1 << table.d) + room.y[j], table.lost_p[j], table.d)
    return int(max(c + product(room.mu[j], table.lost_q[j], table.d), ZERO))


@inlined
def follow(table: PathTable, room: PathRoom) -> None:
    """Squared voltages near which multipliers are best, after `priced`, whose sweeps began at the highest ones."""
    one = float(ZERO + 1 << table.d)
    for t in range(len(room.order)):
        a = room.order[len(room.order) - 1 - t]
        if a < 0:
            continue
        far = table.start[a // 2] if a % 2 else table.start[a // 2 + 1] - 1
        near = tail(table, a)
        begun = float(table.high[a] if near == len(table.load_p) else room.high[near]) / one
        here = float(table.high[a]) / one if near == len(table.load_p) else room.about[near]
        room.about[head(table, a)] = max(here - begun + room.w[far], LOWEST)


@inlined
def closed_cost(table: PathTable, room: PathRoom, tree: PartTree, mask: States, a: int) -> int:
    """Least cost of a closed path, also one from outside; -LIMIT where none is found."""
    k, d, begins = a // 2, table.d, tail(table, a)
    if k >= tree.own:
        return -up(room.price[head(table, a)], room.high[head(table, a)], d)
    if not one_way(mask, k):
        closed(table, room, a)
    if room.cost[a] == -LIMIT:
        return int(-LIMIT)
    if begins == len(table.load_p):
        return int(room.cost[a] - up(room.taken[a], table.high[a], d))
    return int(room.cost[a] if one_way(mask, k) else room.cost[a] - up(room.taken[a], room.high[begins], d))


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
    for j in range(root):
        room.high[j] = tree.top[j]
    if not arrange(table, room, tree, mask):
        return int(NEVER)
    least_flows(table, room, tree, status, mask)
    for turn in range(TURNS):
        if turn > 0:
            follow(table, room)
        if not priced(table, room, tree, status, mask):
            return int(-LIMIT)
    for j in range(root + 1):
        room.of[j] = j
    for j in range(tree.inner):
        total += product(table.load_p[j], room.y[j], table.d) + product(table.load_q[j], room.mu[j], table.d)
        total += 2 * product(room.theta[j], of_trees(table, room, j), table.d) - of_trees(table, room, j)
    for k in range(len(mask)):
        if mask[k] & BROKEN == 0:
            room.of[top_of(room, table.u[k])] = top_of(room, table.v[k])
    for k in range(len(mask)):
        opened, forth, back = ZERO + NEVER, ZERO + NEVER, ZERO + NEVER
        if mask[k] & BROKEN != 0:
            opened = ZERO
            if k < tree.own:
                opened, _ = least_open(table, room, status, k, tree.low[k], tree.high[k] + 1, mask[k] == BROKEN)
            if opened == NEVER:
                return int(-LIMIT)
        if mask[k] & FORTH != 0:
            forth = ZERO + closed_cost(table, room, tree, mask, 2 * k)
        if mask[k] & BACK != 0:
            back = ZERO + closed_cost(table, room, tree, mask, 2 * k + 1)
        if forth == -LIMIT or back == -LIMIT:
            return int(-LIMIT)
        forth -= tree.toll[2 * k]
        back -= tree.toll[2 * k + 1]
        least = opened if mask[k] & BROKEN != 0 else min(forth, back)
        total += least
        if abs(total) > LIMIT:
            return int(-LIMIT)
        room.rest[2 * k] = forth - least if mask[k] & FORTH != 0 else ZERO + NEVER
        room.rest[2 * k + 1] = back - least if mask[k] & BACK != 0 else ZERO + NEVER
    more = entered(table, room)
    return int(NEVER if more == NEVER else total + more)


@inlined
def cheapest(table: PathTable, room: PathRoom, group: int) -> int:
    """The arc of least cost that enters a group from elsewhere, -1 where there is none."""
    best = -1
    for a in range(2 * len(table.u)):
        if room.rest[a] != NEVER and top_of(room, head(table, a)) == group and top_of(room, tail(table, a)) != group:
            best = a if best < 0 or room.rest[a] < room.rest[best] else best
    return best


@inlined
def entered(table: PathTable, room: PathRoom) -> int:
    """The least sum of `room.rest` over arcs that enter each group once, without a cycle; NEVER where there are none.

    As by Edmonds (1967): what the cheapest arc costs is taken off all that enter, and a cycle becomes one group.
    """
    total, root, sources = ZERO, len(table.load_p), top_of(room, len(table.load_p))
    for j in range(root + 1):
        room.entry[j] = -1
    for j in range(root):
        group = top_of(room, j)
        while group != sources and room.entry[group] < 0:
            best = cheapest(table, room, group)
            if best < 0:
                return int(NEVER)
            paid = room.rest[best]
            total += paid
            for a in range(2 * len(table.u)):
                if room.rest[a] != NEVER and top_of(room, head(table, a)) == group:
                    room.rest[a] -= paid
            room.entry[group] = best
            other = top_of(room, tail(table, best))
            while other not in (sources, group) and room.entry[other] >= 0:
                other = top_of(room, tail(table, room.entry[other]))
            if other == group:
                other = top_of(room, tail(table, best))
                while other != group:
                    before = top_of(room, tail(table, room.entry[other]))
                    room.of[other] = group
                    other = before
                room.entry[group] = -1
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
    """`highest` of all paths of a grid, by the loads at their ends."""
    for j in range(len(top)):
        room.high[j] = top[j]
    for a in range(2 * len(mask)):
        j = head(table, a)
        if j < len(top):
            room.f[a], room.g[a] = table.load_p[j], table.load_q[j]
            least_sent(table, room, a)
    highest(table, room, len(mask), top, mask)


@lean
def stands(table: PathTable, tree: PartTree, status: States, mask: States) -> bool:
    """Apply what follows for the paths of the current node; whether each has a state left."""
    left: bool = places(table, tree, status, mask) and imply(table, tree, mask)
    return left


@lean
def bound_at(table: PathTable, room: PathRoom, tree: PartTree, status: States, mask: States) -> int:
    """`leaf` of the current node. Requires `stands`."""
    return int(leaf(table, room, tree, status, mask))


@inlined
def restrict(table: PathTable, tree: PartTree, mask: States, what: int, only: bool) -> bool:
    """Leave `only` what a number takes out to a node, or all but that; False where a path has no state then."""
    if what < 3 * tree.own:
        bit = 1 << what % 3
        mask[what // 3] &= bit if only else ~bit
        return bool(mask[what // 3] != 0)
    at, k = (what - 3 * tree.own) // 2, 0
    while table.start[k + 1] <= at:
        k += 1
    if only:
        mask[k] &= BROKEN
    if (what - 3 * tree.own) % 2 == only:
        tree.low[k] = max(tree.low[k], at + 1)
    else:
        tree.high[k] = min(tree.high[k], at)
    return bool(mask[k] != 0)


@inlined
def next_multipliers(tree: PartTree, room: PathRoom, value: int) -> bool:
    """Take over a row of multipliers; False where it is not there."""
    if value == len(tree.values):
        return False
    for j in range(tree.inner):
        room.y[j] = tree.values[value, j] << tree.shift
        room.mu[j] = tree.values[value, tree.inner + j] << tree.shift
    return True


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
        alone = tree.own + len(table.branch)
        what, over = alone, False
        while what >= alone or what == TAKE:
            if at == len(tree.nodes):
                return int(-LIMIT)
            what = tree.nodes[at]
            at += 1
            if what in (TAKE, NEW):
                if not next_multipliers(tree, room, value):
                    return int(-LIMIT)
                value += 1
            elif what >= alone:
                if what >= alone + 3 * tree.own + 2 * len(table.branch) or top == len(tree.stack):
                    return int(-LIMIT)
                put(tree, mask, top)
                some = restrict(table, tree, mask, what - alone, True) and places(table, tree, status, mask)
                if some and imply(table, tree, mask):
                    least = min(least, leaf(table, room, tree, status, mask))
                take(tree, mask, top)
                some = restrict(table, tree, mask, what - alone, False) and places(table, tree, status, mask)
                if not some or not imply(table, tree, mask):
                    over, what = True, SAME
        if over:
            continue
        if what >= 0:
            top = divided(table, tree, mask, what, top)
            if top < 0:
                return int(-LIMIT)
            continue
        if what != NEW and what != SAME:
            return int(-LIMIT)
        least = min(least, leaf(table, room, tree, status, mask))
    return int(least) if at == len(tree.nodes) and value == len(tree.values) else int(-LIMIT)
