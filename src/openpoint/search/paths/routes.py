"""Compiled: how high junctions can be in the states below the cutoff, by the routes on which they may be fed.

With costs reduced by what the junctions pay in the arborescence (`openpoint.search.paths.arborescence`), no path has a
cost below 0, so that the costs of any paths together are at most the distance of the bound to the cutoff, the *slack*.
A junction is fed on one route of closed paths. On each of these, power f, g arrives at its far end, which costs

    rest + square ((f − f*)² + (g − g*)²)      rest: of the arc, with the flow f*, g* of least cost

and the squared voltage drops by at least drop + 2 R (f − least f) + 2 X (g − least g), with R, X the sums of r and x
and `drop` that of the least flow. So the drop on all of the route is at least

    max over θ >= 0 of  Σ min over f, g of (drop + 2 R (f − least f) + 2 X (g − least g) + θ cost)  −  θ slack

For one θ the least sum over all routes to a junction is the length of a shortest way. All paths of a route share the
slack, where the least flow of a path by itself (`openpoint.search.paths.ascent.tighten`) may take all of it.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.paths.arrays import Paths, PathWork

FACTORS = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
"""Multipliers θ that are tried, in units of that which suits a route of one path."""
FALL = 2e-4
"""Share of a squared voltage by which its upper bound has to fall to count as changed."""


@inlined
def suitable(paths: Paths, work: PathWork, slack: float) -> float:
    """The multiplier that suits a route of one path of average curvature; 0 where there is none."""
    total, count = 0.0, 0
    for d in range(len(work.cost)):
        square = work.square[d]
        if work.cost[d] < np.inf and square > 0.0:
            total += (paths.r[d // 2] ** 2 + paths.x[d // 2] ** 2) / square
            count += 1
    theta: float = np.sqrt(total / (count * slack)) if count > 0 else 0.0
    return theta


@inlined
def least_drop(paths: Paths, work: PathWork, d: int, theta: float, rest: float) -> float:
    """Least drop of the squared voltage on arc d plus `theta` times its cost."""
    r, x, square = paths.r[d // 2], paths.x[d // 2], work.square[d]
    f, g = work.end_p[d], work.end_q[d]
    if square > 0.0:
        f = max(f, work.flow_p[d] - r / (theta * square))
        g = max(g, work.flow_q[d] - x / (theta * square))
        rest += square * ((f - work.flow_p[d]) ** 2 + (g - work.flow_q[d]) ** 2)
    length: float = work.drop[d] + 2.0 * (r * (f - work.end_p[d]) + x * (g - work.end_q[d])) + theta * rest
    return length


@inlined
def lower_voltages(paths: Paths, work: PathWork, value: float, slack: float) -> bool:
    """Lower `work.known_w` by the routes below the cutoff, after `openpoint.search.paths.ascent.force`.

    `value` is the bound that was given to it, and `slack` what is missing to the cutoff. Returns whether one fell by
    much.
    """
    changed, high, length = False, work.step_p, work.key
    if slack <= 0.0:
        return False
    base = suitable(paths, work, slack)
    if base == 0.0:
        return False
    for factor in FACTORS:
        theta = factor * base
        for d in range(len(work.drop)):
            rest = work.forced[d // 2, 2 if d % 2 else 1] - value
            length[d] = least_drop(paths, work, d, theta, rest) if rest < np.inf else np.inf
        for j in range(paths.junctions):
            high[j] = -np.inf
        again = True
        while again:
            again = False
            for d in range(len(work.drop)):
                if length[d] == np.inf:
                    continue
                k = d // 2
                near, far = (paths.v[k], paths.u[k]) if d % 2 else (paths.u[k], paths.v[k])
                if far == paths.junctions:
                    continue
                bus = paths.v_bus[k] if d % 2 else paths.u_bus[k]
                w = (work.top[bus] if near == paths.junctions else high[near]) - length[d]
                if w > high[far]:
                    high[far] = w
                    again = True
        for j in range(paths.junctions):
            w = high[j] + theta * slack
            if high[j] > -np.inf and w < work.known_w[j]:
                changed |= w < work.top[paths.bus[j]] * (1.0 - FALL)
                work.known_w[j] = w
    return changed
