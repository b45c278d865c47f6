"""Compiled: the voltage law on closed paths whose direction is decided, in the path bound.

The path bound knows upper bounds of the voltages only. Along closed paths of one direction the voltage law can be
priced, as on the closed forest of `openpoint.search.kernel.bound`.

**Prices.** Let S be the paths that are closed in one direction at a node, from u to v each, and λ >= 0 for each of them
that leaves a junction a price of the squared voltage w_u there; elsewhere λ = 0. With κ_j the sum of λ over the paths
of S that leave junction j, the sum of all λ w_u less that of all κ_j w_j is 0 in each completion. Every junction is fed
by one closed path. So the loss is what it was where each path of S costs λ w_u more, and every closed path that feeds
a junction v costs κ_v w_v less:

    closed, u to v: (1 + y_u) p + μ_u q − (1 + y_v) f − μ_v g − load + λ w_u − κ_v w_v

**A path outside of S** costs least at the highest w_u, since less voltage gives more losses and a lower w_v. There w_v
is at most an affine function of f and g (`openpoint.search.paths.sweeps`), so that the cost is still quadratic.

**A path of S.** Take multipliers y, μ of its inner buses and ν of the voltage law of its branches, as in
`openpoint.search.kernel.bound`, with powers at the near end of each branch, from a to b:

    ρ = r (1 + y_b) + x μ_b − |z|² ν    α = y_a − y_b + 2 r ν    β = μ_a − μ_b + 2 x ν    A_a = ν + (α² + β²) / 4ρ

with ν = A_b and A_v = κ_v. With ρ > 0 the cost is at least Σ (P y + Q μ) + Σ P − load + (λ − A_u) w_u, sums over the
inner buses. With λ = A_u >= 0 the voltage drops out, and no lower limit of it is used; at a source w_u is at most the
source's. Least flows f', g' have prices of their own: −(1 + y_v) f >= −(1 + y_v + φ) f + φ f' for φ >= 0, so that
y_v + φ may stand in place of y_v where φ f' is added, and μ_v alike.

Any multipliers are valid. Good ones come from sweeps: up with the powers, down with the voltages, up with A, and down
with the multipliers that make each branch carry its power. What they miss at v corrects the flow that arrives.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import Model
from openpoint.search.paths.arrays import BACK, FORTH, Paths, PathWork

LOWEST, LARGEST = 0.1, 100.0
"""Squared voltage, and size of multipliers, beyond which voltages are not priced on a path: sums would lose digits."""
SWEEPS = 1
"""Corrections of the flow on a path in one evaluation, which begins with the flow of the last one."""


@inlined
def order_decided(model: Model, paths: Paths, work: PathWork) -> None:
    """Write the paths of S as arcs to `order`, the farthest from the sources first, and where their sweeps begin."""
    enter, leaving, todo, root = work.trail, work.seen, work.heap, paths.junctions
    for j in range(root + 1):
        enter[j], leaving[j] = -1, 0
        work.w_tail[j] = work.top[paths.bus[j]] if j < root else 0.0
    for k in range(len(work.mask)):
        if (work.mask[k] == FORTH or work.mask[k] == BACK) and paths.start[k] < paths.start[k + 1]:
            impeded = True
            for position in range(paths.start[k], paths.start[k + 1]):
                impeded &= model.z2[paths.branch[position]] > 0.0
            near, far = (paths.u[k], paths.v[k]) if work.mask[k] == FORTH else (paths.v[k], paths.u[k])
            if impeded and near != far:
                enter[far] = 2 * k if work.mask[k] == FORTH else 2 * k + 1
                leaving[near] += 1
                for position in range(paths.start[k], paths.start[k + 1]):
                    work.chain[position] = work.top[paths.u_bus[k] if work.mask[k] == FORTH else paths.v_bus[k]]
                    work.chain_y[position] = work.y[far]
                    work.chain_mu[position] = work.mu[far]
    count, done, waiting = 0, 0, 0
    for j in range(root):
        if enter[j] >= 0 and leaving[j] == 0:
            todo[waiting] = j
            waiting += 1
    while done < waiting:
        d = enter[todo[done]]
        done += 1
        work.order[count] = d
        count += 1
        near = paths.v[d // 2] if d % 2 else paths.u[d // 2]
        leaving[near] -= 1
        if near < root and leaving[near] == 0 and enter[near] >= 0:
            todo[waiting] = near
            waiting += 1
    work.priced[0] = count


@inlined
def sweep_power(model: Model, paths: Paths, work: PathWork, d: int, f: float, g: float, near: float) -> None:
    """Power at the near end of each branch where f, g arrive, at the voltages in `chain`, and these anew."""
    k, forth = d // 2, d % 2 == 0
    begin, end = paths.start[k], paths.start[k + 1]
    p, q = f, g
    for step in range(end - begin):
        position = end - 1 - step if forth else begin + step
        if step > 0:
            bus = paths.beyond[position] if forth else paths.beyond[position - 1]
            p += work.load_p[bus]
            q += work.load_q[bus]
        e = paths.branch[position]
        l = (p * p + q * q) / work.chain[position]
        p += model.r[e] * l
        q += model.x[e] * l
        work.recv_p[position] = p
        work.recv_q[position] = q
    for step in range(end - begin):
        position = begin + step if forth else end - 1 - step
        e = paths.branch[position]
        p, q = work.recv_p[position], work.recv_q[position]
        near += -2.0 * (model.r[e] * p + model.x[e] * q) + model.z2[e] * (p * p + q * q) / near
        near = max(near, LOWEST)
        work.chain[position] = near


@inlined
def sweep_prices(model: Model, paths: Paths, work: PathWork, d: int, near_w: float) -> tuple[float, float, float]:
    """Multipliers at which each branch carries its power; those at the far end, and their slope by the flow."""
    k, forth = d // 2, d % 2 == 0
    begin, end = paths.start[k], paths.start[k + 1]
    near, far = (paths.u[k], paths.v[k]) if forth else (paths.v[k], paths.u[k])
    by_w = work.kappa[far]
    for step in range(end - begin):
        position = end - 1 - step if forth else begin + step
        before = position - 1 if forth else position + 1
        w = near_w if step == end - begin - 1 else work.chain[before]
        e = paths.branch[position]
        work.chain_nu[position] = by_w
        rho = model.r[e] * (1.0 + work.chain_y[position]) + model.x[e] * work.chain_mu[position] - model.z2[e] * by_w
        by_w += rho * (work.recv_p[position] ** 2 + work.recv_q[position] ** 2) / (w * w)
    y, mu, slope, w = work.y[near], work.mu[near], 0.0, near_w
    for step in range(end - begin):
        position = begin + step if forth else end - 1 - step
        e, nu = paths.branch[position], work.chain_nu[position]
        rho = model.r[e] * (1.0 + work.chain_y[position]) + model.x[e] * work.chain_mu[position] - model.z2[e] * nu
        y += 2.0 * model.r[e] * nu + 2.0 * rho * work.recv_p[position] / w
        mu += 2.0 * model.x[e] * nu + 2.0 * rho * work.recv_q[position] / w
        work.chain_y[position] = y
        work.chain_mu[position] = mu
        slope += 2.0 * rho / w
        w = work.chain[position]
    return y, mu, slope


@inlined
def meet_far_end(
    model: Model, paths: Paths, work: PathWork, d: int, near_w: float, miss: tuple[float, float, float]
) -> None:
    """Change the multipliers along a path so that they end with what is missing at its far end."""
    k, forth = d // 2, d % 2 == 0
    begin, end = paths.start[k], paths.start[k + 1]
    by_y, by_mu, slope = miss
    w, so_far = near_w, 0.0
    for step in range(end - begin):
        position = begin + step if forth else end - 1 - step
        e, nu = paths.branch[position], work.chain_nu[position]
        rho = model.r[e] * (1.0 + work.chain_y[position]) + model.x[e] * work.chain_mu[position] - model.z2[e] * nu
        so_far += 2.0 * rho / w
        w = work.chain[position]
        # Loads within are known from below only: 1 + y and μ may not be negative.
        work.chain_y[position] = max(-1.0, work.chain_y[position] + by_y * so_far / slope)
        work.chain_mu[position] = max(0.0, work.chain_mu[position] + by_mu * so_far / slope)


@inlined
def priced_arc(model: Model, paths: Paths, work: PathWork, d: int) -> float:
    """Least cost of a path of S, whose price is added at its near end; nan where the multipliers have none.

    Writes what arrives and what is sent at these multipliers.
    """
    k, forth = d // 2, d % 2 == 0
    begin, end, root = paths.start[k], paths.start[k + 1], paths.junctions
    near, far = (paths.u[k], paths.v[k]) if forth else (paths.v[k], paths.u[k])
    near_w = work.w_tail[near] if near < root else work.top[paths.u_bus[k] if forth else paths.v_bus[k]]
    f, g = max(work.flow_p[d], work.end_p[d]), max(work.flow_q[d], work.end_q[d])
    by_y, by_mu, slope = 0.0, 0.0, 0.0
    for turn in range(SWEEPS + 1):
        if turn > 0:
            f = max(work.end_p[d], f + by_y / slope)
            g = max(work.end_q[d], g + by_mu / slope)
        sweep_power(model, paths, work, d, f, g, near_w)
        y, mu, slope = sweep_prices(model, paths, work, d, near_w)
        if not 0.0 < slope < np.inf:
            return np.nan
        by_y, by_mu = work.y[far] - y, work.mu[far] - mu
    more_y, more_mu = 0.0, 0.0
    if f <= work.end_p[d] and by_y < 0.0:
        more_y, by_y = -by_y, 0.0
    if g <= work.end_q[d] and by_mu < 0.0:
        more_mu, by_mu = -by_mu, 0.0
    meet_far_end(model, paths, work, d, near_w, (by_y, by_mu, slope))
    cost, by_w = more_y * work.end_p[d] + more_mu * work.end_q[d] - work.inner[k], work.kappa[far]
    y_b, mu_b = work.y[far] + more_y, work.mu[far] + more_mu
    for step in range(end - begin):
        position = end - 1 - step if forth else begin + step
        if step > 0:
            y_b, mu_b = work.chain_y[position], work.chain_mu[position]
            bus = paths.beyond[position] if forth else paths.beyond[position - 1]
            cost += work.load_p[bus] * (1.0 + y_b) + work.load_q[bus] * mu_b
        last = step == end - begin - 1
        before = position - 1 if forth else position + 1
        y_a = work.y[near] if last else work.chain_y[before]
        mu_a = work.mu[near] if last else work.chain_mu[before]
        e = paths.branch[position]
        rho = model.r[e] * (1.0 + y_b) + model.x[e] * mu_b - model.z2[e] * by_w
        if not (rho > 0.0 and abs(y_b) < LARGEST and abs(mu_b) < LARGEST and work.chain[position] > LOWEST):
            return np.nan
        alpha, beta = y_a - y_b + 2.0 * model.r[e] * by_w, mu_a - mu_b + 2.0 * model.x[e] * by_w
        by_w += (alpha * alpha + beta * beta) / (4.0 * rho)
    first = begin if forth else end - 1
    work.flow_p[d], work.flow_q[d] = f, g
    work.sent_p[d], work.sent_q[d] = work.recv_p[first], work.recv_q[first]
    if near == root:
        cost -= by_w * work.top[paths.u_bus[k] if forth else paths.v_bus[k]]
    else:
        work.kappa[near] += by_w
    least: float = cost
    return least


@inlined
def follow_voltages(paths: Paths, work: PathWork) -> None:
    """Voltages at the near ends of the paths of S for the next evaluation, by those of the last one."""
    for t in range(work.priced[0]):
        d = work.order[work.priced[0] - 1 - t]
        k = d // 2
        if work.square[d] < 0.0:
            work.w_tail[paths.u[k] if d % 2 else paths.v[k]] = work.chain[
                paths.start[k] if d % 2 else paths.start[k + 1] - 1
            ]
