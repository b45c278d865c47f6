"""Compiled: one operating state of a node that several share, so that their bounds add up before anything is decided.

A radial state that serves several periods costs the sum of what it costs in each. The bound of a node is the sum of
its bounds, each at multipliers of its own; so is the bound with one more branch open, or closed. What is decided by the
sums is up to the caller (`openpoint.search.switching.searches`).

The bound of one node in K operating states at once, each with multipliers of its own.

Beside the bounds, it gives the terms of branches for the next iteration of a fixed point whose balances are solved
together with a schedule that links the states (`openpoint.studies.dispatch.day.topology.relaxation`): with ρ, ν and w
held, the terms of a branch in the bound are the least value of

    ρ (p² + q²) / κ w + 2 ν (r p + x q) + (y_a − y_b) p + (μ_a − μ_b) q

over its power, so it is a conductance with a source of voltage. With p counted from `fr` to `to` whatever the direction
of the branch, the second term changes its sign where it is directed against that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.compiled.jit import inlined, lean
from openpoint.compiled.table import Table
from openpoint.search.kernel import forest
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, Work
from openpoint.search.kernel.bookkeeping import Record, copy_values
from openpoint.search.kernel.bound import bound
from openpoint.search.kernel.forest import root
from openpoint.search.kernel.multipliers import dual_ascent, equalise_zero_impedance
from openpoint.search.kernel.node import estimate, probe, safe


@lean
def bounded_with_estimates(model: Model, work: Work, iterations: int) -> float:
    """The bound of the node in `work`, propagated, and estimates with an undecided branch open in `work.guess`."""
    forest.root(model, work)
    value = dual_ascent(model, work, iterations, np.inf)
    for e in range(len(work.status)):
        if work.status[e] == UNDECIDED:
            work.guess[e] = estimate(model, work, e, value)
    return safe(value)


@lean
def probe_some(model: Model, work: Work, record: Record, some: Bools) -> None:
    """Bounds with one of some undecided branches open, in `work.value`."""
    for e in range(len(work.status)):
        if some[e]:
            work.value[e] = probe(model, work, record, e, np.inf)


@lean
def close_some(model: Model, work: Work, some: Bools) -> None:
    """Bounds with one of some undecided branches closed, and its consequences, in `work.value`; multipliers stay.

    The forest in `work` is invalid afterwards.
    """
    copy_values(work.status, work.status_kept)
    for e in range(len(work.status)):
        if some[e]:
            work.status[e] = CLOSED
            work.value[e] = np.inf
            if forest.propagate(model, work):
                forest.root(model, work)
                work.value[e] = safe(bound(model, work, work.y, work.mu))
            copy_values(work.status_kept, work.status)


@dataclass(frozen=True, eq=False)
class Periods(Table):
    """K operating states of a grid with N buses and m branches, in the numbers of the search model.

    Attributes:
        y, mu: (K, N) multipliers of the balances. p_flow, q_flow: (K, m) flows from `fr` to `to`, for estimates of
            voltages and currents. p_v, q_v, p_w, q_w: (K, N) loads of constant current and impedance.
        scale: (K) what a state counts.
        value: (K) the bounds. square: (K, m) ρ / κ w, 0 where open. slope: (K, m) ±2 ν. current: (K, m) l of the
            flows. down: (K, m) whether the loss is drawn at `to`.
    """

    y: Floats
    mu: Floats
    p_flow: Floats
    q_flow: Floats
    p_v: Floats
    q_v: Floats
    p_w: Floats
    q_w: Floats
    scale: Floats
    value: Floats
    square: Floats
    slope: Floats
    current: Floats
    down: Bools


@inlined
def voltages(model: Model, work: Work, periods: Periods, k: int) -> None:
    """Squared voltages along the closed forest at the flows of state k, estimates that are kept off 0."""
    w = work.w
    for position in range(len(w)):
        j = work.order[position]
        e = work.edge[j]
        if e < 0:
            w[j] = model.w_max[j]
            continue
        i, p, q = work.parent[j], periods.p_flow[k, e], periods.q_flow[k, e]
        near, far = work.k_fr[e], model.k_to[e]
        if not work.down[e]:
            near, far, p, q = far, near, -p, -q
        before = near * w[i]
        after = before - 2.0 * (model.r[e] * p + model.x[e] * q) + model.z2[e] * (p * p + q * q) / before
        w[j] = max(after / far, 0.05 * model.w_max[j])


@inlined
def take(model: Model, work: Work, periods: Periods, k: int) -> None:
    """Make state k the current one, its multipliers equal where there is no impedance, and its forest."""
    for j in range(len(work.y)):
        work.y[j] = periods.y[k, j]
        work.mu[j] = periods.mu[k, j]
        model.p_v[j] = periods.p_v[k, j]
        model.q_v[j] = periods.q_v[k, j]
        model.p_w[j] = periods.p_w[k, j]
        model.q_w[j] = periods.q_w[k, j]
    equalise_zero_impedance(model, work, work.y, work.mu)
    for j in range(len(work.y)):
        periods.y[k, j] = work.y[j]
        periods.mu[k, j] = work.mu[j]
    root(model, work)


@lean
def sum_of_periods(model: Model, work: Work, periods: Periods) -> float:
    """The sum of the bounds of the node in `work` at the multipliers, with voltages as they were estimated last."""
    total = 0.0
    for k in range(len(periods.value)):
        take(model, work, periods, k)
        total += periods.scale[k] * safe(bound(model, work, work.y, work.mu))
    return total


@lean
def bounds_of_periods(model: Model, work: Work, periods: Periods) -> None:
    """Bound the node in `work`, for which `propagate` has been called, in every state."""
    status = work.status
    for k in range(len(periods.value)):
        take(model, work, periods, k)
        bound(model, work, work.y, work.mu)
        voltages(model, work, periods, k)
        value = safe(bound(model, work, work.y, work.mu))
        periods.value[k] = value
        for e in range(len(status)):
            if status[e] == OPEN:
                periods.square[k, e] = 0.0
                periods.slope[k, e] = 0.0
                periods.current[k, e] = 0.0
                continue
            i, ratio = (model.fr[e], work.k_fr[e]) if work.down[e] else (model.to[e], model.k_to[e])
            w = ratio * work.w[i]
            periods.square[k, e] = work.rho[e] / w
            periods.slope[k, e] = 2.0 * work.nu[e] if work.down[e] else -2.0 * work.nu[e]
            periods.current[k, e] = (periods.p_flow[k, e] ** 2 + periods.q_flow[k, e] ** 2) / w
            periods.down[k, e] = work.down[e]
