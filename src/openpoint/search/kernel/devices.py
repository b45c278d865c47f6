"""Compiled: devices that may be set, each to a whole number of positions, in the bound and in branching.

At a node every device has an interval of positions. Values rise or fall with the position, so the least and the
greatest value are those at the ends of the interval.

**Banks.** A bank at bus j with susceptance b draws −b w_j of reactive power, which adds −μ_j b w_j to the Lagrangian of
`openpoint.search.kernel.bound`. Whatever b in [b₋, b₊] a completion has, that is at least −max(μ_j b₋, μ_j b₊) w_j,
so the maximum is added to A_j. In the fixed point the reactive load that may be chosen at the bus has the span
(b₊ − b₋) w_j, in addition to that of its generators: the same sign of μ_j decides both.

**Voltages of sources.** The root of a part is its source, with w in [w₋, w₊]: −A w is at least −A w₊ if A > 0, else
−A w₋.

**Tap changers.** A ratio at the from end of a branch sets κ in [κ₋, κ₊] there; κ at its to end is 1.

- Undecided branches: what A takes at the from end is max(0, κ c − price / w_max) with some c, at most that with κ₊.
- Closed, the from end is above, at bus i: ν and s = (α² + β²) / 4 (ρ + σ) do not depend on κ, and A_i takes κ (ν + s +
  h_i), where h_i is the term of the shunt there. It is linear in κ, so −A_i w_i is least at one of the two ends.
- Closed, the from end is below, at bus j: the coefficient of w_j is A' + φ_j + κ h_j − κ ν, with A' all that the
  branches below take. For each κ the law of voltages may have a multiplier ν of its own: ν = (A' + φ_j) / κ + h_j
  makes it φ_j. A completion has one κ, so the bound with the largest ν + s of all κ holds. ν, and with it α, β and ρ,
  is affine in 1/κ. Where ρ + σ > 0 at both ends of the interval (take σ affine between its values there), it is
  between them, and s is convex in 1/κ as the perspective of a square. So the larger of ν + s at the two ends is the
  largest; the same holds for σ l_max.

**Units.** A generator that may stop is on, with the terms of `openpoint.search.kernel.devices`, or off, with none.
At a node where both are possible the lesser of their least value and 0 holds for both. The fixed point then takes the
range of the output with 0, and the cost while it is on as a price of the output.

**Moves.** A device in another position than today's may have a price m. It is part of the bound as soon as today's is
not in the interval. While today's is in it, the bound takes the better of staying and of moving at this price: of a
source's voltage max(A w₀, max(A w₋, A w₊) − m); of a unit the lesser of its terms on and off, each with its price. Of a
bank with b₀ today, max(0, h w − m) with h = max(μ b₋, μ b₊) − μ b₀ >= 0 is convex in w and so below its chord on
[0, w_max]: A_j takes μ b₀ + max(0, h − m / w_max). Tap changers in branches are taken to move for nothing there.

**Branching.** The positions of a device are divided where the relaxation, taken at the multipliers of the node, has its
value; the side that is nearer follows. While branches are undecided, only tap changers with many positions are divided:
the bound may take another ratio for each bus below, so that it is weak while the interval is wide. Where limits bind,
their intervals are halved, since the ratio that is wanted is at an end of the interval and misses the limits.
Where moves have a price, and today's position is in the interval but not the one of the relaxation, today's is parted
from the positions on the side of the relaxation's.

Generators whose output costs something or has a greatest apparent power, in the bound and the fixed point.

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
multipliers are raised by steps (`openpoint.search.kernel.multipliers`).
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Floats, States
from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import BETWEEN, LEAST, MOST, OPEN, Model, Work

BANK, VOLTAGE, TAP, UNIT = 0, 1, 2, 3
"""`openpoint.network.devices.DeviceKind`."""
WIDE = 4
"""Positions of a tap changer between the first and the last one from which on they are divided before branches."""


@inlined
def ends(model: Model, work: Work, d: int) -> tuple[float, float]:
    """The least and the greatest value of a device in its interval."""
    first, last = model.value[model.device_start[d] + work.low[d]], model.value[model.device_start[d] + work.high[d]]
    return min(first, last), max(first, last)


@inlined
def least_moves(model: Model, work: Work) -> float:
    """The cost of the devices whose interval is without today's position."""
    total = 0.0
    for d in range(len(model.device_kind)):
        if not work.low[d] <= model.device_today[d] <= work.high[d]:
            total += model.move_price
    return total


@inlined
def may_stay(model: Model, work: Work, d: int) -> bool:
    """Whether moves have a price and today's position is in the interval of a device."""
    inside: bool = work.low[d] <= model.device_today[d] <= work.high[d]
    return model.move_price > 0.0 and inside


@inlined
def value_today(model: Model, d: int) -> float:
    """What a device is set to today."""
    value: float = model.value[model.device_start[d] + model.device_today[d]]
    return value


@inlined
def held(model: Model, work: Work, j: int) -> tuple[float, float]:
    """The least and the greatest squared voltage of a root."""
    if model.voltages and model.holder[j] >= 0:
        return ends(model, work, model.holder[j])
    return model.w_min[j], model.w_max[j]


@inlined
def root_takes(model: Model, work: Work, j: int, gain: float) -> float:
    """The most that A w of a root can be."""
    low, high = held(model, work, j)
    taken = gain * (high if gain > 0.0 else low)
    if model.voltages and model.holder[j] >= 0 and may_stay(model, work, model.holder[j]):
        taken = max(taken - model.move_price, gain * value_today(model, model.holder[j]))
    return taken


@inlined
def greatest_ratio(model: Model, work: Work, e: int) -> float:
    """The greatest κ at the from end of a branch; of a tap changer it is written to `work.k_fr`, too."""
    if model.taps and model.changer[e] >= 0:
        work.k_fr[e] = ends(model, work, model.changer[e])[1]
    ratio: float = work.k_fr[e]
    return ratio


@inlined
def add_banks(model: Model, work: Work, mu: Floats) -> None:
    """Add the terms of banks to A."""
    for d in range(len(model.device_kind)):
        if model.device_kind[d] == BANK:
            least, most = ends(model, work, d)
            j = model.device_at[d]
            taken = max(mu[j] * least, mu[j] * most)
            if may_stay(model, work, d):
                now = mu[j] * value_today(model, d)
                taken = now + max(0.0, taken - now - model.move_price / model.w_max[j])
            work.gain[j] += taken


@inlined
def ranges_with_banks(model: Model, work: Work) -> None:
    """Write the reactive load that may be chosen at every bus; where nothing is left to choose, end a choice."""
    for j in range(len(work.w)):
        work.least_q[j] = model.q[j]
        work.span_q[j] = model.q_span[j]
    for d in range(len(model.device_kind)):
        if model.device_kind[d] == BANK:
            least, most = ends(model, work, d)
            j = model.device_at[d]
            work.least_q[j] -= most * work.w[j]
            work.span_q[j] += (most - least) * work.w[j]
    for j in range(len(work.w)):
        if work.span_q[j] <= 0.0:
            work.choice_q[j] = LEAST


@inlined
def position_of(model: Model, work: Work, d: int, value: float) -> float:
    """The position in the interval that has this value, with a fraction between two positions."""
    start = model.device_start[d]
    sign = 1.0 if model.value[start + work.high[d]] >= model.value[start + work.low[d]] else -1.0
    k = work.low[d]
    while k < work.high[d] and sign * (model.value[start + k + 1] - value) <= 0.0:
        k += 1
    if k == work.high[d]:
        return float(k)
    here, there = model.value[start + k], model.value[start + k + 1]
    position: float = k + min(max((value - here) / (there - here), 0.0), 1.0)
    return position


@inlined
def divide(model: Model, work: Work) -> int:
    """The device to divide next, -1 where all have one position; writes the positions of the relaxation to `wanted`.

    Of the banks with a value between two positions it is the one whose value is farthest from both; without such a
    bank, the first voltage of a source, else the first bank.
    """
    chosen, farthest = -1, -1.0
    for d in range(len(model.device_kind)):
        start, low, high = model.device_start[d], work.low[d], work.high[d]
        j = model.device_at[d]
        least, most = ends(model, work, d)
        value = most
        if model.device_kind[d] == VOLTAGE:
            value = most if work.gain[j] >= 0.0 else least
        elif model.device_kind[d] == TAP:
            value = work.k_fr[j]
        elif model.device_kind[d] == UNIT:
            value = work.running[d]
        elif work.span_q[j] > 0.0:
            share = min(max((work.taken_q[j] - work.least_q[j]) / work.span_q[j], 0.0), 1.0)
            value = most - share * (most - least)
        work.wanted[d] = position_of(model, work, d, value)
        if low < high:
            score = -0.5 if model.device_kind[d] == BANK else 0.0
            k = int(np.floor(work.wanted[d]))
            if k < work.wanted[d]:
                score = min(abs(model.value[start + k] - value), abs(model.value[start + k + 1] - value))
            if chosen < 0 or score > farthest:
                chosen, farthest = d, score
    return chosen


@inlined
def divide_tap(model: Model, work: Work) -> int:
    """The tap changer with the widest interval, if it is wide, else -1; writes its position to `wanted`."""
    chosen, widest = -1, WIDE - 1
    for d in range(len(model.device_kind)):
        if model.device_kind[d] == TAP and work.high[d] - work.low[d] > widest:
            chosen, widest = d, work.high[d] - work.low[d]
    if chosen >= 0:
        work.wanted[chosen] = position_of(model, work, chosen, work.k_fr[model.device_at[chosen]])
    return chosen


@inlined
def last_of_lower_side(model: Model, work: Work, d: int) -> tuple[int, int]:
    """The last position of the lower side of a division, and the side of the wanted position: 0 for the lower one."""
    wanted = work.wanted[d]
    today = model.device_today[d]
    if may_stay(model, work, d) and wanted != today:
        return (today, 1) if wanted > today else (today - 1, 0)
    if model.device_kind[d] == TAP:
        binding = False
        for j in range(len(work.phi)):
            binding = binding or work.phi[j] != 0.0
        if binding:
            k = (work.low[d] + work.high[d]) // 2
            return k, 0 if wanted <= k else 1
    k = int(np.floor(wanted))
    if k >= work.high[d]:
        return work.high[d] - 1, 1
    return k, 0 if wanted - k <= 0.5 else 1


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
