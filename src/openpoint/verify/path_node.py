"""Compiled: the bound by paths at a node, and what it excludes there, in 64-bit fixed-point numbers.

The bound is derived in `openpoint.verify.paths`; the least powers are those of the first node, which hold at all nodes.
Where it reaches a goal, no state of the node has a value below that. Where it does not, the least arborescence tells
what it would be with one more state decided:

- What nodes and cycles pay in Edmonds' algorithm solves the dual linear program: each arborescence enters every node
  once and every cycle at least once, and what arcs cost beyond (`rest`) is >= 0. So with a certain arc the bound is
  higher by what this costs beyond.
- Where a path is open, the arborescence is one without both of its arcs, and is found anew.
- Where it is open at a certain branch, that costs more by the difference to the cheapest one.

A state of a path with which the goal is reached is excluded in all states of the node below the goal, and so in all of
its nodes. A path that cannot be open has closed branches only.

All numbers are integers times 2^d. Products are formed in 128 bits and rounded to the side that makes the bound less;
`openpoint.verify.path_table` chooses d so that no number exceeds 2^61.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Indices, Ints, States
from openpoint.compiled.jit import inlined, lean
from openpoint.compiled.table import Table
from openpoint.compiled.wide import covers, product
from openpoint.verify.wires import CLOSED, FREE, OPEN

BROKEN, FORTH, BACK = 1, 2, 4
"""States of a path, as bits: open at one of its branches; closed, with power from u to v; from v to u."""
NEITHER, REACHED, EXCLUDED = 0, 1, 2
"""Results: the bound tells nothing; it reaches the goal; it excludes states."""
NEVER: Any = np.int64(2**62)
"""The cost of an arc that cannot be used."""
LIMIT: Any = np.int64(2**61)
"""No number is greater."""
ZERO: Any = np.int64(0)
"""Nothing, of the width of all numbers here."""


@dataclass(frozen=True, eq=False)
class PathTable(Table):
    """The paths of a grid with J junctions, and the least power of their states in all radial states, times 2^d.

    Attributes:
        d: binary digits. fixed: loss of the trees that dangle from junctions and sources. huge: what a path costs open
            that cannot be so.
        load_p, load_q: (J) loads of junctions. u, v: (K) junctions at the ends of paths; J stands for all sources.
        start: (K + 1) first position of each path. branch: (B) at each position, from u to v. load: (K) nominal active
            load within, rounded upwards.
        u_p, u_q, v_p, v_q: (B) power drawn at both ends where the path is open at this branch.
        f, g: (2K) power that arrives where path k is closed, forth (2k) and back (2k + 1). s: (2K, 8) what it sends is
            f + s[0] + s[1] (f² + g²) + s[2] f + s[3] g, and g likewise with s[4] to s[7].
        may: (K) states that its ends allow.
    """

    d: int
    fixed: int
    huge: int
    load_p: Ints
    load_q: Ints
    u: Indices
    v: Indices
    start: Indices
    branch: Indices
    load: Ints
    u_p: Ints
    u_q: Ints
    v_p: Ints
    v_q: Ints
    f: Ints
    g: Ints
    s: Ints
    may: States


@dataclass(frozen=True, eq=False)
class PathRoom(Table):
    """Room to work.

    Attributes:
        y, mu: (J + 1) multipliers >= 0, times 2^d; 0 at the sources. opened: (K) cost of each path where it is open.
        cost: (2K) of arcs above that. rest: (2K) of these what nodes and cycles have not paid; beyond: (2K) the same of
            the first arborescence of a node.
        paid: (J + 1) what nodes pay. of, into, best, seen: (J + 1) of junctions, see `arborescence`.
    """

    y: Ints
    mu: Ints
    opened: Ints
    cost: Ints
    rest: Ints
    beyond: Ints
    paid: Ints
    of: Indices
    into: Indices
    best: Indices
    seen: Indices


@inlined
def restrict(table: PathTable, status: States, mask: States) -> bool:
    """Restrict the states of paths by those of branches; False where a path has none."""
    for k in range(len(mask)):
        opened, undecided = 0, 0
        for at in range(table.start[k], table.start[k + 1]):
            opened += status[table.branch[at]] == OPEN
            undecided += status[table.branch[at]] == FREE
        if opened > 0:
            mask[k] &= BROKEN if opened == 1 else 0
        elif undecided == 0:
            mask[k] &= FORTH | BACK
        if mask[k] == 0:
            return False
    return True


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
    d, one, y, mu = table.d, ZERO + 1 << table.d, room.y, room.mu
    u, v = table.u[k], table.v[k]
    found: int = product(one + y[u], table.u_p[at], d) + product(mu[u], table.u_q[at], d)
    found += product(one + y[v], table.v_p[at], d) + product(mu[v], table.v_q[at], d) - table.load[k]
    return found


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
    d, s, k = table.d, table.s, a // 2
    tail, head = (table.v[k], table.u[k]) if a % 2 else (table.u[k], table.v[k])
    y, mu = (ZERO + 1 << d) + room.y[tail], room.mu[tail]
    square = product(y, s[a, 1], d) + product(mu, s[a, 5], d)
    by_f = room.y[tail] - room.y[head] + product(y, s[a, 2], d) + product(mu, s[a, 6], d)
    by_g = mu - room.mu[head] + product(y, s[a, 3], d) + product(mu, s[a, 7], d)
    one, two = part(square, by_f, table.f[a], d), part(square, by_g, table.g[a], d)
    if min(one, two) == -LIMIT:
        return int(-LIMIT)
    found: int = product(y, s[a, 0], d) + product(mu, s[a, 4], d) - table.load[k] + one + two
    return found


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
def costs(table: PathTable, room: PathRoom, status: States, mask: States) -> int:
    """Costs of paths; returns the sum of all that no arc is part of, -LIMIT where there is no bound."""
    total: int = ZERO + table.fixed
    for j in range(len(table.load_p)):
        total += product(table.load_p[j], room.y[j], table.d) + product(table.load_q[j], room.mu[j], table.d)
    for k in range(len(mask)):
        least = ZERO + table.huge
        if mask[k] & BROKEN != 0:
            least = least_open(table, room, status, k, table.start[k], table.start[k + 1])
            if least == NEVER:
                return int(-LIMIT)
        room.opened[k] = least
        total += least
        for a in range(2 * k, 2 * k + 2):
            room.cost[a] = NEVER
            if mask[k] & (BACK if a % 2 else FORTH) != 0:
                cost = cost_closed(table, room, a)
                if cost == -LIMIT:
                    return int(-LIMIT)
                room.cost[a] = cost - least
    return total


@inlined
def arborescence(table: PathTable, room: PathRoom, without: int) -> int:
    """The least total of arcs that enter every junction once and make no cycle, without those of one path; or NEVER.

    Every node takes its cheapest entering arc, whose cost all of its entering arcs then lack (`rest`). Nodes on a cycle
    of these become one: `of` has for each junction the node that it is part of, by the number of one of its junctions.
    """
    of, into, best, seen, rest = room.of, room.into, room.best, room.seen, room.rest
    root = len(table.load_p)
    total = ZERO
    for a in range(len(rest)):
        rest[a] = NEVER if a // 2 == without else room.cost[a]
    for j in range(root + 1):
        of[j] = j
        into[j] = j
    again = root > 0
    while again:
        again = False
        for j in range(root):
            best[j] = -1
            seen[j] = -1
        seen[root] = root
        for a in range(len(rest)):
            k = a // 2
            tail, head = (of[table.v[k]], of[table.u[k]]) if a % 2 else (of[table.u[k]], of[table.v[k]])
            if rest[a] < NEVER and head != tail and head != root and (best[head] < 0 or rest[a] < rest[best[head]]):
                best[head] = a
        for j in range(root):
            if of[j] == j:
                if best[j] < 0:
                    return int(NEVER)
                total += rest[best[j]]
        pay(table, room)
        for first in range(root):
            if of[first] != first:
                continue
            node = ZERO + first
            while seen[node] < 0:
                seen[node] = first
                node = above(table, room, node)
            if node != root and seen[node] == first:
                again = True
                other = ZERO + above(table, room, node)
                while other != node:
                    into[other] = node
                    other = ZERO + above(table, room, other)
        for j in range(root):
            of[j] = into[of[j]]
    return int(total)


@inlined
def above(table: PathTable, room: PathRoom, node: int) -> int:
    """The node that the cheapest arc into a node leaves."""
    a = room.best[node]
    found: int = room.of[table.u[a // 2] if a % 2 == 0 else table.v[a // 2]]
    return found


@inlined
def pay(table: PathTable, room: PathRoom) -> None:
    """Take off from all arcs what the cheapest one costs that enters the same node."""
    of, best, rest, root = room.of, room.best, room.rest, len(table.load_p)
    for j in range(root):
        room.paid[j] = rest[best[j]] if of[j] == j else ZERO
    for a in range(len(rest)):
        k = a // 2
        tail, head = (of[table.v[k]], of[table.u[k]]) if a % 2 else (of[table.u[k]], of[table.v[k]])
        if rest[a] < NEVER and head != tail and head != root:
            rest[a] -= room.paid[head]


@inlined
def close(table: PathTable, status: States, k: int) -> None:
    """Close the undecided branches of a path."""
    for at in range(table.start[k], table.start[k + 1]):
        if status[table.branch[at]] == FREE:
            status[table.branch[at]] = CLOSED


@inlined
def exclude(table: PathTable, room: PathRoom, status: States, mask: States, base: int, value: int, goal: int) -> int:
    """Exclude the states of paths, and the branches where these may be open, with which the goal is reached."""
    excluded = False
    for a in range(len(room.rest)):
        room.beyond[a] = room.rest[a]
    for k in range(len(mask)):
        tight = False
        may = mask[k]
        for a in range(2 * k, 2 * k + 2):
            bit = BACK if a % 2 else FORTH
            if may & bit != 0:
                tight |= room.beyond[a] == 0
                if value + room.beyond[a] >= goal:
                    mask[k] &= ~bit
                    excluded = True
        if may & BROKEN == 0:
            continue
        more = ZERO + arborescence(table, room, k) if tight else ZERO
        opened = base + more if tight and more < NEVER else value
        if opened >= goal or more == NEVER:
            mask[k] &= ~BROKEN
            close(table, status, k)
            excluded = True
            continue
        broken = broken_at(table, status, k)
        for at in range(table.start[k], table.start[k + 1]):
            e, less = table.branch[at], opened - room.opened[k]
            if broken < 0 and status[e] == FREE and less + cost_open(table, room, k, at) >= goal:
                status[e] = CLOSED
                excluded = True
    for k in range(len(mask)):
        if mask[k] == 0:
            return REACHED
    return EXCLUDED if excluded else NEITHER


@lean
def decide(table: PathTable, room: PathRoom, status: States, mask: States, goal: int) -> int:
    """What the bound of a node decides at the multipliers in `room`; excluded states are taken out of the node.

    Args:
        status: (E) states of the branches. mask: (K) states that paths may have. goal: times 2^d.
    """
    if not restrict(table, status, mask):
        return REACHED
    base = costs(table, room, status, mask)
    if base == -LIMIT:
        return NEITHER
    more = ZERO + arborescence(table, room, -1)
    if more == NEVER or base + more >= goal:
        return REACHED
    return exclude(table, room, status, mask, base, base + more, goal)
