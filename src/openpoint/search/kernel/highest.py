"""Compiled: the highest voltages that any completion of a node can have, where all buses only take power.

The bound of the loss does not depend on voltage limits of buses that no closed branches connect to a source. The
bounds here do, and use neither multipliers nor the loss. Let every bus draw at least P, Q >= 0, all r, x >= 0, without
shunts, ratios or dispatchable generators. Power then flows from the sources outwards on every branch.

1. *One branch*, a → b, at whose end at least p, q arrive: with s² = p² + q², w_a = f(w_b) = w_b + 2 (r p + x q) +
   |z|² s² / w_b in a state in which just that arrives, and more in any other. So w_b is at most the greater root of
   f(w_b) = w_a (`after`), which grows with w_a and falls with p and q; without a root there is no state. And if w_b is
   to be at least `low`, w_a must be at least f(max(low, |z| s)), as f falls up to |z| s and rises from there
   (`before`). What leaves a is p + r l, q + x l with l >= s² / w_max (`sent`). A rating below that forbids it.
2. *Parts.* Closed branches form a forest. In a part with a source all directions are known. A part without one is fed
   through a single undecided branch, entirely: at least all that it takes arrives there, and inside, a closed branch
   a → b carries at least what is on the side of b. What must be there for the part to keep its limits is known for
   every bus at which it may be fed (`need`).
3. *Dominators.* If all paths from the sources to a part pass a bus, or another part, all power of the part passes
   there too, in every completion (immediate dominators as of Cooper, Harvey, Kennedy 2001).
4. Upper bounds of w are longest paths from the sources with `after` along branches. A branch into a part is used in
   that direction only if the voltage behind it is at least what the part needs there; otherwise the direction is
   *barred*. With barred directions there are fewer paths, so 3 and 4 are repeated until no more directions are barred.

A node is infeasible if the bound of a bus is below its lower limit, and a branch barred in both directions must open.
On a full tree the bounds differ from the exact voltages by a term of second order in the losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Floats, Indices, States
from openpoint.compiled.jit import inlined
from openpoint.compiled.table import Table
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, Work

SAFE = 1e-9
"""Relative margin of limits, for rounding."""


@dataclass(frozen=True, eq=False)
class Reach(Table):
    """Arrays of the voltage bounds: data, memory and results of `reached`.

    Attributes:
        p, q: (N) the least that a bus takes. low: (N) squared voltage below which limits are missed for sure.
        w: (N) the highest squared voltage. barred: (2 m) whether a branch is not fed from fr (2 e), from to (2 e + 1).
        order, edge, parent: (N) forest, roots first in their parts. part: (N) root of a part without a source; the bus
            itself in others. fed: (N) whether the bus is in a part with a source. size: (N) of the part, at its root.
        fresh: (N) whether `w` has risen since it was handed on.
        place: (N) of a bus in `order`.
        p_down, q_down: (N) what arrives at a bus from its parent. p_up, q_up: (N) at the parent from the bus.
        need: (N) what the bus must have if its parent feeds it. need_up: (N) the parent, if the bus feeds it.
        queue, number, above: (N + 1) breadth first; numbers of buses and parts, and their immediate dominators.
        p_more, q_more: (N + 1) what passes a bus or part on its way to others.
    """

    p: Floats
    q: Floats
    low: Floats
    w: Floats
    barred: States
    order: Indices
    edge: Indices
    parent: Indices
    part: Indices
    fed: States
    fresh: States
    size: Indices
    place: Indices
    p_down: Floats
    q_down: Floats
    p_up: Floats
    q_up: Floats
    need: Floats
    need_up: Floats
    queue: Indices
    number: Indices
    above: Indices
    p_more: Floats
    q_more: Floats


def reach_for(model: Model) -> Reach | None:
    """Arrays for a model; None where power may flow towards a source, or there are no lower voltage limits."""
    size, m = len(model.p), len(model.fr)
    low = model.w_min * (1.0 - SAFE)
    v = np.sqrt(low)
    p, q = model.p + model.p_v * v + model.p_w * low, model.q + model.q_v * v + model.q_w * low
    taken = np.stack([model.p, model.q, model.p_v, model.q_v, model.p_w, model.q_w])[:, : model.n]
    ratios = np.any(model.k_fr != 1.0) or np.any(model.k_to != 1.0)
    shunts = any(part.any() for part in (model.g_fr, model.b_fr, model.g_to, model.b_to))
    if model.dispatchable or model.devices or shunts or ratios or not np.any(low[: model.n] > 0.0):
        return None
    if min(taken.min(), model.r.min(), model.x.min()) < 0.0:
        return None
    floats = ("w", "p_down", "q_down", "p_up", "q_up", "need", "need_up")
    numbers = ("order", "edge", "parent", "part", "size", "place")
    arrays: dict[str, Any] = {name: np.zeros(size) for name in floats}
    arrays |= {name: np.zeros(size, dtype=np.int32) for name in numbers}
    arrays |= {name: np.zeros(size + 1, dtype=np.int32) for name in ("queue", "number", "above")}
    arrays |= {
        "fed": np.zeros(size, dtype=np.int8),
        "fresh": np.zeros(size, dtype=np.int8),
        "barred": np.zeros(2 * m, dtype=np.int8),
    }
    return Reach(p=p, q=q, low=low, p_more=np.zeros(size + 1), q_more=np.zeros(size + 1), **arrays)


@inlined
def after(model: Model, e: int, w: float, p: float, q: float) -> float:
    """The highest squared voltage at the far end of a branch; 0 where p, q cannot arrive there."""
    half = 0.5 * w - model.r[e] * p - model.x[e] * q
    rest = half * half - model.z2[e] * (p * p + q * q)
    root: float = half + np.sqrt(rest) if half > 0.0 and rest >= 0.0 else 0.0
    return root


@inlined
def before(model: Model, e: int, low: float, p: float, q: float, w_max: float) -> float:
    """The squared voltage needed at the near end of a branch; inf where its rating does not allow p, q."""
    square = p * p + q * q
    if square > model.l_max[e] * w_max * (1.0 + SAFE):
        return np.inf
    if square == 0.0:
        return low
    low = max(low, np.sqrt(model.z2[e] * square))
    more: float = model.z2[e] * square / low if low > 0.0 else 0.0
    needed: float = low + 2.0 * (model.r[e] * p + model.x[e] * q) + more
    return needed


@inlined
def sent(model: Model, e: int, p: float, q: float, w_max: float) -> tuple[float, float]:
    """Least power that enters a branch so that p, q arrive at its far end."""
    l = (p * p + q * q) / w_max
    return p + model.r[e] * l, q + model.x[e] * l


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
            bus = min(above, n)
            for a in range(model.start[bus], model.start[bus + 1]):
                e = model.via[a]
                ours = bus < n or model.fr[e] == above or model.to[e] == above  # not another source's branch
                if work.status[e] == CLOSED and e != edge[above] and ours:
                    other = model.neighbour[a]
                    order[count] = other
                    edge[other] = e
                    parent[other] = above
                    count += 1
            head += 1
        reach.size[first] = count - begin


@inlined
def sums(model: Model, reach: Reach) -> None:
    """Least power that arrives at the ends of closed branches, and the voltage needed there.

    In parts without a source both directions are computed.
    """
    size, w_max = len(reach.order), model.w_max
    for j in range(size):
        reach.p_down[j] = reach.p[j]
        reach.q_down[j] = reach.q[j]
        reach.need[j] = reach.low[j]
    for k in range(size - 1, -1, -1):
        j = reach.order[k]
        e, i = reach.edge[j], reach.parent[j]
        if e >= 0:
            p, q = reach.p_down[j], reach.q_down[j]
            reach.need[i] = max(reach.need[i], before(model, e, reach.need[j], p, q, w_max[j]))
            p, q = sent(model, e, p, q, w_max[j])
            reach.p_down[i] += p
            reach.q_down[i] += q
    for k in range(size):
        j = reach.order[k]
        e, i = reach.edge[j], reach.parent[j]
        if e < 0 or reach.fed[j]:
            continue
        p, q = sent(model, e, reach.p_down[j], reach.q_down[j], w_max[j])
        p, q = reach.p_down[i] - p, reach.q_down[i] - q
        need = reach.low[i]
        if reach.edge[i] >= 0:
            p_up, q_up = sent(model, reach.edge[i], reach.p_up[i], reach.q_up[i], w_max[reach.parent[i]])
            p += p_up
            q += q_up
            need = max(need, over(model, reach, i))
        for a in range(model.start[i], model.start[i + 1]):
            other = model.neighbour[a]
            if other != j and reach.edge[other] == model.via[a] and reach.parent[other] == i:
                more = before(
                    model, model.via[a], reach.need[other], reach.p_down[other], reach.q_down[other], w_max[other]
                )
                need = max(need, more)
        reach.p_up[j] = max(p, 0.0)
        reach.q_up[j] = max(q, 0.0)
        reach.need_up[j] = need


@inlined
def over(model: Model, reach: Reach, j: int) -> float:
    """The squared voltage that a bus needs to feed its parent."""
    i = reach.parent[j]
    return before(model, reach.edge[j], reach.need_up[j], reach.p_up[j], reach.q_up[j], model.w_max[i])


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
        if reach.fed[j]:
            reach.p_down[j] = reach.p[j] + reach.p_more[j]
            reach.q_down[j] = reach.q[j] + reach.q_more[j]
            p, q = sent(model, reach.edge[j], reach.p_down[j], reach.q_down[j], model.w_max[j])
        else:
            p, q = reach.p_more[j], reach.q_more[j]
            for position in range(reach.place[j], reach.place[j] + reach.size[j]):
                p += reach.p[reach.order[position]]  # the losses inside depend on where the part is fed
                q += reach.q[reach.order[position]]
        reach.p_more[above[j]] += p
        reach.q_more[above[j]] += q
    return True


@inlined
def along(model: Model, work: Work, reach: Reach, a: int, e: int, j: int) -> float:
    """The highest squared voltage at j if the branch feeds it from a; 0 where that is too low for the part of j."""
    w_max = model.w_max[j]
    if work.status[e] == CLOSED:
        down = reach.edge[j] == e
        p, q = (reach.p_down[j], reach.q_down[j]) if down else (reach.p_up[a], reach.q_up[a])
        need = 0.0 if p * p + q * q <= model.l_max[e] * w_max * (1.0 + SAFE) else np.inf
    else:
        p, q, need = reach.p_down[j], reach.q_down[j], reach.need[j]
        if reach.edge[j] >= 0:
            p_up, q_up = sent(model, reach.edge[j], reach.p_up[j], reach.q_up[j], model.w_max[reach.parent[j]])
            p += p_up
            q += q_up
            need = max(need, over(model, reach, j))
        p += reach.p_more[reach.part[j]]
        q += reach.q_more[reach.part[j]]
        if p * p + q * q > model.l_max[e] * w_max * (1.0 + SAFE):
            need = np.inf
    w = after(model, e, reach.w[a], p, q)
    return w if w >= need * (1.0 - SAFE) else 0.0


@inlined
def reached(model: Model, work: Work, reach: Reach) -> float:
    """Upper bound of the least margin of squared voltages to their lower limits; -1: no completion keeps them all.

    Requires the consequences of `propagate`. Writes `w` and `barred` to `reach`.
    """
    n, size, w = model.n, len(reach.order), reach.w
    trees(model, work, reach)
    sums(model, reach)
    for a in range(len(reach.barred)):
        reach.barred[a] = 0
    again = True
    while again:
        again = False
        if not dominate(model, work, reach):
            return -1.0
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
            if w[j] < reach.low[j]:
                return -1.0
    slack = np.inf
    for j in range(n):
        slack = min(slack, w[j] - reach.low[j])
    return slack
