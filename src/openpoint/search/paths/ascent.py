"""Compiled: better multipliers of the path bound, and what no state below the cutoff has.

**Ascent.** What is missing in the balances of the junctions is a supergradient of the bound (`residuals`). A step goes
along it in the metric of the junctions' Laplacian, the curvature of the loss, and is as long as Polyak (1969) makes it:
the way to the cutoff, or to a level ahead of the best bound, over the squared norm, times a factor that halves after
some steps that do not raise the bound.
How often each state of a path is chosen on the way (`share`) tells how undecided the relaxation is about the path.

**Fixing.** At fixed multipliers the bound with a path in a certain state is the least arborescence with this state
forced. Where this is an arc, its reduced cost is added to the bound; where it is the open state of a path that the
arborescence uses, the arborescence is found again without both of its arcs. Opening another branch of the path costs
the difference of both costs more. What reaches the cutoff so cannot be in a state below it.

**Flow ranges.** With an arc forced, the Lagrangian is still a sum over paths, and the cost of the arc is quadratic in
the power f, g that arrives: a flow other than that of least cost adds at least `square` times its squared distance to
the bound. So in all states below the cutoff in which the path has this direction,

    square ((f − f*)² + (g − g*)²) <= cutoff − forced

which gives lower bounds of f and g. Greater least flows give lower voltages, and these a higher bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model
from openpoint.search.kernel.vectors import copy_values
from openpoint.search.paths.arborescence import arborescence, reduced
from openpoint.search.paths.arrays import BACK, FORTH, OPEN, Paths, PathWork
from openpoint.search.paths.bound import path_bound, residuals
from openpoint.search.paths.node import may_open

IN_VAIN = 3
"""Steps in a row that do not raise the bound after which steps are half as long and start again from the best."""
SHORTEST = 1e-3
"""Factor of the step at which the ascent ends."""
RISE = 1.05
"""Factor by which a least flow has to rise to count as changed."""
MEMORY = 0.85
"""Weight of earlier choices in `share`, against the last one."""


@inlined
def _step(paths: Paths, work: PathWork, way: float) -> bool:
    """Move the multipliers so far along the residuals that these promise a rise of `way`; False where they are 0."""
    size, p, q, y, mu = paths.junctions, work.residual_p, work.residual_q, work.y, work.mu
    for j in range(size):
        if y[j] <= 0.0 and p[j] < 0.0:
            p[j] = 0.0
        if mu[j] <= 0.0 and q[j] < 0.0:
            q[j] = 0.0
    norm = 0.0
    for i in range(size):
        one, two = 0.0, 0.0
        for j in range(size):
            one += paths.metric[i, j] * p[j]
            two += paths.metric[i, j] * q[j]
        work.step_p[i] = one
        work.step_q[i] = two
        norm += one * p[i] + two * q[i]
    if norm < 1e-30:
        return False
    length = way / norm
    for j in range(size):
        y[j] = max(0.0, y[j] + length * work.step_p[j])
        mu[j] = max(0.0, mu[j] + length * work.step_q[j])
    return True


@inlined
def _follow_places(work: PathWork) -> None:
    """Mean places where paths are open, and how far from there."""
    for k in range(len(work.state)):
        if work.state[k] == OPEN and work.place[k] >= 0:
            if work.middle[k] < 0.0:
                work.middle[k] = work.place[k]
            away = work.place[k] - work.middle[k]
            work.middle[k] += (1.0 - MEMORY) * away
            work.apart[k] = MEMORY * work.apart[k] + (1.0 - MEMORY) * abs(away)


@inlined
def ascend(
    model: Model, paths: Paths, work: PathWork, status: Any, huge: float, cutoff: float, most: int, ahead: float
) -> float:
    """Raise the path bound by at most `most` evaluations; returns the best, whose multipliers are kept.

    Steps aim at the cutoff, and at most `ahead` beyond the best bound, which shrinks with the factor.
    """
    best, factor, vain = -np.inf, 1.0, 0
    for k in range(len(work.state)):
        work.middle[k], work.apart[k] = -1.0, 0.0
        for s in range(3):
            work.share[k, s] = 0.0
    copy_values(work.y, work.y_best)
    copy_values(work.mu, work.mu_best)
    for _ in range(most):
        value = path_bound(model, paths, work, status, huge)
        for k in range(len(work.state)):
            for s in range(3):
                work.share[k, s] = MEMORY * work.share[k, s] + (1.0 - MEMORY) * (work.state[k] == 1 << s)
        if ahead < np.inf:
            _follow_places(work)
        residuals(paths, work)
        if value > best:
            best, vain = value, 0
            copy_values(work.y, work.y_best)
            copy_values(work.mu, work.mu_best)
            copy_values(work.residual_p, work.p_best)
            copy_values(work.residual_q, work.q_best)
            if best >= cutoff:
                return best
        else:
            vain += 1
            if vain == IN_VAIN or value == -np.inf:
                vain = 0
                factor *= 0.5
                copy_values(work.y_best, work.y)
                copy_values(work.mu_best, work.mu)
                copy_values(work.p_best, work.residual_p)
                copy_values(work.q_best, work.residual_q)
                value = best
        # Where the bound is -inf there is no step of finite length.
        way = min(factor * (cutoff - value), best + factor * ahead - value)
        if value == -np.inf or factor < SHORTEST or not _step(paths, work, way):
            break
    copy_values(work.y_best, work.y)
    copy_values(work.mu_best, work.mu)
    return best


@inlined
def force(paths: Paths, work: PathWork, value: float) -> None:
    """Lower bounds with each path in each state, in `work.forced`, of the last call of `path_bound`."""
    forced = work.forced
    for k in range(len(work.mask)):
        for s in range(3):
            forced[k, s] = value if work.mask[k] & (1 << s) != 0 else np.inf
        for d in range(2 * k, 2 * k + 2):
            bit = BACK if d % 2 else FORTH
            if work.mask[k] & bit != 0 and work.state[k] != bit:
                forced[k, 2 if d % 2 else 1] = value + reduced(paths, work, d)
    total = value
    for j in range(paths.junctions):
        total -= work.cost[work.arc[j]]
    for k in range(len(work.mask)):
        if work.state[k] != OPEN and work.mask[k] & OPEN != 0:
            one, two = work.cost[2 * k], work.cost[2 * k + 1]
            work.cost[2 * k] = np.inf
            work.cost[2 * k + 1] = np.inf
            forced[k, 0] = max(value, total + arborescence(paths, work))
            work.cost[2 * k] = one
            work.cost[2 * k + 1] = two


@inlined
def tighten(paths: Paths, work: PathWork, cutoff: float, margin: float) -> bool:
    """Raise the least flows of arcs by `force`, in `work.known_p`, `work.known_q`; returns whether any rose by much."""
    changed = False
    for d in range(len(work.end_p)):
        k, bit = d // 2, BACK if d % 2 else FORTH
        if work.mask[k] & bit == 0:
            continue
        forced = work.forced[k, 2 if d % 2 else 1]
        slack = cutoff - (forced - margin * abs(forced))
        square = work.square[d]
        if slack <= 0.0 or square <= 0.0:
            continue
        most = np.sqrt(slack / square)
        p, q = work.flow_p[d] - most, work.flow_q[d] - most
        changed |= p > work.end_p[d] * RISE or q > work.end_q[d] * RISE
        work.known_p[d] = max(work.known_p[d], p)
        work.known_q[d] = max(work.known_q[d], q)
    return changed


@inlined
def reaches(value: float, margin: float, cutoff: float) -> bool:
    """Whether a bound less its margin reaches the cutoff."""
    return value == np.inf or value - margin * abs(value) >= cutoff


@inlined
def fix(model: Model, paths: Paths, work: PathWork, status: Any, cutoff: float, margin: float) -> bool:
    """Remove the states and open places that reach the cutoff by `force`; returns whether there were any."""
    changed = False
    for k in range(len(work.mask)):
        for s in range(3):
            if work.mask[k] & (1 << s) != 0 and reaches(work.forced[k, s], margin, cutoff):
                work.mask[k] &= ~(1 << s)
                changed = True
        if work.mask[k] & OPEN == 0 or work.opened[k] >= 0:
            continue
        u, v, y, mu = paths.u[k], paths.v[k], work.y, work.mu
        base = work.forced[k, 0] - work.open_cost[k] - work.inner[k]
        for position in range(paths.start[k], paths.start[k + 1]):
            e = paths.branch[position]
            if status[e] != UNDECIDED or not may_open(paths, work, status, k, position):
                continue
            cost = (1.0 + y[u]) * work.u_p[position] + mu[u] * work.u_q[position] - model.price[e]
            cost += (1.0 + y[v]) * work.v_p[position] + mu[v] * work.v_q[position]
            if reaches(base + cost, margin, cutoff):
                status[e] = CLOSED
                changed = True
    return changed
