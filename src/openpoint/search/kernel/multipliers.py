"""Compiled: multipliers that make the bound large, by a fixed-point iteration on conductances.

At the best multipliers the flow that is least in each branch's term of the bound, p = −α κ w / 2ρ, fulfils the
balances. With ρ and w held, p = G (y_b − y_a − 2 r ν) with G = κ w / 2ρ, so the balances are a linear system in y with
the weighted Laplacian of the branches that are not open, and the same one in μ. An iteration solves it and then
updates ρ, ν and w; the error falls by a factor of 20 to 40 in each, and on a full tree the limit is the exact loss.

The Laplacian always has the sparsity pattern of the whole grid, whichever branches are open. So the order of
elimination, of least degree, is chosen once (`openpoint.search.model.build`), with the positions of all entries.

Where a bus has a dispatchable generator or a capacitor bank, its multiplier is 0 unless the output is at an end of its
range. Such a bus is tied to 0 through a large conductance, and the flow in this tie is the output. Ends and ties are
kept from one step to the next (`update_active_set`), as an active set. y and μ have matrices of their own then.

The fixed point of multipliers at a node, and multipliers of limits of voltages and sources.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.arrays import Floats, States
from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import BETWEEN, LEAST, MOST, OPEN, PHI_BITS, Model, Work
from openpoint.search.kernel.bookkeeping import copy_values
from openpoint.search.kernel.bound import above, bound
from openpoint.search.kernel.devices import (
    SETTLED,
    allowed,
    assemble_outputs,
    excess_of_source,
    held,
    least_cost,
    output_range,
    price_of,
    ranges_with_banks,
    settle_ties,
    update_end,
)

PASSES = 10
"""Steps at the same conductances until the active set of outputs stays as it is, at most."""


@inlined
def estimate_voltages(model: Model, work: Work) -> None:
    """Estimate the squared voltages along the closed forest, from the flows that minimise the terms of the bound."""
    w = work.w
    for position in range(len(w)):
        j = work.order[position]
        e = work.edge[j]
        if e < 0:
            low, high = held(model, work, j)
            w[j] = high if work.gain[j] >= 0.0 else max(low, 0.25 * high)
            continue
        ratio = work.k_fr[e] / model.k_to[e] if work.down[e] else model.k_to[e] / work.k_fr[e]
        if model.z2[e] > 0.0:
            p, q = -0.5 * work.alpha[e] / work.rho[e], -0.5 * work.beta[e] / work.rho[e]
            ratio *= 1.0 - 2.0 * (model.r[e] * p + model.x[e] * q) + model.z2[e] * (p * p + q * q)
        w[j] = max(w[work.parent[j]] * ratio, 0.05 * model.w_max[j])


@inlined
def assemble_balances(model: Model, work: Work) -> None:
    """Compute the conductances, and the right-hand sides of the balances in `y_next` and `mu_next`."""
    w, p, q = work.w, work.y_next, work.mu_next
    for j in range(len(w)):
        p[j] = model.p[j]
        q[j] = model.q[j]
    if model.dispatchable:
        for j in range(len(w)):
            p[j] += model.p_span[j] * load_share(work.choice_p[j])
            q[j] += model.q_span[j] * load_share(work.choice_q[j])
    if model.banks:
        ranges_with_banks(model, work)
        for j in range(len(w)):
            q[j] = work.least_q[j] + work.span_q[j] * load_share(work.choice_q[j])
    if model.costly:
        assemble_outputs(model, work, p, q)
    if model.currents:
        for j in range(len(w)):
            v = np.sqrt(w[j])
            if work.y[j] * model.p_v[j] + work.mu[j] * model.q_v[j] > 0.0:
                first, second = above(model.w_min[j], model.w_max[j])
                v = first + second * w[j]
            p[j] += model.p_v[j] * v
            q[j] += model.q_v[j] * v
    if model.shunts:
        for j in range(len(w)):
            p[j] += model.p_w[j] * w[j]
            q[j] += model.q_w[j] * w[j]
    for e in range(len(work.status)):
        if work.status[e] == OPEN:
            work.conductance[e] = 0.0
            continue
        i, j, k_i, k_j = model.fr[e], model.to[e], work.k_fr[e], model.k_to[e]
        if not work.down[e]:
            i, j, k_i, k_j = j, i, k_j, k_i
        if model.shunts:
            at_fr, at_to = (k_i * w[i], k_j * w[j]) if work.down[e] else (k_j * w[j], k_i * w[i])
            p[model.fr[e]] += model.g_fr[e] * at_fr
            q[model.fr[e]] -= model.b_fr[e] * at_fr
            p[model.to[e]] += model.g_to[e] * at_to
            q[model.to[e]] -= model.b_to[e] * at_to
        conductance = 0.5 * k_i * w[i] / work.rho[e]
        if model.z2[e] == 0.0:
            conductance = min(conductance, model.ideal_conductance)  # ρ is the price of its current
        work.conductance[e] = conductance
        if i >= model.n:
            p[j] += conductance * work.y[i]
            q[j] += conductance * work.mu[i]
        if j >= model.n:
            p[i] += conductance * work.y[j]
            q[i] += conductance * work.mu[j]
        if model.z2[e] == 0.0:
            continue
        # r l is drawn at the far end; the term 2 r ν of the voltage law drives a flow from i to j.
        current = work.steep[e] * k_i * w[i] / work.rho[e]
        turn = 2.0 * work.nu[e] * conductance
        p[j] += model.r[e] * (current + turn)
        q[j] += model.x[e] * (current + turn)
        p[i] -= model.r[e] * turn
        q[i] -= model.x[e] * turn


@inlined
def load_share(choice: int) -> float:
    """Share of the range of a choice that counts as load."""
    return 0.5 if choice == BETWEEN else float(choice)


@inlined
def update_active_set(model: Model, span: Floats, choice: States, least: Floats, y: Floats, taken: Floats) -> None:
    """Update the active set: which choices are at an end of their range, by the multipliers of the last solve."""
    for j in range(model.n):
        taken[j] = least[j] + span[j] * load_share(choice[j])
        if span[j] > 0.0:
            if choice[j] == BETWEEN:
                more = 0.5 * span[j] - model.ideal_conductance * y[j]
                y[j] = 0.0
                if more < 0.0:
                    choice[j] = LEAST
                elif more > span[j]:
                    choice[j] = MOST
                taken[j] = least[j] + min(max(more, 0.0), span[j])
            elif (choice[j] == LEAST) == (y[j] < 0.0) and y[j] != 0.0:
                choice[j] = BETWEEN


@inlined
def factorise(model: Model, work: Work, factor: Floats, diagonal: Floats, choice: States, ties: Floats) -> None:
    """LDLᵀ of the Laplacian of the conductances, without the sources, and with the ties of choices."""
    n = model.n
    for a in range(len(factor)):
        factor[a] = 0.0
    for k in range(n):
        diagonal[k] = model.ideal_conductance if choice[k] == BETWEEN else 0.0
    if model.costly:
        for k in range(n):
            diagonal[k] += ties[k]
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


@inlined
def solve(model: Model, factor: Floats, diagonal: Floats, one: Floats, two: Floats) -> None:
    """Solve for two right-hand sides in place, at all buses but the sources."""
    n = model.n
    for k in range(n):
        for a in range(model.column[k], model.column[k + 1]):
            one[model.row[a]] -= factor[a] * one[k]
            two[model.row[a]] -= factor[a] * two[k]
    for k in range(n - 1, -1, -1):
        first, second = one[k] / diagonal[k], two[k] / diagonal[k]
        for a in range(model.column[k], model.column[k + 1]):
            first -= factor[a] * one[model.row[a]]
            second -= factor[a] * two[model.row[a]]
        one[k] = first
        two[k] = second


@inlined
def solve_balances(model: Model, work: Work) -> None:
    """One fixed-point step: multipliers for which the flows keep the balances, in `y_next` and `mu_next`.

    With prices of outputs it is repeated, at the same conductances, until their active set stays as it is.
    """
    for _ in range(PASSES if model.costly else 1):
        assemble_balances(model, work)
        factorise(model, work, work.factor, work.diagonal, work.choice_p, work.tie_p)
        if not model.spans:
            solve(model, work.factor, work.diagonal, work.y_next, work.mu_next)
        else:
            solve(model, work.factor, work.diagonal, work.y_next, work.one)
            factorise(model, work, work.factor_q, work.diagonal_q, work.choice_q, work.tie_q)
            solve(model, work.factor_q, work.diagonal_q, work.mu_next, work.one)
            settled = not model.costly or not update_outputs(model, work)
            update_active_set(model, model.p_span, work.choice_p, model.p, work.y_next, work.taken_p)
            if model.banks:
                update_active_set(model, work.span_q, work.choice_q, work.least_q, work.mu_next, work.taken_q)
            else:
                update_active_set(model, model.q_span, work.choice_q, model.q, work.mu_next, work.taken_q)
            if settled:
                break
    if model.costly:
        settle_ties(model, work)
    for k in range(model.n, len(work.y)):
        work.y_next[k] = work.y[k]
        work.mu_next[k] = work.mu[k]


@inlined
def update_outputs(model: Model, work: Work) -> bool:
    """Update the outputs of generators, their ends and the multipliers of circles; returns whether any changed."""
    changed = False
    for g in range(model.first_source):
        j, kappa, s = model.generator_at[g], work.kappa[g], model.s_high[g]
        if j >= model.n:  # at a source both multipliers are given
            _, work.output_p[g], work.output_q[g] = least_cost(model, g, work.y[j], work.mu[j])
            continue
        p_low, p_high, q_low, q_high = output_range(model, work, g)
        y, mu, ends = work.y_next[j], work.mu_next[j], (work.end_p[g], work.end_q[g])
        square, price = model.output_square[g] + kappa, price_of(model, work, g)
        p = update_end(model, work.end_p, g, square, price, p_low, p_high, y)
        q = update_end(model, work.end_q, g, kappa, 0.0, q_low, q_high, mu)
        changed |= ends[0] != work.end_p[g] or ends[1] != work.end_q[g]
        work.output_p[g] = p
        work.output_q[g] = q
        if s < np.inf and (kappa > 0.0 or p * p + q * q > s * s):
            with_ties = resistance(model, work.factor, work.diagonal, work.one, j, model.n)
            rest = max(1.0 / with_ties - work.tie_p[j], 1.0 / model.ideal_conductance)
            factor = np.sqrt(p * p + q * q) / s
            work.kappa[g] = max(0.0, 0.5 * ((2.0 * kappa + 1.0 / rest) * factor - 1.0 / rest))
            changed |= abs(work.kappa[g] - kappa) > SETTLED * max(kappa, 1.0 / model.ideal_conductance)
    return changed


@inlined
def resistance(model: Model, factor: Floats, diagonal: Floats, one: Floats, i: int, j: int) -> float:
    """Effective resistance between two buses, a source as j; leaves the forward-substituted right-hand side in `one`.

    The forward substitution of a unit current between two buses changes only entries on their paths to the root of the
    elimination tree.
    """
    n = model.n
    for k in range(len(one)):
        one[k] = 0.0
    one[i] = 1.0
    one[j] = -1.0
    total = 0.0
    while min(i, j) < n:
        k = min(i, j)
        total += one[k] * one[k] / diagonal[k]
        for a in range(model.column[k], model.column[k + 1]):
            one[model.row[a]] -= factor[a] * one[k]
        if i == k:
            i = model.up[k]
        if j == k:
            j = model.up[k]
    return total


@inlined
def multipliers_without(model: Model, work: Work, e: int) -> bool:
    """Multipliers with one branch opened, in `y_next` and `mu_next`; False where it is a bridge.

    Opening it changes the Laplacian by rank one: y' = y + L⁻¹b G (y_i − y_j) / (1 − G R), R as of `resistance`.
    """
    n, one, conductance = model.n, work.one, work.conductance[e]
    i, j = model.fr[e], model.to[e]
    rest = 1.0 - conductance * resistance(model, work.factor, work.diagonal, one, i, j)
    if rest < 1e-10:
        return False
    by_y, by_mu = conductance * work.drop_y[e] / rest, conductance * work.drop_mu[e] / rest
    for k in range(n, len(one)):
        work.y_next[k] = work.y[k]
        work.mu_next[k] = work.mu[k]
    back_substitute(model, work.factor, work.diagonal, one)
    for k in range(n):
        work.y_next[k] = work.y[k] + by_y * one[k]
        work.mu_next[k] = work.mu[k] + by_mu * one[k]
    if model.spans:
        rest = 1.0 - conductance * resistance(model, work.factor_q, work.diagonal_q, one, i, j)
        by_mu = conductance * work.drop_mu[e] / max(rest, 1e-10)
        back_substitute(model, work.factor_q, work.diagonal_q, one)
        for k in range(n):
            work.mu_next[k] = work.mu[k] + by_mu * one[k]
    return True


@inlined
def back_substitute(model: Model, factor: Floats, diagonal: Floats, one: Floats) -> None:
    """Backward substitution in place."""
    for k in range(model.n, len(one)):
        one[k] = 0.0
    for k in range(model.n - 1, -1, -1):
        value = one[k] / diagonal[k]
        for a in range(model.column[k], model.column[k + 1]):
            value -= factor[a] * one[model.row[a]]
        one[k] = value


@inlined
def equalise_zero_impedance(model: Model, work: Work, y: Floats, mu: Floats) -> None:
    """Make the multipliers equal at buses joined by zero-impedance branches that are not open; the bound needs this."""
    label = work.at
    for k in range(len(model.zero_impedance)):
        i, j = model.fr[model.zero_impedance[k]], model.to[model.zero_impedance[k]]
        label[i] = i
        label[j] = j
    again = True
    while again:
        again = False
        for k in range(len(model.zero_impedance)):
            e = model.zero_impedance[k]
            i, j = model.fr[e], model.to[e]
            if work.status[e] != OPEN and label[i] != label[j]:
                label[i] = max(label[i], label[j])  # a source represents its group: its multipliers are given
                label[j] = label[i]
                again = True
    for k in range(len(model.zero_impedance)):
        i, j = model.fr[model.zero_impedance[k]], model.to[model.zero_impedance[k]]
        if i < model.n:
            y[i] = y[label[i]]
            mu[i] = mu[label[i]]
        if j < model.n:
            y[j] = y[label[j]]
            mu[j] = mu[label[j]]


LIMIT_BUSES = 6
"""Buses at which a node's bound is raised by multipliers of their voltage limits."""
BELOW_MOST = 5
"""Steps of the fixed point in a row with a bound below the best one, at most."""
LEAST_VIOLATION = 1e-6
"""Power by which a source misses its limits, below which its multipliers stay as they are."""
STEPS: Any = np.int64(2)
"""Iterations of the fixed point of a node but the first one; a plain number would be compiled by itself."""


@inlined
def dual_ascent(model: Model, work: Work, most: int, cutoff: float) -> float:
    """Improve the multipliers, at most `most` times, until the cutoff or little gain; returns the bound reached.

    With prices of outputs the bound may fall for some steps, since the active set changes by leaps; the best
    multipliers are restored if it does not rise above theirs.
    """
    best = bound(model, work, work.y, work.mu)
    below = 0
    for _ in range(most):
        if best >= cutoff:
            break
        estimate_voltages(model, work)
        solve_balances(model, work)
        for e in range(len(work.status)):
            work.drop_y[e] = work.y_next[model.fr[e]] - work.y_next[model.to[e]]
            work.drop_mu[e] = work.mu_next[model.fr[e]] - work.mu_next[model.to[e]]
        equalise_zero_impedance(model, work, work.y_next, work.mu_next)
        value = bound(model, work, work.y_next, work.mu_next)
        if value < best and not model.costly:  # the step was too long: halve it
            for k in range(model.n):
                work.y_next[k] = 0.5 * (work.y_next[k] + work.y[k])
                work.mu_next[k] = 0.5 * (work.mu_next[k] + work.mu[k])
            equalise_zero_impedance(model, work, work.y_next, work.mu_next)
            value = bound(model, work, work.y_next, work.mu_next)
        if value < best and (not model.costly or below == BELOW_MOST):
            bound(model, work, work.y, work.mu)
            break
        if value < best:
            if below == 0:
                copy_values(work.y, work.y_best)
                copy_values(work.mu, work.mu_best)
            below += 1
            copy_values(work.y_next, work.y)
            copy_values(work.mu_next, work.mu)
            continue
        below = 0
        copy_values(work.y_next, work.y)
        copy_values(work.mu_next, work.mu)
        step = value - best
        best = value
        if step < 1e-4 * abs(best) and step < 0.02 * (cutoff - best):
            break
    if below > 0:
        copy_values(work.y_best, work.y)
        copy_values(work.mu_best, work.mu)
        bound(model, work, work.y, work.mu)
    return best


@inlined
def worst_voltage(model: Model, work: Work) -> tuple[int, float]:
    """The bus with the largest violation of its voltage limits in the relaxation, and the violation; > 0: too low."""
    bus, violation = -1, 1e-4
    for j in range(model.n):
        under, over = model.w_min[j] - work.w[j], work.w[j] - model.w_max[j]
        if max(under, over) > violation * model.w_max[j]:
            bus, violation = j, max(under, over) / model.w_max[j]
    if bus < 0:
        return -1, 0.0
    return bus, model.w_min[bus] - work.w[bus] if work.w[bus] < model.w_min[bus] else model.w_max[bus] - work.w[bus]


@inlined
def ascend_limit_multipliers(model: Model, work: Work, value: float, cutoff: float) -> float:
    """Raise the bound by multipliers of voltage limits, at the bus with the largest violation; returns the bound.

    A step is doubled while the bound rises, and quartered where it does not. Only steps that raise the bound are kept.
    """
    for _ in range(LIMIT_BUSES):
        estimate_voltages(model, work)
        j, violation = worst_voltage(model, work)
        if j < 0 or value >= cutoff:
            break
        step = 0.5 * (cutoff - value) / violation
        before = value
        for _ in range(6):
            phi = work.phi[j]
            copy_values(work.y, work.y_kept)
            copy_values(work.mu, work.mu_kept)
            work.phi[j] = np.rint((phi + step) * 2.0**PHI_BITS) / 2.0**PHI_BITS
            higher = dual_ascent(model, work, STEPS, cutoff)
            if higher > value:
                value = higher
                step *= 2.0
                if value >= cutoff:
                    break
            else:
                work.phi[j] = phi
                copy_values(work.y_kept, work.y)
                copy_values(work.mu_kept, work.mu)
                step *= 0.25
                if value > before:
                    break
        bound(model, work, work.y, work.mu)
        if value - before < 0.02 * min(cutoff - before, abs(before)):
            break
    return value


@inlined
def ascend_source_multipliers(model: Model, work: Work, value: float, cutoff: float) -> float:
    """Raise the bound by multipliers of the sources whose limits are missed in the relaxation; returns the bound.

    The excess of power is the derivative of the bound; steps along it as in `ascend_limit_multipliers`.
    """
    for _ in range(LIMIT_BUSES):
        chosen, source, p_excess, q_excess, violation = -1, -1, 0.0, 0.0, LEAST_VIOLATION
        for g in range(model.first_source, len(model.generator_at)):
            p, q = excess_of_source(model, work, g)
            if np.sqrt(p * p + q * q) > violation:
                chosen, source, p_excess, q_excess, violation = model.generator_at[g], g, p, q, np.sqrt(p * p + q * q)
        if chosen < 0 or value >= cutoff:
            break
        step = 0.5 * (cutoff - value) / (violation * violation)
        before = value
        for _ in range(6):
            y, mu = work.y[chosen], work.mu[chosen]
            copy_values(work.y, work.y_kept)
            copy_values(work.mu, work.mu_kept)
            p_ends, q_ends = (model.p_low[source], model.p_high[source]), (model.q_low[source], model.q_high[source])
            work.y[chosen] = allowed(y + step * p_excess, model.output_price[source], p_ends[0], p_ends[1])
            work.mu[chosen] = allowed(mu + step * q_excess, 0.0, q_ends[0], q_ends[1])
            higher = dual_ascent(model, work, STEPS, cutoff)
            if higher > value:
                value = higher
                step *= 2.0
                if value >= cutoff:
                    break
            else:
                copy_values(work.y_kept, work.y)
                copy_values(work.mu_kept, work.mu)
                step *= 0.25
                if value > before:
                    break
        bound(model, work, work.y, work.mu)
        if value - before < 0.02 * min(cutoff - before, abs(before)):
            break
    return value
