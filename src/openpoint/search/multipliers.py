"""Compiled: good multipliers, by a fixed point on conductances.

At the best multipliers the flow that is least in each branch's term of the bound, p = −α κ w / 2ρ, fulfils the
balances. With ρ and w held, p = G (y_b − y_a − 2 r ν) with G = κ w / 2ρ, so the balances are a linear system in y with
the weighted Laplacian of the live branches, and the same one in μ. Solving it, then ρ, ν and w anew, converges by a
factor of 20 to 40 an iteration, to the exact loss on a full tree.

The Laplacian has the pattern of the grid whatever is open, so the order of elimination, of least degree, is chosen
once (`openpoint.search.model`), and the factorisation is a list of places.
"""

from __future__ import annotations

from openpoint.search.arrays import OPEN, Floats, Model, Work
from openpoint.search.inner import inner


@inner
def sag(model: Model, work: Work) -> None:
    """Squared voltages down the closed forest, with the flows that are least in the terms of the bound."""
    w = work.w
    for position in range(len(w)):
        j = work.order[position]
        e = work.edge[j]
        if e < 0:
            w[j] = model.w_max[j] if work.gain[j] >= 0.0 else max(model.w_min[j], 0.25 * model.w_max[j])
            continue
        ratio = model.k_fr[e] / model.k_to[e] if work.down[e] else model.k_to[e] / model.k_fr[e]
        if model.z2[e] > 0.0:
            p, q = -0.5 * work.alpha[e] / work.rho[e], -0.5 * work.beta[e] / work.rho[e]
            ratio *= 1.0 - 2.0 * (model.r[e] * p + model.x[e] * q) + model.z2[e] * (p * p + q * q)
        w[j] = max(w[work.parent[j]] * ratio, 0.05 * model.w_max[j])


@inner
def conduct(model: Model, work: Work) -> None:
    """Conductances, and the right-hand sides of the balances in `y_next` and `mu_next`."""
    w, p, q = work.w, work.y_next, work.mu_next
    for j in range(len(w)):
        p[j] = model.p[j]
        q[j] = model.q[j]
    if model.shunts:
        for j in range(len(w)):
            p[j] += model.p_w[j] * w[j]
            q[j] += model.q_w[j] * w[j]
    for e in range(len(work.status)):
        if work.status[e] == OPEN:
            work.conductance[e] = 0.0
            continue
        i, j, k_i, k_j = model.fr[e], model.to[e], model.k_fr[e], model.k_to[e]
        if not work.down[e]:
            i, j, k_i, k_j = j, i, k_j, k_i
        if model.shunts:
            p[i] += model.g[e] * k_i * w[i]
            q[i] -= model.b[e] * k_i * w[i]
            p[j] += model.g[e] * k_j * w[j]
            q[j] -= model.b[e] * k_j * w[j]
        if model.z2[e] == 0.0:
            work.conductance[e] = model.ideal
            continue
        conductance = 0.5 * k_i * w[i] / work.rho[e]
        work.conductance[e] = conductance
        # r l is drawn at the far end; the turn of the voltage law, 2 r ν, drives a flow from i to j.
        current = work.steep[e] * k_i * w[i] / work.rho[e]
        turn = 2.0 * work.nu[e] * conductance
        p[j] += model.r[e] * (current + turn)
        q[j] += model.x[e] * (current + turn)
        p[i] -= model.r[e] * turn
        q[i] -= model.x[e] * turn


@inner
def factorise(model: Model, work: Work) -> None:
    """LDLᵀ of the Laplacian of the conductances, without the sources."""
    n, factor, diagonal = model.n, work.factor, work.diagonal
    for a in range(len(factor)):
        factor[a] = 0.0
    for k in range(n):
        diagonal[k] = 0.0
    for e in range(len(work.status)):
        conductance = work.conductance[e]
        if conductance != 0.0:
            i, j = model.fr[e], model.to[e]
            if i < n:
                diagonal[i] += conductance
            if j < n:
                diagonal[j] += conductance
            if model.slot[e] >= 0:
                factor[model.slot[e]] -= conductance
    pair = 0
    for k in range(n):
        inverse = 1.0 / diagonal[k]
        for a in range(model.column[k], model.column[k + 1]):
            scaled = factor[a] * inverse
            for b in range(model.column[k], a):
                factor[model.target[pair]] -= scaled * factor[b]
                pair += 1
            diagonal[model.row[a]] -= scaled * factor[a]
        for a in range(model.column[k], model.column[k + 1]):
            factor[a] *= inverse


@inner
def solve(model: Model, work: Work, one: Floats, two: Floats) -> None:
    """Solve for two right-hand sides in place; 0 at sources."""
    n = model.n
    for k in range(n, len(one)):
        one[k] = 0.0
        two[k] = 0.0
    for k in range(n):
        for a in range(model.column[k], model.column[k + 1]):
            one[model.row[a]] -= work.factor[a] * one[k]
            two[model.row[a]] -= work.factor[a] * two[k]
    for k in range(n - 1, -1, -1):
        first, second = one[k] / work.diagonal[k], two[k] / work.diagonal[k]
        for a in range(model.column[k], model.column[k + 1]):
            first -= work.factor[a] * one[model.row[a]]
            second -= work.factor[a] * two[model.row[a]]
        one[k] = first
        two[k] = second


@inner
def resistance(model: Model, work: Work, e: int) -> float:
    """Effective resistance that a branch sees; leaves the half-solved right-hand side in `one`.

    The forward substitution of a unit current between two buses touches only their ways up the elimination tree.
    """
    n, one = model.n, work.one
    for k in range(len(one)):
        one[k] = 0.0
    i, j = model.fr[e], model.to[e]
    one[i] = 1.0
    one[j] = -1.0
    total = 0.0
    while min(i, j) < n:
        k = min(i, j)
        total += one[k] * one[k] / work.diagonal[k]
        for a in range(model.column[k], model.column[k + 1]):
            one[model.row[a]] -= work.factor[a] * one[k]
        if i == k:
            i = model.up[k]
        if j == k:
            j = model.up[k]
    return total


@inner
def without(model: Model, work: Work, e: int) -> bool:
    """Multipliers with a live branch open, in `y_next` and `mu_next`; False where it is a bridge.

    Opening it changes the Laplacian by rank one: y' = y + L⁻¹b G (y_i − y_j) / (1 − G R), R as of `resistance`.
    """
    n, one = model.n, work.one
    rest = 1.0 - work.conductance[e] * resistance(model, work, e)
    if rest < 1e-10:
        return False
    for k in range(n, len(one)):
        one[k] = 0.0
        work.y_next[k] = 0.0
        work.mu_next[k] = 0.0
    by_y = work.conductance[e] * work.drop_y[e] / rest
    by_mu = work.conductance[e] * work.drop_mu[e] / rest
    for k in range(n - 1, -1, -1):
        value = one[k] / work.diagonal[k]
        for a in range(model.column[k], model.column[k + 1]):
            value -= work.factor[a] * one[model.row[a]]
        one[k] = value
        work.y_next[k] = work.y[k] + by_y * value
        work.mu_next[k] = work.mu[k] + by_mu * value
    return True


@inner
def level(model: Model, work: Work, y: Floats, mu: Floats) -> None:
    """Make the multipliers equal where live branches without impedance join buses, which the bound demands."""
    label = work.at
    for e in model.bare:
        label[model.fr[e]] = model.fr[e]
        label[model.to[e]] = model.to[e]
    again = True
    while again:
        again = False
        for e in model.bare:
            i, j = model.fr[e], model.to[e]
            if work.status[e] != OPEN and label[i] != label[j]:
                label[i] = max(label[i], label[j])  # a source wins: its multipliers are 0
                label[j] = label[i]
                again = True
    for e in model.bare:
        for bus in (model.fr[e], model.to[e]):
            y[bus] = y[label[bus]]
            mu[bus] = mu[label[bus]]
