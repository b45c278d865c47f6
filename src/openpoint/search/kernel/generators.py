"""Compiled: generators whose output costs something or has a greatest apparent power, in the bound and the fixed point.

**In the bound.** The output p + jq of a generator at bus j reduces the load there, and costs c p + a p² + c° with
a >= 0. Whatever output a completion has, its terms are at least their least value over the range of the output,

    min (c − y_j) p − μ_j q + a p² + κ (p² + q² − s²) + c°        p₋ <= p <= p₊, q₋ <= q <= q₊

with any κ >= 0, since p² + q² <= s². It is separable: p = (y − c) / 2 (a + κ) and q = μ / 2 κ, each moved into its
range; where the divisor is 0 an end of the range. The κ for which p² + q² = s² there is the best one. For outputs
without limits other than s this is −s √((y − c)² + μ²) if a = 0.

**In the fixed point.** At the best multipliers this output is that of the completion. So the bus is tied to the
potential c through a conductance 1 / 2 (a + κ), and to 0 in μ through 1 / 2κ, through a large one where the divisor is
0; the flows in these ties are the output. An output at an end of its range is a load. Ends and ties are kept from one
step to the next as an active set. With κ = 0 the output that a circle allows may be exceeded: with R the resistance of
the rest of the grid at the bus, an output that is too large by a factor f falls to s if 2κ + R grows by f.

**Sources with limits** are such generators, at buses whose multipliers are free: y = c and μ = 0 where no limit binds.
Where a limit is missing, the multiplier may not pass c or 0 to the side on which the bound would be without end. The
multipliers are raised by steps (`openpoint.search.kernel.ascent`).
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Floats, States
from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import BETWEEN, LEAST, MOST, OPEN, Model, Work
from openpoint.search.kernel.devices import ends, may_stay, value_today

TRIES = 20
"""Multipliers of a circle that are tried for a bound, at most."""
CLOSE = 1e-9
"""Relative difference of an apparent power from its limit at which no more are tried."""
SETTLED = 1e-7
"""Relative change below which the multiplier of a circle stays as it is."""


@inlined
def clipped(value: float, low: float, high: float) -> float:
    """The value moved into a range."""
    return min(max(value, low), high)


@inlined
def cheapest(slope: float, square: float, low: float, high: float) -> float:
    """Where slope x + square x² is least in a range."""
    if square > 0.0:
        return clipped(-0.5 * slope / square, low, high)
    if slope == 0.0:
        return clipped(0.0, low, high)
    return low if slope > 0.0 else high


@inlined
def allowed(multiplier: float, price: float, low: float, high: float) -> float:
    """The multiplier of a source, or its price where the power has no limit on the side that this multiplier needs."""
    below: bool = multiplier < price and low == -np.inf
    above: bool = multiplier > price and high == np.inf
    return price if below or above else multiplier


@inlined
def least_at(model: Model, g: int, y: float, mu: float, kappa: float) -> tuple[float, float, float]:
    """Least value of the terms of a generator with this multiplier of its circle, and the output there."""
    slope, square = model.output_price[g] - y, model.output_square[g] + kappa
    p = cheapest(slope, square, model.p_low[g], model.p_high[g])
    q = cheapest(-mu, kappa, model.q_low[g], model.q_high[g])
    value = model.output_idle[g] + slope * p - mu * q
    if square > 0.0:
        value += square * p * p
    if kappa > 0.0:
        value += kappa * (q * q - model.s_high[g] ** 2)
    return value, p, q


@inlined
def least_cost(model: Model, g: int, y: float, mu: float) -> tuple[float, float, float]:
    """As `least_at`, with the best multiplier of its circle that some tries find, and the last output."""
    s = model.s_high[g]
    best, p, q = least_at(model, g, y, mu, 0.0)
    if p * p + q * q <= s * s:
        return best, p, q
    low, high = 0.0, 0.5 * np.sqrt((y - model.output_price[g]) ** 2 + mu * mu) / s
    kappa = high
    for _ in range(TRIES):
        value, p, q = least_at(model, g, y, mu, kappa)
        best = max(best, value)
        # Newton's step for 1 / |p + jq| = 1 / s (Moré, Sorensen 1983); the part of an output that is at an end stays.
        size = np.sqrt(p * p + q * q)
        if abs(size - s) <= CLOSE * s:
            break
        if size > s:
            low = kappa
        else:
            high = kappa
        fall = p * p / (model.output_square[g] + kappa) if model.p_low[g] < p < model.p_high[g] else 0.0
        fall += q * q / kappa if model.q_low[g] < q < model.q_high[g] else 0.0
        if fall > 0.0:
            kappa += size * size / fall * (size - s) / s
        if not low < kappa < high:
            kappa = 0.5 * (low + high)
    return best, p, q


@inlined
def least_costs(model: Model, work: Work, y: Floats, mu: Floats) -> float:
    """Sum of the least terms of all generators; writes whether those that may stop cost less on than off."""
    total = 0.0
    for g in range(len(model.generator_at)):
        j = model.generator_at[g]
        value = least_cost(model, g, y[j], mu[j])[0]
        if model.units and g < model.first_source and model.stopper[g] >= 0:
            d, idle = model.stopper[g], 0.0
            off, on = ends(model, work, d)
            if may_stay(model, work, d) and off < on:
                today = value_today(model, d)
                value += model.move_price * (1.0 - today)
                idle = model.move_price * today
            work.running[d] = min(max(1.0 if value < idle else 0.0, off), on)
            value = 0.0 if on == 0.0 else (min(value, idle) if off == 0.0 else value)
        total += value
    return total


@inlined
def output_range(model: Model, work: Work, g: int) -> tuple[float, float, float, float]:
    """Least and greatest active and reactive output at the node, with 0 where the generator may stop."""
    p_low, p_high, q_low, q_high = model.p_low[g], model.p_high[g], model.q_low[g], model.q_high[g]
    if model.units and model.stopper[g] >= 0:
        off, on = ends(model, work, model.stopper[g])
        if on == 0.0:
            return 0.0, 0.0, 0.0, 0.0
        if off == 0.0:
            return min(p_low, 0.0), max(p_high, 0.0), min(q_low, 0.0), max(q_high, 0.0)
    return p_low, p_high, q_low, q_high


@inlined
def price_of(model: Model, work: Work, g: int) -> float:
    """Price of the active output, with the cost while it is on where the generator may stop."""
    price: float = model.output_price[g]
    if (
        model.units
        and model.stopper[g] >= 0
        and model.p_high[g] > 0.0
        and ends(model, work, model.stopper[g])[0] == 0.0
    ):
        price += model.output_idle[g] / model.p_high[g]
    return price


@inlined
def tie(model: Model, square: float, low: float, high: float) -> tuple[float, float]:
    """Conductance of a tie, and the output at its potential."""
    if 2.0 * square * model.ideal_conductance <= 1.0:
        return model.ideal_conductance, 0.5 * (low + high)
    return 0.5 / square, 0.0


@inlined
def assemble_outputs(model: Model, work: Work, p: Floats, q: Floats) -> None:
    """Subtract the outputs at ends of their ranges from the loads; write the ties to `tie_p` and `tie_q`."""
    for j in range(len(p)):
        work.tie_p[j] = 0.0
        work.tie_q[j] = 0.0
    for g in range(model.first_source):
        j, kappa = model.generator_at[g], work.kappa[g]
        p_low, p_high, q_low, q_high = output_range(model, work, g)
        if p_low == p_high:
            work.end_p[g] = LEAST
        if q_low == q_high:
            work.end_q[g] = LEAST
        if work.end_p[g] == BETWEEN:
            conductance, middle = tie(model, model.output_square[g] + kappa, p_low, p_high)
            work.tie_p[j] += conductance
            p[j] += conductance * price_of(model, work, g) - middle
        else:
            p[j] -= p_low if work.end_p[g] == LEAST else p_high
        if work.end_q[g] == BETWEEN:
            conductance, middle = tie(model, kappa, q_low, q_high)
            work.tie_q[j] += conductance
            q[j] -= middle
        else:
            q[j] -= q_low if work.end_q[g] == LEAST else q_high


@inlined
def update_end(
    model: Model, ends: States, g: int, square: float, price: float, low: float, high: float, y: float
) -> float:
    """Update whether an output is at an end of its range, by the multiplier of the last solve; returns the output."""
    if ends[g] == BETWEEN:
        conductance, middle = tie(model, square, low, high)
        output = middle + conductance * (y - price)
        if output < low:
            ends[g] = LEAST
        elif output > high:
            ends[g] = MOST
        return clipped(output, low, high)
    output = low if ends[g] == LEAST else high
    inward = y - price - 2.0 * square * output
    if low < high and (inward > 0.0) == (ends[g] == LEAST) and inward != 0.0:
        ends[g] = BETWEEN
    return output


@inlined
def settle_ties(model: Model, work: Work) -> None:
    """Set the multipliers of buses that are tied through a large conductance to the potential of the tie."""
    for g in range(model.first_source):
        j = model.generator_at[g]
        if j >= model.n:
            continue
        if work.end_p[g] == BETWEEN and 2.0 * (model.output_square[g] + work.kappa[g]) * model.ideal_conductance <= 1.0:
            work.y_next[j] = price_of(model, work, g)
        if work.end_q[g] == BETWEEN and 2.0 * work.kappa[g] * model.ideal_conductance <= 1.0:
            work.mu_next[j] = 0.0


@inlined
def power_of_source(model: Model, work: Work, s: int) -> tuple[float, float]:
    """Power that a source delivers in the relaxation, at the multipliers of the last bound."""
    w = work.w[s]
    v = np.sqrt(w)
    p, q = model.p[s] + model.p_v[s] * v + model.p_w[s] * w, model.q[s] + model.q_v[s] * v + model.q_w[s] * w
    for a in range(model.start[model.n], model.start[model.n + 1]):
        e = model.via[a]
        if work.status[e] == OPEN or (model.fr[e] != s and model.to[e] != s):
            continue
        sign = 1.0 if (model.fr[e] == s) == work.down[e] else -1.0
        if model.z2[e] == 0.0:
            along = work.conductance[e] if model.fr[e] == s else -work.conductance[e]
            p -= along * work.drop_y[e]
            q -= along * work.drop_mu[e]
            continue
        near = model.fr[e] if work.down[e] else model.to[e]
        part = (work.k_fr[e] if work.down[e] else model.k_to[e]) * work.w[near] / work.rho[e]
        lost = 0.0 if sign > 0.0 else work.steep[e] * part
        p -= sign * 0.5 * work.alpha[e] * part - model.r[e] * lost
        q -= sign * 0.5 * work.beta[e] * part - model.x[e] * lost
    return p, q


@inlined
def excess_of_source(model: Model, work: Work, g: int) -> tuple[float, float]:
    """Power of a source in the relaxation less the power nearest to it that its terms of the bound allow."""
    j = model.generator_at[g]
    p, q = power_of_source(model, work, j)
    slope, mu = work.y[j] - model.output_price[g], work.mu[j]
    if slope == 0.0 and mu == 0.0:
        p_kept, q_kept = clipped(p, model.p_low[g], model.p_high[g]), clipped(q, model.q_low[g], model.q_high[g])
        share = min(1.0, model.s_high[g] / max(np.sqrt(p_kept * p_kept + q_kept * q_kept), 1e-12))
        return p - share * p_kept, q - share * q_kept
    _, p_kept, q_kept = least_cost(model, g, work.y[j], mu)
    if slope == 0.0 and model.s_high[g] == np.inf:
        p_kept = clipped(p, model.p_low[g], model.p_high[g])
    if mu == 0.0 and model.s_high[g] == np.inf:
        q_kept = clipped(q, model.q_low[g], model.q_high[g])
    return p - p_kept, q - q_kept
