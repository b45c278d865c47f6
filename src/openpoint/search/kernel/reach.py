"""The arrays of the highest voltages that a node can have, and what its buses take at least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Floats, Indices, States
from openpoint.compiled.jit import inlined
from openpoint.compiled.table import Table
from openpoint.search.kernel.arrays import CLOSED, OPEN, Model, Work

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
