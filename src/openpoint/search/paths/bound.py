"""Compiled: the spanning arborescence of least cost (Chu and Liu 1965, Edmonds 1967, heaps as by Tarjan 1977).

Every junction but the root, which stands for the sources, is entered by exactly one arc, and no cycle is left. Arc 2k
is path k from u to v, arc 2k + 1 from v to u. Each node takes its cheapest entering arc; a cycle of such arcs becomes a
node of its own, and its entering arcs cost less by what their heads have paid. What nodes and cycles pay (`dual`) is a
solution of the dual linear program, so that an arc's reduced cost is a lower bound of what it costs more to use it.

The voltage law on closed paths whose direction is decided, in the path bound.

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

The path bound, a lower bound of the loss of all completions of a node, for any multipliers >= 0.

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

from openpoint.arrays import Indices
from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import Model
from openpoint.search.paths.arrays import BACK, FORTH, OPEN, Paths, PathWork
from openpoint.search.paths.sweeps import may_open, sent


@inlined
def _settle(work: PathWork, a: int) -> None:
    """Pass a delayed change of cost on to the arcs below in the heap."""
    more = work.late[a]
    if more != 0.0:
        work.key[a] += more
        if work.left[a] >= 0:
            work.late[work.left[a]] += more
        if work.right[a] >= 0:
            work.late[work.right[a]] += more
        work.late[a] = 0.0


@inlined
def _merge(work: PathWork, a: int, b: int) -> int:
    """Merge two skew heaps of arcs; −1 is the empty one."""
    if a < 0:
        return b
    if b < 0:
        return a
    left, right, key = work.left, work.right, work.key
    _settle(work, a)
    _settle(work, b)
    if key[a] > key[b]:
        a, b = b, a
    top, p = a, a
    while True:
        c = right[p]
        right[p] = left[p]
        if c < 0:
            left[p] = b
            return top
        _settle(work, c)
        if key[c] > key[b]:
            c, b = b, c
        left[p] = c
        p = c


@inlined
def _find(leader: Indices, node: int) -> int:
    while leader[node] != node:
        leader[node] = leader[leader[node]]
        node = leader[node]
    return node


@inlined
def tail(paths: Paths, a: int) -> int:
    """The junction that arc a leaves."""
    junction: int = paths.u[a // 2] if a % 2 == 0 else paths.v[a // 2]
    return junction


@inlined
def head(paths: Paths, a: int) -> int:
    """The junction that arc a enters."""
    junction: int = paths.v[a // 2] if a % 2 == 0 else paths.u[a // 2]
    return junction


@inlined
def _cheapest(paths: Paths, work: PathWork, node: int) -> int:
    """The cheapest arc that enters a node from outside, on top of its heap; −1 where there is none."""
    heap = work.heap
    while heap[node] >= 0:
        a: int = heap[node]
        _settle(work, a)
        if _find(work.leader, tail(paths, a)) != node:
            return a
        heap[node] = _merge(work, work.left[a], work.right[a])
    return -1


@inlined
def arborescence(paths: Paths, work: PathWork) -> float:
    """The least total of `work.cost` (inf: no such arc); inf where some junction cannot be reached.

    Writes the arc that enters each junction to `work.arc`, and the duals and the tree of cycles that `reduced` uses.
    """
    root = paths.junctions
    arc, leader, tree, seen, trail, heap = work.arc, work.leader, work.tree, work.seen, work.trail, work.heap
    for node in range(len(heap)):
        heap[node] = -1
        leader[node] = node
        tree[node] = -1
        seen[node] = -1
        arc[node] = -1
        work.dual[node] = 0.0
    for a in range(len(work.cost)):
        if work.cost[a] < np.inf and head(paths, a) != root:
            work.key[a] = work.cost[a]
            work.late[a] = 0.0
            work.left[a] = -1
            work.right[a] = -1
            heap[head(paths, a)] = _merge(work, heap[head(paths, a)], a)
    seen[root] = root
    count, total = root + 1, 0.0
    for s in range(root):
        node, length = _find(leader, s), 0
        while seen[node] < 0:
            a = _cheapest(paths, work, node)
            if a < 0:
                return np.inf
            paid = work.key[a]
            total += paid
            work.dual[node] = paid
            arc[node] = a
            heap[node] = _merge(work, work.left[a], work.right[a])
            if heap[node] >= 0:
                work.late[heap[node]] -= paid
            trail[length] = node
            length += 1
            seen[node] = s
            node = _find(leader, tail(paths, a))
            if seen[node] == s:
                merged, other = -1, -1
                while other != node:
                    length -= 1
                    other = trail[length]
                    merged = _merge(work, merged, heap[other])
                    leader[other] = count
                    tree[other] = count
                heap[count] = merged
                node = count
                count += 1
    for node in range(count - 1, root, -1):
        a = arc[node]
        entered = head(paths, a)
        while tree[entered] != node:
            entered = tree[entered]
        arc[entered] = a
    return total


@inlined
def reduced(paths: Paths, work: PathWork, a: int) -> float:
    """Lower bound of what the least total grows by where arc a must be used; of the last call of `arborescence`."""
    seen = work.seen
    for node in range(len(seen)):
        seen[node] = 0
    node = tail(paths, a)
    while node >= 0:
        seen[node] = 1
        node = work.tree[node]
    rest = work.cost[a]
    node = head(paths, a)
    while node >= 0 and seen[node] == 0:
        rest -= work.dual[node]
        node = work.tree[node]
    least: float = max(rest, 0.0)
    return least


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
            fed = -work.kappa[v] * work.top[paths.v_bus[k]] if work.kappa[v] > 0.0 else 0.0
            work.cost[2 * k] = fed if work.mask[k] & FORTH != 0 else np.inf
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
    """Least loss of the dangling trees at junctions and sources and beside the paths, and the price of closing all
    dangling trees.
    """
    total: float = work.steady[0]
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

    Requires `openpoint.search.paths.sweeps.sums`. Writes the states chosen to `work.state`, their arcs to `work.arc`.
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
