"""Compiled: the fixed point of multipliers at a node, and multipliers of limits of voltages and sources."""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import PHI_BITS, Model, Work
from openpoint.search.kernel.bound import bound
from openpoint.search.kernel.generators import allowed, excess_of_source
from openpoint.search.kernel.multipliers import equalise_zero_impedance, estimate_voltages, solve_balances
from openpoint.search.kernel.vectors import copy_values

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
