"""Compiled: the path bound, a lower bound of the loss of all completions of a node, for any multipliers >= 0.

**The bound.** Every radial state takes one state for each path: open at one of its branches, or closed with power
running forth or back. The closed paths, directed by their power, are a spanning arborescence of the junctions with the
sources as its root. The loss is that within the paths and in dangling trees, and at every junction what arrives is its
load and what leaves. With y, μ for these balances (0 at the sources), adding them, which are all zero, to the loss
gives a sum over junctions and paths:

    loss = Σ_j (P_j y_j + Q_j μ_j) + loss of dangling trees at junctions and sources + Σ_k cost_k
    open: (1 + y_u) p_u + μ_u q_u + (1 + y_v) p_v + μ_v q_v − load     p_u, p_v: drawn by both stubs
    closed, u to v: (1 + y_u) p + μ_u q − (1 + y_v) f − μ_v g − load   p, q: sent; f, g: what arrives

where `load` is the load within the path, so that the loss of dangling trees there counts as loss of the path. Prices of
closed branches are added to its cost. With y, μ >= 0 every power drawn may be replaced by a lower bound
(`openpoint.search.paths.sweeps`). That of a closed path is convex in f and g, and the least cost with f, g at or above
their least values has a closed form. With V_k the least cost of path k open and D that of its arcs,

    loss >= Σ_j (P_j y_j + Q_j μ_j) + loss of dangling trees + Σ_k V_k + least Σ (D − V) over spanning arborescences

The right side is a minimum over all combinations of states that form an arborescence, of which each completion is one.
A path that must be closed has a large V, which is counted and taken back; where no arborescence has all of these, the
node has no completion or the bound is smaller than it could be.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import Model
from openpoint.search.paths.arborescence import arborescence
from openpoint.search.paths.arrays import BACK, FORTH, OPEN, Paths, PathWork
from openpoint.search.paths.chains import follow_voltages, priced_arc
from openpoint.search.paths.node import may_open
from openpoint.search.paths.sweeps import sent

HUGE = 1e3
"""What a path costs open that must be closed, times the greatest loss of interest."""


@inlined
def least_arc(paths: Paths, work: PathWork, d: int) -> float:
    """Least cost of a closed path at the multipliers, nan if unbounded; writes what arrives then."""
    k, s = d // 2, work.send
    near, far = (paths.v[k], paths.u[k]) if d % 2 else (paths.u[k], paths.v[k])
    y, mu, kappa = work.y[near], work.mu[near], work.kappa[far]
    square = (1.0 + y) * s[d, 1] + mu * s[d, 5]
    by_f = (1.0 + y) * (1.0 + s[d, 2]) + mu * s[d, 6] - (1.0 + work.y[far]) - kappa * work.arrive[d, 1]
    by_g = (1.0 + y) * s[d, 3] + mu * (1.0 + s[d, 7]) - work.mu[far] - kappa * work.arrive[d, 2]
    f, g = work.end_p[d], work.end_q[d]
    work.square[d] = square
    if square > 0.0:
        f, g = max(f, -0.5 * by_f / square), max(g, -0.5 * by_g / square)
    elif by_f < 0.0 or by_g < 0.0:
        return np.nan
    work.flow_p[d] = f
    work.flow_q[d] = g
    cost: float = (1.0 + y) * s[d, 0] + mu * s[d, 4] - work.inner[k] - kappa * work.arrive[d, 0]
    cost += square * (f * f + g * g) + by_f * f + by_g * g
    return cost


@inlined
def arcs(model: Model, paths: Paths, work: PathWork) -> bool:
    """Costs of closed paths, first of those on which voltages are priced; False where one is unbounded."""
    for j in range(paths.junctions + 1):
        work.kappa[j] = 0.0
    for d in range(len(work.cost)):
        work.cost[d] = np.inf
        work.square[d] = 0.0
    for t in range(work.priced[0]):
        d = work.order[t]
        cost = priced_arc(model, paths, work, d)
        if not np.isnan(cost):
            work.cost[d] = cost
            work.square[d] = -1.0
    for d in range(len(work.cost)):
        k, bit = d // 2, BACK if d % 2 else FORTH
        if work.square[d] == 0.0 and work.mask[k] & bit != 0 and paths.start[k] < paths.start[k + 1]:
            work.cost[d] = least_arc(paths, work, d)
            if np.isnan(work.cost[d]):
                return False
    if work.priced[0] > 0:
        follow_voltages(paths, work)
    return True


@inlined
def costs(model: Model, paths: Paths, work: PathWork, status: Any, huge: float) -> float:
    """Costs of open paths and of arcs; returns the sum of all that no arc is part of, nan where an arc is unbounded."""
    y, mu = work.y, work.mu
    total = 0.0
    if not arcs(model, paths, work):
        return np.nan
    for j in range(paths.junctions):
        total += work.load_p[paths.bus[j]] * y[j] + work.load_q[paths.bus[j]] * mu[j]
    for k in range(len(work.mask)):
        u, v, load = paths.u[k], paths.v[k], work.inner[k]
        work.place[k] = -1
        if paths.start[k] == paths.start[k + 1]:  # it stands for what feeds its end v from outside of a part
            work.open_cost[k] = 0.0
            work.cost[2 * k] = 0.0 if work.mask[k] & FORTH != 0 else np.inf
            continue
        work.open_cost[k] = huge
        if work.mask[k] & OPEN != 0:
            least = np.inf
            for position in range(paths.start[k], paths.start[k + 1]):
                if may_open(paths, work, status, k, position):
                    cost = (1.0 + y[u]) * work.u_p[position] + mu[u] * work.u_q[position]
                    cost += (1.0 + y[v]) * work.v_p[position] + mu[v] * work.v_q[position]
                    cost -= model.price[paths.branch[position]]
                    if cost < least:
                        least = cost
                        work.place[k] = position
            work.open_cost[k] = least - load
        total += work.open_cost[k]
        for d in range(2 * k, 2 * k + 2):
            if work.cost[d] < np.inf:
                work.cost[d] -= work.open_cost[k] + work.toll[d]
    return total


@inlined
def dangling_cost(model: Model, paths: Paths, work: PathWork) -> float:
    """Least loss of the dangling trees at junctions and sources, and the price of closing all dangling trees."""
    total = 0.0
    for k in range(len(paths.by)):
        total += model.price[paths.by[k]]
    for j in range(paths.junctions):
        total += work.load_p[paths.bus[j]] - work.nominal[paths.bus[j]]
    for s in range(model.n, len(work.nominal)):
        total += work.load_p[s] - work.nominal[s]
    return total


@inlined
def path_bound(model: Model, paths: Paths, work: PathWork, status: Any, huge: float) -> float:
    """The path bound at `work.y`, `work.mu`; inf where there is no arborescence, -inf where a path of no
    impedance makes it unbounded.

    Requires `openpoint.search.paths.node.sums`. Writes the chosen states to `work.state`, and to `work.arc` those arcs.
    """
    total = dangling_cost(model, paths, work) + costs(model, paths, work, status, huge)
    if np.isnan(total):
        return -np.inf
    total += arborescence(paths, work)
    if total == np.inf:
        return total
    for k in range(len(work.state)):
        work.state[k] = OPEN
    for j in range(paths.junctions):
        work.state[work.arc[j] // 2] = BACK if work.arc[j] % 2 else FORTH
    return total


@inlined
def residuals(paths: Paths, work: PathWork) -> None:
    """What is missing in the balances of the junctions in the states last chosen: a supergradient of the bound."""
    p, q = work.residual_p, work.residual_q
    root = paths.junctions
    for j in range(root):
        p[j] = work.load_p[paths.bus[j]]
        q[j] = work.load_q[paths.bus[j]]
    for k in range(len(work.state)):
        u, v, position = paths.u[k], paths.v[k], work.place[k]
        if work.state[k] == OPEN:
            if position >= 0 and u < root:
                p[u] += work.u_p[position]
                q[u] += work.u_q[position]
            if position >= 0 and v < root:
                p[v] += work.v_p[position]
                q[v] += work.v_q[position]
            continue
        d = 2 * k if work.state[k] == FORTH else 2 * k + 1
        tail, head = (u, v) if work.state[k] == FORTH else (v, u)
        p_sent, q_sent = work.sent_p[d], work.sent_q[d]
        if work.square[d] >= 0.0:
            p_sent, q_sent = sent(work, d, work.flow_p[d], work.flow_q[d])
        if tail < root:
            p[tail] += p_sent
            q[tail] += q_sent
        p[head] -= work.flow_p[d]
        q[head] -= work.flow_q[d]
