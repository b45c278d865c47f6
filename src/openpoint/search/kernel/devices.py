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

**Units.** A generator that may stop is on, with the terms of `openpoint.search.kernel.generators`, or off, with none.
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
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Floats
from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import LEAST, Model, Work

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
