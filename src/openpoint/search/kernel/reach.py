"""Compiled: the voltages at the ends of one branch at whose far end at least some power arrives.

Let at least p, q, of either sign, arrive at the far end b of a branch a → b with r, x >= 0. With s² = max(p, 0)² +
max(q, 0)², every state has w_a >= f(w_b) = w_b + 2 (r p + x q) + |z|² s² / w_b, with equality where p, q >= 0 and just
these arrive. So w_b is at most the greater root of f(w_b) = w_a (`after`), which grows with w_a, at least as fast, and
falls with p and q; without a root there is no state. And if w_b is to be at least `low`, w_a must be at least
f(max(low, |z| s)), as f falls up to |z| s and rises from there (`before`). What leaves a is p + r l, q + x l with
l >= s² / w_b (`lost`). A rating below that forbids it. Ratios multiply w at either end of the impedance.

The arrays of the highest voltages that a node can have, and what its buses take at least.

The least power that parts without a source add where they hang on another part.

A part that takes less than nothing, D < 0, is a *giver*. Let H be parts that hang on a part, or beyond a bus of a part
with a source, in some completion. H consists of subtrees, each of which begins beside the part. To a giver k in H its
subtree has a path from where it begins, and what the parts on this path take, those that are no givers, hangs there,
too: at least d_k, the shortest such path from any part beside, with max(D, 0) as the weight of a part. So H takes at
least max_k d_k - Σ_k |D_k| over its givers, and with the givers in the order of d_k that is at least

    min_i { d_i - Σ_{d_k <= d_i} |D_k| },   or 0 without givers.

Each sum leaves losses out, which are at least 0.
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


@inlined
def ratios(model: Model, e: int, j: int) -> tuple[float, float]:
    """Squared voltage at the impedance per squared voltage of the bus, at the near end of a branch and at its end j."""
    if model.to[e] == j:
        return model.k_fr[e], model.k_to[e]
    return model.k_to[e], model.k_fr[e]


@inlined
def after(model: Model, e: int, j: int, w: float, p: float, q: float) -> float:
    """The highest squared voltage at the far end j of a branch; 0 where p, q cannot arrive there."""
    near, far = ratios(model, e, j)
    w *= near
    half = 0.5 * w - model.r[e] * p - model.x[e] * q
    rest = half * half - model.z2[e] * square(p, q)
    root: float = half + np.sqrt(rest) if half > 0.0 and rest >= 0.0 else 0.0
    return root if far == 1.0 else root / far


@inlined
def square(p: float, q: float) -> float:
    """The least p² + q² where at least p and q flow."""
    p, q = max(p, 0.0), max(q, 0.0)
    return p * p + q * q


@inlined
def before(model: Model, e: int, j: int, low: float, p: float, q: float) -> float:
    """The squared voltage needed at the near end of a branch to j; inf where its rating does not allow p, q."""
    near, far = ratios(model, e, j)
    flow = square(p, q)
    if flow > model.l_max[e] * far * model.w_max[j] * (1.0 + SAFE):
        return np.inf
    low = max(low * far, np.sqrt(model.z2[e] * flow))
    more: float = model.z2[e] * flow / low if low > 0.0 else 0.0
    needed: float = low + 2.0 * (model.r[e] * p + model.x[e] * q) + more
    return needed if near == 1.0 else needed / near


@inlined
def lost(model: Model, e: int, j: int, p: float, q: float) -> float:
    """Least squared current of a branch at whose end j at least p, q arrive."""
    _, far = ratios(model, e, j)
    least: float = square(p, q) / (far * model.w_max[j])
    return least


@inlined
def rise_of(model: Model, e: int, p: float, q: float) -> float:
    """How much the squared voltage rises at most along a branch at whose end at least p, q arrive."""
    most: float = 2.0 * (model.r[e] * max(-p, 0.0) + model.x[e] * max(-q, 0.0))
    return most


MOST_GIVERS = 12
"""Parts that feed in of which it is asked what hangs with them; where there are more, all may hang anywhere."""


@dataclass(frozen=True, eq=False)
class Reach(Table):
    """Arrays of the voltage bounds: data, memory and results of `openpoint.search.kernel.highest.reached`.

    Attributes:
        p, q: (N) the least that a bus takes at this node, closed branches that end there included. p_bus, q_bus: (N)
            the same without branches. low: (N) squared voltage below which limits are missed for sure.
        shunted: whether branches have admittances. feeds: whether a bus may take less than nothing.
        w: (N) the highest squared voltage. barred: (2 m) whether a branch is not fed from fr (2 e), from to (2 e + 1).
        order, edge, parent: (N) forest, roots first in their parts. part: (N) root of a part without a source; the bus
            itself in others. fed: (N) whether the bus is in a part with a source. size: (N) of the part, at its root.
        fresh: (N) whether `w` has risen since it was handed on.
        place: (N) of a bus in `order`.
        p_down, q_down: (N) what arrives at a bus from its parent. p_up, q_up: (N) at the parent from the bus; without
            what hangs there from other parts. p_tree, q_tree: (N) the same as down, of closed branches only.
        need: (N) what the bus must have if its parent feeds it. need_up: (N) the parent, if the bus feeds it.
        queue, number, above: (N + 1) breadth first; numbers of buses and parts, and their immediate dominators.
        p_more, q_more: (N + 1) what passes a bus or part on its way to others.
        p_whole, q_whole: (N) what a part without a source takes, at its root, without losses.
        p_spare, q_spare: (N) the least that hangs on the part of a bus, or beyond it if it is fed; never above 0.
        pool_p, pool_q: (1) all that parts without a source feed in, as a number that is not above 0. rise: (1) how much
            a squared voltage may rise on a path outside of the parts of the sources.
        giver: (MOST_GIVERS) parts that feed in. near: (MOST_GIVERS, N) what hangs with them at least. far: (N) memory.
    """

    p: Floats
    q: Floats
    p_bus: Floats
    q_bus: Floats
    low: Floats
    shunted: bool
    feeds: bool
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
    p_tree: Floats
    q_tree: Floats
    need: Floats
    need_up: Floats
    queue: Indices
    number: Indices
    above: Indices
    p_more: Floats
    q_more: Floats
    p_whole: Floats
    q_whole: Floats
    p_spare: Floats
    q_spare: Floats
    pool_p: Floats
    pool_q: Floats
    rise: Floats
    giver: Indices
    near: Floats
    far: Floats


def reach_of(model: Model, low: Floats) -> Reach:
    """Arrays for a model in which no output is to be chosen; `low`: (N) see `Reach`."""
    size, m = len(model.p), len(model.fr)
    p, q = _least(model.p, model.p_v, model.p_w, low, model), _least(model.q, model.q_v, model.q_w, low, model)
    shunted = any(part.any() for part in (model.g_fr, model.b_fr, model.g_to, model.b_to))
    floats = (
        *("w", "p_down", "q_down", "p_up", "q_up", "p_tree", "q_tree", "need", "need_up"),
        *("p_whole", "q_whole"),
    )
    numbers = ("order", "edge", "parent", "part", "size", "place")
    arrays: dict[str, Any] = {name: np.zeros(size) for name in (*floats, "p_spare", "q_spare", "far")}
    arrays |= {name: np.zeros(size, dtype=np.int32) for name in numbers}
    arrays |= {name: np.zeros(size + 1, dtype=np.int32) for name in ("queue", "number", "above")}
    arrays |= {name: np.zeros(size + 1) for name in ("p_more", "q_more")}
    arrays |= {name: np.zeros(1) for name in ("pool_p", "pool_q", "rise")}
    arrays |= {name: np.zeros(size, dtype=np.int8) for name in ("fed", "fresh")}
    feeds = shunted or min(p[: model.n].min(), q[: model.n].min()) < 0.0
    return Reach(
        p=p,
        q=q,
        p_bus=p.copy(),
        q_bus=q.copy(),
        low=low,
        shunted=bool(shunted),
        feeds=bool(feeds),
        barred=np.zeros(2 * m, dtype=np.int8),
        giver=np.zeros(MOST_GIVERS, dtype=np.int32),
        near=np.zeros((MOST_GIVERS, size)),
        **arrays,
    )


def _least(power: Floats, current: Floats, steady: Floats, low: Floats, model: Model) -> Floats:
    """(N) the least that buses take at any voltage from `low` to the greatest."""
    w = np.where(steady >= 0.0, low, model.w_max)
    v = np.sqrt(np.where(current >= 0.0, low, model.w_max))
    least: Floats = power + current * v + steady * w
    return least


@inlined
def take(model: Model, work: Work, reach: Reach) -> None:
    """Write what buses take at least, with admittances of closed branches, and of undecided ones where that is less."""
    for j in range(model.n):
        reach.p[j] = reach.p_bus[j]
        reach.q[j] = reach.q_bus[j]
    for e in range(len(work.status)):
        status = work.status[e]
        if status == OPEN:
            continue
        for side in range(2):
            j = model.fr[e] if side == 0 else model.to[e]
            k = model.k_fr[e] if side == 0 else model.k_to[e]
            if j >= model.n:
                continue
            g = model.g_fr[e] if side == 0 else model.g_to[e]
            b = -model.b_fr[e] if side == 0 else -model.b_to[e]
            p = g * k * (reach.low[j] if g >= 0.0 else model.w_max[j])
            q = b * k * (reach.low[j] if b >= 0.0 else model.w_max[j])
            reach.p[j] += p if status == CLOSED else min(p, 0.0)
            reach.q[j] += q if status == CLOSED else min(q, 0.0)


@inlined
def hanging(model: Model, work: Work, reach: Reach, taken: Floats, whole: Floats, spare: Floats) -> float:
    """Write what parts take to `whole` and what hangs on them, or beyond fed buses, to `spare`.

    Args:
        taken: (N) the least that buses take.

    Returns:
        what all givers take, a number that is not above 0.
    """
    n, givers, pool = model.n, 0, 0.0
    for j in range(n):
        whole[j] = spare[j] = 0.0
    for j in range(n):
        if not reach.fed[j]:
            whole[reach.part[j]] += taken[j]
    if not reach.feeds:
        return 0.0
    for j in range(n):
        if whole[j] < 0.0:  # at roots only
            if givers < MOST_GIVERS:
                reach.giver[givers] = j
            givers += 1
            pool += whole[j]
    if givers == 0:
        return 0.0
    if givers > MOST_GIVERS:
        for j in range(n):
            spare[j] = pool if reach.fed[j] else pool - min(whole[reach.part[j]], 0.0)
        return pool
    for k in range(givers):
        distances(model, work, reach, k, whole)
    for j in range(n):
        least = 0.0
        for i in range(givers):
            reached = reach.near[i, reach.part[j]]
            if reached == np.inf:
                continue
            value = reached
            for k in range(givers):
                if reach.near[k, reach.part[j]] <= reached:
                    value += whole[reach.giver[k]]
            least = min(least, value)
        spare[j] = least
    return pool


@inlined
def distances(model: Model, work: Work, reach: Reach, k: int, whole: Floats) -> None:
    """Write what the parts take that hang with a giver: on each part, at its root, and beyond each fed bus."""
    n, size, far, giver = model.n, len(reach.order), reach.far, reach.giver[k]
    for j in range(size):
        far[j] = np.inf
        reach.near[k, j] = np.inf
        reach.fresh[j] = 0
    far[giver] = 0.0
    reach.fresh[giver] = 1
    shorter = True
    while shorter:
        shorter = False
        for first in range(n):
            if not reach.fresh[first]:
                continue
            reach.fresh[first] = 0
            for position in range(reach.place[first], reach.place[first] + reach.size[first]):
                a = reach.order[position]
                for place in range(model.start[a], model.start[a + 1]):
                    j = model.neighbour[place]
                    if work.status[model.via[place]] != UNDECIDED or reach.part[j] == first:
                        continue
                    at = reach.part[j]  # the bus itself where it is fed
                    if at != giver:
                        reach.near[k, at] = min(reach.near[k, at], far[first])
                    if j >= n or reach.fed[j]:
                        continue
                    value = far[first] + max(whole[at], 0.0)
                    if value < far[at]:
                        far[at] = value
                        reach.fresh[at] = 1
                        shorter = True
    for position in range(size - 1, -1, -1):
        j = reach.order[position]
        if j < n and reach.fed[j] and reach.edge[j] >= 0:
            i = reach.parent[j]
            reach.near[k, i] = min(reach.near[k, i], reach.near[k, j])
