"""Compiled: the bounds of `openpoint.studies.reconfigure.faults.arrays`.

Compiled: the regions of a partial state and the bound of the interruptions within each.

See `openpoint.studies.reconfigure.faults.arrays` for the derivation.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined, lean
from openpoint.powerflow.arrays import Wires
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED
from openpoint.studies.reconfigure.faults.arrays import FaultData, Least, PartialWork

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


@inlined
def attach(wires: Wires, data: FaultData, work: PartialWork) -> int:
    """Order what closed branches join to sources, depth first; returns the number of these buses, -1 where they form a
    loop or join sources."""
    n, count = len(data.load), 0
    for bus in range(n):
        work.place[bus] = -1
        work.above[bus] = -1
        work.parent[bus] = -1
    for e in range(len(data.fr)):
        work.lower[e] = -1
    for s in range(len(wires.source)):
        work.stack[0], depth = wires.source[s], 1
        while depth > 0:
            depth -= 1
            bus = work.stack[depth]
            if work.place[bus] >= 0:
                return -1
            work.place[bus] = count
            work.order[count] = bus
            count += 1
            for a in range(wires.start[bus], wires.start[bus + 1]):
                e, other = wires.via[a], wires.neighbour[a]
                if work.status[e] == CLOSED and e != work.above[bus]:
                    if work.place[other] >= 0 or depth == n:
                        return -1
                    work.above[other], work.parent[other], work.lower[e] = e, bus, other
                    work.stack[depth] = other
                    depth += 1
    for k in range(len(work.live)):
        work.live[k] = False
    for k in range(count):
        work.live[data.of_bus[work.order[k]]] = True
        work.end[work.order[k]] = k + 1
    for k in range(count - 1, -1, -1):
        bus = work.order[k]
        if work.parent[bus] >= 0:
            up = work.parent[bus]
            work.end[up] = max(work.end[up], work.end[bus])
    return count


@inlined
def join_rest(wires: Wires, data: FaultData, least: Least, work: PartialWork) -> None:
    """The joined parts that are not attached: their first buses, faults within, and power that they may feed in."""
    n = len(data.load)
    work.help[0], work.help[1] = 0.0, 0.0
    for bus in range(n):
        work.part[bus] = -1
    for first in range(n):
        if work.place[first] >= 0 or work.part[first] >= 0:
            continue
        p, q, faults, bare = 0.0, 0.0, 0.0, True
        work.stack[0], depth = first, 1
        work.part[first] = first
        while depth > 0:
            depth -= 1
            bus = work.stack[depth]
            p += least.p[bus]
            q += least.q[bus]
            for a in range(wires.start[bus], wires.start[bus + 1]):
                e, other = wires.via[a], wires.neighbour[a]
                if work.status[e] != CLOSED:
                    continue
                if bus == data.fr[e]:
                    faults += counted(data, least, work, e)
                    bare = bare and not least.breaker[e]
                if work.part[other] < 0:
                    work.part[other] = first
                    work.stack[depth] = other
                    depth += 1
        work.own[first] = faults if bare else 0.0
        work.part_p[first], work.part_q[first] = max(p, 0.0), max(q, 0.0)
        work.help[0] += max(-p, 0.0)
        work.help[1] += max(-q, 0.0)


@inlined
def before(data: FaultData, least: Least, e: int, bus: int, need: float, p: float, q: float) -> float:
    """Least squared voltage at the near end of a branch, so that p, q arrive at a bus with at least `need` there."""
    forward = data.to[e] == bus
    w = need if forward else need * least.k[e]
    high = least.w_high[bus] * (1.0 if forward else least.k[e])
    w = max(w + 2.0 * (least.r[e] * p + least.x[e] * q) + least.z2[e] * (p * p + max(q, 0.0) ** 2) / high, 0.0)
    needed: float = w / least.k[e] if forward else w
    return needed


@inlined
def behind(data: FaultData, least: Least, e: int, bus: int, w: float, p: float, q: float) -> float:
    """Highest squared voltage at a bus at which p, q arrive over a branch; 0 where its limits do not allow that."""
    forward = data.to[e] == bus
    square = p * p + max(q, 0.0) ** 2
    half = 0.5 * (w * least.k[e] if forward else w) - least.r[e] * p - least.x[e] * q
    rest = half * half - least.z2[e] * square
    if half <= 0.0 or rest < 0.0:
        return 0.0
    ratio = 1.0 if forward else least.k[e]
    at_end = min(half + np.sqrt(rest), least.w_high[bus] * ratio)
    if square > least.l_max[e] * at_end * (1.0 + SAFE):
        return 0.0
    found: float = at_end / ratio
    return found if found >= least.w_low[bus] * (1.0 - SAFE) else 0.0


@inlined
def sums(data: FaultData, least: Least, work: PartialWork, count: int) -> None:
    """What is attached below each bus, and the voltage that it needs."""
    for k in range(count):
        bus = work.order[k]
        work.p_below[bus], work.q_below[bus] = least.p[bus], least.q[bus]
        work.weight_below[bus] = least.by_weight[bus]
        work.load_below[bus], work.customers_below[bus] = data.load[bus], data.customers[bus]
        work.need[bus] = least.w_low[bus]
    for k in range(count - 1, -1, -1):
        bus = work.order[k]
        up = work.parent[bus]
        if up >= 0:
            work.p_below[up] += work.p_below[bus]
            work.q_below[up] += work.q_below[bus]
            work.weight_below[up] += work.weight_below[bus]
            work.hung[up] += work.hung[bus]
            work.p_hung[up] += work.p_hung[bus]
            work.q_hung[up] += work.q_hung[bus]
            work.load_below[up] += work.load_below[bus]
            work.customers_below[up] += work.customers_below[bus]
            work.need[up] = max(work.need[up], needed_above(data, least, work, bus))


@inlined
def needed_above(data: FaultData, least: Least, work: PartialWork, bus: int) -> float:
    """Least squared voltage of the parent with which all attached below a bus keep their lower limits."""
    p = max(work.p_below[bus] + work.p_hung[bus] - work.help[0], 0.0)
    q = work.q_below[bus] + work.q_hung[bus] - work.help[1]
    return before(data, least, work.above[bus], bus, work.need[bus], p, q)


@inlined
def below(work: PartialWork, head: int, bus: int) -> bool:
    """Whether an attached bus is fed through another one, itself included."""
    inside: bool = work.place[head] <= work.place[bus] < work.end[head]
    return inside


@inlined
def voltage_at(data: FaultData, least: Least, work: PartialWork, y: int, top: int, head: int) -> float:
    """Highest squared voltage of an attached bus that feeds the part below `head`; 0 where limits do not allow that.

    `top`: the bus below which all is off.
    """
    w: float
    depth, bus = 0, y
    while work.parent[bus] >= 0:
        work.stack[depth] = bus
        depth += 1
        bus = work.parent[bus]
    w = least.w_source[bus]
    for k in range(depth - 1, -1, -1):
        bus = work.stack[k]
        p = work.p_below[bus] + work.p_hung[bus] + work.p_below[head] + work.p_hung[head]
        q = work.q_below[bus] + work.q_hung[bus] + work.q_below[head] + work.q_hung[head]
        if below(work, bus, top):
            p -= work.p_below[top] + work.p_hung[top]
            q -= work.q_below[top] + work.q_hung[top]
        w = behind(data, least, work.above[bus], bus, w, max(p - work.help[0], 0.0), q - work.help[1])
        if w == 0.0:
            return 0.0
    return w


@inlined
def may_feed(
    wires: Wires, data: FaultData, least: Least, work: PartialWork, f: int, x: int, head: int, w: float
) -> bool:
    """Whether branch f may feed all below `head` at bus x, with at most the squared voltage w at its other end."""
    e, bus, last = f, x, -1
    p, q = work.p_below[head] + work.p_hung[head], work.q_below[head] + work.q_hung[head]
    while True:
        w = behind(data, least, e, bus, w, max(p - work.help[0], 0.0), q - work.help[1])
        if w == 0.0:
            return False
        for a in range(wires.start[bus], wires.start[bus + 1]):
            c = wires.neighbour[a]
            if c == last or work.parent[c] != bus or work.above[c] != wires.via[a]:
                continue
            if w < needed_above(data, least, work, c) * (1.0 - SAFE):
                return False
        if bus == head:
            return True
        p, q = work.p_below[head] - work.p_below[bus], work.q_below[head] - work.q_below[bus]
        e, last, bus = work.above[bus], bus, work.parent[bus]


@inlined
def possible(wires: Wires, data: FaultData, least: Least, work: PartialWork, f: int, top: int, head: int) -> bool:
    """Whether branch f may feed what is below `head` in some completion; `top`: the bus below which all is off."""
    x, y = data.fr[f], data.to[f]
    if below(work, head, x) == below(work, head, y):
        return False
    if not below(work, head, x):
        x, y = y, x
    w = least.w_high[y]
    if work.place[y] < 0 and hangs_below(work, head, work.region[y]):
        return False
    if work.place[y] >= 0 and not below(work, top, y):
        w = voltage_at(data, least, work, y, top, head)
    return w > 0.0 and may_feed(wires, data, least, work, f, x, head, w)


@inlined
def restorable(wires: Wires, data: FaultData, least: Least, work: PartialWork, own: int, top: int, head: int) -> bool:
    """Whether some completion may feed what is below `head` after a fault in section `own`."""
    for f in range(len(data.fr)):
        if work.status[f] == CLOSED or (work.status[f] == OPEN and not data.tie[f]):
            continue
        if data.of_branch[f] == own or data.of_bus[data.fr[f]] == own or data.of_bus[data.to[f]] == own:
            continue
        if possible(wires, data, least, work, f, top, head):
            return True
    return False


@inlined
def top_branch(data: FaultData, work: PartialWork, s: int) -> int:
    """The attached branch through which a section is fed; -1 where it is not attached or holds a source."""
    at = -1
    for a in range(data.start[s], data.start[s + 1]):
        e = data.touching[a]
        if work.lower[e] >= 0 and (at < 0 or work.place[work.lower[e]] < work.place[work.lower[at]]):
            at = e
    if at >= 0:
        up = work.parent[work.lower[at]]
        if data.source[up] >= 0 and data.of_bus[up] == data.section[s]:
            return -1
    return at


@inlined
def tripped_at(data: FaultData, work: PartialWork, at: int, own: int) -> int:
    """The bus below the first breaker above a section that is fed by branch `at`."""
    first = True
    while True:
        bus: int = work.lower[at]
        forward = data.to[at] == bus
        upper = data.breaker_fr[at] if forward else data.breaker_to[at]
        under = data.breaker_to[at] if forward else data.breaker_fr[at]
        up = work.parent[bus]
        if upper or (under and not (first and data.of_branch[at] == own)) or work.above[up] < 0:
            return bus
        first = False
        at = work.above[up]


@inlined
def attach_all(wires: Wires, data: FaultData, least: Least, work: PartialWork) -> int:
    """Find what is attached and what is not, and the sums below each bus; returns what `attach` does."""
    count = attach(wires, data, work)
    if count < 0:
        return count
    join_rest(wires, data, least, work)
    work.regions[0] = find_regions(wires, data, least, work)
    sums(data, least, work, count)
    return count


@inlined
def distances(wires: Wires, data: FaultData, least: Least, work: PartialWork, count: int) -> float:
    """Sum of the least interruptions of all buses by their weights.

    Requires in `distance` the interruptions that begin at each attached bus.
    """
    total = 0.0
    for k in range(count):
        bus = work.order[k]
        if work.parent[bus] >= 0:
            work.distance[bus] += work.distance[work.parent[bus]]
        total += least.by_weight[bus] * work.distance[bus]
    n = len(data.load)
    for bus in range(n):
        if work.place[bus] < 0:
            work.distance[bus] = np.inf
    again = True
    while again:
        again = False
        for e in range(len(data.fr)):
            if work.status[e] != UNDECIDED:
                continue
            for side in range(2):
                a, b = (data.fr[e], data.to[e]) if side == 0 else (data.to[e], data.fr[e])
                if work.place[b] >= 0:
                    continue
                i, j = a if work.place[a] >= 0 else work.part[a], work.part[b]
                reached = work.distance[i] + work.own[j] + counted(data, least, work, e)
                if reached < work.distance[j] * (1.0 - SAFE):
                    work.distance[j] = reached
                    again = True
    find_tops(data, least, work, count)
    for bus in range(n):
        work.group_of[bus] = -1
    for r in range(work.regions[0]):
        by_paths = 0.0
        for k in range(work.begin[r], work.begin[r + 1]):
            bus = work.rest[k]
            if work.distance[work.part[bus]] < np.inf:
                by_paths += least.by_weight[bus] * work.distance[work.part[bus]]
        total += max(by_paths, within_region(wires, data, least, work, r)) if work.bare[r] else by_paths
    return total


@lean
def bound_faults(wires: Wires, data: FaultData, least: Least, work: PartialWork, most: int) -> int:
    """Least number of faults that are not restorable in any completion of `work.status`; stops above `most`.

    A fault outside of `least.may` counts as many. Writes the bound of the interruptions to `work.bound`.
    """
    count = attach_all(wires, data, least, work)
    faults, lost = 0, 0.0
    for e in range(len(data.fr)):
        work.lost[e] = False
    for k in range(count):
        work.distance[work.order[k]] = 0.0
    for s in range(len(data.section)):
        at, own = top_branch(data, work, s), data.section[s]
        if at < 0:
            continue
        rate, repair, failing, barred = 0.0, 0.0, 0, False
        for a in range(data.first[s], data.first[s + 1]):
            e = data.failing[a]
            if work.status[e] == CLOSED or data.hangs[e]:
                failing += 1
                rate += least.by_rate[e]
                repair += least.by_repair[e]
                barred = barred or not least.may[e]
        if failing == 0:
            continue
        work.distance[tripped_at(data, work, at, own)] += rate
        stuck = False
        for a in range(data.start[s], data.start[s + 1]):
            head = work.lower[data.touching[a]]
            if head < 0 or data.of_bus[head] == own:
                continue
            if work.load_below[head] == 0.0 and work.customers_below[head] == 0.0:
                continue
            if least.valid and not restorable(wires, data, least, work, own, work.lower[at], head):
                stuck = True
                lost += repair * (work.weight_below[head] + work.hung[head])
        if stuck:
            faults += most + 1 if barred else failing
            for a in range(data.first[s], data.first[s + 1]):
                e = data.failing[a]
                work.lost[e] = work.status[e] == CLOSED or data.hangs[e]
            if faults > most:
                return faults
    work.bound[0] = least.fixed + lost + distances(wires, data, least, work, count)
    return faults
