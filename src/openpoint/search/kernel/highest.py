"""Compiled: the highest voltages that any completion of a node can have.

The bound of the loss does not depend on voltage limits of buses that no closed branches connect to a source. The
bounds here do, and use neither multipliers nor the loss. Let every bus take at least p, q, of either sign, all r, x be
at least 0, and no output be to be chosen. The states meant keep all limits, so that w is at most `w_max` everywhere.
A branch a → b is directed away from the source. What arrives at b is what is taken there and beyond, and losses there,
which are at least 0.

1. *One branch*: see `openpoint.search.kernel.reach`.
2. *Parts.* Closed branches form a forest. In a part with a source all directions are known. A part without one is fed
   through a single undecided branch, entirely: at least all that it takes arrives there, and inside, a closed branch
   a → b carries at least what is on the side of b. What must be there for the part to keep its limits is known for
   every bus at which it may be fed (`need`). Parts that hang on a part add at least `spare_p`, `spare_q`, which are
   negative where parts may hang there that feed in (`openpoint.search.kernel.reach`).
3. *Dominators.* If all paths from the sources to a part pass a bus, or another part, all power of the part passes
   there too, in every completion (immediate dominators as of Cooper, Harvey, Kennedy 2001). Of dominated parts what
   they take counts, and all that parts feed in counts once (`pool`).
4. Upper bounds of w are longest paths from the sources with `after` along branches. A branch into a part is used in
   that direction only if the voltage behind it is at least what the part needs there; otherwise the direction is
   *barred*. With barred directions there are fewer paths, so 3 and 4 are repeated until no more directions are barred.
   Where less than nothing may arrive, the voltage may rise, and walks round a circle would rise without end. A path
   enters each part without a source once: all such rises together (`rise`) are added where the path leaves the part
   of the source, and none later. As `after` grows at least as fast as w_a, that is at least as much.

A node is infeasible if the bound of a bus is below its lower limit, and a branch barred in both directions must open.
On a full tree the bounds differ from the exact voltages by a term of second order in the losses.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, Work
from openpoint.search.kernel.forest import reach_from
from openpoint.search.kernel.reach import (
    SAFE,
    Reach,
    after,
    before,
    hanging,
    lost,
    ratios,
    reach_of,
    rise_of,
    square,
    take,
)


def reach_for(model: Model) -> Reach | None:
    """Arrays for a model; None where outputs or devices may be chosen, or there are no lower voltage limits."""
    low = model.w_min * (1.0 - SAFE)
    chosen = model.dispatchable or model.devices
    if chosen or not np.any(low[: model.n] > 0.0) or min(model.r.min(), model.x.min()) < 0.0:
        return None
    return reach_of(model, low)


@inlined
def trees(model: Model, work: Work, reach: Reach) -> None:
    """The forest of the closed branches, parts one after the other, those with sources first."""
    n, order, edge, parent = model.n, reach.order, reach.edge, reach.parent
    for bus in range(len(order)):
        edge[bus] = -2
    count = 0
    for k in range(len(order)):
        first = len(order) - 1 - k  # sources have the greatest numbers
        if edge[first] != -2:
            continue
        head = count
        edge[first] = -1
        parent[first] = -1
        order[count] = first
        count += 1
        begin = head
        while head < count:
            above = order[head]
            reach.place[above] = head
            reach.fed[above] = first >= n
            reach.part[above] = above if first >= n else first
            count = reach_from(model, work, above, order, edge, parent, count)
            head += 1
        reach.size[first] = count - begin


@inlined
def sums(model: Model, reach: Reach) -> None:
    """Least power that arrives at the ends of closed branches, and the voltage needed there.

    In parts without a source both directions are computed.
    """
    size = len(reach.order)
    for j in range(size):
        reach.p_down[j] = reach.p[j]
        reach.q_down[j] = reach.q[j]
        reach.need[j] = reach.low[j]
    for k in range(size - 1, -1, -1):
        j = reach.order[k]
        e, i = reach.edge[j], reach.parent[j]
        if e >= 0:
            p, q = reach.p_down[j] + reach.p_spare[j], reach.q_down[j] + reach.q_spare[j]
            reach.need[i] = max(reach.need[i], before(model, e, j, reach.need[j], p, q))
            l = lost(model, e, j, p, q)
            reach.p_down[i] += reach.p_down[j] + model.r[e] * l
            reach.q_down[i] += reach.q_down[j] + model.x[e] * l
    for k in range(size):
        j = reach.order[k]
        e, i = reach.edge[j], reach.parent[j]
        reach.p_tree[j] = reach.p_down[j]
        reach.q_tree[j] = reach.q_down[j]
        if e < 0 or reach.fed[j]:
            continue
        p, q = reach.p_down[j], reach.q_down[j]
        l = lost(model, e, j, p + reach.p_spare[j], q + reach.q_spare[j])
        p, q = reach.p_down[i] - p - model.r[e] * l, reach.q_down[i] - q - model.x[e] * l
        need = reach.low[i]
        if reach.edge[i] >= 0:
            p_up, q_up = from_above(model, reach, i)
            p += p_up
            q += q_up
            need = max(need, over(model, reach, i))
        for a in range(model.start[i], model.start[i + 1]):
            other = model.neighbour[a]
            if other != j and reach.edge[other] == model.via[a] and reach.parent[other] == i:
                p_down, q_down = reach.p_down[other] + reach.p_spare[i], reach.q_down[other] + reach.q_spare[i]
                need = max(need, before(model, model.via[a], other, reach.need[other], p_down, q_down))
        reach.p_up[j] = p if reach.feeds else max(p, 0.0)
        reach.q_up[j] = q if reach.feeds else max(q, 0.0)
        reach.need_up[j] = need


@inlined
def from_above(model: Model, reach: Reach, j: int) -> tuple[float, float]:
    """Least power that a bus of a part without a source sends to its parent, without what hangs there."""
    e, p, q = reach.edge[j], reach.p_up[j], reach.q_up[j]
    l = lost(model, e, reach.parent[j], p + reach.p_spare[j], q + reach.q_spare[j])
    return p + model.r[e] * l, q + model.x[e] * l


@inlined
def over(model: Model, reach: Reach, j: int) -> float:
    """The squared voltage that a bus needs to feed its parent."""
    p, q = reach.p_up[j] + reach.p_spare[j], reach.q_up[j] + reach.q_spare[j]
    return before(model, reach.edge[j], reach.parent[j], reach.need_up[j], p, q)


@inlined
def usable(model: Model, work: Work, reach: Reach, e: int, a: int) -> bool:
    """Whether an undecided branch may feed the part at its other end from a."""
    side = 0 if model.fr[e] == a else 1
    j = model.to[e] if side == 0 else model.fr[e]
    return (
        work.status[e] == UNDECIDED
        and not reach.barred[2 * e + side]
        and not (j >= model.n or reach.fed[j])
        and reach.part[a] != reach.part[j]
    )


@inlined
def dominate(model: Model, work: Work, reach: Reach) -> bool:
    """Least power that passes through every bus and part, by dominators; False where one is disconnected."""
    n, size, above, number, queue = model.n, len(reach.order), reach.above, reach.number, reach.queue
    for j in range(size + 1):
        number[j] = -1
        reach.p_more[j] = 0.0
        reach.q_more[j] = 0.0
    number[size] = 0  # of all sources
    count = 0
    for k in range(size):
        j = reach.order[k]
        if reach.fed[j]:
            queue[count] = j
            count += 1
            number[j] = count
            above[j] = reach.parent[j] if reach.edge[j] >= 0 else size
    again, first, back = True, True, False
    while again:
        again = False
        head = 0
        while head < count:
            a = queue[count - 1 - head] if back else queue[head]
            head += 1
            bus = min(a, n)
            for k in range(model.start[bus], model.start[bus + 1]):
                e = model.via[k]
                if (bus == n and model.fr[e] != a and model.to[e] != a) or not usable(model, work, reach, e, a):
                    continue
                i, j = reach.part[a], reach.part[model.neighbour[k]]
                if first and number[j] < 0:
                    above[j] = i
                    number[j] = count + 1
                    for position in range(reach.place[j], reach.place[j] + reach.size[j]):
                        queue[count] = reach.order[position]
                        count += 1
                    continue
                one = above[j]
                while one != i:
                    if number[one] > number[i]:
                        one = above[one]
                    else:
                        i = above[i]
                if one != above[j]:
                    above[j] = one
                    again = True
        again |= first
        first = False
        back = not back
    if count < size:
        return False
    for k in range(size - 1, -1, -1):
        j = queue[k]
        if j >= n or reach.part[j] != j:
            continue
        p, q = reach.p_more[j], reach.q_more[j]
        if reach.fed[j]:
            p += reach.p[j]
            q += reach.q[j]
            reach.p_down[j] = p
            reach.q_down[j] = q
            e = reach.edge[j]
            l = lost(model, e, j, *arriving(reach, j))
            p += model.r[e] * l
            q += model.x[e] * l
        else:  # the losses inside depend on where the part is fed
            p += max(reach.p_whole[j], 0.0)
            q += max(reach.q_whole[j], 0.0)
        reach.p_more[above[j]] += p
        reach.q_more[above[j]] += q
    return True


@inlined
def arriving(reach: Reach, j: int) -> tuple[float, float]:
    """Least power that arrives at a fed bus from its parent."""
    p = max(reach.p_down[j] + reach.pool_p[0], reach.p_tree[j] + reach.p_spare[j])
    return p, max(reach.q_down[j] + reach.pool_q[0], reach.q_tree[j] + reach.q_spare[j])


@inlined
def entering(model: Model, reach: Reach, j: int) -> tuple[float, float, float]:
    """Least power that arrives at a bus if its part, which has no source, is fed there, and the voltage needed."""
    p, q, need, first = reach.p_down[j], reach.q_down[j], reach.need[j], reach.part[j]
    if reach.edge[j] >= 0:
        p_up, q_up = from_above(model, reach, j)
        p += p_up
        q += q_up
        need = max(need, over(model, reach, j))
    others_p, others_q = (
        reach.pool_p[0] - min(reach.p_whole[first], 0.0),
        reach.pool_q[0] - min(reach.q_whole[first], 0.0),
    )
    p += max(reach.p_more[first] + others_p, reach.p_spare[j])
    q += max(reach.q_more[first] + others_q, reach.q_spare[j])
    return p, q, need


@inlined
def along(model: Model, work: Work, reach: Reach, a: int, e: int, j: int) -> float:
    """The highest squared voltage at j if the branch feeds it from a; 0 where that is too low for the part of j."""
    w_max, need, rise, w = model.w_max[j], 0.0, 0.0, reach.w[a]
    limit = model.l_max[e] * ratios(model, e, j)[1] * w_max * (1.0 + SAFE)
    if work.status[e] == CLOSED:
        if reach.fed[j]:
            p, q = arriving(reach, j)
        elif reach.edge[j] == e:
            p, q = reach.p_down[j] + reach.p_spare[j], reach.q_down[j] + reach.q_spare[j]
        else:
            p, q = reach.p_up[a] + reach.p_spare[a], reach.q_up[a] + reach.q_spare[a]
    else:
        p, q, need = entering(model, reach, j)
    if square(p, q) > limit:
        return 0.0
    if not reach.fed[j]:
        rise = reach.rise[0]
        w += rise if reach.fed[a] else 0.0
        p, q = max(p, 0.0), max(q, 0.0)
    w = after(model, e, j, w, p, q)
    if not reach.fed[j] and model.k_fr[e] != model.k_to[e] and w > 0.0:
        w = w_max + rise
    w = min(w, w_max + rise)
    return w if min(w, w_max) >= need * (1.0 - SAFE) else 0.0


@inlined
def rises(model: Model, work: Work, reach: Reach) -> float:
    """How much a squared voltage may rise at most on a path outside of the parts of the sources."""
    n, total = model.n, 0.0
    for first in range(n):
        if reach.fed[first] or reach.part[first] != first:
            continue
        most = 0.0
        for position in range(reach.place[first], reach.place[first] + reach.size[first]):
            j = reach.order[position]
            p, q, _ = entering(model, reach, j)
            for k in range(model.start[j], model.start[j + 1]):
                if p < 0.0 or q < 0.0:
                    e, a = model.via[k], model.neighbour[k]
                    a = a if a < n else (model.fr[e] if model.fr[e] >= n else model.to[e])
                    if usable(model, work, reach, e, a):
                        most = max(most, rise_of(model, e, p, q))
            e = reach.edge[j]
            if e >= 0:
                down = rise_of(model, e, reach.p_down[j] + reach.p_spare[j], reach.q_down[j] + reach.q_spare[j])
                up = rise_of(model, e, reach.p_up[j] + reach.p_spare[j], reach.q_up[j] + reach.q_spare[j])
                total += max(down, up)
        total += most
    return total


@inlined
def reached(model: Model, work: Work, reach: Reach) -> float:
    """Upper bound of the least margin of squared voltages to their lower limits; -1: no completion keeps them all.

    Requires the consequences of `propagate`. Writes `w` and `barred` to `reach`.
    """
    n, size, w = model.n, len(reach.order), reach.w
    if reach.shunted:
        take(model, work, reach)
    trees(model, work, reach)
    reach.pool_p[0] = hanging(model, work, reach, reach.p, reach.p_whole, reach.p_spare)
    reach.pool_q[0] = hanging(model, work, reach, reach.q, reach.q_whole, reach.q_spare)
    sums(model, reach)
    for a in range(len(reach.barred)):
        reach.barred[a] = 0
    again = True
    while again:
        again = False
        if not dominate(model, work, reach):
            return -1.0
        reach.rise[0] = rises(model, work, reach) if reach.feeds else 0.0
        for j in range(size):
            w[j] = model.w_max[j] if j >= n else 0.0
            reach.fresh[j] = j >= n
        higher = True
        while higher:
            higher = False
            for position in range(size):
                a = reach.queue[position]
                if not reach.fresh[a]:
                    continue
                reach.fresh[a] = False
                bus = min(a, n)
                for k in range(model.start[bus], model.start[bus + 1]):
                    e, j = model.via[k], model.neighbour[k]
                    if work.status[e] == OPEN or j >= n or (bus == n and model.fr[e] != a and model.to[e] != a):
                        continue
                    if work.status[e] == CLOSED:
                        if e == reach.edge[a] and reach.fed[a]:
                            continue
                    elif not usable(model, work, reach, e, a):
                        continue
                    value = along(model, work, reach, a, e, j)
                    if value > w[j]:
                        w[j] = value
                        reach.fresh[j] = True
                        higher = True
        for e in range(len(work.status)):
            for side in range(2):
                a, j = (model.fr[e], model.to[e]) if side == 0 else (model.to[e], model.fr[e])
                if usable(model, work, reach, e, a) and along(model, work, reach, a, e, j) == 0.0:
                    reach.barred[2 * e + side] = 1
                    again = True
        for j in range(n):
            w[j] = min(w[j], model.w_max[j])
            if w[j] < reach.low[j]:
                return -1.0
    slack = np.inf
    for j in range(n):
        slack = min(slack, w[j] - reach.low[j])
    return slack
