"""Trees that serve a part of a grid, found fast: spanning trees, the linear flow on them, exchanges, shedding.

What they find are recourses of hardening, and so upper bounds of its cost; that they are least is not promised.

All compiled functions of hardening stand in this one file: numba keeps machine code by the date of the file of the
outermost function, and would not see a change of an inner one elsewhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.compiled.jit import compiled
from openpoint.formulations.islands import CORNERS, nominal_demand, voltage_limits
from openpoint.network import Network
from openpoint.network.limits import series_limits

EXCHANGES_MOST = 200
"""Exchanges for the least drop in voltage, each of which takes microseconds."""
ROUNDS_MOST = 12
"""How often all ties are looked at; a tree that misses limits after them is left as it is."""
WEDGE = 2.0 * np.pi / CORNERS
"""Angle of a side of the polygon of a rating."""
KEPT = 1e-9
"""Per unit, within which a limit of squared voltage or power is kept."""


class Feeder(NamedTuple):
    """A grid as the compiled functions read it; all sources are one bus.

    Attributes:
        fr, to: (E) buses, sources merged. fr_at, to_at: (E) buses as they are.
        r, x, ratio: (E) per unit, and tap². reach: (E) distance of the sides of the polygon of a rating.
        p, q: (N) net demand. low, high: (N) limits of squared voltage. held: (N) squared voltage of a bus as a root.
        price: (N) value of lost load, per unit of power.
        fixed: (E) branches that nobody can open. heaviest_last: (E) branches in the order in which trees take them.
        start, neighbour, via: branches of each bus, as compressed rows.
    """

    fr: Ints
    to: Ints
    fr_at: Ints
    to_at: Ints
    r: Floats
    x: Floats
    ratio: Floats
    reach: Floats
    p: Floats
    q: Floats
    low: Floats
    high: Floats
    held: Floats
    price: Floats
    fixed: Bools
    heaviest_last: Ints
    start: Ints
    neighbour: Ints
    via: Ints


def feeder_of(network: Network, price: Floats, buses: Ints, root_w: Floats) -> Feeder:
    """The grid; `buses` that may get a generator hold `root_w` as roots."""
    n, e = network.n_terminals, network.n_conductors
    fr, to = network.merged_ends
    demand = nominal_demand(network)
    low, high = voltage_limits(network)
    held = np.ones(n)
    held[buses] = root_w
    held[network.source_terminal] = np.abs(network.source_v) ** 2
    fixed = network.closed & ~network.switchable
    weight = np.where(fixed, 0.0, np.where(network.closed, 1.0, 2.0) * (1e-6 + np.abs(network.z.diagonal())))
    ends = np.concatenate([fr, to])
    by_bus = np.argsort(ends, kind="stable")
    return Feeder(
        fr=fr,
        to=to,
        fr_at=network.terminal_fr.astype(np.int64),
        to_at=network.terminal_to.astype(np.int64),
        r=np.array(network.r, dtype=float),
        x=np.array(network.x, dtype=float),
        ratio=np.array(network.tap, dtype=float) ** 2,
        reach=np.sqrt(series_limits(network)) * np.cos(np.pi / CORNERS),
        p=np.ascontiguousarray(demand.real),
        q=np.ascontiguousarray(demand.imag),
        low=low,
        high=high,
        held=held,
        price=np.array(price, dtype=float),
        fixed=np.asarray(fixed),
        heaviest_last=np.argsort(weight, kind="stable"),
        start=np.searchsorted(ends[by_bus], np.arange(n + 1)),
        neighbour=np.concatenate([to, fr])[by_bus],
        via=np.concatenate([np.arange(e), np.arange(e)])[by_bus],
    )


@compiled
def spanned(feeder: Feeder, allowed: Bools) -> Bools:
    """(E) the spanning forest of least weight within the allowed branches (Kruskal 1956)."""
    leader = np.arange(len(feeder.p))
    tree = np.zeros(len(allowed), dtype=np.bool_)
    for e in feeder.heaviest_last:
        if not allowed[e]:
            continue
        a, b = feeder.fr[e], feeder.to[e]
        while leader[a] != a:
            leader[a] = leader[leader[a]]
            a = leader[a]
        while leader[b] != b:
            leader[b] = leader[leader[b]]
            b = leader[b]
        if a != b:
            leader[a] = b
            tree[e] = True
    return tree


@compiled
def parts(feeder: Feeder, allowed: Bools, root: int) -> Ints:
    """(N) number of the part that each bus, sources merged, hangs in over the allowed branches; 0 with the root."""
    part, number = np.full(len(feeder.p), -1), 0
    stack = np.empty(len(feeder.p), dtype=np.int64)
    for k in range(-1, len(feeder.p)):
        first = root if k < 0 else k
        if part[first] >= 0:
            continue
        part[first], stack[0], left = number, first, 1
        while left > 0:
            left -= 1
            bus = stack[left]
            for a in range(feeder.start[bus], feeder.start[bus + 1]):
                other = feeder.neighbour[a]
                if allowed[feeder.via[a]] and part[other] < 0:
                    part[other] = number
                    stack[left] = other
                    left += 1
        number += 1
    return part


@compiled
def walk(feeder: Feeder, tree: Bools, root: int) -> tuple[Ints, Ints, Ints]:
    """Buses in order from the root, then by bus: position of the parent, branch to it; −1 at the root."""
    order = np.empty(len(feeder.p), dtype=np.int64)
    parent, edge = np.full(len(feeder.p), -1), np.full(len(feeder.p), -1)
    order[0] = root
    count, head = 1, 0
    while head < count:
        bus = order[head]
        head += 1
        for a in range(feeder.start[bus], feeder.start[bus + 1]):
            e, other = feeder.via[a], feeder.neighbour[a]
            if tree[e] and e != edge[bus]:
                parent[other], edge[other] = bus, e
                order[count] = other
                count += 1
    return order[:count], parent, edge


@compiled
def flow(feeder: Feeder, order: Ints, parent: Ints, edge: Ints, p: Floats, q: Floats) -> tuple[Floats, Floats, Floats]:
    """(N) squared voltages, and active and reactive power to each bus from its parent."""
    p, q = p.copy(), q.copy()
    w = np.zeros(len(p))
    for k in range(len(order) - 1, 0, -1):
        p[parent[order[k]]] += p[order[k]]
        q[parent[order[k]]] += q[order[k]]
    root = order[0]
    w[root] = feeder.held[root]
    for k in range(1, len(order)):
        bus = order[k]
        e, up = edge[bus], parent[bus]
        ahead = feeder.to[e] == bus
        above = w[up]
        if up == root:
            above = feeder.held[feeder.fr_at[e] if ahead else feeder.to_at[e]]  # of several sources, the one here
        drop = 2.0 * (feeder.r[e] * p[bus] + feeder.x[e] * q[bus])
        w[bus] = above / feeder.ratio[e] - drop if ahead else (above - drop) * feeder.ratio[e]
    return w, p, q


@compiled
def side_of(p: float, q: float) -> float:
    """Angle of the side of the polygon of a rating that a flow comes closest to."""
    return float(np.floor(np.arctan2(q, p) / WEDGE) * WEDGE + 0.5 * WEDGE)


@compiled
def beyond(p: float, q: float, reach: float) -> float:
    """By how much a flow is beyond the polygon of a rating."""
    side = side_of(p, q)
    return float(p * np.cos(side) + q * np.sin(side) - reach)


@compiled
def violation(feeder: Feeder, tree: Bools, root: int, p: Floats, q: Floats) -> float:
    """By how much limits are missed where a tree serves all that it reaches, summed up."""
    order, parent, edge = walk(feeder, tree, root)
    w, p, q = flow(feeder, order, parent, edge, p, q)
    total = 0.0
    for k in range(1, len(order)):
        bus = order[k]
        total += max(feeder.low[bus] - w[bus], 0.0) + max(w[bus] - feeder.high[bus], 0.0)
        total += max(beyond(p[bus], q[bus], feeder.reach[edge[bus]]), 0.0)
    return total


@compiled
def shed_on(feeder: Feeder, tree: Bools, root: int, p: Floats, q: Floats, most: float) -> tuple[float, Floats]:
    """Cost of shedding so much on a tree that limits are kept, and the share shed at each bus; inf where it fails, or
    costs more than `most`.

    Again and again the limit that is missed most; what relieves it most for its price is shed.
    """
    order, parent, edge = walk(feeder, tree, root)
    n = len(p)
    shed = np.zeros(n)
    gain_r, gain_x = np.zeros(n), np.zeros(n)
    on_path = np.zeros(n, dtype=np.bool_)
    cost = 0.0
    for _ in range(4 * n):
        w, p_in, q_in = flow(feeder, order, parent, edge, p * (1.0 - shed), q * (1.0 - shed))
        worst, at, rating = KEPT, -1, False
        for k in range(1, len(order)):
            bus = order[k]
            if w[bus] > feeder.high[bus] + KEPT:
                return np.inf, shed
            if feeder.low[bus] - w[bus] > worst:
                worst, at, rating = feeder.low[bus] - w[bus], bus, False
            over = beyond(p_in[bus], q_in[bus], feeder.reach[edge[bus]])
            if over > worst:
                worst, at, rating = over, bus, True
        if at < 0:
            return cost, shed
        on_path[:] = False
        bus = at
        while bus >= 0:
            on_path[bus] = True
            bus = parent[bus]
        best, chosen, relief = 0.0, -1, 0.0
        for k in range(len(order)):
            bus = order[k]
            up, e = parent[bus], edge[bus]
            gain_r[bus] = 0.0 if up < 0 else gain_r[up]
            gain_x[bus] = 0.0 if up < 0 else gain_x[up]
            if rating:
                if bus == at:  # what lies behind the branch relieves it, across the side
                    side = side_of(p_in[at], q_in[at])
                    gain_r[bus], gain_x[bus] = np.cos(side), np.sin(side)
            elif up >= 0 and on_path[bus]:
                drop = 2.0 if feeder.to[e] == bus else 2.0 * feeder.ratio[e]
                gain_r[bus] += drop * feeder.r[e]
                gain_x[bus] += drop * feeder.x[e]
            if p[bus] <= 0.0 or shed[bus] >= 1.0:
                continue
            gain = gain_r[bus] * p[bus] + gain_x[bus] * q[bus]
            worth = gain / (feeder.price[bus] * p[bus] + 1e-12)
            if gain > 0.0 and worth > best:
                best, chosen, relief = worth, bus, gain
        if chosen < 0:
            return np.inf, shed
        before = shed[chosen]
        shed[chosen] = min(1.0, before + worst / relief * (1.0 + 1e-6))
        cost += feeder.price[chosen] * p[chosen] * (shed[chosen] - before)
        if cost > most:
            return np.inf, shed
    return np.inf, shed


@compiled
def least_drop(feeder: Feeder, live: Bools, tree: Bools, root: int, p: Floats, q: Floats) -> Bools:
    """A tree by exchanges from a first one within the live branches: the least Σ (r p + x q) p, the drop in voltage of
    all power. What an exchange changes is summed up along its loop alone."""
    tree = tree.copy()
    for _ in range(EXCHANGES_MOST):
        order, parent, edge = walk(feeder, tree, root)
        depth = np.full(len(p), -1)
        depth[root] = 0
        for k in range(1, len(order)):
            depth[order[k]] = depth[parent[order[k]]] + 1
        _, p_in, q_in = flow(feeder, order, parent, edge, p, q)
        best, closing, opening = -KEPT * KEPT, -1, -1
        for tie in range(len(live)):
            if not live[tie] or tree[tie] or depth[feeder.fr[tie]] < 0 or depth[feeder.to[tie]] < 0:
                continue
            top, other = feeder.fr[tie], feeder.to[tie]
            while top != other:
                if depth[top] < depth[other]:
                    top, other = other, top
                top = parent[top]
            for side in range(2):
                near, far = feeder.fr[tie], feeder.to[tie]
                if side:
                    near, far = far, near
                cut = near
                while cut != top:
                    if not feeder.fixed[edge[cut]]:
                        moved_p, moved_q = p_in[cut], q_in[cut]
                        change = (feeder.r[tie] * moved_p + feeder.x[tie] * moved_q) * moved_p
                        bus, below = near, True
                        while bus != top:
                            e, a, b = edge[bus], p_in[bus], q_in[bus]
                            below = below and bus != cut
                            c, d = (moved_p - a, moved_q - b) if below else (a - moved_p, b - moved_q)
                            if bus == cut:
                                c, d = 0.0, 0.0
                            change += (feeder.r[e] * c + feeder.x[e] * d) * c - (feeder.r[e] * a + feeder.x[e] * b) * a
                            bus = parent[bus]
                        bus = far
                        while bus != top:
                            e, a, b = edge[bus], p_in[bus], q_in[bus]
                            c, d = a + moved_p, b + moved_q
                            change += (feeder.r[e] * c + feeder.x[e] * d) * c - (feeder.r[e] * a + feeder.x[e] * b) * a
                            bus = parent[bus]
                        if change < best:
                            best, closing, opening = change, tie, edge[cut]
                    cut = parent[cut]
        if closing < 0:
            break
        tree[closing], tree[opening] = True, False
    return tree


@compiled
def depth_of(parent: Ints, bus: int) -> int:
    """Number of branches from the root."""
    depth = 0
    while parent[bus] >= 0:
        bus = parent[bus]
        depth += 1
    return depth


@compiled
def lifted(feeder: Feeder, live: Bools, tree: Bools, root: int, p: Floats, q: Floats) -> tuple[Bools, float, Floats]:
    """A tree by exchanges from a first one within the live branches, tie by tie the best branch of its loop to open:
    first the limits, then the price of shedding.

    Returns:
        the tree, cost of what is shed on it (`inf` where none was found that keeps the limits), and the share shed (N).
    """
    tree = tree.copy()
    best = violation(feeder, tree, root, p, q)
    for pricing in range(2):
        if best <= KEPT:
            return tree, 0.0, np.zeros(len(p))
        if pricing:
            best = shed_on(feeder, tree, root, p, q, np.inf)[0]
        for _ in range(ROUNDS_MOST):
            came = best
            for tie in range(len(live)):
                if not live[tie] or tree[tie]:
                    continue
                _, parent, edge = walk(feeder, tree, root)
                a, b, opening = feeder.fr[tie], feeder.to[tie], -1
                if (edge[a] < 0 and a != root) or (edge[b] < 0 and b != root):
                    continue
                depth = depth_of(parent, a), depth_of(parent, b)
                tree[tie] = True
                while a != b:
                    if depth[0] < depth[1]:
                        a, b, depth = b, a, (depth[1], depth[0])
                    opened = edge[a]
                    a, depth = parent[a], (depth[0] - 1, depth[1])
                    if feeder.fixed[opened]:
                        continue
                    tree[opened] = False
                    if pricing:
                        found = shed_on(feeder, tree, root, p, q, best)[0]
                    else:
                        found = violation(feeder, tree, root, p, q)
                    tree[opened] = True
                    if found < best:
                        best, opening = found, opened
                tree[tie if opening < 0 else opening] = False
                if best <= KEPT:
                    return tree, 0.0, np.zeros(len(p))
            if not best < came:
                break
    cost, shed = shed_on(feeder, tree, root, p, q, np.inf)
    return tree, cost, shed


@compiled
def shares_in_limit(
    feeder: Feeder, order: Ints, parent: Ints, edge: Ints, at: int, side: float, of_rating: bool
) -> tuple[Floats, Floats]:
    """(N) how much active and reactive power that a bus draws counts in a limit at another one: in the power to it
    along the direction `side` where that `of_rating` is meant, else in the drop of its squared voltage; taps stand
    next to the root alone."""
    gain_r, gain_x = np.zeros(len(parent)), np.zeros(len(parent))
    on_path = np.zeros(len(parent), dtype=np.bool_)
    bus = at
    while bus >= 0 and not of_rating:
        on_path[bus] = True
        bus = parent[bus]
    for k in range(1, len(order)):
        bus = order[k]
        gain_r[bus], gain_x[bus] = gain_r[parent[bus]], gain_x[parent[bus]]
        if of_rating and bus == at:
            gain_r[bus], gain_x[bus] = np.cos(side), np.sin(side)
        elif on_path[bus]:
            drop = 2.0 if feeder.to[edge[bus]] == bus else 2.0 * feeder.ratio[edge[bus]]
            gain_r[bus] += drop * feeder.r[edge[bus]]
            gain_x[bus] += drop * feeder.x[edge[bus]]
    return gain_r, gain_x


@compiled
def least_shed(
    feeder: Feeder, tree: Bools, root: int, p: Floats, q: Floats, sets: Ints, size: Floats, islands: bool
) -> Floats:
    """(S) lower bounds of the cost of shedding on a tree without infeed but that of some generators: a continuous
    knapsack for one limit of every part that hangs at the root, that which is missed most, where the load that relieves
    it most for its price is shed first.

    Args:
        sets: (S, M) buses of the generators; −1 for none, −2 for one that stands anywhere.
        size: active and reactive power of a generator, and the most that what it serves is worth.
        islands: whether generators may leave the tree, and serve islands of their own.

    Theory: docs/methods.md M28, M30.
    """
    order, parent, edge = walk(feeder, tree, root)
    n = len(p)
    w, p_in, q_in = flow(feeder, order, parent, edge, p, q)
    part, value = np.full(n, -1), np.zeros(n)
    at_most, missed = np.full((2, n), -1), np.full((2, n), KEPT)
    for k in range(1, len(order)):
        bus = order[k]
        part[bus] = bus if parent[bus] == root else part[parent[bus]]
        value[bus] = feeder.price[bus] * max(p[bus], 0.0)
        by = feeder.low[bus] - w[bus]
        if by > missed[0, part[bus]]:
            missed[0, part[bus]], at_most[0, part[bus]] = by, bus
        by = beyond(p_in[bus], q_in[bus], feeder.reach[edge[bus]])
        if by > missed[1, part[bus]]:
            missed[1, part[bus]], at_most[1, part[bus]] = by, bus
    for k in range(len(order) - 1, 0, -1):
        if parent[order[k]] != root:
            value[parent[order[k]]] += value[order[k]]
    total = np.zeros(len(sets))
    for head in range(n):
        if at_most[0, head] < 0 and at_most[1, head] < 0:
            continue
        worst = np.zeros(len(sets))
        for kind in range(2):
            at = at_most[kind, head]
            if at < 0:
                continue
            side = side_of(p_in[at], q_in[at])
            gain_r, gain_x = shares_in_limit(feeder, order, parent, edge, at, side, kind == 1)
            gains, costs = by_worth(feeder, order, p, q, gain_r, gain_x)
            relief = np.abs(gain_r) * size[0] + np.abs(gain_x) * size[1]
            beyond_it = np.full(n, np.inf)  # value of all that hangs where the path of a bus leaves that of the limit
            on_path = np.zeros(n, dtype=np.bool_)
            bus = at
            while bus >= 0:
                on_path[bus] = True
                bus = parent[bus]
            for k in range(1, len(order)):
                bus = order[k]
                if kind == 0 and part[bus] == head and bus != root:
                    beyond_it[bus] = value[bus] if on_path[bus] else beyond_it[parent[bus]]
            for s in range(len(sets)):
                number, off, alone = 0, 0.0, np.inf
                for bus in sets[s]:
                    if bus == -2 or (bus >= 0 and part[bus] == head):
                        number += 1
                        off += relief[at] if bus == -2 or kind == 1 else relief[bus]
                        alone = min(alone, np.inf if bus == -2 else beyond_it[bus])
                cost = of_knapsack(missed[kind, head] - off, gains, costs)
                if islands and alone - number * size[2] < cost:
                    least = of_knapsack(missed[kind, head] - number * relief[at], gains, costs)
                    cost = min(cost, max(alone - number * size[2], least))
                worst[s] = max(worst[s], cost)
        total += worst
    return total


@compiled
def by_worth(
    feeder: Feeder, order: Ints, p: Floats, q: Floats, gain_r: Floats, gain_x: Floats
) -> tuple[Floats, Floats]:
    """The loads by what they relieve a limit for their price, the best first, summed up from 0: relief and cost."""
    n = len(p)
    gain, each = np.zeros(n), np.zeros(n)
    for k in range(1, len(order)):
        bus = order[k]
        if p[bus] > 0.0:
            gain[bus] = max(gain_r[bus] * p[bus] + gain_x[bus] * q[bus], 0.0)
            each[bus] = gain[bus] / (feeder.price[bus] * p[bus] + 1e-12)
    gains, costs, count = np.zeros(n + 1), np.zeros(n + 1), 0
    for bus in np.argsort(-each):
        if gain[bus] <= 0.0:
            break
        gains[count + 1] = gains[count] + gain[bus]
        costs[count + 1] = costs[count] + feeder.price[bus] * p[bus]
        count += 1
    return gains[: count + 1], costs[: count + 1]


@compiled
def of_knapsack(wanted: float, gains: Floats, costs: Floats) -> float:
    """The least cost of so much relief, of all that there is where it does not suffice."""
    if wanted <= 0.0:
        return 0.0
    after = int(np.searchsorted(gains, wanted))
    if after >= len(gains):
        return float(costs[-1])
    share = (wanted - gains[after - 1]) / (gains[after] - gains[after - 1])
    return float(costs[after - 1] + share * (costs[after] - costs[after - 1]))


@compiled
def least_shed_on_each(
    feeder: Feeder, live: Bools, opened: Ints, root: int, p: Floats, q: Floats, sets: Ints, size: Floats, islands: bool
) -> Floats:
    """(T, S) `least_shed` on the trees that leave these live branches open, (T, C)."""
    found = np.zeros((len(opened), len(sets)))
    for t in range(len(opened)):
        tree = live.copy()
        for e in opened[t]:
            if e >= 0:
                tree[e] = False
        found[t] = least_shed(feeder, tree, root, p, q, sets, size, islands)
    return found


@compiled
def spanning_trees(feeder: Feeder, live: Bools, root: int, p: Floats, q: Floats, most: int) -> tuple[Floats, Ints, int]:
    """The spanning trees of the live branches: a lower bound of the cost of shedding on each (T), the branches that it
    leaves open (T, C), −1 where there are none, and T; one more than `most` where there are more.

    Branches are left out one after the other, in rising order, as long as all buses hang together.
    """
    seen, _, _ = walk(feeder, spanned(feeder, live), root)
    branches = np.flatnonzero(live & ~feeder.fixed)
    loops = int(np.sum(live)) - len(seen) + 1
    bounds, opened = np.empty(most), np.empty((most, max(loops, 1)), dtype=np.int64)
    count, depth = 0, 0
    place, out = np.full(loops + 1, -1), np.full(loops + 1, -1)
    rest = live.copy()
    opened[:] = -1
    none, nothing = np.full((1, 1), -1), np.zeros(3)
    if loops == 0:
        bounds[0] = least_shed(feeder, rest, root, p, q, none, nothing, False)[0]
        return bounds[:1], opened[:1], 1
    while depth >= 0:
        if out[depth] >= 0:
            rest[out[depth]] = True
        out[depth] = -1
        place[depth] += 1
        if place[depth] >= len(branches):
            depth -= 1
            continue
        out[depth] = branches[place[depth]]
        rest[out[depth]] = False
        if np.sum(spanned(feeder, rest)) < len(seen) - 1:
            continue
        if depth < loops - 1:
            place[depth + 1] = place[depth]
            depth += 1
            continue
        if count == most:
            return bounds, opened, most + 1
        bounds[count] = least_shed(feeder, rest, root, p, q, none, nothing, False)[0]
        for k in range(loops):
            opened[count, k] = out[k]
        count += 1
    return bounds[:count], opened[:count], count


@compiled
def missed_limits(feeder: Feeder, tree: Bools, root: int, p: Floats, q: Floats) -> tuple[Floats, Floats, Floats]:
    """The limits that a tree misses where it serves all: by how much (L), and how much active and reactive power that a
    bus draws counts in them, (L, N) each."""
    order, parent, edge = walk(feeder, tree, root)
    n = len(p)
    w, p_in, q_in = flow(feeder, order, parent, edge, p, q)
    missed, active, reactive = np.zeros(2 * n), np.zeros((2 * n, n)), np.zeros((2 * n, n))
    count = 0
    for kind in range(2):
        for place in range(1, len(order)):
            at = order[place]
            side = side_of(p_in[at], q_in[at])
            by = beyond(p_in[at], q_in[at], feeder.reach[edge[at]]) if kind else feeder.low[at] - w[at]
            if by <= KEPT:
                continue
            active[count], reactive[count] = shares_in_limit(feeder, order, parent, edge, at, side, kind == 1)
            missed[count] = by
            count += 1
    return missed[:count], active[:count], reactive[:count]
