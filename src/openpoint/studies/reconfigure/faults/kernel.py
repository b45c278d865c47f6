"""Compiled: what every fault of a radial state does, and whether one tie for each part restores it.

The same as `openpoint.studies.secure.model`, state by state of the exact AC power flow: of the choices of ties that
keep all limits the one that restores most load, then that of fewest ties, then that of least loss. A switching changes
the feeders at the fault and at the ties alone, so that only these are solved; the others keep what they have without
the fault. A tie that cannot carry what it would have to, by the bounds of a state without undecided branches, is not
tried.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined, lean
from openpoint.powerflow.arrays import Loads, Wires, Work
from openpoint.powerflow.kernel import CONVERGED, collect, hold, load, rated_square, refer, spread, sweep
from openpoint.search.exchange.descent import ACCURACY, SWEEPS, forget, place
from openpoint.search.kernel.arrays import CLOSED, OPEN
from openpoint.studies.reconfigure.faults.arrays import FaultData, FaultWork, Least, PartialWork
from openpoint.studies.reconfigure.faults.bound_kernel import attach_all, below, possible, top_branch, tripped_at


@inlined
def find_feeders(data: FaultData, tree: PartialWork, state: FaultWork) -> None:
    """The first bus of the feeder of every bus."""
    for k in range(len(data.load)):
        bus = tree.order[k]
        up = tree.parent[bus]
        if up < 0:
            state.feeder[bus] = -1
        else:
            state.feeder[bus] = bus if data.source[up] >= 0 else state.feeder[up]


NOT_RADIAL, NO_FLOW = -1, -2
"""Results of `evaluate_faults` for what has no faults."""


@inlined
def begin_feeder(data: FaultData, state: FaultWork, bus: int, e: int, n: int, work: Work) -> int:
    """Place a bus that a source feeds by branch e, if it is closed; returns the next position."""
    held = data.fr[e] + data.to[e] - bus
    if state.closed[e] and work.position[bus] < 0:
        n = place(n, bus, work.position[held], e, work)
    return n


@inlined
def place_source(data: FaultData, bus: int, n: int, work: Work) -> int:
    """Place a source; returns the next position."""
    return place(n, bus, -1, -1, work) if work.position[bus] < 0 else n


@inlined
def flow(
    wires: Wires,
    loads: Loads,
    data: FaultData,
    tree: PartialWork,
    state: FaultWork,
    feeders: int,
    parts: int,
    work: Work,
) -> tuple[int, bool, float, bool]:
    """Flow of the feeders in `state.changed` with the ties chosen for the parts.

    Returns the number of buses placed, whether they are trees, the loss (inf without a solution), and whether all
    limits hold there. `forget` has to follow.
    """
    n = 0
    for k in range(feeders):
        bus = state.changed[k]
        n = place_source(data, tree.parent[bus], n, work)
    for p in range(parts):
        e = state.chosen[p]
        if e >= 0:
            for bus in (data.fr[e], data.to[e]):
                if data.source[bus] >= 0:
                    n = place_source(data, bus, n, work)
    roots = n
    for k in range(feeders):
        bus = state.changed[k]
        n = begin_feeder(data, state, bus, tree.above[bus], n, work)
    for p in range(parts):
        e = state.chosen[p]
        if e >= 0:
            if data.source[data.fr[e]] >= 0:
                n = begin_feeder(data, state, data.to[e], e, n, work)
            elif data.source[data.to[e]] >= 0:
                n = begin_feeder(data, state, data.fr[e], e, n, work)
    n, radial = spread(wires, state.closed, roots, n, work)
    if not radial:
        return n, False, np.inf, False
    for k in range(roots):
        hold(wires, data.source[work.order[k]], k, work)
    refer(wires, state.closed, n, work)
    load(n, loads, 0, work)
    state.flows[0] += 1
    if sweep(n, roots, loads, ACCURACY, SWEEPS, work) != CONVERGED:
        return n, True, np.inf, False
    loss = collect(n, roots, loads.linear, len(wires.hung) > 0, work)
    return n, True, loss, limits_hold(wires, data, roots, n, work)


@inlined
def limits_hold(wires: Wires, data: FaultData, roots: int, n: int, work: Work) -> bool:
    """Whether voltages and currents of the buses placed keep the limits."""
    for k in range(roots, n):
        bus, e = work.order[k], work.edge[k]
        v = np.sqrt(work.size[k] * (work.u_re[k] ** 2 + work.u_im[k] ** 2))
        i = np.sqrt(rated_square(wires, e, k, work))
        if v < data.low[bus] or v > data.high[bus] or i > data.most[e]:
            return False
    return True


@inlined
def feeder_flows(wires: Wires, loads: Loads, data: FaultData, tree: PartialWork, state: FaultWork, work: Work) -> int:
    """Flow of every feeder without a fault; returns how many of them break limits, -1 without a solution."""
    bad = 0
    for bus in range(len(data.load)):
        if state.feeder[bus] != bus:
            continue
        state.changed[0] = bus
        n, _, loss, holds = flow(wires, loads, data, tree, state, 1, 0, work)
        forget(n, work)
        if loss == np.inf:
            return -1
        state.loss[bus], state.holds[bus] = loss, holds
        bad += not holds
    return bad


@inlined
def parts_of(data: FaultData, tree: PartialWork, state: FaultWork, s: int) -> int:
    """Find the parts of a fault in section number s, with their ties; returns their number."""
    count, own, ties = 0, data.section[s], 0
    for a in range(data.start[s], data.start[s + 1]):
        e = data.touching[a]
        head = tree.lower[e]
        if not state.closed[e] or head < 0 or data.of_bus[head] == own:
            continue
        state.head[count], state.first[count] = head, ties
        for t in range(len(data.fr)):
            sound = (
                data.tie[t] and not state.closed[t] and below(tree, head, data.fr[t]) != below(tree, head, data.to[t])
            )
            # A branch with its conductor or a bus in the section stays open until the repair.
            touches = data.of_branch[t] == own or data.of_bus[data.fr[t]] == own or data.of_bus[data.to[t]] == own
            if sound and not touches:
                state.tie[ties] = t
                ties += 1
        count += 1
    state.first[count] = ties
    return count


@inlined
def sort_out(
    wires: Wires, data: FaultData, least: Least, tree: PartialWork, state: FaultWork, at: int, parts: int
) -> None:
    """Mark the ties that cannot carry what they would have to. `at`: the branch that feeds the section."""
    for p in range(parts):
        for k in range(state.first[p], state.first[p + 1]):
            state.hopeless[k] = least.valid and not possible(
                wires, data, least, tree, state.tie[k], tree.lower[at], state.head[p]
            )


@inlined
def mark_changed(state: FaultWork, bus: int, feeders: int) -> int:
    """Add the feeder of a bus to those that change; returns their number."""
    head = state.feeder[bus]
    if head < 0:
        return feeders
    for k in range(feeders):
        if state.changed[k] == head:
            return feeders
    state.changed[feeders] = head
    return feeders + 1


@inlined
def feeders_changed(data: FaultData, tree: PartialWork, state: FaultWork, s: int, parts: int) -> int:
    """Find the feeders that opening the section and closing the chosen ties change; returns their number."""
    feeders = 0
    for a in range(data.start[s], data.start[s + 1]):
        e = data.touching[a]
        if tree.lower[e] >= 0:
            feeders = mark_changed(state, tree.lower[e], feeders)
    for p in range(parts):
        e = state.chosen[p]
        if e >= 0:
            feeders = mark_changed(state, data.fr[e], feeders)
            feeders = mark_changed(state, data.to[e], feeders)
    return feeders


@inlined
def switch(data: FaultData, tree: PartialWork, state: FaultWork, s: int, parts: int, begins: bool) -> None:
    """Open what touches the section and close the chosen ties, or take this back."""
    for a in range(data.start[s], data.start[s + 1]):
        e = data.touching[a]
        if tree.lower[e] >= 0:
            state.closed[e] = not begins
    for p in range(parts):
        if state.chosen[p] >= 0:
            state.closed[state.chosen[p]] = begins


@inlined
def attempt(
    wires: Wires,
    loads: Loads,
    data: FaultData,
    tree: PartialWork,
    state: FaultWork,
    s: int,
    parts: int,
    bad: int,
    work: Work,
) -> tuple[bool, float, float]:
    """Try the chosen ties: whether they feed their parts within the limits, the load restored, and the loss added.

    `bad`: feeders that break limits without the fault.
    """
    feeders = feeders_changed(data, tree, state, s, parts)
    before = 0.0
    for k in range(feeders):
        before += state.loss[state.changed[k]]
        bad -= not state.holds[state.changed[k]]
    if bad > 0:
        return False, 0.0, 0.0
    switch(data, tree, state, s, parts, True)
    n, radial, loss, holds = flow(wires, loads, data, tree, state, feeders, parts, work)
    good, served = radial and holds, 0.0
    for p in range(parts):
        live = work.position[state.head[p]] >= 0
        if state.chosen[p] >= 0 and not live:
            good = False
        if live:
            served += tree.load_below[state.head[p]]
    forget(n, work)
    switch(data, tree, state, s, parts, False)
    return good, served, loss - before


@inlined
def restore(
    wires: Wires,
    loads: Loads,
    data: FaultData,
    tree: PartialWork,
    state: FaultWork,
    s: int,
    parts: int,
    bad: int,
    alike: bool,
    work: Work,
) -> None:
    """Find the best choice of ties and write it to `picked`; `alike`: one tie for one part is as good as another."""
    all_load, all_customers, choices = 0.0, 0.0, 1
    for p in range(parts):
        all_load += tree.load_below[state.head[p]]
        all_customers += tree.customers_below[state.head[p]]
        choices = min(choices * (state.first[p + 1] - state.first[p] + 1), data.most_choices + 2)
        state.chosen[p] = -1
        state.picked[p] = -1
    if parts == 0 or (all_load == 0.0 and all_customers == 0.0):
        return
    if choices - 1 > data.most_choices:
        state.loose[0] += 1
    best, fewest, lowest = 0.0, 0, np.inf
    found = False
    for number in range(1, choices):
        rest, count, hopeless = number, 0, False
        for p in range(parts):
            own = state.first[p + 1] - state.first[p]
            pick = rest % (own + 1)
            rest //= own + 1
            state.chosen[p] = state.tie[state.first[p] + pick - 1] if pick > 0 else -1
            count += pick > 0
            hopeless = hopeless or (pick > 0 and state.hopeless[state.first[p] + pick - 1])
        if hopeless:
            continue
        good, served, loss = attempt(wires, loads, data, tree, state, s, parts, bad, work)
        if not good or served < best:
            continue
        if found and served == best and (count > fewest or (count == fewest and loss >= lowest)):
            continue
        found, best, fewest, lowest = True, served, count, loss
        for p in range(parts):
            state.picked[p] = state.chosen[p]
        if parts == 1 and alike:
            break


@inlined
def isolated_remotely(data: FaultData, state: FaultWork, s: int) -> bool:
    """Whether all that isolates a section is operated by remote control."""
    for a in range(data.start[s], data.start[s + 1]):
        e = data.touching[a]
        if state.closed[e] and not data.remote[e]:
            return False
    return True


@inlined
def equally_remote(data: FaultData, state: FaultWork, parts: int) -> bool:
    """Whether the ties that are worth trying are all operated by remote control, or none of them."""
    near, far = False, False
    for k in range(state.first[parts]):
        if not state.hopeless[k]:
            near = near or data.remote[state.tie[k]]
            far = far or not data.remote[state.tie[k]]
    return not (near and far)


@inlined
def tied_remotely(data: FaultData, state: FaultWork, parts: int) -> bool:
    """Whether the ties of `picked` are operated by remote control."""
    tied = True
    for p in range(parts):
        tied = tied and (state.picked[p] < 0 or data.remote[state.picked[p]])
    return tied


@inlined
def shared_out(tree: PartialWork, state: FaultWork, parts: int, of_load: bool) -> tuple[float, float]:
    """Load, or customers, of the parts that the ties of `picked` feed, and of the others."""
    fed, left = 0.0, 0.0
    for p in range(parts):
        own = tree.load_below[state.head[p]] if of_load else tree.customers_below[state.head[p]]
        if state.picked[p] >= 0:
            fed += own
        else:
            left += own
    return fed, left


@inlined
def all_fed(tree: PartialWork, state: FaultWork, parts: int) -> bool:
    """Whether no part without a tie of `picked` has load or customers."""
    for p in range(parts):
        idle = tree.load_below[state.head[p]] == 0.0 and tree.customers_below[state.head[p]] == 0.0
        if state.picked[p] < 0 and not idle:
            return False
    return True


@lean
def evaluate_faults(
    wires: Wires,
    loads: Loads,
    data: FaultData,
    least: Least,
    tree: PartialWork,
    state: FaultWork,
    work: Work,
    most: int,
) -> int:
    """Evaluate the faults of the state in `state.closed`; returns the number of those that are not restorable.

    Stops once there are more than `most`; `totals` and `unrestorable` are then those up to there. Requires that
    `work.position` is -1 everywhere.
    """
    for e in range(len(data.fr)):
        state.unrestorable[e] = False
        tree.status[e] = CLOSED if state.closed[e] else OPEN
    if attach_all(wires, data, least, tree) < len(data.load):
        return NOT_RADIAL
    find_feeders(data, tree, state)
    bad = feeder_flows(wires, loads, data, tree, state, work)
    if bad < 0:
        return NO_FLOW
    bad += not data.sources_hold
    count = 0
    state.loose[0] = 0
    for k in range(3):
        state.totals[k] = 0.0
    for s in range(len(data.section)):
        rate, until, sooner, whole, faults = 0.0, 0.0, 0.0, 0.0, 0
        for a in range(data.first[s], data.first[s + 1]):
            e = data.failing[a]
            if state.closed[e] or data.hangs[e]:
                faults += 1
                rate += data.rate[e]
                until += data.until[e]
                sooner += data.sooner[e]
                whole += data.whole[e]
        if faults == 0:
            continue
        parts = parts_of(data, tree, state, s)
        at = top_branch(data, tree, s)
        sort_out(wires, data, least, tree, state, at, parts)
        isolated = isolated_remotely(data, state, s)
        # The tie of least loss is needed only where the time that customers wait follows from which one it is.
        alike = sooner == until or not isolated or equally_remote(data, state, parts)
        restore(wires, loads, data, tree, state, s, parts, bad, alike, work)
        soon = isolated and tied_remotely(data, state, parts)
        first, second = sooner if isolated else until, sooner if soon else until
        bus = tripped_at(data, tree, at, data.section[s])
        state.totals[0] += rate * tree.customers_below[bus]
        fed, left = shared_out(tree, state, parts, False)
        state.totals[1] += first * tree.customers_below[bus] + (second - first) * fed
        state.totals[1] += (whole - first) * (data.own_customers[s] + left)
        fed, left = shared_out(tree, state, parts, True)
        state.totals[2] += first * tree.load_below[bus] + (second - first) * fed
        state.totals[2] += (whole - first) * (data.own_load[s] + left)
        if not all_fed(tree, state, parts):
            count += faults
            for a in range(data.first[s], data.first[s + 1]):
                e = data.failing[a]
                state.unrestorable[e] = state.closed[e] or data.hangs[e]
            if count > most:
                return count
    return count
