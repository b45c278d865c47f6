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

How high junctions can be in the states below the cutoff, by the routes on which they may be fed.

With costs reduced by what the junctions pay in the arborescence (`openpoint.search.paths.bound`), no path has a
cost below 0, so that the costs of any paths together are at most the distance of the bound to the cutoff, the *slack*.
A junction is fed on one route of closed paths. On each of these, power f, g arrives at its far end, which costs

    rest + square ((f − f*)² + (g − g*)²)      rest: of the arc, with the flow f*, g* of least cost

and the squared voltage drops by at least drop + 2 R (f − least f) + 2 X (g − least g), with R, X the sums of r and x
and `drop` that of the least flow. So the drop on all of the route is at least

    max over θ >= 0 of  Σ min over f, g of (drop + 2 R (f − least f) + 2 X (g − least g) + θ cost)  −  θ slack

For one θ the least sum over all routes to a junction is the length of a shortest way.

The bound of a node by its paths, and what it implies for branches and paths.

Least flows and highest voltages that follow from the cutoff hold for all states below it in the node, and so in every
node below this one, which begins with them.

The path that a node divides next, by trials.

The paths of which the relaxation is least sure are tried: the node is bounded by its paths with each state that such a
path may have, as its children will be. The path with the largest product of the two least gains is divided; a state
that reaches the cutoff is excluded at once, since no state of the grid below the cutoff has it. Where several states
are excluded at a node, it is bounded again. Where trials gain little they are made rarely. There are none until the
search has bounded a number of nodes, and then it begins anew with them (`openpoint.search.paths.explorer`): searches of
fewer nodes do not need them. There are none on large grids, whose gap is a sum of many local ones.

Trials cost more than the bound of the node itself, and save far more nodes than that. What counts is that they are
bounded as children are, with prices of voltages on all paths that the state decides: without these no trial gains.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model, Work
from openpoint.search.kernel.bookkeeping import Counts, copy_values
from openpoint.search.kernel.forest import propagate
from openpoint.search.kernel.node import MARGIN, safe
from openpoint.search.paths.arrays import BACK, FORTH, OPEN, Paths, PathWork
from openpoint.search.paths.bound import HUGE, arborescence, order_decided, path_bound, reduced, residuals
from openpoint.search.paths.sweeps import about_flows, from_branches, may_open, one_feeder, sums, to_branches

IN_VAIN = 3
"""Steps in a row that do not raise the bound after which steps are half as long and start again from the best."""
SHORTEST = 1e-3
"""Factor of the step at which the ascent ends."""
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


DONE, LEAF = -2, -1
NOTHING, FIXED, TIGHTER = 0, 1, 2
ROUNDING = 1e-14
"""Relative rounding of the cutoff."""
MORE = 6, 8
"""Evaluations of the path bound at most, each time that the costs of closed paths were improved: at nodes that are
`deep`, and at others."""


@inlined
def imply(model: Model, paths: Paths, of_paths: PathWork, work: Work) -> bool:
    """Apply the consequences of branches for paths and back; False: no radial state."""
    while True:
        if not propagate(model, work):
            return False
        if not (from_branches(paths, of_paths, work.status) and one_feeder(paths, of_paths)):
            return False
        if not to_branches(paths, of_paths, work.status):
            return True


@inlined
def bound_by_paths(
    model: Model, paths: Paths, of_paths: PathWork, work: Work, counts: Counts, most: int, deep: bool
) -> int:
    """Raise the bound of the node by its paths, and fix what it can; returns DONE, FIXED, TIGHTER or NOTHING.

    First about the flows of the first node, then about those found, then with prices of voltages on decided paths; only
    where it is `deep` about those found, with routes.
    """
    cutoff, huge = counts.cutoff[0], HUGE * counts.cutoff[0]
    goal = cutoff * (1.0 + 2.0 * MARGIN)
    fixed, tighter, best = False, False, -np.inf
    sums(model, paths, of_paths, work.status)
    for turn in range(3):
        if turn == 1 and not deep:
            continue
        if turn == 1:
            about_flows(model, paths, of_paths)
        elif turn == 2:
            order_decided(model, paths, of_paths)
            if of_paths.priced[0] == 0 and deep:
                break
        ascend(model, paths, of_paths, work.status, huge, goal, most if turn == 0 else MORE[0 if deep else 1], np.inf)
        value = path_bound(model, paths, of_paths, work.status, huge)  # at the best multipliers again
        if value == -np.inf:
            break
        best = max(best, value)
        counts.bound[0] = max(counts.bound[0], safe(value) if value < np.inf else value)
        if counts.bound[0] >= cutoff:
            return DONE
        if turn == 0:
            continue
        # What is excluded, and all below, is proven to the cutoff only; its own rounding lies far within the margin.
        counts.floor[0] = min(counts.floor[0], cutoff * (1.0 + ROUNDING))
        force(paths, of_paths, value)
        fixed |= fix(model, paths, of_paths, work.status, cutoff, MARGIN)
        if turn == 1:
            tighter |= lower_voltages(paths, of_paths, value, cutoff - safe(value))
    of_paths.both[0] = best
    if best == -np.inf:
        return NOTHING
    if fixed:
        return FIXED
    return TIGHTER if tighter else NOTHING


NONE, EXCLUDED = -1, -2
TRIES, TRIED_IN_VAIN = 20, 20
"""Paths that are tried at a node at most, and those in a row without a better score after which no more are."""
STEPS_OF_TRIAL = 6
"""Evaluations of the path bound at most, each time that the costs of closed paths were improved."""
LEAST_GAIN = 0.001
"""Least gain in the score, as a share of the gap to the cutoff."""
GAIN = 0.01
"""The same of a node where trials gained, of the lower one of both gains."""
PAYING, REST = 2, 16
"""Nodes tried per node where that gained, above which paths are tried rarely: at one node of so many."""


@inlined
def keep_or_restore(values: Any, kept: Any, back: bool) -> None:
    """Keep a vector, or go `back` to what was kept of it."""
    if back:
        copy_values(kept, values)
    else:
        copy_values(values, kept)


@inlined
def keep(of_paths: PathWork, work: Work, back: bool) -> None:
    """Keep what the node has, before its paths are tried, or go `back` to what was kept."""
    keep_or_restore(of_paths.mask, of_paths.kept_mask, back)
    keep_or_restore(of_paths.y, of_paths.kept_y, back)
    keep_or_restore(of_paths.mu, of_paths.kept_mu, back)
    keep_or_restore(of_paths.about_p, of_paths.kept_p, back)
    keep_or_restore(of_paths.about_q, of_paths.kept_q, back)
    keep_or_restore(of_paths.state, of_paths.kept_state, back)
    keep_or_restore(of_paths.place, of_paths.kept_place, back)
    keep_or_restore(work.status, work.status_kept, back)


@inlined
def undecided(of_paths: PathWork) -> None:
    """Write to `sure` how sure the relaxation is of each path that may be divided; inf: it may not."""
    for k in range(len(of_paths.mask)):
        most, count = 0.0, 0
        for s in range(3):
            most = max(most, of_paths.share[k, s])
            count += of_paths.mask[k] & (1 << s) != 0
        of_paths.sure[k] = most if count > 1 else np.inf


@inlined
def next_path(of_paths: PathWork) -> int:
    """The path of which the relaxation is least sure, which is then no longer one of `sure`; NONE: none is left."""
    k = NONE
    for j in range(len(of_paths.sure)):
        if of_paths.sure[j] < np.inf and (k < 0 or of_paths.sure[j] < of_paths.sure[k]):
            k = j
    if k >= 0:
        of_paths.sure[k] = np.inf
    return k


@inlined
def bound_of_trial(model: Model, paths: Paths, of_paths: PathWork, work: Work, cutoff: float) -> float:
    """The path bound of the current node by few evaluations."""
    huge, goal, best = HUGE * cutoff, cutoff * (1.0 + 2.0 * MARGIN), -np.inf
    sums(model, paths, of_paths, work.status)
    for turn in range(3):
        if turn == 1:
            path_bound(model, paths, of_paths, work.status, huge)  # the flows at the best multipliers
            about_flows(model, paths, of_paths)
        elif turn == 2:
            order_decided(model, paths, of_paths)
            if of_paths.priced[0] == 0:
                break
        best = max(best, ascend(model, paths, of_paths, work.status, huge, goal, STEPS_OF_TRIAL, np.inf))
        if best >= goal:
            break
    return safe(best) if best < np.inf else best


@inlined
def try_path(model: Model, paths: Paths, of_paths: PathWork, work: Work, counts: Counts, k: int) -> float:
    """The score of a path, inf where at most one state is left to it. Writes its bounds to `tried`.

    Requires `keep`; excludes states in `kept_mask`.
    """
    base, cutoff, kept = counts.bound[0], counts.cutoff[0], of_paths.kept_mask
    low, middle, left = np.inf, np.inf, 0
    of_paths.tally[0] += 1
    for s in range(3):
        of_paths.tried[s] = np.inf
        if kept[k] & (1 << s) == 0:
            continue
        of_paths.mask[k] = 1 << s
        value = cutoff
        if imply(model, paths, of_paths, work):
            value = min(max(base, bound_of_trial(model, paths, of_paths, work, cutoff)), cutoff)
        if value >= cutoff:
            kept[k] &= ~(1 << s)
        else:
            left += 1
        keep(of_paths, work, back=True)
        of_paths.tried[s] = value
        gain = max(value - base, LEAST_GAIN * (cutoff - base))
        middle = min(middle, max(low, gain))
        low = min(low, gain)
    score: float = low * middle if left > 1 else np.inf
    return score


@inlined
def idle(of_paths: PathWork, counts: Counts) -> bool:
    """Whether paths are not tried at this node."""
    tried, gained = of_paths.trials[0], of_paths.trials[1]
    rarely: bool = of_paths.trials[2] == 0 or (tried > PAYING * (gained + 1) and counts.nodes[0] % REST != 0)
    return rarely


@inlined
def choose_path(model: Model, paths: Paths, of_paths: PathWork, work: Work, counts: Counts) -> int:
    """The path to divide, with its bounds in `forced`; NONE: there is none.

    EXCLUDED: states were excluded, and the node is to be bounded again, or its bound reaches the cutoff.
    """
    base, cutoff = counts.bound[0], counts.cutoff[0]
    keep(of_paths, work, back=False)
    undecided(of_paths)
    best, chosen, vain, excluded = -np.inf, NONE, 0, False
    of_paths.trials[0] += 1
    one, two, three = 0.0, 0.0, 0.0
    for _ in range(TRIES):
        k = next_path(of_paths)
        if k < 0 or vain == TRIED_IN_VAIN:
            break
        before = of_paths.kept_mask[k]
        score = try_path(model, paths, of_paths, work, counts, k)
        excluded |= of_paths.kept_mask[k] != before
        if of_paths.kept_mask[k] == 0:
            counts.bound[0] = cutoff
            return EXCLUDED
        vain += 1
        if score < np.inf and score > best:
            best, chosen, vain = score, k, 0
            one, two, three = of_paths.tried[0], of_paths.tried[1], of_paths.tried[2]
    least = GAIN * (cutoff - base)
    if excluded or best >= least * least:
        of_paths.trials[1] += 1
    if excluded:
        counts.floor[0] = min(counts.floor[0], cutoff * (1.0 + ROUNDING))  # proven to the cutoff only
        return EXCLUDED
    if chosen >= 0:
        of_paths.forced[chosen, 0], of_paths.forced[chosen, 1], of_paths.forced[chosen, 2] = one, two, three
    return chosen
