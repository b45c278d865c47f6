"""Compiled: the regions of a partial state and the bound of the interruptions within each.

See `openpoint.studies.reconfigure.faults.partial` for the derivation.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.powerflow.arrays import Wires
from openpoint.search.kernel.arrays import CLOSED, OPEN
from openpoint.studies.reconfigure.faults.arrays import FaultData
from openpoint.studies.reconfigure.faults.partial import Least, PartialWork

SAFE = 1e-9
"""Relative margin for rounding."""


@inlined
def counted(data: FaultData, least: Least, work: PartialWork, e: int) -> float:
    """Faults of a branch that is not attached, unless they count with an attached section that it is part of."""
    if not data.fails[e] or (data.hangs[e] and work.live[data.of_branch[e]]):
        return 0.0
    rate: float = least.by_rate[e]
    return rate


@inlined
def lowest_above(work: PartialWork, low: int, high: int) -> int:
    """The lowest bus above all attached ones between two places, themselves included; -1 where there is none."""
    if high < 0 or high >= len(work.order) - 1:
        return -1
    over: int = work.order[low]
    while over >= 0 and work.end[over] <= high:
        over = work.parent[over]
    return over


@inlined
def hangs_below(work: PartialWork, head: int, r: int) -> bool:
    """Whether a region lies below a bus in every completion, and no tie leads from it to elsewhere."""
    inside: bool = work.place[head] <= work.low[r] and work.high[r] < work.end[head]
    return inside


@inlined
def hang_powers(data: FaultData, work: PartialWork, regions: int) -> None:
    """Add the power of the regions that lie below a bus in every completion, and that no tie feeds from elsewhere."""
    for e in range(len(data.fr)):
        fr, to = data.fr[e], data.to[e]
        if work.status[e] != OPEN or not data.tie[e] or work.place[fr] >= 0 or work.place[to] >= 0:
            continue
        if work.region[fr] != work.region[to]:
            for bus in (fr, to):
                work.low[work.region[bus]], work.high[work.region[bus]] = 0, len(data.load)
    for r in range(regions):
        over = lowest_above(work, work.low[r], work.high[r])
        if over < 0:
            continue
        for k in range(work.begin[r], work.begin[r + 1]):
            if work.part[work.rest[k]] == work.rest[k]:
                work.p_hung[over] += work.part_p[work.rest[k]]
                work.q_hung[over] += work.part_q[work.rest[k]]


@inlined
def find_regions(wires: Wires, data: FaultData, least: Least, work: PartialWork) -> int:
    """Find the regions, and what lies below which attached bus in every completion; returns their number."""
    n = len(data.load)
    for bus in range(n):
        work.hung[bus], work.p_hung[bus], work.q_hung[bus] = 0.0, 0.0, 0.0
        work.seen[bus] = False
        work.entry[bus] = np.inf
        work.part_weight[bus] = 0.0
    regions, end = 0, 0
    for first in range(n):
        if work.place[first] >= 0 or work.seen[first]:
            continue
        begin, low, high, least_place, most_place, bare, weight = end, n, -1, n, -1, True, 0.0
        work.rest[end] = first
        work.seen[first] = True
        end += 1
        k = begin
        while k < end:
            bus = work.rest[k]
            own = work.part[bus]
            k += 1
            work.region[bus] = regions
            weight += least.by_weight[bus]
            work.part_weight[own] += least.by_weight[bus]
            for a in range(wires.start[bus], wires.start[bus + 1]):
                e, other = wires.via[a], wires.neighbour[a]
                if work.status[e] == OPEN:
                    if data.tie[e] and work.place[other] >= 0:
                        least_place = min(least_place, work.place[other])
                        most_place = max(most_place, work.place[other])
                    continue
                if work.place[other] >= 0:
                    low, high = min(low, work.place[other]), max(high, work.place[other])
                    work.entry[own] = min(work.entry[own], counted(data, least, work, e))
                    continue
                bare = bare and not least.breaker[e]
                if work.status[e] != CLOSED and work.part[other] != own:
                    work.entry[own] = min(work.entry[own], counted(data, least, work, e))
                if not work.seen[other]:
                    work.seen[other] = True
                    work.rest[end] = other
                    end += 1
        work.begin[regions], work.bare[regions] = begin, bare
        over = lowest_above(work, low, high)
        if over >= 0:
            work.hung[over] += weight
        work.low[regions], work.high[regions] = min(low, least_place), max(high, most_place)
        regions += 1
    work.begin[regions] = end
    hang_powers(data, work, regions)
    return regions


@inlined
def find_tops(data: FaultData, least: Least, work: PartialWork, count: int) -> None:
    """The bus of each attached bus that trips with all faults below: that below the first breaker above."""
    for k in range(count):
        bus = work.order[k]
        up = work.parent[bus]
        if up < 0 or work.parent[up] < 0 or least.breaker[work.above[bus]]:
            work.top[bus] = bus
        else:
            work.top[bus] = work.top[up]


@inlined
def find_groups(wires: Wires, data: FaultData, least: Least, work: PartialWork, r: int) -> int:
    """What a region may be tripped with: a group of attached buses, or a new one; returns their number."""
    groups = 0
    for k in range(work.begin[r], work.begin[r + 1]):
        bus = work.rest[k]
        for a in range(wires.start[bus], wires.start[bus + 1]):
            e, other = wires.via[a], wires.neighbour[a]
            if work.status[e] == OPEN or work.place[other] < 0:
                continue
            if work.parent[other] < 0 or least.breaker[e]:
                work.group_weight[groups], work.group_rate[groups] = 0.0, work.distance[other]
                groups += 1
                continue
            top = work.top[other]
            if work.group_of[top] == r:
                continue
            work.group_of[top] = r
            work.group_weight[groups], work.group_rate[groups] = work.weight_below[top], work.distance[top]
            groups += 1
    return groups


@inlined
def shared_out(work: PartialWork, groups: int, share: float) -> float:
    """Least of Σ (α + s)² − α² over the groups where the s are not negative and sum up to `share`; sorts the groups.

    α is the root of the weight of a group times its rate. All groups with s > 0 have the same α + s.
    """
    for g in range(groups):
        alpha = np.sqrt(work.group_weight[g] * work.group_rate[g])
        k = g
        while k > 0 and work.group_root[k - 1] > alpha:
            work.group_root[k] = work.group_root[k - 1]
            k -= 1
        work.group_root[k] = alpha
    total, squares, level = share, 0.0, 0.0
    for g in range(groups):
        alpha = work.group_root[g]
        if g > 0 and alpha >= level:
            return g * level**2 - squares
        total += alpha
        squares += alpha**2
        level = total / (g + 1)
    return groups * level**2 - squares


@inlined
def within_region(wires: Wires, data: FaultData, least: Least, work: PartialWork, r: int) -> float:
    """Least interruptions of the buses of a region, and of others by the faults in it, by their weights."""
    groups = find_groups(wires, data, least, work, r)
    if groups == 0:
        return 0.0
    weights, rates, roots, apart, alone = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(work.begin[r], work.begin[r + 1]):
        part = work.rest[k]
        if work.part[part] != part:
            continue
        weight, rate = work.part_weight[part], work.own[part]
        if work.entry[part] < np.inf:
            rate += work.entry[part]
        weights += weight
        rates += rate
        roots += np.sqrt(weight * rate)
        alone += weight * rate
        cheapest = np.inf
        for g in range(groups):
            cheapest = min(cheapest, work.group_rate[g] * weight + work.group_weight[g] * rate)
        apart += cheapest
    if groups == 1:
        return (apart + weights * rates) * (1.0 - SAFE)
    by_groups = apart + max(roots**2 / groups, alone)
    return max(by_groups, shared_out(work, groups, roots)) * (1.0 - SAFE)
